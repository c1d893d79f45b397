"""Slots that have run their course, counted once, so that figures of a large trial need not read a million rows.

A patient's tally counts the slots whose windows had closed at `until`. Nothing changes the state of these but a
correction, an entry that staff make late, or a move of the plan. Should one of these happen, the database itself
takes the patient's row of `tallied` away in the same transaction (triggers in migration 0003), and the patient is
counted slot by slot until tallied anew. So a figure made with tallies is the figure made without; tests hold it.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    CTE,
    Executable,
    Integer,
    Select,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
)

from storage import ratings, tables
from storage.counts import COUNTED, Counts, GroupedBy, counted, order_of, patients_of, settled_slots, slots_by
from storage.database import Connection
from storage.tables import TALLIED

_s, _p, _t, _kept = tables.slots, tables.patients, tables.tallied, tables.tallies
_GROUPS: Final[tuple[GroupedBy, ...]] = ("phase", "item", "week")


# Written down once: to do so takes longer than to execute them.
_UNTIL = bindparam("until", type_=_t.c.until.type)
_THESE: Final[Any] = bindparam("patient_ids", expanding=True)


def _counting() -> Iterator[Executable]:
    """The statements that count some patients anew."""
    for table in (_t, _kept, tables.rated_weeks):
        yield delete(table).where(table.c.patient_id.in_(_THESE))
    slots = settled_slots(_UNTIL).where(_s.c.patient_id.in_(_THESE))
    # Computed once for all three ways of grouping.
    each = counted(slots, "patient_id", *_GROUPS).cte("each").prefix_with("MATERIALIZED")
    columns = ("patient_id", "grouped_by", "key", "first_due_at", *TALLIED)
    yield insert(_kept).from_select(columns, union_all(*(_grouped(each, by) for by in _GROUPS)))
    weeks = ratings.weeks_of(_THESE, until=_UNTIL)
    yield ratings.keeping(weeks, until=_UNTIL)
    first_due, first_close = func.min(_s.c.due_at).label("due_at"), func.min(_s.c.closes_at).label("closes_at")
    open_yet = select(_s.c.patient_id, first_due, first_close).where(_s.c.closes_at > _UNTIL)
    live = open_yet.where(_s.c.patient_id.in_(_THESE)).group_by(_s.c.patient_id).subquery()
    to_come = ratings.to_come(weeks, until=_UNTIL)
    lines = (
        select(_p.c.id, _UNTIL, live.c.due_at, live.c.closes_at, to_come.c.over_at, to_come.c.since)
        .outerjoin(live, live.c.patient_id == _p.c.id)
        .outerjoin(to_come, to_come.c.patient_id == _p.c.id)
        .where(_p.c.id.in_(_THESE))
    )
    kept = ("patient_id", "until", "live_from", "next_close_at", "week_over_at", "weeks_from")
    yield insert(_t).from_select(kept, lines)


def _grouped(each: CTE, by: GroupedBy) -> Select[Any]:
    sums = [func.sum(each.c[name]) for name in TALLIED]
    key = cast(each.c[by], _kept.c.key.type)
    values = select(each.c.patient_id, literal(by), key, func.min(each.c.first_due_at), *sums)
    return values.group_by(each.c.patient_id, each.c[by])


_COUNT: Final = tuple(_counting())
_TO_TALLY: Final = (
    select(_p.c.id)
    .outerjoin(_t, _t.c.patient_id == _p.c.id)
    .where(or_(_t.c.until.is_(None), _t.c.next_close_at <= bindparam("by", type_=_t.c.until.type)))
    .order_by(_p.c.id)
    .limit(bindparam("limit"))
)


async def to_tally(conn: Connection, *, by: datetime, limit: int) -> list[int]:
    """Patients without a tally, or of whom something more had run its course by an instant."""
    return [row.id for row in await conn.execute(_TO_TALLY, {"by": by, "limit": limit})]


async def tally(conn: Connection, patient_ids: Collection[int], *, until: datetime) -> None:
    """Count what had run its course by an instant; groups of which nothing had get a line of noughts."""
    for statement in _COUNT:
        await conn.execute(statement, {"patient_ids": list(patient_ids), "until": until})


async def tallied_counts(
    conn: Connection,
    *,
    by: GroupedBy,
    now: datetime,
    opening_by: datetime,
    site_ids: frozenset[int] | None,
    patient_id: int | None,
) -> list[Counts]:
    """Count slots by state as `slot_counts` does; no slot due after `opening_by` is open yet."""
    mine = patients_of(site_ids)
    if patient_id is not None:
        mine = mine.where(_p.c.id == patient_id)
    true_now = select(_t.c.patient_id).where(_t.c.until <= now)
    tallied, others = mine.where(_p.c.id.in_(true_now)), mine.where(_p.c.id.not_in(true_now))
    slot = slots_by(by, now)
    live = slot.join(_t, _t.c.patient_id == _s.c.patient_id).where(
        _s.c.patient_id.in_(tallied),
        _s.c.due_at.between(_t.c.live_from, opening_by),
        _s.c.closes_at > _t.c.until,
    )
    parts = union_all(
        _settled(by, tallied),
        counted(live, "key"),
        counted(slot.where(_s.c.patient_id.in_(others)), "key"),
    )
    each = parts.subquery()
    figures = [func.sum(each.c[name]).label(name) for name in COUNTED]
    groups = (
        select(each.c.key, func.min(each.c.first_due_at).label("first_due_at"), *figures)
        .group_by(each.c.key)
        .subquery()
    )
    rows = await conn.execute(select(groups).order_by(*order_of(by, groups)))
    return [Counts.of(row) for row in rows]


def _settled(by: GroupedBy, mine: Select[Any]) -> Select[Any]:
    """The tallies of some patients, with the columns that `counted` gives."""
    kept_by, key = ("phase", _kept.c.patient_id) if by == "patient" else (by, _kept.c.key)
    counts = [literal(0).label(name) if name == "open" else func.sum(_kept.c[name]).label(name) for name in COUNTED]
    shown = cast(key, Integer) if by == "week" else key
    return (
        select(shown.label("key"), func.min(_kept.c.first_due_at).label("first_due_at"), *counts)
        .where(_kept.c.grouped_by == kept_by, _kept.c.patient_id.in_(mine))
        .group_by(key)
    )
