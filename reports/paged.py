"""What machines are told: the export's rows, cell for cell, a page at a time, as values of JSON.

The names, meanings and values of the fields are those of reports/columns.py, so that a page and a file of the
export agree. Left out is what somebody may have written in words of their own: those may name people, and a token
is kept on machines that nobody looks at.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from functools import cached_property
from types import UnionType
from typing import Any, Final, TypeAlias, get_args, get_type_hints

from pydantic import TypeAdapter

from diary.roles import patient_called
from reports import columns
from reports.adherence import sites_asked_for
from reports.columns import Column, File, Kind
from storage.database import Connection, Database
from storage.extracts import EntryLine, SlotLine, SubjectLine
from storage.paged import Key, Page, Sought, entry_page, slot_page, subject_page
from storage.records import Record

__all__ = ["ENTRIES", "PATIENTS", "SLOTS", "Page", "Resource", "Row", "Rows", "Sought", "page_of"]

Row: TypeAlias = dict[str, Any]

# A patient's reason is one of a few words; that of staff is whatever they typed.
_TYPED: Final = frozenset({"change_reason"})
# What JSON has a kind of its own for; all else is written as in the export, without what guards a spreadsheet.
_PLAIN: Final = frozenset({Kind.TEXT, Kind.CODE, Kind.INTEGER, Kind.NUMBER})
_SAMPLE: Final[Mapping[type, Any]] = {
    str: "UTC",
    int: 0,
    date: date(2026, 11, 24),
    datetime: datetime(2026, 11, 24, tzinfo=UTC),
}


@dataclass(frozen=True)
class Resource:
    """One kind of rows: the file of the export they stand in, how a page is read, where among all a row stands."""

    name: str
    file: File
    line: type[Record]
    read: Callable[..., Awaitable[list[Any]]]
    key: Callable[[Any], Key]
    keys: TypeAdapter[Any]  # how a key is written down, and read again

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the file that machines get."""
        return tuple(one for one in self.file.columns if not one.free and one.name not in _TYPED)

    @cached_property
    def always(self) -> frozenset[str]:
        """The columns that are never empty: those that a line has which lacks whatever it may lack."""
        hints = get_type_hints(self.line)
        bare = self.line(**{field.name: _least(hints[field.name]) for field in fields(self.line)})
        return frozenset(one.name for one in self.columns if one.value(bare) is not None)

    def row(self, line: Any) -> Row:
        """A line as JSON has it."""
        return {one.name: one.value(line) if one.kind in _PLAIN else one.cell(line) or None for one in self.columns}


def _least(hint: Any) -> Any:
    return None if isinstance(hint, UnionType) and type(None) in get_args(hint) else _SAMPLE[hint]


PATIENTS: Final = Resource(
    "patients",
    columns.SUBJECTS,
    SubjectLine,
    subject_page,
    lambda line: (line.subject,),
    TypeAdapter(tuple[str]),
)
SLOTS: Final = Resource(
    "slots",
    columns.SLOTS,
    SlotLine,
    slot_page,
    lambda line: (line.subject, line.item, line.local_date, line.n),
    TypeAdapter(tuple[str, str, date, int]),
)
ENTRIES: Final = Resource(
    "entries",
    columns.ENTRIES,
    EntryLine,
    entry_page,
    lambda line: (line.subject, line.recorded_at, line.entry),
    TypeAdapter(tuple[str, datetime, int]),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of rows, and the key of its last one where there are more."""

    rows: list[Row]
    last: Key | None


async def page_of(
    db: Database,
    resource: Resource,
    sought: Sought,
    page: Page,
    *,
    site: str | None = None,
    patient: str | None = None,
    scope: frozenset[int] | None,
    now: datetime,
) -> Rows:
    """A page of rows; UnknownCodeError where the site or the patient is not within `scope`, or not at all."""
    async with db.read() as conn:
        whose = await _within(conn, sought, site=site, patient=patient, scope=scope)
        # One more is asked for: whether it is there tells whether there is another page.
        lines = await resource.read(conn, whose, Page(page.limit + 1, page.after), now=now)
    shown = lines[: page.limit]
    return Rows(
        [resource.row(line) for line in shown], resource.key(shown[-1]) if len(lines) > len(shown) else None
    )


async def _within(
    conn: Connection, sought: Sought, *, site: str | None, patient: str | None, scope: frozenset[int] | None
) -> Sought:
    site_ids = await sites_asked_for(conn, site, scope)
    one = None if patient is None else (await patient_called(conn, patient, site_ids)).id
    return replace(sought, site_ids=site_ids, patient_id=one)
