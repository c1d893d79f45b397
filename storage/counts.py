"""Slots counted by state, in groups; what each figure means is in reports/definitions.py."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, FromClause, Integer, Select, Subquery, and_, cast, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from storage import tables
from storage.database import Connection
from storage.records import Record
from storage.states import EXPECTED, SlotState, settled_state, state_of_slot

_s, _p, _e = tables.slots, tables.patients, tables.entries
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


COUNTED: Final = Counts.__slots__[1:]


async def slot_counts(
    conn: Connection,
    *,
    by: GroupedBy,
    now: datetime,
    as_of: datetime | None = None,
    site_ids: frozenset[int] | None = None,
    patient_id: int | None = None,
    patient_ids: Collection[int] | None = None,
    until: date | None = None,
) -> list[Counts]:
    """Count slots by state, up to a day; `as_of` an earlier instant, answers recorded after it do not count."""
    slot = slots_by(by, now, as_of=as_of)
    if as_of is not None or site_ids is not None:
        slot = slot.where(_s.c.patient_id.in_(patients_of(site_ids, added_by=as_of)))
    if patient_id is not None:
        slot = slot.where(_s.c.patient_id == patient_id)
    if patient_ids is not None:
        slot = slot.where(_s.c.patient_id.in_(patient_ids))
    if until is not None:
        slot = slot.where(_s.c.local_date <= until)
    groups = counted(slot, "key").subquery()
    rows = await conn.execute(select(groups).order_by(*order_of(by, groups)))
    return [Counts.of(row) for row in rows]


def slots_by(by: GroupedBy, now: datetime, *, as_of: datetime | None = None) -> Select[Any]:
    """Each slot with the key of its group, its state, and a dose's answer."""
    key, joined = _key(by)
    answered_as, held, joined = _answers(as_of, joined)
    state = state_of_slot(as_of or now, answered_as=answered_as)
    return _slots(state, held, key.label("key")).select_from(joined)


def settled_slots(until: ColumnElement[datetime]) -> Select[Any]:
    """Each slot with the keys of all its groups, its state or that it is not settled yet, and a dose's answer."""
    week, joined = week_of_slot()
    _, held, joined = _answers(None, joined)
    return _slots(settled_state(until), held, _s.c.phase, _s.c.item, week.label("week")).select_from(joined)


def _slots(state: ColumnElement[str], held: FromClause, *keys: ColumnElement[Any]) -> Select[Any]:
    return select(_s.c.patient_id, *keys, state, _s.c.kind, held.c.answer.label("answer"), _s.c.due_at)


def counted(slot: Select[Any], *by: str) -> Select[Any]:
    """Groups of slots by these columns with the time of the first, and how many are in each state."""
    each = slot.subquery()
    columns = [each.c[name] for name in by]
    first = func.min(each.c.due_at).label("first_due_at")
    return select(*columns, first, *state_counts(each), *_dose_counts(each)).group_by(*columns)


def order_of(by: GroupedBy, groups: Subquery) -> tuple[ColumnElement[Any], ...]:
    """Patients and weeks by their number, phases and items as they come in the trial."""
    return (groups.c.key,) if by in ("patient", "week") else (groups.c.first_due_at, groups.c.key)


def state_counts(each: Subquery) -> list[ColumnElement[int]]:
    """How many rows are in each state that counts."""
    states = ("on_time", "late", "missed", "excused", "open")
    return [func.count().filter(each.c.state == SlotState[name.upper()].value).label(name) for name in states]


def patients_of(site_ids: frozenset[int] | None, *, added_by: datetime | None = None) -> Select[Any]:
    """The ids of the patients of some sites (None: of all) who had been added by an instant."""
    query = select(_p.c.id)
    if site_ids is not None:
        query = query.where(_p.c.site_id.in_(site_ids))
    if added_by is not None:
        query = query.where(_p.c.added_at <= added_by)
    return query


def _key(by: GroupedBy) -> tuple[ColumnElement[Any], FromClause]:
    """What slots are grouped by, and the tables it is read from."""
    if by != "week":
        return {"patient": _s.c.patient_id, "phase": _s.c.phase, "item": _s.c.item}[by], _s
    return week_of_slot()


def week_of_slot() -> tuple[ColumnElement[int], FromClause]:
    """The week of the patient's own trial that a slot is in, and the tables it is read from."""
    began = first_days()
    days = DaysBetween(began.c.start, _s.c.local_date)
    week = cast((days + 7 * _WEEKS_UP) / 7, Integer) - _WEEKS_UP + 1
    return week, _s.join(began, began.c.patient_id == _s.c.patient_id)


def first_days() -> Subquery:
    """The first day of each patient's trial, as `start`."""
    phases = tables.patient_phases
    first = func.min(phases.c.start).label("start")
    return select(phases.c.patient_id, first).group_by(phases.c.patient_id).subquery("began")


class DaysBetween(FunctionElement[int]):
    """Whole days from one date to another, as each kind of database counts them."""

    inherit_cache = True
    type = Integer()


@compiles(DaysBetween)
def _days_between(days: DaysBetween, compiler: SQLCompiler, **how: Any) -> str:
    first, last = (compiler.process(date, **how) for date in days.clauses)
    return f"({last} - {first})"


@compiles(DaysBetween, "sqlite")
def _days_between_in_sqlite(days: DaysBetween, compiler: SQLCompiler, **how: Any) -> str:
    first, last = (compiler.process(date, **how) for date in days.clauses)
    return f"CAST(julianday({last}) - julianday({first}) AS INTEGER)"


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


def _dose_counts(each: Subquery) -> list[ColumnElement[int]]:
    doses = and_(each.c.kind == "dose", each.c.state.in_(EXPECTED))
    return [
        func.count().filter(doses).label("doses"),
        func.count().filter(doses, each.c.answer == "taken").label("taken"),
        func.count().filter(doses, each.c.answer == "not-taken").label("not_taken"),
    ]
