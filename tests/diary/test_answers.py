from datetime import timedelta

import pytest

from diary.answers import TAKEN, Arrival, Verdict, correct_answer, record_answer, scored
from protocol.errors import UnknownCodeError
from storage import entries
from storage import slots as ledger
from tests.cast import Stage, cairo


async def slot_of(stage, patient, item, day, now):
    async with stage.db.read() as conn:
        found = await ledger.slots_of_patient(conn, patient.id, now=now)
    return next(s for s in found if s.item == item and s.local_date.isoformat() == day)


async def answer(stage, patient, slot, what, now, **extra):
    return await record_answer(
        stage.db,
        patient_id=patient.id,
        slot_id=slot.id,
        answer=what,
        arrival=Arrival("button", now),
        now=now,
        **extra,
    )


async def test_a_score_in_its_window_is_recorded_on_time_and_stops_the_nudges(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-24 20:05")
    slot = await slot_of(stage, amina, "pain", "2026-11-24", now)
    done = await answer(stage, amina, slot, scored(7), now)

    assert done.verdict is Verdict.RECORDED
    assert (done.entry.score, done.entry.kind) == (7, "on time")
    after = await slot_of(stage, amina, "pain", "2026-11-24", now)
    assert (after.state, after.next_nudge_at) == ("on time", None)


@pytest.mark.parametrize(
    ("moment", "verdict", "kind"),
    [
        ("2026-11-24 19:59", Verdict.NOT_YET, None),
        ("2026-11-24 20:00", Verdict.RECORDED, "on time"),
        ("2026-11-24 22:00", Verdict.RECORDED, "on time"),
        ("2026-11-24 22:01", Verdict.RECORDED, "late"),
        ("2026-11-25 11:59", Verdict.RECORDED, "late"),
        ("2026-11-25 12:00", Verdict.CLOSED, None),
    ],
)
async def test_the_window_decides_what_an_answer_is(stage: Stage, moment, verdict, kind):
    amina = await stage.joined()
    now = cairo(moment)
    slot = await slot_of(stage, amina, "pain", "2026-11-24", now)
    done = await answer(stage, amina, slot, scored(3), now)

    assert done.verdict is verdict
    assert (done.entry.kind if done.entry else None) == kind


async def test_a_second_tap_changes_nothing_and_says_so(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-24 20:05")
    slot = await slot_of(stage, amina, "pain", "2026-11-24", now)
    await answer(stage, amina, slot, scored(7), now)

    assert (await answer(stage, amina, slot, scored(7), now)).verdict is Verdict.ALREADY
    other = await answer(stage, amina, slot, scored(8), now)
    assert (other.verdict, other.entry.score) == (Verdict.DIFFERENT, 7)


async def test_a_correction_keeps_the_old_value_and_the_reason(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-24 20:05")
    slot = await slot_of(stage, amina, "pain", "2026-11-24", now)
    first = await answer(stage, amina, slot, scored(7), now)
    done = await correct_answer(
        stage.db,
        patient_id=amina.id,
        slot_id=slot.id,
        answer=scored(4),
        reason="wrong button",
        arrival=Arrival("button", now),
        now=now + timedelta(minutes=1),
    )

    assert (done.entry.score, done.entry.supersedes, done.entry.change_reason) == (
        4,
        first.entry.id,
        "wrong button",
    )
    async with stage.db.read() as conn:
        kept = await entries.entry_by_id(conn, first.entry.id)
    assert kept.score == 7


async def test_nobody_answers_for_somebody_else(stage: Stage):
    amina = await stage.joined()
    basma = await stage.joined("P-002", chat=1002)
    now = cairo("2026-11-24 20:05")
    slot = await slot_of(stage, amina, "pain", "2026-11-24", now)
    with pytest.raises(UnknownCodeError):
        await answer(stage, basma, slot, scored(7), now)


async def test_two_doses_within_the_minimum_gap_ask_whether_it_is_the_same(stage: Stage):
    amina = await stage.joined()
    late_morning, evening = cairo("2026-12-08 16:30"), cairo("2026-12-08 20:30")
    morning = await slot_of(stage, amina, "capsule", "2026-12-08", late_morning)
    assert (await answer(stage, amina, morning, TAKEN, late_morning)).verdict is Verdict.RECORDED
    async with stage.db.read() as conn:
        both = await ledger.slots_of_patient(conn, amina.id, now=evening)
    second = next(s for s in both if s.item == "capsule" and s.n == 1)

    assert (await answer(stage, amina, second, TAKEN, evening)).verdict is Verdict.SAME_DOSE
    assert (await answer(stage, amina, second, TAKEN, evening, surely=True)).verdict is Verdict.RECORDED


async def test_a_text_said_in_time_counts_as_on_time_though_it_arrived_later(stage: Stage):
    amina = await stage.joined()
    said, received = cairo("2026-11-24 20:30"), cairo("2026-11-25 15:00")
    slot = await slot_of(stage, amina, "pain", "2026-11-24", received)
    done = await record_answer(
        stage.db,
        patient_id=amina.id,
        slot_id=slot.id,
        answer=scored(5),
        arrival=Arrival("text", received, said),
        now=received,
    )

    assert (done.verdict, done.entry.kind) == (Verdict.RECORDED, "on time")
