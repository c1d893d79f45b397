"""A column of the export: what it is called, what it means, and how some lines of a table give its cells.

A cell is a text, a number, or None. Instants and dates are the ISO 8601 text the CSV has; what a format makes of it
is told by the column's kind. A name of at most eight characters stands beside each name, because SAS transport
files hold no longer ones and others cut them silently (haven#771, xport#96): nothing here is ever cut.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias

from protocol.calendar import zone_of
from storage.extracts import Batch

Cell: TypeAlias = str | int | float | None
Cells: TypeAlias = Sequence[Any]


class Kind(StrEnum):
    """How a column's cells are written."""

    TEXT = "text"
    CODE = "code"  # one of the allowed values
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    UTC = "time UTC"
    LOCAL = "time local"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `codes` are the few values it can have, in an order that gives them their numbers."""

    name: str
    short: str
    kind: Kind
    meaning: str
    cells: Callable[[Batch], Cells]
    unit: str = ""
    codes: tuple[str, ...] = ()
    within: str = ""
    free: bool = False  # words of somebody's own, left empty for who may not see identities

    @property
    def allowed(self) -> str:
        """The values it can have, where they are few or lie within bounds."""
        return " | ".join(self.codes) or self.within


def from_source(source: str) -> Callable[[Batch], Cells]:
    """The cells that stand in the table as they are."""
    return lambda batch: batch[source]


def text(name: str, short: str, meaning: str, source: str = "") -> Column:
    """A text of ours, such as an id or a code."""
    return Column(name, short, Kind.TEXT, meaning, from_source(source or name))


def free(name: str, short: str, meaning: str) -> Column:
    """Words of somebody's own, which may name people."""
    return Column(name, short, Kind.TEXT, meaning, from_source(name), free=True)


def code(name: str, short: str, meaning: str, codes: Iterable[str], source: str = "") -> Column:
    """One of a few values."""
    return Column(name, short, Kind.CODE, meaning, from_source(source or name), codes=tuple(map(str, codes)))


def yes_or_no(name: str, short: str, meaning: str, source: str = "") -> Column:
    """A fact that holds or does not."""
    read = from_source(source or name)

    def cells(batch: Batch) -> Cells:
        return ["yes" if fact else "no" for fact in read(batch)]

    return Column(name, short, Kind.CODE, meaning, cells, codes=("yes", "no"))


def integer(name: str, short: str, meaning: str, source: str = "", *, unit: str = "", within: str = "") -> Column:
    """A whole number."""
    return Column(name, short, Kind.INTEGER, meaning, from_source(source or name), unit, within=within)


def number(name: str, short: str, meaning: str, source: str = "", *, unit: str = "") -> Column:
    """A number that may have decimal places."""
    return Column(name, short, Kind.NUMBER, meaning, from_source(source or name), unit)


def date(name: str, short: str, meaning: str, source: str = "") -> Column:
    """A calendar date."""
    return Column(name, short, Kind.DATE, meaning, from_source(source or name), "YYYY-MM-DD")


def days_between(name: str, short: str, meaning: str, first: str, last: str) -> Column:
    """Days from one date to another."""

    def cells(batch: Batch) -> Cells:
        return [_ordinal(day) - _ordinal(began) for began, day in zip(batch[first], batch[last], strict=True)]

    return Column(name, short, Kind.INTEGER, meaning, cells, "days")


def in_utc(name: str, short: str, meaning: str, source: str) -> Column:
    """An instant in UTC."""

    def cells(batch: Batch) -> Cells:
        return [None if at is None else f"{at[:23]}Z" for at in batch[source]]

    return Column(f"{name}_utc", f"{short}_U", Kind.UTC, meaning, cells, "ISO 8601")


def times(name: str, short: str, meaning: str, source: str) -> tuple[Column, Column]:
    """An instant twice: in UTC, and on the wall in the line's zone with the offset in force then."""

    def local(batch: Batch) -> Cells:
        return _on_walls(batch[source], batch["zone"], _wall_of_zone)

    return in_utc(name, short, meaning, source), _local(name, short, meaning, local)


def planned_times(name: str, short: str, meaning: str, source: str) -> tuple[Column, Column]:
    """The same with the offset that was planned with, whatever later rules of the zone say."""

    def local(batch: Batch) -> Cells:
        return _on_walls(batch[source], batch["utc_offset_minutes"], _wall_of_offset)

    return in_utc(name, short, meaning, source), _local(name, short, meaning, local)


def _local(name: str, short: str, meaning: str, cells: Callable[[Batch], Cells]) -> Column:
    meaning = f"{meaning} On the wall in `timezone`."
    return Column(f"{name}_local", f"{short}_L", Kind.LOCAL, meaning, cells, "ISO 8601 with offset")


class _Wall(dict[str, tuple[str, str]]):
    """Minutes of UTC on a place's wall, each worked out once: a million entries share their minutes."""

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, minute: str) -> tuple[str, str]:
        # No zone in use is off by seconds, so those and what is finer are as in UTC.
        written = datetime.fromisoformat(f"{minute}Z").astimezone(self._zone).isoformat(timespec="minutes")
        self[minute] = shown = written[:16], written[16:]
        return shown


def _on_walls(instants: Cells, places: Sequence[Any], wall_of: Callable[[Any], _Wall]) -> list[str | None]:
    """Instants on the walls of the places beside them."""
    walls = {place: wall_of(place) for place in set(places)}
    if len(walls) == 1:  # as in most batches
        [wall] = walls.values()
        return [at and f"{(shown := wall[at[:16]])[0]}{at[16:23]}{shown[1]}" for at in instants]
    return [
        at and f"{(shown := walls[place][at[:16]])[0]}{at[16:23]}{shown[1]}"
        for at, place in zip(instants, places, strict=True)
    ]


@cache
def _wall_of_zone(zone: str) -> _Wall:
    return _Wall(zone_of(zone))


@cache
def _wall_of_offset(minutes: int) -> _Wall:
    return _Wall(timezone(timedelta(minutes=minutes)))


@cache
def _ordinal(day: str) -> int:
    return datetime.fromisoformat(day).toordinal()


# A cell that begins like this is a formula to a spreadsheet (OWASP, "CSV Injection"); the full-width forms too.
_RUNS: Final = frozenset(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'"))


def guarded(words: str) -> str:
    """The text with an apostrophe before it where a spreadsheet could run it.

    A text that begins with an apostrophe of its own gets one too: whoever reads the file takes one apostrophe
    away wherever there is one, and has the text as it was written.
    """
    return f"'{words}" if words[:1] in _RUNS else words
