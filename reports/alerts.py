"""How many alerts there are and how long they wait: whoever is called too often stops listening.

Counted are the alerts of the last `days` days, by patient and by rule. Time to *Seen* is from raising to the first
who took it; an alert nobody has taken has none, and is open or not by whether it is dealt with. The weekly load is
alerts over patient-weeks: each patient who takes or took part in these days counts for all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from storage import alerts
from storage.alerts import RaisedAlert
from storage.database import Database

_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Load:
    """The alerts of one patient, of one rule, or of all."""

    name: str
    count: int
    open: int
    seen: int
    median_to_seen: timedelta | None
    longest_to_seen: timedelta | None


@dataclass(frozen=True, slots=True)
class AlertLoad:
    """All of a site's alerts of the last days; `patients` is the weekly figure's denominator, in patients."""

    days: int
    whole: Load
    by_rule: tuple[Load, ...]
    by_patient: tuple[Load, ...]
    patients: int

    @property
    def per_patient_week(self) -> float | None:
        """Alerts over patient-weeks; None where there is no patient."""
        return self.whole.count * _WEEK_DAYS / (self.days * self.patients) if self.patients else None


async def alert_load(db: Database, scope: frozenset[int] | None, now: datetime, days: int = 28) -> AlertLoad:
    """Count the alerts of these sites, those who have most first."""
    since = now - timedelta(days=days)
    async with db.read() as conn:
        raised = await alerts.raised_since(conn, since=since, site_ids=scope)
        patients = await alerts.count_taking_part(conn, since=since, site_ids=scope)
    return AlertLoad(
        days,
        _load("", raised),
        _grouped(raised, lambda alert: alert.rule),
        _grouped(raised, lambda alert: alert.code),
        patients,
    )


def _grouped(raised: Iterable[RaisedAlert], name_of: Callable[[RaisedAlert], str]) -> tuple[Load, ...]:
    groups: dict[str, list[RaisedAlert]] = {}
    for alert in raised:
        groups.setdefault(name_of(alert), []).append(alert)
    loads = [_load(name, group) for name, group in groups.items()]
    return tuple(sorted(loads, key=lambda load: (-load.count, load.name)))


def _load(name: str, raised: list[RaisedAlert]) -> Load:
    waits = [(alert.seen_at - alert.raised_at).total_seconds() for alert in raised if alert.seen_at is not None]
    return Load(
        name,
        len(raised),
        sum(alert.done_at is None for alert in raised),
        len(waits),
        timedelta(seconds=median(waits)) if waits else None,
        timedelta(seconds=max(waits)) if waits else None,
    )
