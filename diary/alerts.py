"""Calls staff: rules of the protocol over the ledger, each alert once, a notice to everyone it concerns."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import structlog

from diary.calling import tell
from diary.protocols import protocol_of
from diary.roles import Act, allow
from protocol.calendar import out_of_quiet_hours
from protocol.errors import UnknownCodeError
from protocol.lifecycle import PatientStatus
from protocol.model import Alert as Rule
from protocol.model import Protocol
from storage import alerts, contacts, entries, patients, people, sends
from storage import slots as ledger
from storage.alerts import Alert
from storage.audit import SYSTEM, Actor, Audit, write_audit
from storage.database import Connection, Database
from storage.records import Entry, Patient, Slot
from storage.states import SlotState

log = structlog.get_logger(__name__)

_CLOSED = (SlotState.ON_TIME, SlotState.LATE, SlotState.MISSED)


async def raise_alert(
    conn: Connection,
    *,
    patient_id: int,
    rule: str,
    key: str,
    details: Mapping[str, Any],
    now: datetime,
    tell_at: datetime | None = None,
) -> int | None:
    """Raise an alert once and ask for notices to those of the site who are told first; None where it is known.

    Staff are told at once unless `tell_at` names a later moment.
    """
    if await alerts.alert_exists(conn, patient_id=patient_id, rule=rule, key=key):
        return None
    audit = await write_audit(conn, Audit(now, SYSTEM, "raise alert", patient_id, {"rule": rule, "key": key}))
    alert_id = await alerts.add_alert(
        conn, patient_id=patient_id, rule=rule, key=key, details=details, at=now, audit=audit
    )
    patient = await patients.patient_by_id(conn, patient_id)
    if alert_id is not None:
        told = {"alert": alert_id, "rule": rule, "code": patient.code, **details}
        await tell(conn, alert_id=alert_id, site_id=patient.site_id, rule=rule, details=told, at=tell_at or now)
    return alert_id


async def evaluate_rules(db: Database, *, patient_id: int, now: datetime) -> list[str]:
    """Hold the protocol's rules against one patient's ledger and give those that newly called staff."""
    async with db.read() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        if patient.status is not PatientStatus.ACTIVE:
            return []
        protocol = await protocol_of(db, conn, patient.protocol_id)
        found = await _stretches(conn, protocol, patient, now=now)
        site = await people.site_by_id(conn, patient.site_id)
    if not found:
        return []
    # A window that closes at night is no reason to wake anybody: these rules look back over days.
    morning = out_of_quiet_hours(protocol, now, site.timezone)
    async with db.write() as conn:
        return [
            rule
            for rule, key in found
            if await raise_alert(
                conn, patient_id=patient_id, rule=rule, key=key, details={}, now=now, tell_at=morning
            )
        ]


async def _stretches(
    conn: Connection, protocol: Protocol, patient: Patient, *, now: datetime
) -> list[tuple[str, str]]:
    """The rules that hold for a patient and were not raised before, each with the key of its stretch."""
    # The whole diary: a stretch is named by its beginning, and one cut off would call anew every day.
    closed = await ledger.slots_of_patient(conn, patient.id, now=now, states=_CLOSED)
    slots = [slot for slot in closed if slot.due_at <= now]
    held = await entries.current_entries(conn, patient.id)
    holding = ((rule.kind, _holds(rule, slots, held)) for rule in protocol.alert)
    return [
        (rule, key)
        for rule, key in holding
        if key is not None and not await alerts.alert_exists(conn, patient_id=patient.id, rule=rule, key=key)
    ]


async def evaluate_everybody(db: Database, *, now: datetime, stopped: Callable[[], bool] = lambda: False) -> int:
    """Hold the rules against every active patient and count the alerts raised; one failing stops no other."""
    async with db.read() as conn:
        everybody = await patients.patients(conn)
    count = 0
    for patient in everybody:
        if patient.status is PatientStatus.ACTIVE and not stopped():
            try:
                count += len(await evaluate_rules(db, patient_id=patient.id, now=now))
            except Exception as error:
                log.exception("rules_failed", patient_id=patient.id, error=type(error).__name__)
    return count


def _holds(rule: Rule, slots: Sequence[Slot], held: Mapping[int, Entry]) -> str | None:
    """The key of the stretch a rule is true for (so that it calls once a stretch), or None."""
    match rule.kind:
        case "silent-days":
            # What staff typed in is neither the patient's silence nor the end of it.
            return _silent([slot for slot in slots if slot.answered_as != "staff"], rule.days or 0)
        case "missed-doses":
            return _all_missed([slot for slot in slots if slot.kind == "dose"], rule.doses or 0)
        case "pain-at-least":
            return _pain_stays(slots, held, rule.score or 0, rule.days or 0)
        case "pain-jump":
            return _pain_jumps(slots, held, rule.by or 0)
        case _:
            return None  # side effects and unreachable chats call at once, where they happen


def _silent(slots: Sequence[Slot], days: int) -> str | None:
    """Nothing answered on the last `days` days on which something was asked."""
    asked = [list(group) for _, group in groupby(slots, key=lambda slot: slot.local_date)]
    last = [slot for day in asked[-days:] for slot in day]
    if len(asked) < days or any(slot.state != SlotState.MISSED for slot in last):
        return None
    return f"since:{_start_of_stretch(slots)}"


def _all_missed(doses: Sequence[Slot], count: int) -> str | None:
    last = doses[-count:]
    if len(last) < count or any(slot.state != SlotState.MISSED for slot in last):
        return None
    return f"since:{_start_of_stretch(doses)}"


def _start_of_stretch(slots: Sequence[Slot]) -> str:
    """Name the run of missed slots at the end by its first one, so that it is one alert however long it lasts."""
    first = slots[-1]
    for slot in reversed(slots):
        if slot.state != SlotState.MISSED:
            break
        first = slot
    return f"{first.item}:{first.local_date}:{first.n}"


def _pain_stays(slots: Sequence[Slot], held: Mapping[int, Entry], score: int, days: int) -> str | None:
    rated = _rated(slots, held)
    by_day = [(day, [value for _, value in group]) for day, group in groupby(rated, key=lambda r: r[0].local_date)]
    run = 0
    for _, values in reversed(by_day):
        if max(values) < score:
            break
        run += 1
    if run < days:
        return None
    return f"since:{by_day[-run][0]}"


def _pain_jumps(slots: Sequence[Slot], held: Mapping[int, Entry], by: int) -> str | None:
    rated = _rated(slots, held)[-2:]
    if len(rated) < 2 or rated[1][1] - rated[0][1] < by:  # noqa: PLR2004 - a jump has two ends
        return None
    slot = rated[1][0]
    return f"at:{slot.item}:{slot.local_date}:{slot.n}"


def _rated(slots: Sequence[Slot], held: Mapping[int, Entry]) -> list[tuple[Slot, int]]:
    pairs = ((slot, held[slot.id].score) for slot in slots if slot.id in held)
    return [(slot, score) for slot, score in pairs if score is not None]


async def note_unreachable(db: Database, *, contact_id: int, reachable: str, now: datetime) -> None:
    """Note that a chat cannot be written to, and tell staff where it is a patient's."""
    async with db.write() as conn:
        contact = await contacts.contact_by_id(conn, contact_id)
        if contact is None or contact.reachable == reachable:
            return
        audit = await write_audit(
            conn, Audit(now, SYSTEM, "chat unreachable", contact.patient_id, {"because": reachable})
        )
        await contacts.set_reachable(conn, contact.id, reachable, audit=audit)
        if contact.patient_id is not None:
            await raise_alert(
                conn,
                patient_id=contact.patient_id,
                rule="unreachable",
                key=f"since:{now.isoformat()}",
                details={"because": reachable},
                now=now,
            )


async def note_reachable(db: Database, *, contact_id: int, now: datetime) -> None:
    """Note that a chat can be written to again; what is open is asked at the next tick."""
    async with db.write() as conn:
        contact = await contacts.contact_by_id(conn, contact_id)
        if contact is None or contact.reachable == "yes":
            return
        audit = await write_audit(conn, Audit(now, SYSTEM, "chat reachable", contact.patient_id))
        await contacts.set_reachable(conn, contact.id, "yes", audit=audit)
        if contact.patient_id is not None:
            await sends.withdraw_notices(conn, contact.patient_id, "reask")
            await ledger.ask_open_again(conn, contact.patient_id, now=now, audit=audit)


async def see_alert(db: Database, *, alert_id: int, actor: Actor, now: datetime) -> Alert:
    """Take an alert of one's own sites: whoever is first owns it."""
    async with db.write() as conn:
        alert = await _alert(conn, alert_id, actor)
        await _take(conn, alert, actor, now=now)
        return await _alert(conn, alert_id, actor)


async def close_alert(db: Database, *, alert_id: int, actor: Actor, now: datetime) -> Alert:
    """Say that an alert of one's own sites is dealt with; whoever closes one nobody has taken owns it too."""
    async with db.write() as conn:
        alert = await _alert(conn, alert_id, actor)
        await _take(conn, alert, actor, now=now)
        if alert.done_at is None:
            audit = await write_audit(conn, Audit(now, actor, "close alert", alert.patient_id, {"alert": alert_id}))
            await alerts.close_alert(conn, alert_id, actor.id or 0, at=now, audit=audit)
        return await _alert(conn, alert_id, actor)


async def _take(conn: Connection, alert: Alert, actor: Actor, *, now: datetime) -> None:
    if alert.seen_at is None:
        audit = await write_audit(conn, Audit(now, actor, "see alert", alert.patient_id, {"alert": alert.id}))
        await alerts.see_alert(conn, alert.id, actor.id or 0, at=now, audit=audit)


async def _alert(conn: Connection, alert_id: int, actor: Actor) -> Alert:
    alert = await alerts.alert_by_id(conn, alert_id)
    if alert is None or (actor.sites is not None and alert.site_id not in actor.sites):
        raise UnknownCodeError("There is no such alert.")  # a foreign alert must look like none at all
    allow(actor, Act.TAKE_ALERTS, site_id=alert.site_id)
    return alert
