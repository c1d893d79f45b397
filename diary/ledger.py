"""Keeps the ledger equal to the plan by difference: the future is replaced, the past and the touched stay.

Planning itself is pure and lives in `protocol/calendar.py`; see docs/decisions/0001.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from diary.protocols import protocol_of
from protocol.calendar import Label, PlannedSlot, Standing, plan
from storage import patients
from storage import slots as ledger
from storage.audit import AuditId
from storage.database import Connection, Database
from storage.records import Patient, Slot


@dataclass(frozen=True, slots=True)
class Difference:
    """What must be written so that the ledger says what the plan says."""

    added: tuple[PlannedSlot, ...]
    changed: tuple[tuple[int, PlannedSlot], ...]
    dropped: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Figures for the audit trail."""
        return {"added": len(self.added), "changed": len(self.changed), "dropped": len(self.dropped)}


async def replan(db: Database, conn: Connection, patient: Patient, *, now: datetime, audit: AuditId) -> Difference:
    """Plan a patient's trial anew and write the difference, within the caller's transaction."""
    protocol = await protocol_of(db, conn, patient.protocol_id)
    enrolment = await patients.enrolment_of(conn, patient)
    existing = await ledger.slots_of_patient(conn, patient.id, now=now)
    found = difference(
        plan(protocol, enrolment), existing, now=now, whole=enrolment.standing is Standing.NOT_JOINED
    )
    await ledger.drop_slots(conn, found.dropped, audit=audit)
    await ledger.replace_slots(conn, patient.id, patient.protocol_id, found.changed, audit=audit)
    await ledger.add_slots(conn, patient.id, patient.protocol_id, found.added, audit=audit)
    return found


def difference(planned: tuple[PlannedSlot, ...], existing: list[Slot], *, now: datetime, whole: bool) -> Difference:
    """Compare what should exist with what exists.

    A slot that was due or touched before `now` is history and stays as it is, in the plan or not. A planned
    slot of the past is written only while the patient has not joined (`whole`): later, nobody asked for it.
    """
    rows = {(slot.item, slot.local_date, slot.n): slot for slot in existing}
    added: list[PlannedSlot] = []
    changed: list[tuple[int, PlannedSlot]] = []
    for slot in planned:
        row = rows.pop(slot.key, None)
        if row is None:
            if whole or slot.due_at >= now:
                added.append(slot)
        elif not _is_history(row, now):
            wanted = slot if slot.due_at >= now else _at_its_old_time(row, slot)
            if not _same(row, wanted):
                changed.append((row.id, wanted))
    dropped = [row.id for row in rows.values() if not _is_history(row, now)]
    return Difference(tuple(added), tuple(changed), tuple(dropped))


def _is_history(row: Slot, now: datetime) -> bool:
    return row.due_at < now or row.nudges > 0 or row.answered_by is not None


def _at_its_old_time(row: Slot, slot: PlannedSlot) -> PlannedSlot:
    """A slot whose new time has passed today keeps its old one; that it is not asked for at all still counts."""
    asked = slot.excused_because is None and slot.cancelled_because is None
    return replace(
        slot,
        zone=row.zone,
        utc_offset=timedelta(minutes=row.utc_offset_minutes),
        opens_at=row.opens_at,
        due_at=row.due_at,
        on_time_until=row.on_time_until,
        closes_at=row.closes_at,
        label=Label(row.label) if row.label else None,
        next_nudge_at=(row.next_nudge_at or row.due_at) if asked else None,
    )


def _same(row: Slot, slot: PlannedSlot) -> bool:
    return (
        row.phase == slot.phase
        and row.zone == slot.zone
        and timedelta(minutes=row.utc_offset_minutes) == slot.utc_offset
        and row.opens_at == slot.opens_at
        and row.due_at == slot.due_at
        and row.on_time_until == slot.on_time_until
        and row.closes_at == slot.closes_at
        and row.label == slot.label
        and row.next_nudge_at == slot.next_nudge_at
        and row.excused_because == slot.excused_because
        and row.cancelled_because == slot.cancelled_because
    )
