"""Verbs of staff about a patient: add, invite, move, pause, resume, withdraw, erase."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from diary.alerts import raise_alert
from diary.invites import IssuedInvite, invite_of_form, issue_invite
from diary.ledger import replan
from diary.protocols import protocol_of
from diary.roles import Act, allow, patient_called, patient_for, site_called
from protocol.calendar import phase_dates, phase_starts_from
from protocol.errors import AlreadyThereError, ConflictError, NotAllowedError, UnknownCodeError, WrongCallError
from protocol.lifecycle import PATIENT_MOVES, STANDING, PatientStatus
from protocol.model import Protocol
from protocol.typed import check_no_page
from protocol.values import is_zone
from storage import contacts, inbox, patients, people, sends
from storage import slots as ledger
from storage.audit import Actor, Audit, last_reason, write_audit
from storage.database import Connection, Database
from storage.records import Patient, Site


async def add_patient(
    db: Database,
    *,
    code: str,
    start: date,
    site: str,
    protocol_id: int,
    timezone: str | None,
    language: str | None,
    actor: Actor,
    now: datetime,
    form: str | None = None,
) -> IssuedInvite:
    """Enrol a patient: the whole trial is written as slots, and an invite is made.

    `form` names the form it was typed in: sent again with the same in it, it is the same act.
    """
    check_no_page(code)
    if timezone is not None:
        check_zone(timezone)
    async with db.write() as conn:
        clinic = await site_called(conn, site)
        allow(actor, Act.ADD_PATIENT, site_id=clinic.id)
        await _check_begins(conn, code, clinic, actor)
        known = await patients.patient_by_code(conn, code)
        if known and await _is_enrolled(db, conn, known, site=clinic, start=start, zone=timezone):
            again = await invite_of_form(db, conn, code=known.code, patient_id=known.id, form=form, now=now)
            if again is not None:
                return again
        if known:
            says = f"There is a patient {known.code} already; choose another code."
            raise AlreadyThereError(says, "patient-there", code=known.code)
        protocol = await protocol_of(db, conn, protocol_id)
        spoken = language or protocol.trial.language
        if spoken not in protocol.trial.languages:
            raise WrongCallError(
                f"The protocol has no words in {spoken}; choose one of {', '.join(protocol.trial.languages)}.",
                "language",
                language=spoken,
            )
        audit = await write_audit(
            conn, Audit(now, actor, "add patient", details={"code": code, "start": start.isoformat()})
        )
        patient_id = await patients.add_patient(
            conn,
            code=code,
            site_id=clinic.id,
            protocol_id=protocol_id,
            language=spoken,
            added_at=now,
            phase_starts=phase_starts_from(protocol, start),
            zone=timezone or clinic.timezone,
            audit=audit,
        )
        patient = await patients.patient_by_id(conn, patient_id)
        await replan(db, conn, patient, now=now, audit=audit)
        return await issue_invite(db, conn, code=code, patient_id=patient.id, form=form, now=now, audit=audit)


async def _check_begins(conn: Connection, code: str, site: Site, actor: Actor) -> None:
    """Hold whoever sees some of the sites to codes that begin with their own.

    That a code is taken would otherwise tell that a patient of another site exists.
    """
    sites = await people.sites(conn)
    if actor.sites is None or {one.id for one in sites} <= actor.sites:
        return
    named = [one for one in sites if code.casefold().startswith(beginning_at(one.code).casefold())]
    if not named or max(named, key=lambda one: len(one.code)).id != site.id:
        begins = beginning_at(site.code)
        says = f"Codes at {site.code} begin with {begins}, such as {begins}001."
        raise WrongCallError(says, "code-begins", site=site.code, begins=begins)


def beginning_at(site: str) -> str:
    """How the codes of patients begin whom somebody of one site among several adds."""
    return f"{site}-"


async def _is_enrolled(
    db: Database, conn: Connection, patient: Patient, *, site: Site, start: date, zone: str | None
) -> bool:
    """Whether a patient is as one of this site, start and zone would be enrolled now."""
    protocol = await protocol_of(db, conn, patient.protocol_id)
    starts = (await patients.enrolment_of(conn, patient)).phase_starts
    held = (patient.site_id, starts, await patients.zone_of_patient(conn, patient.id))
    return held == (site.id, phase_starts_from(protocol, start), zone or site.timezone)


async def invite_patient(
    db: Database, *, code: str, actor: Actor, now: datetime, form: str | None = None
) -> IssuedInvite:
    """Make a new invite; earlier ones stop working, and so does an earlier chat once the new one is used.

    The same `form` sent again gives the same invite.
    """
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.INVITE)
        if patient.status is PatientStatus.WITHDRAWN:
            raise NotAllowedError(f"{patient.code} has left the study and cannot be invited again.", "left")
        who: Any = {"code": patient.code, "patient_id": patient.id, "form": form}
        if (again := await invite_of_form(db, conn, **who, now=now)) is not None:
            return again
        audit = await write_audit(conn, Audit(now, actor, "invite patient", patient.id))
        return await issue_invite(db, conn, **who, now=now, audit=audit)


async def move_phase(
    db: Database,
    *,
    code: str,
    phase: str,
    start: date,
    actor: Actor,
    reason: str,
    now: datetime,
    seen: date | None = None,
) -> Mapping[str, int]:
    """Set day 0 of a phase, and of those after it by the same number of days; give what changed in the ledger.

    `seen` is the day 0 its changer saw: another one by now is a ConflictError, unless it is the one wanted.
    """
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.MOVE_PHASE)
        check_still_in(patient)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        starts = (await patients.enrolment_of(conn, patient)).phase_starts
        moved = _moved(protocol, starts, phase, start)
        if moved[phase] == starts[phase]:
            return {}
        if seen not in (None, starts[phase]):
            raise ConflictError
        audit = await write_audit(
            conn,
            Audit(
                now,
                actor,
                "move phase",
                patient.id,
                {"phase": phase, "old": starts[phase].isoformat(), "new": start.isoformat()},
                reason,
            ),
        )
        await patients.set_phase_starts(conn, patient.id, moved, audit=audit)
        return (await replan(db, conn, patient, now=now, audit=audit)).counts


@dataclass(frozen=True, slots=True)
class PhaseLength:
    """How many days a phase has, and how many it would have after a move."""

    phase: str
    days_now: int
    days_then: int


async def move_effect(db: Database, *, code: str, phase: str, start: date, actor: Actor) -> tuple[PhaseLength, ...]:
    """The phases that a move would shorten or lengthen; a phase ends where the next one begins."""
    async with db.read() as conn:
        patient = await patient_for(conn, code, actor, Act.MOVE_PHASE)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        starts = (await patients.enrolment_of(conn, patient)).phase_starts
    then = phase_dates(protocol, {**starts, **_moved(protocol, starts, phase, start)})
    lengths = (
        PhaseLength(old.phase, old.days, new.days)
        for old, new in zip(phase_dates(protocol, starts), then, strict=True)
    )
    return tuple(length for length in lengths if length.days_now != length.days_then)


def _moved(protocol: Protocol, starts: Mapping[str, date], phase: str, start: date) -> dict[str, date]:
    """Day 0 of a phase and of those after it, each moved by the same number of days."""
    order = [part.id for part in protocol.phase]
    if phase not in order:
        raise UnknownCodeError(f"The protocol has no phase {phase}; it has {', '.join(order)}.")
    shift = start - starts[phase]
    moved = {name: starts[name] + shift for name in order[order.index(phase) :]}
    before = order[order.index(phase) - 1] if order.index(phase) else None
    if before and moved[phase] <= starts[before]:
        names = {part.id: part.name for part in protocol.phase}
        raise WrongCallError(
            f"{phase} cannot begin before {before} has, on {starts[before]}.",
            "phase-order",
            phase=names[phase],
            before=names[before],
            start=starts[before],
        )
    return moved


async def change_status(
    db: Database, *, patient_id: int, status: PatientStatus, actor: Actor, reason: str, now: datetime
) -> Patient:
    """Pause, resume or withdraw a patient; the slots to come follow in the same transaction."""
    async with db.write() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        allow(actor, Act.WITHDRAW if status is PatientStatus.WITHDRAWN else Act.CHANGE_STATUS, patient)
        if actor.kind == "staff" and patient.status is status:
            await _check_sent_again(conn, patient, reason)
        return await status_changed(db, conn, patient, status=status, actor=actor, reason=reason, now=now)


async def _check_sent_again(conn: Connection, patient: Patient, reason: str) -> None:
    """Let the same form pass once more; another's reason would be lost without a word."""
    if await last_reason(conn, patient.id, "change status") != reason:
        says = f"{patient.code} is {patient.status} already; this reason is not kept."
        raise NotAllowedError(says, "status-already", code=patient.code, status=patient.status)


async def status_changed(
    db: Database,
    conn: Connection,
    patient: Patient,
    *,
    status: PatientStatus,
    actor: Actor,
    reason: str,
    now: datetime,
) -> Patient:
    """The same within a transaction of a verb that has asked already whether the actor may do what leads to it."""
    if patient.status is status:
        return patient
    agreed = patient.status is not PatientStatus.INVITED or status is not PatientStatus.ACTIVE
    if status not in PATIENT_MOVES[patient.status] or not agreed:  # only a consent makes somebody active
        says = f"{patient.code} is {patient.status} and cannot become {status}."
        raise NotAllowedError(says, "status", code=patient.code, status=patient.status)
    audit = await write_audit(
        conn,
        Audit(now, actor, "change status", patient.id, {"old": patient.status, "new": status}, reason),
    )
    values = {"withdrawn_at": now} if status is PatientStatus.WITHDRAWN else {}
    await patients.change_patient(conn, patient.id, status=status, audit=audit, **values)
    changed = await patients.patient_by_id(conn, patient.id)
    if status is not PatientStatus.ACTIVE:
        await ledger.close_open(conn, patient.id, because=STANDING[status], now=now, audit=audit)
    await replan(db, conn, changed, now=now, audit=audit)
    if actor.kind == "patient" and status is not PatientStatus.ACTIVE:
        await raise_alert(
            conn, patient_id=patient.id, rule=status, key=f"at:{now.isoformat()}", details={}, now=now
        )
    return changed


async def stop_use(db: Database, *, code: str, actor: Actor, reason: str, now: datetime) -> None:
    """Keep a leaver's diary for inspectors and use it no more: from now on it is left out of exports."""
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.WITHDRAW)
        _check_has_left(patient)
        if patient.use_stopped_at is not None:
            return
        audit = await write_audit(conn, Audit(now, actor, "stop use", patient.id, reason=reason))
        await patients.change_patient(conn, patient.id, use_stopped_at=now, audit=audit)


async def erase_patient(db: Database, *, code: str, actor: Actor, reason: str, now: datetime) -> None:
    """Forget who a patient is: the chat and the invites go, the coded diary and the trail stay."""
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.ERASE)
        _check_has_left(patient)
        if patient.erased_at is not None:
            return
        audit = await write_audit(conn, Audit(now, actor, "erase identity", patient.id, reason=reason))
        await contacts.revoke_invites(conn, at=now, patient_id=patient.id, audit=audit)
        contact = await contacts.contact_of_patient(conn, patient.id)
        if contact is not None:
            chat_id = contacts.open_chat(db.keys, contact.sealed, patient_id=patient.id, staff_id=None)
            await inbox.forget_chat(conn, db.keys, bot_id=contact.bot_id, chat_id=chat_id, now=now)
        await contacts.forget_contact(conn, patient.id, audit=audit)
        await patients.change_patient(conn, patient.id, erased_at=now, audit=audit)
    await db.empty_journal()


async def list_patients(db: Database) -> list[Patient]:
    """Everybody who was ever in the study, by code; leavers too."""
    async with db.read() as conn:
        return await patients.patients(conn)


async def patient_id_of(db: Database, code: str) -> int:
    """The id behind a subject code."""
    async with db.read() as conn:
        return (await patient_called(conn, code)).id


async def why_not_written_to(db: Database, *, patient_id: int, contact_id: int, sealed: bytes) -> str | None:
    """Why a message on its way to this chat must not go out after all; None while the patient takes part."""
    async with db.read() as conn:
        return await sends.why_not_written_to(conn, patient_id=patient_id, contact_id=contact_id, sealed=sealed)


def check_zone(zone: str) -> None:
    """Refuse what is not an IANA time zone."""
    if not is_zone(zone):
        raise WrongCallError(f'"{zone}" is not a time zone; write one such as Africa/Cairo.', "zone", zone=zone)


def _check_has_left(patient: Patient) -> None:
    """Refuse what is meant for those who have left."""
    if patient.status is not PatientStatus.WITHDRAWN:
        raise NotAllowedError(f"{patient.code} is still in the study; withdraw the patient first.", "still-in")


def check_still_in(patient: Patient) -> None:
    """Refuse to plan anything for a patient who has left."""
    if patient.status is PatientStatus.WITHDRAWN:
        raise NotAllowedError(f"{patient.code} has left the study; nothing is planned any more.", "left")
