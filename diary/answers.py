"""Verbs about a slot: patients answer, answer later, correct; staff enter, correct. Each is idempotent by slot."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from diary.protocols import protocol_of
from diary.roles import Act, patient_for
from protocol.calendar import out_of_quiet_hours, zone_of
from protocol.errors import ConflictError, UnknownCodeError, WrongCallError
from protocol.model import Protocol
from storage import entries, sends, service
from storage import slots as ledger
from storage.audit import Actor, Audit, write_audit
from storage.database import Connection, Database
from storage.records import Entry, Slot
from storage.tables import TOLD_STAFF

LATER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a patient says about a slot: a score, or a dose taken or not, with the reason."""

    answer: str
    score: int | None = None
    skip_reason: str | None = None


TAKEN = Answer("taken")


def scored(score: int) -> Answer:
    """The answer to a rating."""
    return Answer("score", score=score)


def not_taken(reason: str | None) -> Answer:
    """The answer to a dose that was left out."""
    return Answer("not-taken", skip_reason=reason)


@dataclass(frozen=True, slots=True)
class Arrival:
    """How an answer came: by button or text, or told to staff; when it was said (None for taps) and received.

    `key` names the update it came in, the same when that is handled again after a crash.
    """

    source: str
    received_at: datetime
    said_at: datetime | None = None
    key: str | None = None

    @property
    def given_at(self) -> datetime:
        """When the patient gave it, as far as can be known; a sender's clock ahead of ours counts for nothing."""
        return min(self.said_at, self.received_at) if self.said_at else self.received_at


class Verdict(StrEnum):
    """What became of an answer."""

    RECORDED = "recorded"
    ALREADY = "already"  # the same answer is there
    DIFFERENT = "different"  # another answer is there; a correction needs a yes and a reason
    SAME_DOSE = "same-dose"  # taken twice within the minimum gap; needs a yes
    NOT_YET = "not-yet"
    CLOSED = "closed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The verdict, with the slot as it is now, the entry that holds, and the messages that asked for it."""

    verdict: Verdict
    slot: Slot
    entry: Entry | None = None
    asked_in: Sequence[int] = ()


async def record_answer(
    db: Database,
    *,
    patient_id: int,
    slot_id: int,
    answer: Answer,
    arrival: Arrival,
    now: datetime,
    surely: bool = False,
) -> Recorded:
    """Record a patient's answer to a slot; `surely` says that a dose soon after another is really a second one."""
    async with db.write() as conn:
        slot = await _own_slot(conn, patient_id, slot_id, now=now)
        if slot.answered_by is not None:
            return await _answered_before(conn, slot, answer, arrival)
        protocol = await protocol_of(db, conn, slot.protocol_id)
        _check_answer(protocol, slot, answer)
        refused = _refusal(slot, arrival.given_at)
        if refused is not None:
            return Recorded(refused, slot)
        if answer.answer == "taken" and not surely and await _too_soon(conn, protocol, slot, arrival.given_at):
            return Recorded(Verdict.SAME_DOSE, slot)
        kind = await _kind(conn, slot, arrival.given_at)
        details = {"slot": slot.id, "answer": answer.answer, "score": answer.score, "kind": kind}
        audit = Audit(now, Actor("patient", patient_id), "record answer", patient_id, details)
        entry = await _record(conn, slot, answer, arrival, kind=kind, audit=audit)
        asked_in = await sends.settle_answered(conn, slot.id, slot.patient_id, now=now)
        return Recorded(Verdict.RECORDED, slot, entry, asked_in)


async def enter_answer(
    db: Database,
    *,
    code: str,
    slot_id: int,
    answer: Answer,
    source: str,
    said_at: datetime | None,
    actor: Actor,
    now: datetime,
) -> Recorded:
    """Record what a patient told staff about any slot that has opened, also when its window has closed."""
    if source not in TOLD_STAFF:
        raise WrongCallError(
            f"An answer reaches staff by {', '.join(TOLD_STAFF)}; {source} is none of these.", "source"
        )
    if said_at is not None and said_at > now:
        raise WrongCallError(
            "An answer cannot have been given in the future; check the day and the time.", "future"
        )
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.ENTER_ANSWER)
        slot = await _own_slot(conn, patient.id, slot_id, now=now)
        arrival = Arrival(source, now, said_at)
        if slot.answered_by is not None:
            return await _answered_before(conn, slot, answer, arrival)
        _check_answer(await protocol_of(db, conn, slot.protocol_id), slot, answer)
        if slot.cancelled_because is not None or now < slot.opens_at:
            return Recorded(Verdict.CANCELLED if slot.cancelled_because else Verdict.NOT_YET, slot)
        _check_said(slot, said_at)
        details = {"slot": slot.id, "answer": answer.answer, "score": answer.score, "source": source}
        audit = Audit(now, actor, "enter answer", patient.id, details)
        # That a message of unknown fate arrived is not proved by an answer on paper: sends stay as they are.
        return Recorded(
            Verdict.RECORDED, slot, await _record(conn, slot, answer, arrival, kind="staff", audit=audit)
        )


async def correct_answer(
    db: Database,
    *,
    patient_id: int,
    slot_id: int,
    answer: Answer,
    reason: str,
    arrival: Arrival,
    now: datetime,
) -> Recorded:
    """Supersede the answer that holds by another, for a reason; CLOSED after the protocol's time for it."""
    async with db.write() as conn:
        slot = await _own_slot(conn, patient_id, slot_id, now=now)
        if slot.answered_by is None:
            return Recorded(Verdict.NOT_YET, slot)
        held = await entries.entry_by_id(conn, slot.answered_by)
        if _says_the_same(held, answer):
            return Recorded(Verdict.ALREADY, slot, held)
        protocol = await protocol_of(db, conn, slot.protocol_id)
        _check_answer(protocol, slot, answer)
        if arrival.given_at > held.recorded_at + protocol.trial.correction:
            return Recorded(Verdict.CLOSED, slot, held)
        by = Actor("patient", patient_id)
        entry = await _supersede(conn, slot, held, answer, arrival, reason=reason, actor=by, now=now)
        return Recorded(Verdict.RECORDED, slot, entry)


async def correct_entry(
    db: Database,
    *,
    code: str,
    slot_id: int,
    entry_id: int,
    answer: Answer,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Recorded:
    """Supersede, as staff, the entry they saw, at any time; ConflictError where another one was faster."""
    if not reason.strip():
        raise WrongCallError("A correction needs its reason; write a few words.", "reason")
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.CORRECT_ANSWER)
        slot = await _own_slot(conn, patient.id, slot_id, now=now)
        seen = await entries.entry_of_slot(conn, slot.id, entry_id)
        if seen is None:
            raise UnknownCodeError("There is no such entry.")
        if _is(seen, answer) and slot.answered_by == seen.id:
            return Recorded(Verdict.ALREADY, slot, seen)
        if (later := await entries.successor_of(conn, seen.id)) is not None:
            if _is(later, answer) and later.change_reason == reason:
                return Recorded(Verdict.ALREADY, slot, later)
            raise ConflictError
        _check_answer(await protocol_of(db, conn, slot.protocol_id), slot, answer)
        entry = await _supersede(
            conn, slot, seen, answer, Arrival("staff", now), reason=reason, actor=actor, now=now
        )
        return Recorded(Verdict.RECORDED, slot, entry)


async def answer_later(db: Database, *, patient_id: int, slot_id: int, now: datetime) -> datetime | None:
    """Ask again in half an hour instead of at the next planned time; None where the window ends before."""
    async with db.write() as conn:
        slot = await _own_slot(conn, patient_id, slot_id, now=now)
        protocol = await protocol_of(db, conn, slot.protocol_id)
        again_at = out_of_quiet_hours(protocol, now + LATER, slot.zone)
        if slot.answered_by is not None or slot.excused_because or slot.cancelled_because:
            return None
        if again_at >= slot.closes_at:
            return None
        audit = await write_audit(
            conn, Audit(now, Actor("patient", patient_id), "answer later", patient_id, {"slot": slot.id})
        )
        await ledger.snooze(conn, slot.id, until=again_at, audit=audit)
        return again_at


async def _record(
    conn: Connection, slot: Slot, answer: Answer, arrival: Arrival, *, kind: str, audit: Audit
) -> Entry:
    """The first entry of a slot, with its line in the trail."""
    values = _entry_values(slot, answer, arrival, kind=kind, now=audit.at)
    grown = await entries.add_entry(conn, values, audit=audit)
    await ledger.mark_answered(conn, slot.id, grown.row_id, kind=kind, audit=grown.audit)
    return Entry(id=grown.row_id, **values)


async def _supersede(
    conn: Connection,
    slot: Slot,
    held: Entry,
    answer: Answer,
    arrival: Arrival,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Entry:
    """An entry in place of the one that held, with old and new value in the trail; its punctuality stays."""
    old = {"answer": held.answer, "score": held.score, "skip_reason": held.skip_reason}
    new = {"answer": answer.answer, "score": answer.score, "skip_reason": answer.skip_reason}
    details = {"slot": slot.id, "old": old, "new": new}
    audit = Audit(now, actor, "correct answer", slot.patient_id, details, reason)
    values = _entry_values(slot, answer, arrival, kind=held.kind, now=now)
    values |= {"supersedes": held.id, "change_reason": reason}
    grown = await entries.add_entry(conn, values, audit=audit)
    await ledger.mark_answered(conn, slot.id, grown.row_id, kind=None, audit=grown.audit)
    return Entry(id=grown.row_id, **values)


async def _answered_before(conn: Connection, slot: Slot, answer: Answer, arrival: Arrival) -> Recorded:
    """What to say of an answer to a slot that has one: this very update's, the same, or another."""
    entry = await entries.entry_by_arrival(conn, arrival.key) if arrival.key else None
    if entry is not None:
        return Recorded(Verdict.ALREADY, slot, entry)
    assert slot.answered_by is not None
    held = await entries.entry_by_id(conn, slot.answered_by)
    return Recorded(Verdict.ALREADY if _says_the_same(held, answer) else Verdict.DIFFERENT, slot, held)


async def _own_slot(conn: Connection, patient_id: int, slot_id: int, *, now: datetime) -> Slot:
    slot = await ledger.slot_by_id(conn, slot_id, now=now)
    if slot is None or slot.patient_id != patient_id:
        raise UnknownCodeError("There is no such slot.")  # a foreign slot must look like none at all
    return slot


def _check_said(slot: Slot, said_at: datetime | None) -> None:
    if said_at is not None and said_at < slot.opens_at:
        opens = slot.opens_at.astimezone(zone_of(slot.zone))
        says = f"Nobody was asked before {opens:%Y-%m-%d %H:%M}; check day and time."
        raise WrongCallError(says, "before-window", opens=opens)


def _check_answer(protocol: Protocol, slot: Slot, answer: Answer) -> None:
    scale = protocol.trial.nrs
    if (slot.kind == "rating") != (answer.answer == "score"):
        raise WrongCallError(f"A {slot.kind} cannot be answered with {answer.answer}.", "answer-kind")
    if answer.score is not None and not scale.min <= answer.score <= scale.max:
        says = f"A score lies from {scale.min} to {scale.max}."
        raise WrongCallError(says, "score-range", least=scale.min, most=scale.max)
    if answer.skip_reason and answer.skip_reason not in protocol.item(slot.phase, slot.item).skip_reasons:
        raise WrongCallError(
            f"{answer.skip_reason} is no reason the protocol knows for {slot.item}.", "skip-reason"
        )


def _refusal(slot: Slot, given_at: datetime) -> Verdict | None:
    if slot.cancelled_because is not None:
        return Verdict.CANCELLED
    if given_at < slot.opens_at:
        return Verdict.NOT_YET
    return Verdict.CLOSED if given_at >= slot.closes_at else None


async def _too_soon(conn: Connection, protocol: Protocol, slot: Slot, given_at: datetime) -> bool:
    gap = protocol.item(slot.phase, slot.item).min_gap
    last = await entries.last_taken(conn, slot.patient_id, slot.item) if gap else None
    return last is not None and gap is not None and abs(given_at - _given_at(last)) < gap


def _given_at(entry: Entry) -> datetime:
    return Arrival(entry.source, entry.received_at, entry.said_at).given_at


async def _kind(conn: Connection, slot: Slot, given_at: datetime) -> str:
    """On time, early, or late; a late one that an outage of ours stood in the way of says so."""
    if given_at < slot.due_at:
        return "early"
    if given_at <= slot.on_time_until:
        return "on time"
    out = await service.outage_during(conn, since=slot.due_at, until=given_at)
    return "after outage" if out else "late"


def _entry_values(slot: Slot, answer: Answer, arrival: Arrival, *, kind: str, now: datetime) -> dict[str, Any]:
    return {
        "patient_id": slot.patient_id,
        "slot_id": slot.id,
        "answer": answer.answer,
        "score": answer.score,
        "skip_reason": answer.skip_reason,
        "kind": kind,
        "source": arrival.source,
        "arrival": arrival.key,
        "due_at": slot.due_at,
        "prompted_at": slot.prompted_at,
        "said_at": arrival.said_at,
        "received_at": arrival.received_at,
        "recorded_at": now,
        "local_date": slot.local_date,
        "zone": slot.zone,
        "utc_offset_minutes": slot.utc_offset_minutes,
        "supersedes": None,
        "change_reason": None,
    }


def _says_the_same(entry: Entry, answer: Answer) -> bool:
    return (entry.answer, entry.score) == (answer.answer, answer.score) and (
        answer.skip_reason is None or entry.skip_reason == answer.skip_reason
    )


def _is(entry: Entry, answer: Answer) -> bool:
    """Whether an entry says exactly this, a reason left out included."""
    return Answer(entry.answer, entry.score, entry.skip_reason) == answer


async def look_at(db: Database, *, patient_id: int, slot_id: int, now: datetime) -> tuple[Slot, Entry | None]:
    """A patient's own slot and the entry that holds for it."""
    async with db.read() as conn:
        slot = await _own_slot(conn, patient_id, slot_id, now=now)
        held = await entries.entry_by_id(conn, slot.answered_by) if slot.answered_by else None
        return slot, held


async def slot_for_text(
    db: Database, *, patient_id: int, kind: str, arrival: Arrival, given_at: datetime, now: datetime
) -> Slot | None:
    """The slot a typed answer belongs to: the newest whose window holds it, one not answered yet first.

    A text that is handled again after a crash belongs to the slot it was recorded for, not to the next open one.
    """
    async with db.read() as conn:
        entry = await entries.entry_by_arrival(conn, arrival.key) if arrival.key else None
        if entry is not None:
            return await _own_slot(conn, patient_id, entry.slot_id, now=now)
        slots = await ledger.slots_of_patient(conn, patient_id, now=now, kind=kind, open_at=given_at)
    asked = [slot for slot in slots if slot.cancelled_because is None]
    unanswered = [slot for slot in asked if slot.answered_by is None and slot.excused_because is None]
    found = unanswered or asked
    return found[-1] if found else None


async def next_slot(db: Database, *, patient_id: int, now: datetime, item: str | None = None) -> Slot | None:
    """What the patient is asked for next."""
    async with db.read() as conn:
        return await ledger.next_slot(conn, patient_id, now=now, item=item)
