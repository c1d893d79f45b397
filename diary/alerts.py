"""Calls staff: rules of the protocol over the ledger, each alert once, a notice to everyone it concerns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice, pairwise, takewhile
from typing import Any, NamedTuple

import structlog

from diary.calling import tell
from diary.protocols import protocol_of
from diary.roles import Act, allow
from protocol.errors import UnknownCodeError
from protocol.lifecycle import PatientStatus
from protocol.model import Alert as Rule
from protocol.model import Protocol
from storage import alerts, contacts, patients, sends
from storage import slots as ledger
from storage.alerts import Alert
from storage.audit import SYSTEM, Actor, Audit, write_audit
from storage.closed import ClosedSlot, closed_slots, next_change_at, touched_since
from storage.database import Connection, Database
from storage.records import Patient
from storage.states import SlotState
from storage.tables import OWN_SOURCES

log = structlog.get_logger(__name__)

# The rules are looked at every hour; after a break of ours, what came meanwhile is recorded at its end.
_LATELY = timedelta(days=2)
_A_WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a rule is true for: a key that names it for ever, and since when nothing has broken it.

    Staff who type in an answer afterwards move the beginning of a run. An earlier call that came when it was under
    way already covers it, so that the nurse who calls a silent patient is not called again for the same silence.
    None where each is a call of its own.
    """

    key: str
    unbroken_since: datetime | None


async def raise_alert(
    conn: Connection, *, patient_id: int, rule: str, key: str, details: Mapping[str, Any], now: datetime
) -> int | None:
    """Raise an alert once and ask for notices to those of the site who are told first; None where it is known."""
    if await alerts.alert_exists(conn, patient_id=patient_id, rule=rule, key=key):
        return None
    audit = await write_audit(conn, Audit(now, SYSTEM, "raise alert", patient_id, {"rule": rule, "key": key}))
    alert_id = await alerts.add_alert(
        conn, patient_id=patient_id, rule=rule, key=key, details=details, at=now, audit=audit
    )
    if alert_id is not None:
        patient = await patients.patient_by_id(conn, patient_id)
        await tell(conn, alert_id=alert_id, patient=patient, rule=rule, details=details, now=now)
    return alert_id


async def evaluate_rules(db: Database, *, patient_id: int, now: datetime) -> list[str]:
    """Hold the protocol's rules against one patient's ledger and give those that newly called staff."""
    async with db.read() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        if patient.status is not PatientStatus.ACTIVE:
            return []
        protocol = await protocol_of(db, conn, patient.protocol_id)
        found = await _new_stretches(conn, protocol, patient, now=now)
    if not found:
        return []
    async with db.write() as conn:
        return [
            rule
            for rule, key in found
            if await raise_alert(conn, patient_id=patient_id, rule=rule, key=key, details={}, now=now)
        ]


async def _new_stretches(
    conn: Connection, protocol: Protocol, patient: Patient, *, now: datetime
) -> list[tuple[str, str]]:
    """The rules that hold for a patient and have not called staff for it, each with the key of its stretch."""
    # The whole diary: a stretch is named by its beginning, and one cut off would call anew every day.
    slots = await closed_slots(conn, patient.id, now=now)
    return [
        (rule.kind, stretch.key)
        for rule in protocol.alert
        for stretch in _holds(rule, slots, now)
        if not await _called_for(conn, patient.id, rule.kind, stretch)
    ]


async def _called_for(conn: Connection, patient_id: int, rule: str, stretch: Stretch) -> bool:
    if await alerts.alert_exists(conn, patient_id=patient_id, rule=rule, key=stretch.key):
        return True
    raised_at = await alerts.last_raised_at(conn, patient_id, rule)
    since = stretch.unbroken_since
    return raised_at is not None and since is not None and raised_at >= since


class Watch:
    """Knows about whom nothing can have changed since the rules were last held against them.

    What people do has a line in the trail, and what time alone does has an instant; so of a thousand patients a
    look reads a few. It lives in memory: the first look after a start is at everybody, and everybody has one a week
    whatever may have happened beside the trail.
    """

    def __init__(self) -> None:
        self._line = 0
        self._again_at: dict[int, datetime] = {}

    async def due(self, conn: Connection, everybody: Iterable[int], *, now: datetime) -> list[int]:
        """Those to look at now, by ids."""
        touched, self._line = await touched_since(conn, self._line)
        for patient_id in touched:
            self._again_at.pop(patient_id, None)
        return [patient_id for patient_id in everybody if self._again_at.get(patient_id, now) <= now]

    async def looked(self, db: Database, patient_id: int, *, now: datetime) -> None:
        """Note that a patient was looked at; whoever was not, or not to the end, is due again."""
        async with db.read() as conn:
            changes_at = await next_change_at(conn, patient_id, now=now)
        in_a_week = now + _A_WEEK
        self._again_at[patient_id] = in_a_week if changes_at is None else min(changes_at, in_a_week)


async def evaluate_everybody(
    db: Database, *, now: datetime, watch: Watch | None = None, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Hold the rules against every active patient and count the alerts raised; one failing stops no other."""
    watch = watch or Watch()
    async with db.read() as conn:
        due = await watch.due(conn, await patients.active_ids(conn), now=now)
    count = 0
    for patient_id in due:
        if stopped():
            break
        try:
            count += len(await evaluate_rules(db, patient_id=patient_id, now=now))
            await watch.looked(db, patient_id, now=now)
        except Exception as error:
            log.exception("rules_failed", patient_id=patient_id, error=type(error).__name__)
    return count


def _holds(rule: Rule, slots: Sequence[ClosedSlot], now: datetime) -> list[Stretch]:
    """The stretches a rule is true for."""
    match rule.kind:
        case "silent-days":
            return _silent(slots, rule.days or 0)
        case "missed-doses":
            return _all_missed(slots, rule.doses or 0)
        case "pain-at-least":
            return _pain_stays(slots, rule.score or 0, rule.days or 0)
        case "pain-jump":
            return _pain_jumps(slots, rule.by or 0, now)
        case _:
            return []  # side effects and unreachable chats call at once, where they happen


def _silent(slots: Sequence[ClosedSlot], days: int) -> list[Stretch]:
    """Nothing answered on the last `days` days on which something was asked.

    What staff typed in is neither the patient's silence nor the end of it.
    """
    asked = [slot for slot in reversed(slots) if slot.answered_as != "staff"]
    last = [[*day] for _, day in islice(groupby(asked, key=lambda slot: slot.local_date), days)]
    if len(last) < days or any(slot.state != SlotState.MISSED for day in last for slot in day):
        return []
    return [_missed_until_now(asked)]


def _all_missed(slots: Sequence[ClosedSlot], count: int) -> list[Stretch]:
    doses = [slot for slot in reversed(slots) if slot.kind == "dose"]
    last = doses[:count]
    if len(last) < count or any(slot.state != SlotState.MISSED for slot in last):
        return []
    return [_missed_until_now(doses)]


def _missed_until_now(newest_first: Sequence[ClosedSlot]) -> Stretch:
    """The run of missed slots at the end, named by its first, so that it is one alert however long it lasts.

    An own answer breaks a silence when it comes, which may be after the first slot of the next run was due.
    """
    first = list(takewhile(lambda slot: slot.state == SlotState.MISSED, newest_first))[-1]
    own = (slot.received_at for slot in newest_first if slot.source in OWN_SOURCES)
    answered = (at for at in own if at is not None)
    return Stretch(f"since:{first.item}:{first.local_date}:{first.n}", max([first.due_at, *answered]))


def _pain_stays(slots: Sequence[ClosedSlot], score: int, days: int) -> list[Stretch]:
    by_day = ([*day] for _, day in groupby(_rated(reversed(slots)), key=lambda rated: rated.slot.local_date))
    run = list(takewhile(lambda day: max(rated.score for rated in day) >= score, by_day))
    if len(run) < days:
        return []
    first = run[-1][-1].slot
    return [Stretch(f"since:{first.local_date}", first.due_at)]


def _pain_jumps(slots: Sequence[ClosedSlot], by: int, now: datetime) -> list[Stretch]:
    """Every jump that was recorded lately, for several ratings may come between two looks."""
    return [
        Stretch(f"at:{slot.item}:{slot.local_date}:{slot.n}", None)
        for (_, before, _), (slot, score, recorded_at) in pairwise(_rated(slots))
        if score - before >= by and recorded_at > now - _LATELY
    ]


class _Rated(NamedTuple):
    slot: ClosedSlot
    score: int
    recorded_at: datetime


def _rated(slots: Iterable[ClosedSlot]) -> Iterator[_Rated]:
    for slot in slots:
        if slot.score is not None and slot.recorded_at is not None:
            yield _Rated(slot, slot.score, slot.recorded_at)


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
        # Whoever blocks and unblocks the bot again and again is one call, until somebody has dealt with it.
        if contact.patient_id is not None and not await alerts.is_open(conn, contact.patient_id, "unreachable"):
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
