"""The list of patients for staff, by need: who has open alerts, who cannot be reached, who has gone silent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from diary.protocols import protocol_of
from diary.roles import patient_called
from protocol.calendar import zone_of
from protocol.errors import UnknownCodeError
from protocol.lifecycle import PatientStatus
from reports.adherence import figures_of, sites_asked_for
from reports.definitions import Figures
from reports.patient import TrialDay, trial_day
from storage import people
from storage import roster as lists
from storage.counts import slot_counts
from storage.database import Connection, Database
from storage.roster import DayScore, InPhase, Listed, Wanted

_DAY = timedelta(days=1)
PAIN_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One patient; `day` and `phase` are those of the trial, `pains` the newest score of each of the last days.

    `pain_on` is the day of the newest score where that is neither today nor yesterday.
    """

    code: str
    site: str
    status: PatientStatus
    phase: str | None
    day: int
    figures: Figures
    last_answer_at: datetime | None
    pain_now: int | None
    pain_on: date | None
    pains: tuple[int | None, ...]
    open_alerts: int
    reachable: str | None


@dataclass(frozen=True, slots=True)
class Roster:
    """A page of patients, and how many there are in all."""

    rows: tuple[RosterRow, ...]
    total: int
    page: int
    pages: int


async def roster(
    db: Database,
    scope: frozenset[int] | None,
    now: datetime,
    *,
    site: str | None = None,
    phase: str | None = None,
    status: PatientStatus | None = None,
    search: str = "",
    page: int = 1,
    per_page: int = 50,
) -> Roster:
    """A page of the patients who fit, those in need first; a page beyond the last is the last."""
    async with db.read() as conn:
        site_ids = await sites_asked_for(conn, site, scope)
        in_phase = None if phase is None else await _in_phase(db, conn, phase, now)
        wanted = Wanted(site_ids, status, search.strip(), in_phase)
        total = await lists.count_listed(conn, wanted)
        pages = pages_of(total, per_page)
        page = min(max(page, 1), pages)
        listed = await lists.listed_by_need(conn, wanted, limit=per_page, offset=(page - 1) * per_page)
        return Roster(await _rows(db, conn, listed, now), total, page, pages)


async def code_called(db: Database, scope: frozenset[int] | None, text: str) -> str | None:
    """The code that is meant by this text, in any case, where a patient of these sites has exactly this one."""
    async with db.read() as conn:
        try:
            return (await patient_called(conn, text, scope)).code
        except UnknownCodeError:
            return None


def pages_of(total: int, per_page: int) -> int:
    """How many pages a list takes; an empty one takes one."""
    return max(1, -(-total // per_page))


async def _in_phase(db: Database, conn: Connection, phase: str, now: datetime) -> list[InPhase]:
    """The phase as each protocol and each local day of now has it (reports/patient.py: trial_day)."""
    days: dict[date, set[str]] = {}
    for zone in await lists.zones_in_use(conn):
        days.setdefault(now.astimezone(zone_of(zone)).date(), set()).add(zone)
    found = []
    for protocol_id in (await people.protocol_ids(conn)).values():
        order = (await protocol_of(db, conn, protocol_id)).phase
        for place, part in enumerate(order):
            if part.id == phase:
                later = tuple(other.id for other in order[place + 1 :])
                found += [
                    InPhase(protocol_id, phase, frozenset(zones), day - (part.days - 1) * _DAY, day, later)
                    for day, zones in days.items()
                ]
    return found


async def _rows(db: Database, conn: Connection, listed: Sequence[Listed], now: datetime) -> tuple[RosterRow, ...]:
    if not listed:
        return ()
    ids = [who.id for who in listed]
    counted = await slot_counts(conn, by="patient", now=now, patient_ids=ids)
    figures = {row.key: figures_of(row) for row in counted}
    starts = await lists.phase_starts(conn, ids)
    zones = await lists.zones_now(conn, ids)
    days = {who.id: now.astimezone(zone_of(zones[who.id])).date() for who in listed}
    pain_now = await lists.newest_scores(conn, ids)
    first = min(days.values()) - (PAIN_DAYS - 1) * _DAY
    # No zone is a whole day away from UTC.
    scores = await lists.scores_since(conn, ids, first, now - (PAIN_DAYS + 1) * _DAY)
    protocols = {who.protocol_id: await protocol_of(db, conn, who.protocol_id) for who in listed}
    return tuple(
        _row(
            who,
            trial_day(protocols[who.protocol_id], starts[who.id], days[who.id]),
            figures.get(who.id, Figures()),
            newest=pain_now.get(who.id),
            scores=[score for score in scores if score.patient_id == who.id],
            on=days[who.id],
        )
        for who in listed
    )


def _pains(scores: Sequence[DayScore], today: date) -> tuple[int | None, ...]:
    by_day = {score.local_date: score.score for score in scores}
    return tuple(by_day.get(today - back * _DAY) for back in range(PAIN_DAYS - 1, -1, -1))


def _row(
    who: Listed,
    today: TrialDay,
    figures: Figures,
    *,
    newest: DayScore | None,
    scores: Sequence[DayScore],
    on: date,
) -> RosterRow:
    return RosterRow(
        code=who.code,
        site=who.site,
        status=PatientStatus(who.status),
        phase=today.phase,
        day=today.day,
        figures=figures,
        last_answer_at=who.last_answer_at,
        pain_now=newest.score if newest else None,
        pain_on=newest.local_date if newest and newest.local_date < on - _DAY else None,
        pains=_pains(scores, on),
        open_alerts=who.open_alerts,
        reachable=who.reachable,
    )
