"""Slots that have run their course, counted once, so that figures of a large trial need not read a million rows.

A patient's tally counts the slots whose windows had closed at `until`. Nothing changes the state of these but a
correction, an entry that staff make late, or a move of the plan. Should one of these happen, the database itself
takes the patient's row of `tallied` away in the same transaction (triggers in migration 0003), and the patient is
counted slot by slot until tallied anew. So a figure made with tallies is the figure made without; tests hold it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Integer, Select, cast, delete, func, insert, literal, or_, select, union_all

from storage import ratings, tables
from storage.counts import COUNTED, Counts, GroupedBy, counted, order_of, patients_of, slots_by
from storage.database import Connection
from storage.tables import TALLIED

_s, _p, _t, _kept = tables.slots, tables.patients, tables.tallied, tables.tallies
_GROUPS: Final[tuple[GroupedBy, ...]] = ("phase", "item", "week")


async def to_tally(conn: Connection, *, by: datetime, limit: int) -> list[int]:
    """Patients without a tally, or of whom something more had run its course by an instant."""
    query = (
        select(_p.c.id)
        .outerjoin(_t, _t.c.patient_id == _p.c.id)
        .where(or_(_t.c.until.is_(None), _t.c.next_close_at <= by))
        .order_by(_p.c.id)
        .limit(limit)
    )
    return [row.id for row in await conn.execute(query)]


async def tally(conn: Connection, patient_ids: Collection[int], *, until: datetime) -> None:
    """Count what had run its course by an instant; groups of which nothing had get a line of noughts."""
    for table in (_t, _kept):
        await conn.execute(delete(table).where(table.c.patient_id.in_(patient_ids)))
    columns = ("patient_id", "key", "first_due_at", *TALLIED)
    for by in _GROUPS:
        slot = slots_by(conn, by, until, settled=True).where(_s.c.patient_id.in_(patient_ids))
        groups = counted(slot, "patient_id").subquery()
        values = select(literal(by), *(groups.c[name] for name in columns))
        await conn.execute(insert(_kept).from_select(["grouped_by", *columns], values))
    first_due, first_close = func.min(_s.c.due_at).label("due_at"), func.min(_s.c.closes_at).label("closes_at")
    live = select(_s.c.patient_id, first_due, first_close).where(_s.c.closes_at > until)
    open_yet = live.where(_s.c.patient_id.in_(patient_ids)).group_by(_s.c.patient_id).subquery()
    weeks = await ratings.tally(conn, patient_ids, until=until)
    lines = (
        select(_p.c.id, literal(until, _t.c.until.type), open_yet.c.due_at, open_yet.c.closes_at)
        .add_columns(weeks.c.over_at, weeks.c.since)
        .outerjoin(open_yet, open_yet.c.patient_id == _p.c.id)
        .outerjoin(weeks, weeks.c.patient_id == _p.c.id)
        .where(_p.c.id.in_(patient_ids))
    )
    kept = ("patient_id", "until", "live_from", "next_close_at", "week_over_at", "weeks_from")
    await conn.execute(insert(_t).from_select(kept, lines))


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
    slot = slots_by(conn, by, now)
    live = slot.join(_t, _t.c.patient_id == _s.c.patient_id).where(
        _s.c.patient_id.in_(tallied),
        _s.c.due_at.between(_t.c.live_from, opening_by),
        _s.c.closes_at > _t.c.until,
    )
    parts = union_all(
        _settled(by, tallied),
        counted(live),
        counted(slot.where(_s.c.patient_id.in_(others))),
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
