"""How answers look: aligned plain tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any

import typer

from protocol.calendar import zone_of

JsonFlag = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]

_GAP = "  "


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> str:
    """Rows under a head, each column as wide as it must be; the columns named in `right` are set to the right."""
    to_the_right = set(right)
    return _aligned([head, *rows], [name in to_the_right for name in head])


def lines(rows: Sequence[Sequence[object]]) -> str:
    """Rows without a head, column under column."""
    return _aligned(rows, [False] * len(rows[0]))


def _aligned(rows: Iterable[Sequence[object]], to_the_right: Sequence[bool]) -> str:
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        _GAP.join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, to_the_right, strict=True)
        ).rstrip()
        for row in cells
    )


def pairs(facts: Iterable[tuple[str, object]]) -> str:
    """One fact a line, set in a little, the names in one column; what is None is left out."""
    return lines([(f"{_GAP}{name}", fact) for name, fact in facts if fact is not None])


def print_json(value: Any) -> None:
    """Print a value as JSON; dates and instants in ISO form."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_iso))


def warn(sentence: str) -> None:
    """Say something beside the answer, on standard error."""
    print(sentence, file=sys.stderr)


def day(value: date) -> str:
    """A date with its weekday, by which a slip of the pen is seen."""
    return f"{value:%a} {value.isoformat()}"


def moment(at: datetime | None, zone: str) -> str | None:
    """An instant on the wall of a zone."""
    return f"{at.astimezone(zone_of(zone)):%a %Y-%m-%d %H:%M}" if at else None


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 slot", "3 slots"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def share(part: int, whole: int) -> str:
    """A figure with its denominator: "41/44 93.2 %"; without a denominator there is no figure."""
    return f"{part}/{whole} {100 * part / whole:.1f} %" if whole else "-"


def _iso(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an answer")
