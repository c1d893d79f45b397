"""Whether the service lives, listens and sends: what `daybook health` and a container's HEALTHCHECK ask."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from diary import Database
from storage import proven, service
from storage.service import Outage
from storage.slots import oldest_overdue

SERVES_WITHIN = timedelta(seconds=60)
POLLS_WITHIN = timedelta(seconds=90)
SENDS_WITHIN = timedelta(minutes=5)
BACKED_UP_WITHIN = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Health:
    """When each part was last seen, and since when a message is overdue; None where that never was.

    Of backups only those count that a restore has proven.
    """

    served_at: datetime | None
    polled_at: datetime | None
    dispatched_at: datetime | None
    overdue_since: datetime | None
    backed_up_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OldBackup:
    """The last proven backup is too old, or there never was one."""

    at: datetime | None


async def health_of(db: Database, *, now: datetime) -> Health:
    """Read the signs of life."""
    async with db.read() as conn:
        beats = await service.heartbeats(conn)
        overdue = await oldest_overdue(conn, now=now)
        backed_up = await proven.last_proven_at(conn)
    return Health(beats.get("serve"), beats.get("poll"), beats.get("dispatch"), overdue, backed_up)


async def old_backup(db: Database, *, now: datetime) -> OldBackup | None:
    """What there is to say of the last proven backup; None where it is young enough."""
    async with db.read() as conn:
        at = await proven.last_proven_at(conn)
    return OldBackup(at) if backup_is_old(at, now=now) else None


def backup_is_old(at: datetime | None, *, now: datetime) -> bool:
    """Whether the last proven backup is older than a night and some patience, or there never was one."""
    return at is None or now - at > BACKED_UP_WITHIN


async def outages(db: Database, scope: frozenset[int] | None) -> list[Outage]:
    """Every break in service on record, the newest first, with what it touched at these sites."""
    async with db.read() as conn:
        return await service.outages(conn, site_ids=scope)


def complaints(health: Health, *, polling: bool, now: datetime) -> list[str]:
    """What is wrong, a clause each; none means healthy. With a webhook nobody polls."""
    found = [_silent("the service", health.served_at, SERVES_WITHIN, now)]
    if polling:
        found.append(_silent("polling", health.polled_at, POLLS_WITHIN, now))
    overdue = now - health.overdue_since if health.overdue_since else timedelta()
    if overdue > SENDS_WITHIN:
        found.append(f"a message is overdue by {_whole_seconds(overdue)} s")
    return [complaint for complaint in found if complaint]


def serves(health: Health, *, now: datetime) -> bool:
    """Whether a service was at work just now."""
    return not _silent("the service", health.served_at, SERVES_WITHIN, now)


def _silent(part: str, last: datetime | None, within: timedelta, now: datetime) -> str:
    if last is None:
        return f"{part} was never seen working"
    return f"{part} was last seen {_whole_seconds(now - last)} s ago" if now - last >= within else ""


def _whole_seconds(span: timedelta) -> int:
    return int(span.total_seconds())
