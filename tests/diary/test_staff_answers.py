from datetime import timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM, PatientStatus
from diary.alerts import evaluate_rules
from diary.answers import TAKEN, Arrival, Verdict, correct_entry, enter_answer, not_taken, record_answer, scored
from diary.enrolment import change_status
from protocol.errors import ConflictError, UnknownCodeError, WrongCallError
from reports.adherence import adherence
from reports.patient import overview
from reports.site import silent
from storage import entries, questions, tables
from tests.cast import Stage, cairo
from tests.reports.diary_of import correct, say, slot_of

EVENING, WEEK_LATER = cairo("2026-11-24 20:05"), cairo("2026-12-01 10:00")


@pytest.fixture
async def amina(stage: Stage):
    return await stage.joined()


@pytest.fixture
async def nour(stage: Stage):
    return await stage.actor()


async def enter(stage, actor, name="pain 2026-11-24", answer=None, now=WEEK_LATER, **extra):
    slot = await slot_of(stage, 1, name)
    told = {"source": "phone", "said_at": None} | extra
    return await enter_answer(
        stage.db, code="P-001", slot_id=slot.id, answer=answer or scored(6), actor=actor, now=now, **told
    )


async def mend(stage, actor, entry, answer, *, reason="misheard", now=WEEK_LATER):
    return await correct_entry(
        stage.db,
        code="P-001",
        slot_id=entry.slot_id,
        entry_id=entry.id,
        answer=answer,
        reason=reason,
        actor=actor,
        now=now,
    )


async def values(stage, slot_id):
    async with stage.db.read() as conn:
        e = tables.entries
        rows = await conn.execute(
            select(e.c.score, e.c.kind, e.c.source).where(e.c.slot_id == slot_id).order_by(e.c.id)
        )
        return [tuple(row) for row in rows]


@pytest.mark.parametrize("source", ["phone", "paper", "visit"])
async def test_what_a_patient_told_staff_is_kept_with_its_way_and_who_typed_it_also_after_the_window(
    stage, amina, nour, source
):
    said = cairo("2026-11-25 09:00")
    done = await enter(stage, nour, source=source, said_at=said)

    assert (done.verdict, done.entry.kind, done.entry.source) == (Verdict.RECORDED, "staff", source)
    assert (done.entry.said_at, done.entry.received_at, done.entry.recorded_at) == (said, WEEK_LATER, WEEK_LATER)
    assert (await slot_of(stage, amina.id, "pain 2026-11-24")).state == "late"
    async with stage.db.read() as conn:
        line = (await conn.execute(select(tables.audit).where(tables.audit.c.verb == "enter answer"))).one()
    assert (line.actor, line.actor_id, line.details["source"]) == ("staff", nour.id, source)


async def test_within_the_window_it_is_staff_s_all_the_same_and_the_reminders_stop(stage, amina, nour):
    done = await enter(stage, nour, now=EVENING)
    assert done.entry.kind == "staff"
    assert (await slot_of(stage, amina.id, "pain 2026-11-24")).next_nudge_at is None


async def test_entered_twice_is_one_and_another_value_is_said_to_differ(stage, amina, nour):
    first = await enter(stage, nour)
    again, other = await enter(stage, nour), await enter(stage, nour, answer=scored(2))
    assert (again.verdict, again.entry.id) == (Verdict.ALREADY, first.entry.id)
    assert (other.verdict, other.entry.score) == (Verdict.DIFFERENT, 6)


async def test_the_patient_s_own_answer_is_not_written_over(stage, amina, nour):
    await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    done = await enter(stage, nour)
    assert (done.verdict, done.entry.score) == (Verdict.DIFFERENT, 7)


async def test_before_its_window_and_after_a_withdrawal_a_slot_takes_nothing(stage, amina, nour):
    assert (await enter(stage, nour, now=cairo("2026-11-24 19:59"))).verdict is Verdict.NOT_YET
    left = {"status": PatientStatus.WITHDRAWN, "actor": SYSTEM, "reason": "moved", "now": cairo("2026-11-25 13:00")}
    await change_status(stage.db, patient_id=amina.id, **left)
    assert (await enter(stage, nour, "pain 2026-11-25")).verdict is Verdict.CANCELLED
    assert (await enter(stage, nour, "pain 2026-11-24")).verdict is Verdict.RECORDED


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"source": "button"}, "phone, paper, visit"),
        ({"said_at": WEEK_LATER + timedelta(minutes=1)}, "in the future"),
        ({"answer": scored(11)}, "from 0 to 10"),
        ({"answer": TAKEN}, "cannot be answered with taken"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence(stage, amina, nour, told, why):
    with pytest.raises(WrongCallError, match=why):
        await enter(stage, nour, **told)


async def test_a_slot_of_somebody_else_does_not_exist(stage, amina, nour):
    await stage.joined("P-002", chat=1002)
    foreign = await slot_of(stage, 2, "pain 2026-11-24")
    with pytest.raises(UnknownCodeError, match="no such slot"):
        await enter_answer(
            stage.db, code="P-001", slot_id=foreign.id, answer=scored(1), source="phone", said_at=None,
            actor=nour, now=WEEK_LATER,
        )  # fmt: skip


async def test_staff_correct_what_they_saw_at_any_time_and_the_old_value_and_the_punctuality_stay(
    stage, amina, nour
):
    first = await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    done = await mend(stage, nour, first, scored(4), now=WEEK_LATER + timedelta(days=60))

    assert (done.verdict, done.entry.supersedes, done.entry.change_reason) == (
        Verdict.RECORDED,
        first.id,
        "misheard",
    )
    assert await values(stage, first.slot_id) == [(7, "on time", "button"), (4, "on time", "staff")]
    assert (await slot_of(stage, amina.id, "pain 2026-11-24")).state == "on time"


async def test_a_correction_sent_twice_is_one_act(stage, amina, nour):
    first = await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    done = await mend(stage, nour, first, scored(4))
    again = await mend(stage, nour, first, scored(4))
    assert (again.verdict, again.entry.id) == (Verdict.ALREADY, done.entry.id)
    assert (await mend(stage, nour, done.entry, scored(4))).verdict is Verdict.ALREADY
    assert len(await values(stage, first.slot_id)) == 2


async def test_of_two_who_correct_the_same_the_second_is_told_and_nothing_is_lost(stage, amina, nour):
    first = await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    await correct(stage, amina.id, "pain 2026-11-24", scored(5), "2026-11-24 21:00")
    for answer, reason in ((scored(4), "misheard"), (scored(5), "another reason")):
        with pytest.raises(ConflictError, match="meanwhile by somebody else; look again"):
            await mend(stage, nour, first, answer, reason=reason)
    assert [score for score, *_ in await values(stage, first.slot_id)] == [7, 5]


async def test_the_reason_of_a_dose_not_taken_can_be_taken_back(stage, amina, nour):
    first = await say(stage, amina.id, "infusion 2026-11-25", not_taken("unwell"), "2026-11-25 18:30")
    done = await mend(stage, nour, first, not_taken(None))
    assert (done.verdict, done.entry.skip_reason) == (Verdict.RECORDED, None)


async def test_a_correction_without_a_reason_or_of_no_entry_is_refused(stage, amina, nour):
    first = await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    other = await say(stage, amina.id, "pain 2026-11-26", scored(5), "2026-11-26 20:05")
    with pytest.raises(WrongCallError, match="needs its reason"):
        await mend(stage, nour, first, scored(4), reason="  ")
    for entry_id in (other.id, 999):
        with pytest.raises(UnknownCodeError, match="no such entry"):
            await correct_entry(
                stage.db, code="P-001", slot_id=first.slot_id, entry_id=entry_id, answer=scored(4), reason="r",
                actor=nour, now=WEEK_LATER,
            )  # fmt: skip


async def test_what_staff_recorded_counts_as_late_and_never_as_the_patient_s_last_answer(stage, amina, nour):
    own = await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    await enter(stage, nour, "pain 2026-11-25")
    await mend(stage, nour, own, scored(4))

    [row] = await adherence(stage.db, now=WEEK_LATER)
    assert (row.figures.on_time, row.figures.late) == (1, 1)
    assert (await overview(stage.db, "P-001", None, WEEK_LATER)).last_answer_at == EVENING
    async with stage.db.read() as conn:
        assert await questions.last_answers_at(conn, site_ids=None) == {amina.id: EVENING}
        plan = await conn.exec_driver_sql(
            "EXPLAIN QUERY PLAN "
            + str(select(entries.last_said_at()).select_from(tables.patients).compile(conn.sync_engine))
        )
        assert "entries_said" in " ".join(row.detail for row in plan)


async def test_who_is_silent_stays_silent_when_staff_type_in_what_they_heard(stage, amina, nour):
    await say(stage, amina.id, "pain 2026-11-24", scored(7), "2026-11-24 20:05")
    [before] = await silent(stage.db, None, WEEK_LATER)
    await enter(stage, nour, "pain 2026-11-30")

    [after] = await silent(stage.db, None, WEEK_LATER)
    assert (after.code, after.answered_on, after.last_answer_at) == (before.code, before.answered_on, EVENING)
    assert "silent-days" in await evaluate_rules(stage.db, patient_id=amina.id, now=WEEK_LATER)


async def test_a_dose_told_to_staff_does_not_make_the_patient_s_own_look_like_the_same(stage, amina, nour):
    now = cairo("2026-12-09 09:00")
    await enter(stage, nour, "capsule 2026-12-08", TAKEN, now=now - timedelta(minutes=10))
    slot = await slot_of(stage, amina.id, "capsule 2026-12-09")
    done = await record_answer(
        stage.db, patient_id=amina.id, slot_id=slot.id, answer=TAKEN, arrival=Arrival("button", now), now=now
    )
    assert done.verdict is Verdict.RECORDED
