"""Questions over many slots at once, counted by the database; reports/definitions.py says what figures mean."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, case, or_, select

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.counts import patients_of, state_counts
from storage.database import Connection
from storage.entries import last_said_at
from storage.records import Record
from storage.states import state_of_slot

_s, _p = tables.slots, tables.patients


@dataclass(frozen=True, slots=True)
class DayCounts(Record):
    """One patient's local day."""

    patient_id: int
    local_date: date
    on_time: int
    late: int
    missed: int
    excused: int
    open: int


@dataclass(frozen=True, slots=True)
class DayTotal(Record):
    """What became of the slots of one day."""

    day: str
    on_time: int
    late: int
    missed: int
    excused: int
    open: int


@dataclass(frozen=True, slots=True)
class Unreachable(Record):
    """A patient in the study whose chat cannot be written to."""

    code: str
    site: str
    because: str


async def day_counts(
    conn: Connection,
    *,
    now: datetime,
    from_date: date,
    to_date: date,
    site_ids: frozenset[int] | None = None,
    patient_ids: Collection[int] | None = None,
) -> list[DayCounts]:
    """Count slots by state for each patient (of these sites, or of these alone) and local date, both ends in."""
    mine = patients_of(site_ids) if patient_ids is None else patient_ids
    each = (
        select(_s.c.patient_id, _s.c.local_date, state_of_slot(now))
        .where(_s.c.local_date.between(from_date, to_date), _s.c.patient_id.in_(mine))
        .subquery()
    )
    query = (
        select(each.c.patient_id, each.c.local_date, *state_counts(each))
        .group_by(each.c.patient_id, each.c.local_date)
        .order_by(each.c.patient_id, each.c.local_date)
    )
    return [DayCounts.of(row) for row in await conn.execute(query)]


async def day_totals(
    conn: Connection,
    *,
    now: datetime,
    days: Mapping[str, Mapping[date, Collection[str]]],
    around: tuple[datetime, datetime],
    site_ids: frozenset[int] | None,
) -> list[DayTotal]:
    """Count the slots of named days, each the date it is in these zones; `around` surely holds all of them."""
    is_day = {
        name: or_(*(and_(_s.c.local_date == on, _s.c.zone.in_(zones)) for on, zones in dates.items()))
        for name, dates in days.items()
        if dates
    }
    if not is_day:
        return []
    each = (
        select(case(*((here, name) for name, here in is_day.items())).label("day"), state_of_slot(now))
        .where(or_(*is_day.values()), _s.c.due_at.between(*around))
        .where(_s.c.patient_id.in_(patients_of(site_ids)))
        .subquery()
    )
    query = select(each.c.day, *state_counts(each)).group_by(each.c.day)
    return [DayTotal.of(row) for row in await conn.execute(query)]


async def last_answers_at(conn: Connection, *, site_ids: frozenset[int] | None) -> dict[int, datetime]:
    """When each patient last answered anything, by patient id; what staff recorded is not the patient's answer."""
    at = last_said_at()
    query = select(_p.c.id, at.label("at")).where(at.is_not(None), _p.c.id.in_(patients_of(site_ids)))
    return {row.id: row.at for row in await conn.execute(query)}


async def unreachable(conn: Connection, *, site_ids: frozenset[int] | None) -> list[Unreachable]:
    """Patients in the study whose chat is blocked or gone, by code."""
    query = (
        select(_p.c.code, tables.sites.c.code.label("site"), tables.contacts.c.reachable.label("because"))
        .join(tables.contacts, tables.contacts.c.patient_id == _p.c.id)
        .join(tables.sites, tables.sites.c.id == _p.c.site_id)
        .where(tables.contacts.c.reachable != "yes", _p.c.status != PatientStatus.WITHDRAWN)
        .where(_p.c.id.in_(patients_of(site_ids)))
        .order_by(_p.c.code)
    )
    return [Unreachable.of(row) for row in await conn.execute(query)]
