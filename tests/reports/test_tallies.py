from datetime import date, timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM, PatientStatus
from diary.answers import correct_entry, enter_answer
from diary.enrolment import change_status, move_phase
from diary.joining import choose_time, choose_zone
from diary.service import LARGE, tally, tally_if_large
from reports.adherence import By, adherence
from storage import tables
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import TAKEN, not_taken, say, scored, slot_of

FRIDAY = cairo("2026-11-27 10:00")
SATURDAY = cairo("2026-11-28 10:00")
_OF_SLOT = (
    "patient_id, protocol_id, phase, item, kind, local_date, zone, utc_offset_minutes, opens_at, due_at,"
    " on_time_until, closes_at"
)


async def tallied(stage):
    async with stage.db.read() as conn:
        return {row.patient_id for row in await conn.execute(select(tables.tallied.c.patient_id))}


async def both(stage, now):
    """The figures as they are told, and as they are when every slot is looked at."""
    told = [await adherence(stage.db, now=now, by=by) for by in By]
    return told, [await adherence(stage.db, now=now, by=by, as_of=now) for by in By]


async def test_what_was_tallied_and_what_came_since_are_what_a_recount_gives(stage: Stage, amina, elsewhere):
    assert not await tally(stage.db, now=FRIDAY)
    assert len(await tallied(stage)) == 2
    await say(stage, amina.id, "infusion 2026-11-27", TAKEN, "2026-11-27 11:00")  # was open when it was tallied
    for hours in (1, 2, 9, 14, 24, 24 * 7, 24 * 60, 24 * 400):
        told, recounted = await both(stage, FRIDAY + timedelta(hours=hours))
        assert told == recounted
    assert len(await tallied(stage)) == 2


async def test_only_a_large_trial_is_tallied(stage: Stage, amina, elsewhere, monkeypatch):
    assert LARGE > 2
    assert not await tally_if_large(stage.db, now=FRIDAY)
    assert await tallied(stage) == set()
    monkeypatch.setattr("diary.service.LARGE", 2)
    assert not await tally_if_large(stage.db, now=FRIDAY)
    assert len(await tallied(stage)) == 2


async def test_a_slot_that_opens_before_it_is_due_counts_as_soon_as_it_is_open(stage: Stage, amina):
    await tally(stage.db, now=cairo("2026-12-09 07:00"))
    told, recounted = await both(stage, cairo("2026-12-09 08:30"))  # the capsule of nine opens at eight

    assert told == recounted
    assert [row.figures.open for row in told[0]] == [2]  # and the pain of the evening before


async def enter(stage, amina):
    slot = await slot_of(stage, amina.id, "pain 2026-11-25")
    answer = {"answer": scored(4), "source": "phone", "said_at": None}
    await enter_answer(stage.db, code="P-001", slot_id=slot.id, actor=SYSTEM, now=SATURDAY, **answer)


async def correct(stage, amina):
    slot = await slot_of(stage, amina.id, "infusion 2026-11-24")
    seen = {"slot_id": slot.id, "entry_id": slot.answered_by, "reason": "said so"}
    await correct_entry(stage.db, code="P-001", answer=not_taken("unwell"), actor=SYSTEM, now=SATURDAY, **seen)


async def move_start(stage, _amina):
    where = {"phase": "iv", "start": START + timedelta(days=8)}
    await move_phase(stage.db, code="P-001", actor=SYSTEM, reason="ill", now=SATURDAY, **where)


async def travel(stage, amina):
    await choose_zone(stage.db, patient_id=amina.id, zone="Asia/Tokyo", actor=SYSTEM, now=SATURDAY)


async def choose_another_time(stage, amina):
    at = cairo("2026-11-28 19:00").timetz().replace(tzinfo=None, hour=19)
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=at, actor=SYSTEM, now=SATURDAY)


async def pause(stage, amina):
    status = {"status": PatientStatus.PAUSED, "reason": "ill"}
    await change_status(stage.db, patient_id=amina.id, actor=SYSTEM, now=SATURDAY, **status)


async def withdraw(stage, amina):
    status = {"status": PatientStatus.WITHDRAWN, "reason": "moved"}
    await change_status(stage.db, patient_id=amina.id, actor=SYSTEM, now=SATURDAY, **status)


@pytest.mark.parametrize(
    "change", [enter, correct, move_start, travel, choose_another_time, pause, withdraw], ids=lambda do: do.__name__
)
async def test_whatever_changes_the_past_or_the_plan_takes_the_tally_away_at_once(stage, amina, elsewhere, change):
    await tally(stage.db, now=FRIDAY + timedelta(hours=14))
    everybody = await tallied(stage)
    await change(stage, amina)

    assert everybody - await tallied(stage) == {amina.id}
    told, recounted = await both(stage, SATURDAY + timedelta(days=1))
    assert told == recounted
    assert not await tally(stage.db, now=SATURDAY + timedelta(days=1))
    assert await tallied(stage) == everybody
    told, recounted = await both(stage, SATURDAY + timedelta(days=1))
    assert told == recounted


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE slots SET answered_by = NULL, answered_as = NULL WHERE id = :past",
        "UPDATE slots SET excused_because = 'paused' WHERE id = :past",
        "UPDATE slots SET phase = 'oral' WHERE id = :past",
        "UPDATE slots SET closes_at = opens_at, due_at = opens_at, on_time_until = opens_at WHERE id = :future",
        "DELETE FROM slots WHERE id = :future",
        "UPDATE patient_phases SET start = date(start, '-7 days')",
        "DELETE FROM patient_phases WHERE phase = 'iv'",
        "INSERT INTO patient_phases SELECT patient_id, 'rest', start, audit_id FROM patient_phases LIMIT 1",
        f"INSERT INTO slots (n, {_OF_SLOT}) SELECT 7, {_OF_SLOT} FROM slots WHERE id = :past",
    ],
)
async def test_nor_does_a_change_by_hand_leave_a_count_that_is_not_true(stage: Stage, amina, change):
    past = await slot_of(stage, amina.id, "infusion 2026-11-24")
    future = await slot_of(stage, amina.id, "infusion 2026-11-30")
    await tally(stage.db, now=SATURDAY)
    async with stage.db.write() as conn:
        await conn.exec_driver_sql(change.replace(":past", str(past.id)).replace(":future", str(future.id)))

    assert await tallied(stage) == set()


async def test_an_answer_in_time_leaves_the_tally(stage: Stage, amina):
    await tally(stage.db, now=FRIDAY)
    await say(stage, amina.id, "pain 2026-11-27", scored(2), "2026-11-27 20:05")

    assert await tallied(stage) == {amina.id}


async def test_with_the_clock_set_back_no_tally_of_the_future_counts(stage: Stage, amina):
    await tally(stage.db, now=SATURDAY + timedelta(days=60))
    told, recounted = await both(stage, FRIDAY)

    assert told == recounted


async def test_patients_are_tallied_once_a_day_some_at_a_time(stage: Stage, amina, monkeypatch):
    monkeypatch.setattr("diary.service._TALLIED_AT_ONCE", 2)
    for number in range(2, 5):
        await stage.add(f"P-00{number}", start=date(2027, 1, 1))
    assert await tally(stage.db, now=T0)
    assert await tally(stage.db, now=T0)
    assert not await tally(stage.db, now=T0)
    assert len(await tallied(stage)) == 4
    await tally(stage.db, now=FRIDAY)
    told, recounted = await both(stage, FRIDAY)
    assert told == recounted
