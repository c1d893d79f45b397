"""What the tests of the dispatcher look at: Amina's first rating, its messages, the notices."""

from datetime import date

from sqlalchemy import select, update

from diary.answers import Arrival, record_answer, scored
from schedules.sending import Unknown
from storage import slots as ledger
from storage import tables
from tests.cast import cairo

DUE = cairo("2026-11-24 20:00")  # Amina's first rating; the ladder: 20:45 and 21:30; open until noon
TIMEOUT = Unknown("read timeout")


async def rating(stage, patient, day="2026-11-24"):
    async with stage.db.read() as conn:
        slots = await ledger.slots_of_patient(conn, patient.id, now=DUE)
    return next(s for s in slots if s.item == "pain" and s.local_date == date.fromisoformat(day))


async def outcomes(stage, slot):
    async with stage.db.read() as conn:
        s = tables.sends
        rows = await conn.execute(
            select(s.c.nudge, s.c.outcome, s.c.detail).where(s.c.slot_id == slot.id).order_by(s.c.id)
        )
        return [tuple(row) for row in rows]


async def notices(stage, kind):
    async with stage.db.read() as conn:
        n = tables.notices
        rows = await conn.execute(
            select(n.c.staff_id, n.c.patient_id, n.c.details, n.c.outcome).where(n.c.kind == kind)
        )
        return rows.all()


async def reachable(stage, patient):
    async with stage.db.read() as conn:
        c = tables.contacts
        return (await conn.execute(select(c.c.reachable).where(c.c.patient_id == patient.id))).scalar_one()


async def without(stage, patient, item):
    """Let one item's messages go, so that the test sees the other."""
    async with stage.db.write() as conn:
        s = tables.slots
        await conn.execute(
            update(s)
            .where(s.c.patient_id == patient.id, s.c.item == item)
            .values(next_nudge_at=None, excused_because="test")
        )


async def give(stage, patient, slot, at):
    await record_answer(
        stage.db, patient_id=patient.id, slot_id=slot.id, answer=scored(4), arrival=Arrival("button", at), now=at
    )
