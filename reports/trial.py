"""How the trial as a whole goes: who came in, how complete the diary is, and pain by week. Never by arm.

Recruitment counts patients by local date of their site: *added* by staff, *joined* when they came in by an invite;
who leaves later stays counted. Completeness is adherence by week of the trial, figure for figure. Pain by week is
the mean of the patients' weekly means (reports/definitions.py), so that a patient weighs as a patient, with the
95 % interval of Student's t over patients; one alone has none. Only a patient's weeks that are over count, since a
mean of the first day of one is none of a week. Patients are at different weeks, so a line across weeks is not the
course of the same people: how many there are stands with each week.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt
from statistics import NormalDist
from typing import Final

from protocol.calendar import zone_of
from protocol.model import Protocol
from protocol.values import Text
from reports.adherence import (
    AdherenceRow,
    By,
    counts_so_far,
    figures_of,
    local_today,
    protocols_in_use,
    sites_asked_for,
)
from reports.definitions import Share
from storage import patients
from storage.database import Database
from storage.ratings import WeekSums, week_sums

# Student's t, two-sided 95 %, for 1 to 9 degrees of freedom (Abramowitz & Stegun, table 26.10); beyond, by series.
_T_SMALL: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
_Z: Final = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many patients had been added and had joined by the end of a day."""

    on: date
    added: int
    joined: int


@dataclass(frozen=True, slots=True)
class PainWeek:
    """A week's mean over patients; `patients` are those with a weekly mean, of those asked in that week."""

    week: int
    patients: Share
    mean: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Course:
    """One rating item over the weeks of the trial."""

    item: str
    name: Text
    weeks: tuple[PainWeek, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What the pictures of the trial show up to `today`; `weeks` are those in which something was expected."""

    today: date
    arrivals: tuple[Arrivals, ...]
    weeks: tuple[AdherenceRow, ...]
    courses: tuple[Course, ...]
    scale: tuple[int, int]
    at_least: tuple[int, ...]


async def trial(db: Database, scope: frozenset[int] | None, now: datetime, *, site: str | None = None) -> Trial:
    """The trial at all sites the asker may know of, or at one of them."""
    async with db.read() as conn:
        site_ids = await sites_asked_for(conn, site, scope)
        protocols = await protocols_in_use(db, conn)
        today = await local_today(conn, now, site_ids)
        came = await patients.arrivals(conn, site_ids=site_ids)
    # The two that take long in a large trial, side by side.
    weeks, sums = await asyncio.gather(_weeks(db, now, site_ids), _sums(db, protocols, now, site_ids))
    scales = [protocol.trial.nrs for protocol in protocols.values()]
    return Trial(
        today=today,
        arrivals=arrivals(came),
        weeks=weeks,
        courses=_courses(sums, protocols),
        scale=(min((one.min for one in scales), default=0), max((one.max for one in scales), default=10)),
        at_least=tuple(sorted({protocol.trial.weekly_mean_days for protocol in protocols.values()})),
    )


def arrivals(came: Iterable[tuple[str, datetime, datetime | None]]) -> tuple[Arrivals, ...]:
    """The days on which somebody was added or joined, each with all up to it."""
    added: Counter[date] = Counter()
    joined: Counter[date] = Counter()
    for zone, added_at, joined_at in came:
        tz = zone_of(zone)
        added[added_at.astimezone(tz).date()] += 1
        if joined_at is not None:
            joined[joined_at.astimezone(tz).date()] += 1
    found, all_added, all_joined = [], 0, 0
    for day in sorted(added | joined):
        all_added, all_joined = all_added + added[day], all_joined + joined[day]
        found.append(Arrivals(day, all_added, all_joined))
    return tuple(found)


async def _weeks(db: Database, now: datetime, site_ids: frozenset[int] | None) -> tuple[AdherenceRow, ...]:
    async with db.read() as conn:
        counts = await counts_so_far(db, conn, By.WEEK, now=now, site_ids=site_ids)
    rows = [AdherenceRow({By.WEEK.value: row.key}, figures_of(row)) for row in counts]
    return tuple(row for row in rows if row.figures.expected)


async def _sums(
    db: Database, protocols: Mapping[int, Protocol], now: datetime, site_ids: frozenset[int] | None
) -> list[WeekSums]:
    """Sums by week, asked for once for each number of days that a protocol wants of a weekly mean."""
    wanting: dict[int, list[int]] = defaultdict(list)
    for protocol_id, protocol in protocols.items():
        wanting[protocol.trial.weekly_mean_days].append(protocol_id)
    async with db.read() as conn:
        return [
            one
            for at_least, ids in wanting.items()
            for one in await week_sums(conn, at_least=at_least, protocol_ids=ids, now=now, site_ids=site_ids)
        ]


def _courses(sums: Iterable[WeekSums], protocols: Mapping[int, Protocol]) -> tuple[Course, ...]:
    """Each rating of the protocols in use, also before any week of it is over."""
    ratings = {item.id: item.name for one in protocols.values() for _, item in one.items() if item.kind == "rating"}
    found: dict[str, dict[int, list[WeekSums]]] = {item: {} for item in ratings}
    for one in sums:
        found[one.item].setdefault(one.week, []).append(one)
    return tuple(
        Course(item, ratings[item], tuple(_pain_week(week, weeks[week]) for week in sorted(weeks)))
        for item, weeks in found.items()
    )


def _pain_week(week: int, sums: Iterable[WeekSums]) -> PainWeek:
    n, asked, total, squares = 0, 0, 0.0, 0.0
    for one in sums:
        n, asked = n + one.patients, asked + one.asked
        total, squares = total + one.total, squares + one.squares
    mean = total / n if n else None
    return PainWeek(week, Share(n, asked), mean, _interval(n, total, squares))


def _interval(n: int, total: float, squares: float) -> tuple[float, float] | None:
    """The 95 % interval of a mean from its sums; None for fewer than two."""
    if n < 2:  # noqa: PLR2004 - one value has no spread
        return None
    mean = total / n
    spread = sqrt(max(squares - n * mean * mean, 0.0) / (n - 1))  # rounding may leave a hair less than nothing
    half = t_of(n - 1) * spread / sqrt(n)
    return mean - half, mean + half


def t_of(freedom: int) -> float:
    """Student's t, two-sided 95 %; from ten degrees of freedom by the series of Abramowitz & Stegun 26.7.5."""
    if freedom <= len(_T_SMALL):
        return _T_SMALL[freedom - 1]
    z, v = _Z, freedom
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(z + sum(term / v**power for power, term in enumerate(terms, start=1)))
