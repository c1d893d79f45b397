"""The ledger: every slot of every patient as a row."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, insert, select, update

from protocol.calendar import PlannedSlot, Standing
from protocol.lifecycle import SendOutcome
from storage import tables
from storage.audit import AuditId
from storage.columns import Instant
from storage.database import Connection
from storage.records import DueNudge, Record, Slot, columns_of
from storage.states import SlotState, state_of_slot

_s = tables.slots
_SLOT = columns_of(Slot, _s)
_NOW = bindparam("now", type_=Instant)
_BY_ID = select(*_SLOT, state_of_slot(_NOW)).where(_s.c.id == bindparam("slot_id"))
_OF_PATIENT = (
    select(*_SLOT, state_of_slot(_NOW))
    .where(_s.c.patient_id == bindparam("patient_id"))
    .order_by(_s.c.due_at, _s.c.id)
)
_NEXT = (
    select(*_SLOT, state_of_slot(_NOW))
    .where(_s.c.patient_id == bindparam("patient_id"), _s.c.due_at > _NOW, _s.c.answered_by.is_(None))
    .where(_s.c.cancelled_because.is_(None), _s.c.excused_because.is_(None))
    .order_by(_s.c.due_at)
    .limit(1)
)
_NEXT_OF_ITEM = _NEXT.where(_s.c.item == bindparam("item"))
_CHANGE = update(_s).where(_s.c.id == bindparam("slot_id"))
_FORGET_CLOSED = update(_s).where(_s.c.next_nudge_at <= _NOW, _s.c.closes_at <= _NOW).values(next_nudge_at=None)
_NEXT_DUE = select(_s.c.next_nudge_at).where(_s.c.next_nudge_at > _NOW).order_by(_s.c.next_nudge_at).limit(1)


def _longest_due() -> Any:
    p, c, z = tables.patients, tables.contacts, tables.patient_zones
    lives_in = select(z.c.zone).where(z.c.patient_id == _s.c.patient_id).order_by(z.c.since.desc()).limit(1)
    return (
        select(
            _s.c.id.label("slot_id"),
            _s.c.patient_id,
            _s.c.protocol_id,
            _s.c.phase,
            _s.c.item,
            _s.c.kind,
            _s.c.zone,
            lives_in.scalar_subquery().label("lives_in"),
            _s.c.utc_offset_minutes,
            _s.c.local_date,
            _s.c.n,
            _s.c.due_at,
            _s.c.closes_at,
            _s.c.next_nudge_at,
            _s.c.nudges,
            p.c.language,
            c.c.id.label("contact_id"),
            c.c.bot_id,
            c.c.sealed,
        )
        .join(p, p.c.id == _s.c.patient_id)
        .join(c, c.c.patient_id == p.c.id)
        .where(_s.c.next_nudge_at <= _NOW, _s.c.closes_at > _NOW)
        .where(p.c.status == "active", c.c.reachable == "yes")
        # By id within an instant: the index gives that order, so a whole morning due at nine is not sorted for 25.
        .order_by(_s.c.next_nudge_at, _s.c.id)
        .limit(bindparam("limit"))
    )


_LONGEST_DUE = _longest_due()


async def add_slots(
    conn: Connection,
    patient_id: int,
    protocol_id: int,
    planned: Sequence[PlannedSlot],
    *,
    audit: AuditId,  # noqa: ARG001 - the plan's line in the trail must have been written
) -> None:
    """Write planned slots as rows."""
    if planned:
        await conn.execute(insert(_s), [_values(patient_id, protocol_id, slot) for slot in planned])


async def replace_slots(
    conn: Connection,
    patient_id: int,
    protocol_id: int,
    changed: Sequence[tuple[int, PlannedSlot]],
    *,
    audit: AuditId,  # noqa: ARG001 - as above
) -> None:
    """Give untouched slots of the future their new times and facts; ids and names stay."""
    if not changed:
        return
    rows = [{**_values(patient_id, protocol_id, slot), "row_id": slot_id} for slot_id, slot in changed]
    names = [name for name in rows[0] if name not in ("row_id", "patient_id")]
    statement = update(_s).where(_s.c.id == bindparam("row_id")).values({name: bindparam(name) for name in names})
    await conn.execute(statement, [{name: row[name] for name in (*names, "row_id")} for row in rows])


async def drop_slots(
    conn: Connection,
    slot_ids: Collection[int],
    *,
    audit: AuditId,  # noqa: ARG001 - as above
) -> None:
    """Take back slots of the future that nobody was asked for; a note written about one stays without it."""
    if slot_ids:
        n = tables.notes
        await conn.execute(update(n).where(n.c.slot_id.in_(slot_ids)).values(slot_id=None))
        await conn.execute(delete(_s).where(_s.c.id == bindparam("row_id")), [{"row_id": i} for i in slot_ids])


def _values(patient_id: int, protocol_id: int, slot: PlannedSlot) -> dict[str, Any]:
    return {
        "patient_id": patient_id,
        "protocol_id": protocol_id,
        "phase": slot.phase,
        "item": slot.item,
        "kind": slot.kind,
        "local_date": slot.local_date,
        "n": slot.n,
        "zone": slot.zone,
        "utc_offset_minutes": int(slot.utc_offset.total_seconds() // 60),
        "opens_at": slot.opens_at,
        "due_at": slot.due_at,
        "on_time_until": slot.on_time_until,
        "closes_at": slot.closes_at,
        "label": slot.label,
        "next_nudge_at": slot.next_nudge_at,
        "excused_because": slot.excused_because,
        "cancelled_because": slot.cancelled_because,
    }


async def slots_of_patient(
    conn: Connection,
    patient_id: int,
    *,
    now: datetime,
    states: Collection[SlotState] = (),
    from_date: date | None = None,
    to_date: date | None = None,
    kind: str | None = None,
    open_at: datetime | None = None,
) -> list[Slot]:
    """A patient's slots by due time: all, or those in states, between dates, of a kind, open at an instant."""
    given = {"from_date": from_date, "to_date": to_date, "kind": kind, "open_at": open_at}
    asked = {name: value for name, value in given.items() if value is not None}
    query = _of_patient(frozenset(states), frozenset(asked))
    return [Slot.of(row) for row in await conn.execute(query, {"patient_id": patient_id, "now": now, **asked})]


@cache
def _of_patient(states: frozenset[SlotState], asked: frozenset[str]) -> Any:
    """The question with these conditions, written down once: to do so takes longer than to execute it."""
    query = _OF_PATIENT
    if states:
        query = query.where(state_of_slot(_NOW).element.in_(sorted(wanted.value for wanted in states)))
    if "from_date" in asked:
        query = query.where(_s.c.local_date >= bindparam("from_date"))
    if "to_date" in asked:
        query = query.where(_s.c.local_date <= bindparam("to_date"))
    if "kind" in asked:
        query = query.where(_s.c.kind == bindparam("kind"))
    if "open_at" in asked:
        at = bindparam("open_at", type_=Instant)
        query = query.where(_s.c.opens_at <= at, _s.c.closes_at > at)
    return query


async def slot_by_id(conn: Connection, slot_id: int, *, now: datetime) -> Slot | None:
    """Find a slot with its state as of now."""
    found = (await conn.execute(_BY_ID, {"slot_id": slot_id, "now": now})).one_or_none()
    return Slot.of(found) if found else None


@dataclass(frozen=True, slots=True)
class Question(Record):
    """What was asked of whom and when: a slot in few words, for those who read of it."""

    id: int
    protocol_id: int
    phase: str
    item: str
    due_at: datetime
    zone: str


async def questions(conn: Connection, slot_ids: Collection[int]) -> dict[int, Question]:
    """These slots by their ids."""
    rows = await conn.execute(select(*columns_of(Question, _s)).where(_s.c.id.in_(slot_ids)))
    return {row.id: Question.of(row) for row in rows}


async def next_slot(conn: Connection, patient_id: int, *, now: datetime, item: str | None = None) -> Slot | None:
    """The first slot that is still to be asked for (of one item)."""
    asked = {"patient_id": patient_id, "now": now}
    if item is None:
        found = (await conn.execute(_NEXT, asked)).one_or_none()
    else:
        found = (await conn.execute(_NEXT_OF_ITEM, {**asked, "item": item})).one_or_none()
    return Slot.of(found) if found else None


async def mark_answered(
    conn: Connection,
    slot_id: int,
    entry_id: int,
    *,
    kind: str | None,
    audit: AuditId,  # noqa: ARG001 - the entry's line
) -> None:
    """Point a slot to the entry that holds now, and stop its nudges; `kind` is None for a correction."""
    values: dict[str, Any] = {"answered_by": entry_id, "next_nudge_at": None}
    if kind is not None:
        values["answered_as"] = kind
    await conn.execute(_CHANGE, {"slot_id": slot_id, **values})


async def snooze(
    conn: Connection,
    slot_id: int,
    *,
    until: datetime | None,
    audit: AuditId,  # noqa: ARG001 - the patient's wish is in the trail
) -> None:
    """Move an unanswered slot's next message to the time a patient asked for."""
    await conn.execute(update(_s).where(_s.c.id == slot_id, _s.c.answered_by.is_(None)).values(next_nudge_at=until))


async def ask_open_again(
    conn: Connection,
    patient_id: int,
    *,
    now: datetime,
    audit: AuditId,  # noqa: ARG001 - the reason is in the trail
) -> None:
    """Let the next tick ask once more for what is due and not answered by this patient."""
    await conn.execute(
        update(_s)
        .where(_s.c.patient_id == patient_id, _s.c.due_at <= now, _s.c.closes_at > now)
        .where(_s.c.answered_by.is_(None), _s.c.excused_because.is_(None), _s.c.cancelled_because.is_(None))
        .values(next_nudge_at=now)
    )


async def close_open(
    conn: Connection,
    patient_id: int,
    *,
    because: Standing,
    now: datetime,
    audit: AuditId,  # noqa: ARG001 - the change of status is in the trail
) -> None:
    """Let what is open go with a patient who pauses or leaves: it will not have been missed."""
    fact = "cancelled_because" if because is Standing.WITHDRAWN else "excused_because"
    await conn.execute(
        update(_s)
        .where(_s.c.patient_id == patient_id, _s.c.due_at <= now, _s.c.closes_at > now)
        .where(_s.c.answered_by.is_(None), _s.c.excused_because.is_(None), _s.c.cancelled_because.is_(None))
        .values({fact: because.value, "next_nudge_at": None})
    )


async def forget_closed_nudges(conn: Connection, *, now: datetime) -> None:
    """Let messages go whose window has passed; the slot's own facts already say that it was not asked again."""
    await conn.execute(_FORGET_CLOSED, {"now": now})


async def due_nudges(conn: Connection, *, now: datetime, limit: int) -> list[DueNudge]:
    """Slots whose next message is due, the longest overdue first."""
    return [DueNudge.of(row) for row in await conn.execute(_LONGEST_DUE, {"now": now, "limit": limit})]


async def next_nudge_after(conn: Connection, now: datetime) -> datetime | None:
    """When the next message of anybody falls due."""
    at: datetime | None = (await conn.execute(_NEXT_DUE, {"now": now})).scalar_one_or_none()
    return at


async def oldest_overdue(conn: Connection, *, now: datetime) -> datetime | None:
    """The longest overdue message that ought to have gone out; what `daybook health` watches."""
    due = await due_nudges(conn, now=now, limit=1)
    return due[0].next_nudge_at if due else None


async def mark_prompted(conn: Connection, slot_ids: Collection[int], *, now: datetime) -> None:
    """Note that slots were asked for by a merged message."""
    await conn.execute(update(_s).where(_s.c.id.in_(slot_ids), _s.c.prompted_at.is_(None)).values(prompted_at=now))


async def drop_nudges_until(conn: Connection, slot_id: int, at: datetime, *, then_at: datetime | None) -> None:
    """Let single messages go that a merged one at an instant replaces; the ladder goes on after it."""
    await conn.execute(update(_s).where(_s.c.id == slot_id, _s.c.next_nudge_at <= at).values(next_nudge_at=then_at))


async def count_slots(conn: Connection) -> int:
    """How many slots the ledger holds."""
    return int((await conn.execute(select(func.count()).select_from(_s))).scalar_one())


async def open_slots(conn: Connection, *, now: datetime, asked_before: datetime) -> list[Slot]:
    """Slots of active patients that are due and not answered yet, nor asked for since an instant."""
    state, d = state_of_slot(now), tables.sends
    just_asked = exists(
        select(1)
        .where(d.c.patient_id == _s.c.patient_id, d.c.claimed_at >= asked_before, d.c.slot_id == _s.c.id)
        .where(d.c.outcome.in_((SendOutcome.SENT, SendOutcome.CLAIMED)))
    )
    query = (
        select(*_SLOT, state)
        .join(tables.patients, tables.patients.c.id == _s.c.patient_id)
        .where(tables.patients.c.status == "active")
        .where(_s.c.due_at <= now, _s.c.closes_at > now)
        .where(state.element == SlotState.OPEN.value, ~just_asked)
        .order_by(_s.c.patient_id, _s.c.due_at)
    )
    return [Slot.of(row) for row in await conn.execute(query)]
