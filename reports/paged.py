"""What machines are told: the export's rows, cell for cell, a page at a time, as values of JSON.

The names, meanings and values of the fields are those of reports/tables.py, so that a page and a file of the
export agree. Left out is what somebody may have written in words of their own: those may name people, and a token
is kept on machines that nobody looks at.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from diary.roles import patient_called
from reports import tables
from reports.adherence import sites_asked_for
from reports.columns import Column
from reports.tables import Table
from storage.database import Connection, Database
from storage.extracts import Batch
from storage.paged import Key, Page, Sought, entry_page, slot_page, subject_page

__all__ = ["ENTRIES", "PATIENTS", "SLOTS", "Key", "Page", "Resource", "Row", "Rows", "Sought", "page_of"]

Row: TypeAlias = dict[str, Any]

# A patient's reason is one of a few words; that of staff is whatever they typed.
_TYPED: Final = frozenset({"change_reason"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of rows: the export's table they stand in, how a page is read, and where among all a row stands."""

    name: str
    table: Table
    read: Callable[..., Awaitable[Batch]]
    key: tuple[str, ...]
    empty: frozenset[str]  # what a row may lack; an instant by its name without _utc and _local

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table that machines get."""
        return tuple(one for one in self.table.columns if not one.free and one.name not in _TYPED)

    def may_lack(self, column: Column) -> bool:
        """Tell whether a row may have nothing there."""
        return column.name.removesuffix("_utc").removesuffix("_local") in self.empty

    def rows(self, lines: Batch) -> list[Row]:
        """Lines as JSON has them: each cell is that of the export, without what guards a spreadsheet."""
        names = [column.name for column in self.columns]
        cells = [column.cells(lines) for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


PATIENTS: Final = Resource(
    "patients",
    tables.SUBJECTS,
    subject_page,
    ("subject",),
    frozenset({"joined", "consent_sha256", "withdrawn", "erased", "use_stopped"}),
)
SLOTS: Final = Resource(
    "slots",
    tables.SLOTS,
    slot_page,
    ("subject", "item", "local_date", "n"),
    frozenset({
        "time_shift", "prompted", "answered_as", "entry", "answer", "score", "skip_reason", "excused_because",
        "cancelled_because",
    }),
)  # fmt: skip
ENTRIES: Final = Resource(
    "entries",
    tables.ENTRIES,
    entry_page,
    ("subject", "recorded_at", "entry"),
    frozenset({"score", "skip_reason", "staff", "supersedes", "superseded_by", "prompted", "said"}),
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
    shown = {name: cells[: page.limit] for name, cells in lines.items()}
    more = len(lines["subject"]) > page.limit
    return Rows(resource.rows(shown), [shown[name][-1] for name in resource.key] if more else None)


async def _within(
    conn: Connection, sought: Sought, *, site: str | None, patient: str | None, scope: frozenset[int] | None
) -> Sought:
    site_ids = await sites_asked_for(conn, site, scope)
    one = None if patient is None else (await patient_called(conn, patient, site_ids)).id
    return replace(sought, site_ids=site_ids, patient_id=one)
