"""Verbs of somebody who comes in by an invite: bind the chat, agree, choose language, zone and time."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, time

from diary.alerts import raise_alert
from diary.calling import tell_newcomer
from diary.enrolment import check_zone
from diary.ledger import replan
from diary.protocols import protocol_of
from diary.roles import Act, actor_in, allow, may
from protocol.errors import InviteError, NotAllowedError, WrongCallError
from protocol.lifecycle import PatientStatus
from storage import alerts, contacts, patients, people, sends
from storage import slots as ledger
from storage.audit import Actor, Audit, write_audit
from storage.database import Connection, Database
from storage.records import Contact, Invite, Patient, StaffMember


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever writes in a chat: exactly one of patient and staff is there."""

    contact: Contact
    patient: Patient | None
    staff: StaffMember | None


async def who_is(db: Database, *, bot_id: int, chat_id: int) -> Person | None:
    """Find the person behind a chat."""
    async with db.read() as conn:
        contact = await contacts.contact_by_chat(conn, db.keys, bot_id=bot_id, chat_id=chat_id)
        return await _person(conn, contact) if contact else None


async def _person(conn: Connection, contact: Contact) -> Person | None:
    if contact.patient_id is not None:
        return Person(contact, await patients.patient_by_id(conn, contact.patient_id), None)
    member = await people.staff_by_id(conn, contact.staff_id or 0)
    return Person(contact, None, member) if member and member.disabled_at is None else None


async def join(db: Database, *, bot_id: int, chat_id: int, token: str, now: datetime) -> Person:
    """Bind a chat to whom the invite was made for; InviteError says why not.

    The same chat may use its invite again and gets the same answer, so that a replayed update is harmless.
    """
    refused: InviteError | None = None
    async with db.write() as conn:
        try:
            return await _join(db, conn, bot_id=bot_id, chat_id=chat_id, token=token, now=now)
        except InviteError as error:
            refused = error  # what was found out about the attempt is kept
    raise refused


async def _join(db: Database, conn: Connection, *, bot_id: int, chat_id: int, token: str, now: datetime) -> Person:
    invite = await contacts.invite_by_token(conn, db.keys, token)
    here = await contacts.contact_by_chat(conn, db.keys, bot_id=bot_id, chat_id=chat_id)
    if invite is None:
        raise InviteError("unknown")
    owner = (invite.patient_id, invite.staff_id)
    if here and (here.patient_id, here.staff_id) == owner:
        person = await _person(conn, here)
        if person is not None:
            if invite.used_at is None and invite.revoked_at is None:
                await _spend(conn, invite, now)
            return person
    await _check(conn, invite, now=now)
    if here is not None:
        raise InviteError("chat-taken")
    await _spend(conn, invite, now)
    actor = Actor("patient", owner[0]) if owner[0] else Actor("staff", owner[1])
    audit = await write_audit(conn, Audit(now, actor, "join", owner[0], {"invite": invite.id}))
    await contacts.add_contact(
        conn,
        db.keys,
        bot_id=bot_id,
        chat_id=chat_id,
        patient_id=invite.patient_id,
        staff_id=invite.staff_id,
        audit=audit,
    )
    if owner[0] is not None:
        # Questions still open move to the new chat; in the old one their buttons are dead.
        await sends.withdraw_notices(conn, owner[0], "reask")
        await ledger.ask_open_again(conn, owner[0], now=now, audit=audit)
    bound = await contacts.contact_by_chat(conn, db.keys, bot_id=bot_id, chat_id=chat_id)
    person = await _person(conn, bound) if bound else None
    if person is None:
        raise InviteError("unknown")
    if person.staff is not None:
        await _tell_what_is_open(conn, person.staff, now=now)
    return person


async def _tell_what_is_open(conn: Connection, member: StaffMember, *, now: datetime) -> None:
    """Give a newcomer to the team every open alert of their sites: it may be that nobody was told of them."""
    actor = await actor_in(conn, member)
    if not may(actor, Act.TAKE_ALERTS):
        return
    for alert in reversed(await alerts.alerts(conn, site_ids=actor.sites)):
        await tell_newcomer(conn, member, alert, now=now)


async def _check(conn: Connection, invite: Invite, *, now: datetime) -> None:
    if invite.used_at is not None:
        if invite.patient_id is not None:
            await raise_alert(
                conn,
                patient_id=invite.patient_id,
                rule="invite-reused",
                key=f"invite:{invite.id}",
                details={},
                now=now,
            )
        raise InviteError("used")
    if invite.revoked_at is not None:
        raise InviteError("revoked")
    if now >= invite.expires_at:
        raise InviteError("expired")


async def _spend(conn: Connection, invite: Invite, now: datetime) -> None:
    actor = Actor("patient", invite.patient_id) if invite.patient_id else Actor("staff", invite.staff_id)
    audit = await write_audit(conn, Audit(now, actor, "use invite", invite.patient_id, {"invite": invite.id}))
    if not await contacts.use_invite(conn, invite.id, at=now, audit=audit):
        raise InviteError("used")


async def record_consent(
    db: Database, *, patient_id: int, agreed: bool, language: str, text: str, now: datetime
) -> Patient:
    """Keep a patient's answer to the consent text; the first *I agree* starts the reminders."""
    async with db.write() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        if patient.status is not PatientStatus.INVITED:
            return patient
        decision = "agreed" if agreed else "not-now"
        audit = await write_audit(
            conn, Audit(now, Actor("patient", patient.id), "consent", patient.id, {"decision": decision})
        )
        await patients.add_consent(
            conn,
            patient_id=patient.id,
            decision=decision,
            language=language,
            text_sha256=hashlib.sha256(text.encode()).hexdigest(),
            protocol_id=patient.protocol_id,
            decided_at=now,
            audit=audit,
        )
        if agreed:
            await patients.change_patient(
                conn, patient.id, status=PatientStatus.ACTIVE, joined_at=now, language=language, audit=audit
            )
            patient = await patients.patient_by_id(conn, patient.id)
            await replan(db, conn, patient, now=now, audit=audit)
        return patient


async def choose_language(db: Database, *, patient_id: int, language: str, now: datetime) -> None:
    """Speak another of the protocol's languages with this patient."""
    async with db.write() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        if language not in protocol.trial.languages:
            raise WrongCallError(f"The protocol has no words in {language}.")
        if patient.language != language:
            audit = await write_audit(
                conn,
                Audit(
                    now,
                    Actor("patient", patient.id),
                    "choose language",
                    patient.id,
                    {"old": patient.language, "new": language},
                ),
            )
            await patients.change_patient(conn, patient.id, language=language, audit=audit)


async def choose_zone(db: Database, *, patient_id: int, zone: str, actor: Actor, now: datetime) -> None:
    """Live in another time zone from now on; what was due before stays as it was."""
    check_zone(zone)
    async with db.write() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        allow(actor, Act.CHANGE_TIMES, patient)
        old = await patients.zone_of_patient(conn, patient_id)
        if old == zone:
            return
        audit = await write_audit(conn, Audit(now, actor, "choose zone", patient.id, {"old": old, "new": zone}))
        await patients.add_zone(conn, patient_id, since=now, zone=zone, audit=audit)
        await replan(db, conn, patient, now=now, audit=audit)


async def choose_time(db: Database, *, patient_id: int, item: str, at: time, actor: Actor, now: datetime) -> None:
    """Move an item to the time of day a patient prefers, within the protocol's range."""
    async with db.write() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        allow(actor, Act.CHANGE_TIMES, patient)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        movable = protocol.movable_items().get(item)
        if movable is None or movable.patient_may_choose is None:
            raise NotAllowedError(f"The time of {item} is fixed by the protocol.")
        earliest, latest = movable.patient_may_choose
        if not earliest <= at <= latest:
            raise WrongCallError(f"Choose a time from {earliest:%H:%M} to {latest:%H:%M}.")
        audit = await write_audit(
            conn, Audit(now, actor, "choose time", patient.id, {"item": item, "new": f"{at:%H:%M}"})
        )
        await patients.set_time(conn, patient.id, item, at, audit=audit)
        await replan(db, conn, patient, now=now, audit=audit)


def chat_of(db: Database, *, sealed: bytes, patient_id: int | None, staff_id: int | None) -> int:
    """Open a contact's chat id, for the moment a message goes out."""
    return contacts.open_chat(db.keys, sealed, patient_id=patient_id, staff_id=staff_id)


async def zone_in_use(db: Database, patient_id: int) -> str:
    """The zone the patient lives in now."""
    async with db.read() as conn:
        return await patients.zone_of_patient(conn, patient_id)


async def remember(db: Database, contact_id: int, awaiting: dict[str, object] | None) -> None:
    """Remember across restarts what the next text in a chat will mean."""
    async with db.write() as conn:
        await contacts.set_awaiting(conn, contact_id, awaiting)
