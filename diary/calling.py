"""Whom staff alerts reach, in which order, and the digest of a site's morning."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, Final

from diary.protocols import newest_protocol, protocol_of
from diary.roles import MAY, Act, Role
from protocol.calendar import instant, out_of_quiet_hours, zone_of
from protocol.errors import UnknownCodeError
from protocol.model import NOON, Protocol
from storage import alerts, people, sends
from storage.alerts import UntakenAlert
from storage.audit import SYSTEM, Audit, write_audit
from storage.database import Connection, Database
from storage.records import Site, StaffMember

NOTICE_LASTS: Final = timedelta(days=3)
TOLD: Final = tuple(role.value for role, acts in MAY.items() if Act.TAKE_ALERTS in acts)
# Who is told first; a side effect reaches all of them at once.
_ORDER: Final = (Role.COORDINATOR, Role.INVESTIGATOR, Role.ADMINISTRATOR)
_FOR_ALL: Final = frozenset({"side-effect"})


async def tell(
    conn: Connection, *, alert_id: int, site_id: int, rule: str, details: Mapping[str, Any], at: datetime
) -> None:
    """Ask for a notice of an alert to those who are told first, or of a side effect to everybody it concerns."""
    everybody = await people.staff_to_tell(conn, site_id, TOLD)
    first = everybody if rule in _FOR_ALL else await _first(conn, site_id, everybody)
    await _add_notices(conn, first, key=_key(alert_id), details=details, at=at)


async def _first(conn: Connection, site_id: int, everybody: list[StaffMember]) -> list[StaffMember]:
    """Those of the first role in which a message reaches anybody; all of them where it reaches nobody."""
    for role in _ORDER:
        if await people.team_can_be_told(conn, site_id, [role]):
            return [member for member in everybody if member.role == role]
    return everybody


async def _add_notices(
    conn: Connection, members: list[StaffMember], *, key: str, details: Mapping[str, Any], at: datetime
) -> None:
    for member in members:
        await sends.add_notice(
            conn,
            staff_id=member.id,
            kind="alert",
            key=key,
            details=details,
            at=at,
            expires_at=at + NOTICE_LASTS,
        )


async def remind_of_alerts(db: Database, *, now: datetime) -> int:
    """Bring alerts that nobody has taken in time to the next people, once each, and count them."""
    async with db.read() as conn:
        untaken = await alerts.untaken(conn)
        due = [
            alert for alert in untaken if now >= _remind_at(await protocol_of(db, conn, alert.protocol_id), alert)
        ]
    if not due:
        return 0
    async with db.write() as conn:
        return sum([await _remind(conn, alert, now=now) for alert in due])


def _remind_at(protocol: Protocol, alert: UntakenAlert) -> datetime:
    """When the next people are to hear of an alert; only a side effect wakes anybody."""
    after = protocol.trial.remind_staff_after
    if alert.rule in _FOR_ALL:
        return alert.raised_at + after
    told_at = out_of_quiet_hours(protocol, alert.raised_at, alert.zone)
    return out_of_quiet_hours(protocol, told_at + after, alert.zone)


async def _remind(conn: Connection, alert: UntakenAlert, *, now: datetime) -> bool:
    audit = await write_audit(
        conn, Audit(now, SYSTEM, "remind of alert", alert.patient_id, {"alert": alert.id, "rule": alert.rule})
    )
    if not await alerts.note_reminder(conn, alert.id, at=now, audit=audit):
        return False  # somebody has taken it since
    details = {"alert": alert.id, "rule": alert.rule, "code": alert.code, **alert.details, "reminder": True}
    await _add_notices(conn, await _next(conn, alert), key=f"{_key(alert.id)}:reminder", details=details, at=now)
    return True


async def _next(conn: Connection, alert: UntakenAlert) -> list[StaffMember]:
    """Those who have not heard of an alert; everybody where a message reaches none of those.

    Who was told is read, not reckoned anew: whoever blocked the bot meanwhile must not take their deputies' place.
    """
    everybody = await people.staff_to_tell(conn, alert.site_id, TOLD)
    reached = await people.staff_to_tell(conn, alert.site_id, TOLD, reached_only=True)
    told = await sends.staff_told(conn, kind="alert", key=_key(alert.id))
    rest = [member for member in everybody if member.id not in told]
    return rest if any(member in reached for member in rest) else everybody


def _key(alert_id: int) -> str:
    return f"alert:{alert_id}"


async def ask_for_digests(db: Database, *, now: datetime) -> None:
    """Ask for each site's digest, once a local day for each member; one that a break held up is due until noon."""
    try:
        digest_at = (await newest_protocol(db)).protocol.trial.digest_at
    except UnknownCodeError:
        return
    async with db.read() as conn:
        sites = [site for site in await people.sites(conn) if _is_morning(site, digest_at, now)]
        asked = [(site, await people.staff_to_tell(conn, site.id, TOLD)) for site in sites]
        missing = [
            (site, member)
            for site, members in asked
            for member in members
            if not await sends.notice_exists(conn, staff_id=member.id, kind="digest", key=_digest_key(site, now))
        ]
    if missing:
        async with db.write() as conn:
            for site, member in missing:
                await _ask_for_digest(conn, site, member, now=now)


def _is_morning(site: Site, digest_at: time, now: datetime) -> bool:
    wall = now.astimezone(zone_of(site.timezone)).time()
    return digest_at <= wall < NOON


def _digest_key(site: Site, now: datetime) -> str:
    return f"digest:{now.astimezone(zone_of(site.timezone)).date()}"


async def _ask_for_digest(conn: Connection, site: Site, member: StaffMember, *, now: datetime) -> None:
    """One digest a day for a member of several sites, too: the same key is the same notice."""
    day = now.astimezone(zone_of(site.timezone)).date()
    await sends.add_notice(
        conn,
        staff_id=member.id,
        kind="digest",
        key=_digest_key(site, now),
        details={"site": site.id},
        at=now,
        expires_at=instant(day, NOON, site.timezone),
    )
