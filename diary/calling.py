"""Whom staff alerts reach, in which order, and the digest of a site's morning."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from diary.protocols import newest_protocol, protocol_of
from diary.roles import MAY, Act, Role, actor_in, may
from protocol.calendar import instant, out_of_quiet_hours, zone_of
from protocol.errors import UnknownCodeError
from protocol.model import NOON, Protocol
from storage import alerts, patients, people, sends
from storage.alerts import Alert, UntakenAlert
from storage.audit import SYSTEM, Audit, write_audit
from storage.database import Connection, Database
from storage.records import DueNotice, Patient, Site, StaffMember

NOTICE_LASTS: Final = timedelta(days=3)
TOLD: Final = tuple(role.value for role, acts in MAY.items() if Act.TAKE_ALERTS in acts)
# Who is told first of what is not urgent.
_ORDER: Final = (Role.COORDINATOR, Role.INVESTIGATOR, Role.ADMINISTRATOR)


async def tell(
    conn: Connection, *, alert_id: int, patient: Patient, rule: str, details: Mapping[str, Any], now: datetime
) -> None:
    """Ask for a notice of an alert to those who are told first, or of a side effect to everybody it concerns."""
    everybody = await people.staff_to_tell(conn, patient.site_id, TOLD)
    first = everybody if is_urgent(rule) else await _first(conn, patient.site_id, everybody)
    await _add_notices(conn, first, _about(alert_id, rule, patient.code, details), now=now)


async def tell_newcomer(conn: Connection, member: StaffMember, alert: Alert, *, now: datetime) -> None:
    """Ask for a notice of an open alert to a member; whoever was told of it before is not told twice."""
    await _add_notices(conn, [member], _about(alert.id, alert.rule, alert.code, alert.details), now=now)


def _about(alert_id: int, rule: str, code: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """What a notice has to say of an alert."""
    return {"alert": alert_id, "rule": rule, "code": code, **details}


def is_urgent(rule: str) -> bool:
    """Whether an alert is for everybody, by day and night."""
    return rule == "side-effect"


async def still_calls(conn: Connection, notice: DueNotice) -> bool:
    """Whether an alert is still to be told: nobody has dealt with it, and it is still the member's to know."""
    alert = await alerts.alert_by_id(conn, notice.details["alert"])
    member = await people.staff_by_id(conn, notice.staff_id or 0)
    if alert is None or member is None or alert.done_at is not None:
        return False
    if alert.seen_at is not None and "reminder" in notice.details:
        return False
    actor = await actor_in(conn, member)
    return may(actor, Act.TAKE_ALERTS) and (actor.sites is None or alert.site_id in actor.sites)


async def night_of(db: Database, conn: Connection, notice: DueNotice) -> tuple[Protocol, str] | None:
    """The protocol and the zone whose quiet hours a notice must keep; None for one that may come at any time.

    Patients are not woken at all; staff are for what is urgent, and their digest has a time of its own.
    """
    if notice.patient_id is not None:
        patient = await patients.patient_by_id(conn, notice.patient_id)
        zone = await patients.zone_of_patient(conn, patient.id)
        return await protocol_of(db, conn, patient.protocol_id), zone
    if notice.kind != "alert" or is_urgent(notice.details["rule"]):
        return None
    alert = await alerts.alert_by_id(conn, notice.details["alert"])
    assert alert is not None  # `still_calls` has looked
    about = await patients.patient_by_id(conn, alert.patient_id)
    return await protocol_of(db, conn, about.protocol_id), (await people.site_by_id(conn, about.site_id)).timezone


async def _first(conn: Connection, site_id: int, everybody: list[StaffMember]) -> list[StaffMember]:
    """Those of the first role in which a message reaches anybody; all of them where it reaches nobody."""
    for role in _ORDER:
        if await people.team_can_be_told(conn, site_id, [role]):
            return [member for member in everybody if member.role == role]
    return everybody


async def _add_notices(
    conn: Connection, members: list[StaffMember], about: Mapping[str, Any], *, now: datetime
) -> None:
    """Ask for them now; the dispatcher keeps what is not urgent until the night is over."""
    key = _key(about["alert"])
    for member in members:
        await sends.add_notice(
            conn,
            staff_id=member.id,
            kind="alert",
            key=f"{key}:reminder" if about.get("reminder") else key,
            details=about,
            at=now,
            expires_at=now + NOTICE_LASTS,
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
    if is_urgent(alert.rule):
        return alert.raised_at + after
    told_at = out_of_quiet_hours(protocol, alert.raised_at, alert.zone)
    return out_of_quiet_hours(protocol, told_at + after, alert.zone)


async def _remind(conn: Connection, alert: UntakenAlert, *, now: datetime) -> bool:
    audit = await write_audit(
        conn, Audit(now, SYSTEM, "remind of alert", alert.patient_id, {"alert": alert.id, "rule": alert.rule})
    )
    if not await alerts.note_reminder(conn, alert.id, at=now, audit=audit):
        return False  # somebody has taken it since
    about = {**_about(alert.id, alert.rule, alert.code, alert.details), "reminder": True}
    await _add_notices(conn, await _next(conn, alert), about, now=now)
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
    return f"digest:{_day_at(site, now)}"


def _day_at(site: Site, now: datetime) -> date:
    return now.astimezone(zone_of(site.timezone)).date()


async def _ask_for_digest(conn: Connection, site: Site, member: StaffMember, *, now: datetime) -> None:
    """One digest a day for a member of several sites, too: the same key is the same notice."""
    await sends.add_notice(
        conn,
        staff_id=member.id,
        kind="digest",
        key=_digest_key(site, now),
        details={"site": site.id},
        at=now,
        expires_at=instant(_day_at(site, now), NOON, site.timezone),
    )
