"""The lines of an export a page at a time: by keyset, so that the thousandth page costs what the first one does.

The order is one that nothing changes later: by patient's code, a patient's slots by the name that each has for
ever, entries by when they were recorded. So a walk meets every line that was there when it began exactly once,
whatever is added meanwhile. A slot's times are no such order, since a patient may choose another evening time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Select, literal, or_, tuple_

from storage import tables
from storage.database import Connection
from storage.extracts import Batch, Wanted, by_column, entry_rows, slot_rows, subject_rows
from storage.states import state_of_slot

_p, _s, _e = tables.patients, tables.slots, tables.entries

# Where a line stands among all: what it is ordered by, as it is kept.
Key: TypeAlias = Sequence[str | int]

_BY_NAME: Final = (_s.c.item, _s.c.local_date, _s.c.n)
_BY_TIME: Final = (_e.c.recorded_at, _e.c.id)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which lines: at these sites (None: all), and as far as the rest is given."""

    site_ids: frozenset[int] | None = None
    patient_id: int | None = None
    status: str | None = None
    phase: str | None = None
    item: str | None = None
    state: str | None = None
    holds: str | None = None  # yes or no
    first_day: date | None = None
    last_day: date | None = None
    recorded_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Which of the lines sought: so many, after the one with this key (None: from the first on)."""

    limit: int
    after: Key | None = None


async def subject_page(conn: Connection, sought: Sought, page: Page, *, now: datetime) -> Batch:
    """Patients by code."""
    query = subject_rows(Wanted(conn, None, now)).where(*_whose(sought))
    if sought.status is not None:
        query = query.where(_p.c.status == sought.status)
    return await _lines(conn, _after(query, page, ()))


async def slot_page(conn: Connection, sought: Sought, page: Page, *, now: datetime) -> Batch:
    """Slots with their state as of now, by patient and name."""
    query = slot_rows(Wanted(conn, None, now)).where(*_whose(sought), *_what(sought, _s.c.local_date))
    if sought.state is not None:
        query = query.where(state_of_slot(now).element == sought.state)
    return await _lines(conn, _after(query, page, _BY_NAME))


async def entry_page(conn: Connection, sought: Sought, page: Page, *, now: datetime) -> Batch:
    """Entries, superseded ones too, by patient and time of recording."""
    query = entry_rows(Wanted(conn, None, now)).where(*_whose(sought), *_what(sought, _e.c.local_date))
    if sought.holds is not None:
        # The slot points at the entry that holds.
        query = query.where(_s.c.answered_by == _e.c.id if sought.holds == "yes" else _s.c.answered_by != _e.c.id)
    if sought.recorded_from is not None:
        query = query.where(_e.c.recorded_at >= sought.recorded_from)
    return await _lines(conn, _after(query, page, _BY_TIME))


def _whose(sought: Sought) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if sought.site_ids is not None:
        conditions.append(_p.c.site_id.in_(sought.site_ids))
    if sought.patient_id is not None:
        conditions.append(_p.c.id == sought.patient_id)
    return conditions


def _what(sought: Sought, day: ColumnElement[date]) -> list[ColumnElement[bool]]:
    asked = ((_s.c.phase, sought.phase), (_s.c.item, sought.item))
    conditions: list[ColumnElement[bool]] = [column == value for column, value in asked if value is not None]
    if sought.first_day is not None:
        conditions.append(day >= sought.first_day)
    if sought.last_day is not None:
        conditions.append(day <= sought.last_day)
    return conditions


def _after(query: Select[Any], page: Page, order: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """The lines after a key in the order of patients' codes, and of a patient in this order."""
    # Always said, since it keeps SQLite on the index of codes where nothing else does.
    code, *rest = page.after or ("",)
    query = query.where(_p.c.code >= code).order_by(_p.c.code, *order).limit(page.limit)
    if page.after is None:
        return query
    if not order:
        return query.where(_p.c.code > code)
    # Of that one patient the lines before the key are read and left out: a few hundred at most.
    then = tuple_(*(literal(value) for value in rest))
    return query.where(or_(_p.c.code > code, tuple_(*order) > then))


async def _lines(conn: Connection, query: Select[Any]) -> Batch:
    names = [column.name for column in query.selected_columns]
    rows = (await conn.execute(query)).all()
    return by_column(names, rows) if rows else dict.fromkeys(names, ())
