"""Questions over many slots at once, counted by the database; what each figure means is in reports/adherence.py."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause, Integer, Select, Subquery, and_, case, cast, func, or_, select

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.database import Connection
from storage.entries import last_said_at
from storage.records import Record
from storage.states import SlotState, state_of_slot

_s, _p, _e = tables.slots, tables.patients, tables.entries
_EXPECTED = (SlotState.ON_TIME.value, SlotState.LATE.value, SlotState.MISSED.value)
# Integer division cuts towards zero; from this many weeks up, days before day 0 fall into week 0 and below.
_WEEKS_UP = 1000

GroupedBy = Literal["patient", "phase", "item", "week"]


@dataclass(frozen=True, slots=True)
class Counts(Record):
    """How many slots of a group are in each state that counts, and what was said about its doses."""

    key: str | int
    on_time: int
    late: int
    missed: int
    excused: int
    open: int
    doses: int
    taken: int
    not_taken: int


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


async def slot_counts(
    conn: Connection,
    *,
    by: GroupedBy,
    now: datetime,
    as_of: datetime | None = None,
    site_ids: frozenset[int] | None = None,
    patient_id: int | None = None,
    patient_ids: Collection[int] | None = None,
) -> list[Counts]:
    """Count slots by state; `as_of` an earlier instant, answers recorded after it do not count."""
    key, joined = _key(conn, by)
    answered_as, held, joined = _answers(as_of, joined)
    state = state_of_slot(as_of or now, answered_as=answered_as)
    slot = select(key.label("key"), state, _s.c.kind, held.c.answer, _s.c.local_date, _s.c.due_at).select_from(
        joined
    )
    if as_of is not None or site_ids is not None:
        slot = slot.where(_s.c.patient_id.in_(_patients(site_ids, added_by=as_of)))
    if patient_id is not None:
        slot = slot.where(_s.c.patient_id == patient_id)
    if patient_ids is not None:
        slot = slot.where(_s.c.patient_id.in_(patient_ids))
    each = slot.subquery()
    query = (
        select(each.c.key, *_state_counts(each), *_dose_counts(each))
        .group_by(each.c.key)
        .order_by(each.c.key if by in ("patient", "week") else func.min(each.c.due_at), each.c.key)
    )
    return [Counts.of(row) for row in await conn.execute(query)]


def _key(conn: Connection, by: GroupedBy) -> tuple[ColumnElement[Any], FromClause]:
    """What slots are grouped by, and the tables it is read from."""
    if by != "week":
        return {"patient": _s.c.patient_id, "phase": _s.c.phase, "item": _s.c.item}[by], _s
    phases = tables.patient_phases
    began = (
        select(phases.c.patient_id, func.min(phases.c.start).label("start"))
        .group_by(phases.c.patient_id)
        .subquery("began")
    )
    days = _days_between(conn, began.c.start, _s.c.local_date)
    week = cast((days + 7 * _WEEKS_UP) / 7, Integer) - _WEEKS_UP + 1
    return week, _s.join(began, began.c.patient_id == _s.c.patient_id)


def _days_between(conn: Connection, first: ColumnElement[Any], last: ColumnElement[Any]) -> ColumnElement[Any]:
    if conn.dialect.name == "sqlite":
        return cast(func.julianday(last) - func.julianday(first), Integer)
    return last - first


def _answers(
    as_of: datetime | None, slots: FromClause
) -> tuple[ColumnElement[str | None] | None, FromClause, FromClause]:
    """The first answer's kind (None: the slot's own fact serves), the entry that holds, the tables joined."""
    held = _e.alias("held")
    if as_of is None:
        on = and_(held.c.id == _s.c.answered_by, _s.c.kind == "dose")
        return None, held, slots.outerjoin(held, on)
    first, later = _e.alias("first"), _e.alias("later")
    known = and_(first.c.slot_id == _s.c.id, first.c.supersedes.is_(None), first.c.recorded_at <= as_of)
    # Corrections of one slot are a chain, written one after the other: the highest id is its end.
    end = (
        select(func.max(later.c.id))
        .where(later.c.slot_id == _s.c.id, later.c.recorded_at <= as_of)
        .scalar_subquery()
    )
    holds = and_(held.c.id == end, _s.c.kind == "dose")
    return first.c.kind, held, slots.outerjoin(first, known).outerjoin(held, holds)


def _state_counts(each: Subquery) -> list[ColumnElement[int]]:
    counted = ("on_time", "late", "missed", "excused", "open")
    return [func.count().filter(each.c.state == SlotState[name.upper()].value).label(name) for name in counted]


def _dose_counts(each: Subquery) -> list[ColumnElement[int]]:
    doses = and_(each.c.kind == "dose", each.c.state.in_(_EXPECTED))
    return [
        func.count().filter(doses).label("doses"),
        func.count().filter(each.c.answer == "taken").label("taken"),
        func.count().filter(each.c.answer == "not-taken").label("not_taken"),
    ]


def _patients(site_ids: frozenset[int] | None, *, added_by: datetime | None = None) -> Select[Any]:
    query = select(_p.c.id)
    if site_ids is not None:
        query = query.where(_p.c.site_id.in_(site_ids))
    if added_by is not None:
        query = query.where(_p.c.added_at <= added_by)
    return query


async def day_counts(
    conn: Connection, *, now: datetime, from_date: date, to_date: date, site_ids: frozenset[int] | None
) -> list[DayCounts]:
    """Count slots by state for each patient and local date, both ends in."""
    each = (
        select(_s.c.patient_id, _s.c.local_date, state_of_slot(now))
        .where(_s.c.local_date.between(from_date, to_date))
        .where(_s.c.patient_id.in_(_patients(site_ids)))
        .subquery()
    )
    query = (
        select(each.c.patient_id, each.c.local_date, *_state_counts(each))
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
        .where(_s.c.patient_id.in_(_patients(site_ids)))
        .subquery()
    )
    query = select(each.c.day, *_state_counts(each)).group_by(each.c.day)
    return [DayTotal.of(row) for row in await conn.execute(query)]


async def last_answers_at(conn: Connection, *, site_ids: frozenset[int] | None) -> dict[int, datetime]:
    """When each patient last answered anything, by patient id; what staff recorded is not the patient's answer."""
    at = last_said_at()
    query = select(_p.c.id, at.label("at")).where(at.is_not(None), _p.c.id.in_(_patients(site_ids)))
    return {row.id: row.at for row in await conn.execute(query)}


async def unreachable(conn: Connection, *, site_ids: frozenset[int] | None) -> list[Unreachable]:
    """Patients in the study whose chat is blocked or gone, by code."""
    query = (
        select(_p.c.code, tables.sites.c.code.label("site"), tables.contacts.c.reachable.label("because"))
        .join(tables.contacts, tables.contacts.c.patient_id == _p.c.id)
        .join(tables.sites, tables.sites.c.id == _p.c.site_id)
        .where(tables.contacts.c.reachable != "yes", _p.c.status != PatientStatus.WITHDRAWN)
        .where(_p.c.id.in_(_patients(site_ids)))
        .order_by(_p.c.code)
    )
    return [Unreachable.of(row) for row in await conn.execute(query)]
