"""What needs a person today: alerts, silent patients, missed doses, chats that are closed, breaks in service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf
from typing import Final

from protocol.calendar import zone_of
from protocol.errors import UnknownCodeError
from reports.definitions import Figures
from reports.site import SilentPatient, rules_in_use, silent
from storage import alerts, entries, people, questions, roster, service
from storage.alerts import Alert
from storage.database import Connection, Database
from storage.questions import Unreachable
from storage.service import Outage
from storage.silences import missed_doses

ALERTS_SHOWN: Final = 200
_DAY = timedelta(days=1)
_OUTAGES_SHOWN = 7 * _DAY


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert with the staff member who has taken it and, where it is about a note, what that says."""

    alert: Alert
    owner: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class MissingDoses:
    """A patient who missed the last `doses` doses in a row, the first of them on the day `since`."""

    code: str
    site: str
    doses: int
    since: date


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The figures of today and yesterday, each as the patients' own zones have it."""

    today: Figures
    yesterday: Figures


@dataclass(frozen=True, slots=True)
class Today:
    """The page staff begin with; `alerts_total` counts those too that are not shown.

    `alerts_of_leavers` are those that became moot when their patient left; no total counts them.
    """

    alerts: tuple[OpenAlert, ...]
    alerts_total: int
    alerts_of_leavers: tuple[OpenAlert, ...]
    silent: tuple[SilentPatient, ...]
    unreachable: tuple[Unreachable, ...]
    missed_doses: tuple[MissingDoses, ...]
    outages: tuple[Outage, ...]
    day_counts: DayFigures


async def today(db: Database, scope: frozenset[int] | None, now: datetime) -> Today:
    """What needs a person at these sites; side effects first, then the alerts that have waited longest."""
    silent_now = await silent(db, scope, now)
    async with db.read() as conn:
        pressing = await alerts.most_pressing(conn, site_ids=scope, limit=ALERTS_SHOWN, moot=False)
        moot = await alerts.most_pressing(conn, site_ids=scope, limit=ALERTS_SHOWN, moot=True)
        return Today(
            alerts=await with_owners(conn, pressing),
            alerts_total=await alerts.count_open(conn, site_ids=scope, moot=False),
            alerts_of_leavers=await with_owners(conn, moot),
            silent=tuple(silent_now),
            unreachable=tuple(await questions.unreachable(conn, site_ids=scope)),
            missed_doses=await _missed_doses(db, conn, scope, now),
            outages=tuple(await service.outages(conn, site_ids=scope, since=now - _OUTAGES_SHOWN)),
            day_counts=await _day_figures(conn, scope, now),
        )


async def open_alert(db: Database, scope: frozenset[int] | None, alert_id: int) -> OpenAlert:
    """One alert as the page shows it, dealt with or not; one of another site is as unknown as none."""
    async with db.read() as conn:
        alert = await alerts.alert_by_id(conn, alert_id)
        if alert is None or (scope is not None and alert.site_id not in scope):
            raise UnknownCodeError("There is no such alert.")
        [found] = await with_owners(conn, [alert])
        return found


async def open_alerts_total(db: Database, scope: frozenset[int] | None) -> int:
    """How many alerts need somebody at these sites."""
    async with db.read() as conn:
        return await alerts.count_open(conn, site_ids=scope, moot=False)


async def with_owners(conn: Connection, found: Sequence[Alert]) -> tuple[OpenAlert, ...]:
    """Alerts with those who have taken them and the notes they are about."""
    if not found:
        return ()
    codes = await people.staff_codes(conn)
    texts = await entries.note_texts(conn, [alert.details["note"] for alert in found if "note" in alert.details])
    return tuple(
        OpenAlert(
            alert,
            None if alert.seen_by is None else codes.get(alert.seen_by),
            texts.get(alert.details.get("note", 0)),
        )
        for alert in found
    )


async def _missed_doses(
    db: Database, conn: Connection, scope: frozenset[int] | None, now: datetime
) -> tuple[MissingDoses, ...]:
    """Patients with doses to come for whom their protocol's missed-doses rule holds."""
    rules = await rules_in_use(db, conn, "missed-doses")
    if not rules:
        return ()
    doses = {protocol_id: rule.doses or 1 for protocol_id, rule in rules.items()}
    found = await missed_doses(conn, now=now, at_least=min(doses.values()), site_ids=scope)
    return tuple(
        MissingDoses(one.code, one.site, one.doses, one.since)
        for one in found
        if one.doses >= doses.get(one.protocol_id, inf)
    )


async def _day_figures(conn: Connection, scope: frozenset[int] | None, now: datetime) -> DayFigures:
    zones = await roster.zones_in_use(conn)
    days = {"today": _dates(zones, now), "yesterday": _dates(zones, now, back=_DAY)}
    around = (now - 2.5 * _DAY, now + 1.5 * _DAY)  # two local days, and what a journey may shift
    totals = await questions.day_totals(conn, now=now, days=days, around=around, site_ids=scope)
    figures = {
        total.day: Figures(total.on_time, total.late, total.missed, total.excused, total.open) for total in totals
    }
    return DayFigures(figures.get("today", Figures()), figures.get("yesterday", Figures()))


def _dates(zones: frozenset[str], now: datetime, *, back: timedelta = timedelta()) -> Mapping[date, Sequence[str]]:
    """The zones by the date they have now, or had some days ago."""
    dates: dict[date, list[str]] = {}
    for zone in sorted(zones):
        dates.setdefault(now.astimezone(zone_of(zone)).date() - back, []).append(zone)
    return dates
