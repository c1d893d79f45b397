"""Short ways to fill a diary: answers by day and item, given at a wall time in Cairo."""

from diary.answers import TAKEN, Answer, Arrival, Verdict, correct_answer, not_taken, record_answer, scored
from storage import slots as ledger
from tests.cast import Stage, cairo

__all__ = ["TAKEN", "not_taken", "scored"]


async def slot_of(stage: Stage, patient_id: int, name: str):
    """The first slot of a day, named such as "pain 2026-11-24"."""
    item, day = name.split()
    async with stage.db.read() as conn:
        found = await ledger.slots_of_patient(conn, patient_id, now=cairo(f"{day} 12:00"))
    return next(s for s in found if (s.item, s.local_date.isoformat(), s.n) == (item, day, 0))


async def say(stage: Stage, patient_id: int, name: str, what: Answer, at: str, *, said: str = ""):
    """Answer a slot; `said` is when a text was written that arrived only `at`."""
    slot = await slot_of(stage, patient_id, name)
    arrival = Arrival("text" if said else "button", cairo(at), cairo(said) if said else None)
    done = await record_answer(
        stage.db, patient_id=patient_id, slot_id=slot.id, answer=what, arrival=arrival, now=cairo(at)
    )
    assert done.verdict is Verdict.RECORDED
    return done.entry


async def correct(stage: Stage, patient_id: int, name: str, what: Answer, at: str, *, reason: str = "slip"):
    slot = await slot_of(stage, patient_id, name)
    done = await correct_answer(
        stage.db,
        patient_id=patient_id,
        slot_id=slot.id,
        answer=what,
        reason=reason,
        arrival=Arrival("button", cairo(at)),
        now=cairo(at),
    )
    assert done.verdict is Verdict.RECORDED
    return done.entry


async def three_days(stage: Stage, patient_id: int) -> None:
    """The worked example: two on time, two late, two left unanswered.

    The infusion is due at 9, on time until 18, closed at 23; pain is due at 20, on time until 22, closed at 12.
    """
    await say(stage, patient_id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    await say(stage, patient_id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    await say(stage, patient_id, "infusion 2026-11-25", not_taken("unwell"), "2026-11-25 18:30")
    await say(stage, patient_id, "pain 2026-11-26", scored(5), "2026-11-26 23:00")
