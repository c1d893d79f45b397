"""Mean ratings by week of the trial, over all patients; what a weekly mean is stands in reports/definitions.py.

Only weeks that are over count: a patient's week of an item is over when the window of each of its ratings has
closed, answered or not. Such weeks are kept with the tallies (storage/tallies.py), and are true as long as these
are; weeks over since, and those of patients without a tally, are read rating by rating.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Float,
    FromClause,
    Insert,
    Select,
    Subquery,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
)

from storage import tables
from storage.counts import patients_of, week_of_slot
from storage.database import Connection
from storage.records import Record
from storage.states import EXPECTED, state_of_slot

_s, _p, _e, _t, _kept = tables.slots, tables.patients, tables.entries, tables.tallied, tables.rated_weeks
# Nothing of a week is due longer than this after anything else of it: seven days, and what a journey may add.
_A_WEEK: Final = timedelta(days=9)
_LONG_AGO: Final = literal(datetime.min.replace(tzinfo=UTC), _t.c.until.type)


@dataclass(frozen=True, slots=True)
class WeekSums(Record):
    """A week of one item: patients asked, patients with a mean, the sum of these means and of their squares."""

    item: str
    week: int
    asked: int
    patients: int
    total: float
    squares: float


def weeks_of(patient_ids: Any, *, until: ColumnElement[datetime]) -> Subquery:
    """Every week of ratings of some patients with its sums, and when it is over."""
    week, joined = week_of_slot()
    return _weeks(_days(until, week, joined).where(_s.c.patient_id.in_(patient_ids))).subquery()


def keeping(weeks: Subquery, *, until: ColumnElement[datetime]) -> Insert:
    """The statement that keeps those of the weeks that are over."""
    columns = [column.name for column in _kept.c]
    over = select(*(weeks.c[name] for name in columns)).where(weeks.c.over_at <= until, weeks.c.asked > 0)
    return insert(_kept).from_select(columns, over)


def to_come(weeks: Subquery, *, until: ColumnElement[datetime]) -> Subquery:
    """For each patient when the next of the weeks will be over, and since when these are asked."""
    next_over, since = func.min(weeks.c.over_at).label("over_at"), func.min(weeks.c.since).label("since")
    query = select(weeks.c.patient_id, next_over, since).where(weeks.c.over_at > until)
    return query.group_by(weeks.c.patient_id).subquery()


async def week_sums(
    conn: Connection,
    *,
    at_least: int,
    protocol_ids: Collection[int],
    now: datetime,
    site_ids: frozenset[int] | None,
) -> list[WeekSums]:
    """The weeks of the patients of these protocols; a mean takes `at_least` rated days, or all that were asked.

    A week may have several lines, for a patient's week is kept or is read; each patient is in one of them.
    """
    mine = patients_of(site_ids).where(_p.c.protocol_id.in_(protocol_ids))
    tallied = select(_t.c.patient_id).where(_t.c.until <= now, _t.c.patient_id.in_(mine))
    # Added to nothing, so that a large trial is read as it lies, by week, and not patient by patient.
    kept = select(*_kept.c).where((_kept.c.patient_id + 0).in_(tallied))
    weeks = _weeks(_read_again(now, mine)).subquery()
    over = select(weeks).where(weeks.c.over_at <= now, weeks.c.over_at > weeks.c.after, weeks.c.asked > 0)
    return [*await _sums(conn, kept.subquery(), at_least), *await _sums(conn, over.subquery(), at_least)]


def _read_again(now: datetime, mine: Select[Any]) -> Select[Any]:
    """The days of patients without a tally, and of those who have a week that is over since theirs."""
    week, joined = week_of_slot()
    tallied = and_(_t.c.patient_id == _p.c.id, _t.c.until <= now)
    whose = _p.outerjoin(_t, tallied).join(joined, _s.c.patient_id == _p.c.id)
    return _days(now, week, whose, after=func.coalesce(_t.c.until, _LONG_AGO)).where(
        _p.c.id.in_(mine),
        or_(_t.c.patient_id.is_(None), _t.c.week_over_at <= now),
        _s.c.due_at.between(func.coalesce(_t.c.weeks_from, _LONG_AGO), now + _A_WEEK),
    )


async def _sums(conn: Connection, each: Subquery, at_least: int) -> list[WeekSums]:
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


def _days(
    now: datetime | ColumnElement[datetime],
    week: ColumnElement[int],
    joined: FromClause,
    *,
    after: ColumnElement[Any] = _LONG_AGO,
) -> Select[Any]:
    """Each day with a rating in the plan: whether one was asked for, the mean score, when all of it had closed."""
    expected = state_of_slot(now).element.in_(EXPECTED)
    return (
        select(
            _s.c.item,
            week.label("week"),
            _s.c.patient_id,
            func.max(case((expected, 1), else_=0)).label("asked"),
            func.avg(case((expected, cast(_e.c.score, Float)))).label("score"),
            func.max(_s.c.closes_at).label("over_at"),
            func.min(_s.c.due_at).label("since"),
            func.max(after).label("after"),
        )
        .select_from(joined.outerjoin(_e, _e.c.id == _s.c.answered_by))
        .where(_s.c.kind == "rating")
        .group_by(_s.c.item, week, _s.c.patient_id, _s.c.local_date)
    )


def _weeks(days: Select[Any]) -> Select[Any]:
    """The same by week, with how many days were asked and rated, and the sum of their means."""
    day = days.subquery()
    return select(
        day.c.item,
        day.c.week,
        day.c.patient_id,
        func.sum(day.c.asked).label("asked"),
        func.count(day.c.score).label("rated"),
        func.coalesce(func.sum(day.c.score), 0.0).label("total"),
        func.max(day.c.over_at).label("over_at"),
        func.min(day.c.since).label("since"),
        func.max(day.c.after).label("after"),
    ).group_by(day.c.item, day.c.week, day.c.patient_id)
