"""Mean ratings by week of the trial, over all patients; what a weekly mean is stands in reports/definitions.py.

A week of a patient in which all has run its course is kept with the tallies (storage/tallies.py) and is true as
long as they are; the weeks since then, and patients without a tally, are read rating by rating.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Float,
    FromClause,
    Select,
    case,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    union_all,
)

from storage import tables
from storage.counts import patients_of, week_of_slot
from storage.database import Connection
from storage.records import Record
from storage.states import SlotState, state_of_slot

_s, _p, _e, _t, _kept = tables.slots, tables.patients, tables.entries, tables.tallied, tables.rated_weeks
_EXPECTED: Final = (SlotState.ON_TIME.value, SlotState.LATE.value, SlotState.MISSED.value)
# Nothing of a week is due longer than this before anything else of it: seven days, and what a journey may add.
_A_WEEK: Final = timedelta(days=9)


@dataclass(frozen=True, slots=True)
class WeekSums(Record):
    """A week of one item: patients asked, patients with a mean, the sum of these means and of their squares."""

    item: str
    week: int
    asked: int
    patients: int
    total: float
    squares: float


async def tally(conn: Connection, patient_ids: Collection[int], *, until: datetime) -> None:
    """Keep the weeks before the first in which something had yet to run its course."""
    await conn.execute(delete(_kept).where(_kept.c.patient_id.in_(patient_ids)))
    week, joined = week_of_slot(conn)
    settled = joined.join(_t, _t.c.patient_id == _s.c.patient_id)
    days = _days(until, week, settled).where(
        _s.c.patient_id.in_(patient_ids), or_(_t.c.live_week.is_(None), week < _t.c.live_week)
    )
    columns = ("patient_id", "item", "week", "asked", "rated", "total")
    weeks = _weeks(days).subquery()
    await conn.execute(insert(_kept).from_select(columns, select(*(weeks.c[name] for name in columns))))


async def week_sums(
    conn: Connection,
    *,
    at_least: int,
    protocol_ids: Collection[int],
    now: datetime,
    opening_by: datetime,
    site_ids: frozenset[int] | None,
) -> list[WeekSums]:
    """The weeks of the patients of these protocols; a mean takes `at_least` rated days, or all that were asked."""
    mine = patients_of(site_ids).where(_p.c.protocol_id.in_(protocol_ids))
    true_now = select(_t.c.patient_id).where(_t.c.until <= now)
    tallied, others = mine.where(_p.c.id.in_(true_now)), mine.where(_p.c.id.not_in(true_now))
    week, joined = week_of_slot(conn)
    first = (await conn.execute(select(func.min(_t.c.live_from)).where(_t.c.until <= now))).scalar_one()
    live = _days(now, week, joined.join(_t, _t.c.patient_id == _s.c.patient_id)).where(
        _s.c.patient_id.in_(tallied),
        _s.c.due_at.between((first or now) - _A_WEEK, opening_by),
        week >= _t.c.live_week,
    )
    each = union_all(
        select(*_kept.c).where(_kept.c.patient_id.in_(tallied)),
        _weeks(live),
        _weeks(_days(now, week, joined).where(_s.c.patient_id.in_(others), _s.c.due_at <= opening_by)),
    ).subquery()
    enough = or_(each.c.rated >= at_least, each.c.rated == each.c.asked)
    mean = case((enough, each.c.total / each.c.rated))
    query = (
        select(
            each.c.item,
            each.c.week,
            func.count().label("asked"),
            func.count(mean).label("patients"),
            func.coalesce(func.sum(mean), 0.0).label("total"),
            func.coalesce(func.sum(mean * mean), 0.0).label("squares"),
        )
        .group_by(each.c.item, each.c.week)
        .order_by(each.c.item, each.c.week)
    )
    return [WeekSums.of(row) for row in await conn.execute(query)]


def _days(now: datetime, week: ColumnElement[int], joined: FromClause) -> Select[Any]:
    """Each day on which a patient was to rate an item and that can be told of, with the mean of its scores."""
    return (
        select(_s.c.item, week.label("week"), _s.c.patient_id, func.avg(cast(_e.c.score, Float)).label("score"))
        .select_from(joined.outerjoin(_e, _e.c.id == _s.c.answered_by))
        .where(_s.c.kind == "rating", state_of_slot(now).element.in_(_EXPECTED))
        .group_by(_s.c.item, week, _s.c.patient_id, _s.c.local_date)
    )


def _weeks(days: Select[Any]) -> Select[Any]:
    """The same by week."""
    day = days.subquery()
    return select(
        day.c.item,
        day.c.week,
        day.c.patient_id,
        func.count().label("asked"),
        func.count(day.c.score).label("rated"),
        func.coalesce(func.sum(day.c.score), 0.0).label("total"),
    ).group_by(day.c.item, day.c.week, day.c.patient_id)
