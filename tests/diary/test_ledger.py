from datetime import date, time, timedelta

import pytest

from diary import SYSTEM, PatientStatus, SlotState
from diary.answers import Arrival, Verdict, record_answer, scored
from diary.enrolment import change_status, move_phase
from diary.joining import choose_time, choose_zone
from diary.ledger import replan
from diary.notes import keep_note
from protocol.errors import NotAllowedError
from schedules.dispatcher import send_due
from storage import patients
from storage import slots as ledger
from storage.audit import Audit, write_audit
from tests.cast import START, T0, Stage, cairo
from tests.schedules.senders import FakeSender

DAY = timedelta(days=1)


async def rows(stage, patient, now=T0):
    async with stage.db.read() as conn:
        return await ledger.slots_of_patient(conn, patient.id, now=now)


async def status(stage, patient, to, now):
    return await change_status(
        stage.db, patient_id=patient.id, status=to, actor=SYSTEM, reason="asked for", now=now
    )


async def again(stage, patient, now):
    """What planning once more would change."""
    async with stage.db.write() as conn:
        audit = await write_audit(conn, Audit(now, SYSTEM, "plan again", patient.id))
        fresh = await patients.patient_by_id(conn, patient.id)
        return (await replan(stage.db, conn, fresh, now=now, audit=audit)).counts


NOTHING = {"added": 0, "changed": 0, "dropped": 0}


async def test_the_whole_trial_is_written_at_enrolment(stage: Stage):
    await stage.add()
    async with stage.db.read() as conn:
        assert await ledger.count_slots(conn) == 14 + 14 + 28 + 32 + 56


async def test_before_joining_nothing_is_expected(stage: Stage):
    await stage.add(start=date(2026, 11, 20))  # two days ago
    async with stage.db.read() as conn:
        (patient,) = await patients.patients(conn)
    found = await rows(stage, patient)
    assert len(found) == 144
    assert {slot.excused_because for slot in found} == {"not-joined"}
    assert {slot.next_nudge_at for slot in found} == {None}


async def test_joining_late_asks_for_what_is_to_come_and_excuses_what_was(stage: Stage):
    amina = await stage.joined(start=date(2026, 11, 20), now=(now := cairo("2026-11-23 12:00")))
    found = await rows(stage, amina, now)
    before = [slot for slot in found if slot.due_at < now]
    assert len(before) == 3 + 4  # ratings of three evenings, infusions of four mornings
    assert {slot.excused_because for slot in before} == {"not-joined"}
    assert {slot.state for slot in before} == {SlotState.EXCUSED}
    after = [slot for slot in found if slot.due_at >= now]
    assert {slot.excused_because for slot in after} == {None}
    assert all(slot.next_nudge_at for slot in after)


async def test_planning_twice_changes_nothing(stage: Stage):
    amina = await stage.joined()
    for now in (T0, cairo("2026-12-10 15:00"), cairo("2027-06-30 15:00")):
        assert await again(stage, amina, now) == NOTHING


async def test_a_pause_excuses_the_future_only_and_resuming_asks_again(stage: Stage):
    amina = await stage.joined()
    paused, resumed = cairo("2026-11-26 12:00"), cairo("2026-11-30 12:00")
    await status(stage, amina, PatientStatus.PAUSED, paused)
    found = await rows(stage, amina, paused)
    assert {slot.excused_because for slot in found if slot.closes_at <= paused} == {None}
    # What is open goes with the pause: nobody is reminded, and it will not have been missed.
    assert {slot.excused_because for slot in found if slot.closes_at > paused} == {"paused"}

    await status(stage, amina, PatientStatus.ACTIVE, resumed)
    found = await rows(stage, amina, resumed)
    assert {s.excused_because for s in found if paused <= s.due_at < resumed} == {"paused"}
    assert {s.state for s in found if paused <= s.due_at < resumed} == {SlotState.EXCUSED}
    later = [slot for slot in found if slot.due_at >= resumed]
    assert {(s.excused_because, s.next_nudge_at is not None) for s in later} == {(None, True)}


async def test_nobody_is_nudged_in_a_pause_even_for_what_was_open(stage: Stage):
    amina = await stage.joined()
    asked = cairo("2026-11-24 20:00")
    sender = FakeSender()
    await send_due(stage.db, sender, now=asked)
    await status(stage, amina, PatientStatus.PAUSED, asked + timedelta(minutes=5))
    count = len(sender.handed)
    for hours in range(48):
        await send_due(stage.db, sender, now=asked + timedelta(hours=hours))
    assert len(sender.handed) == count


async def test_an_answer_in_a_pause_still_counts_while_its_window_is_open(stage: Stage):
    amina = await stage.joined()
    await status(stage, amina, PatientStatus.PAUSED, cairo("2026-11-24 20:10"))
    now = cairo("2026-11-24 20:20")
    slot = next(s for s in await rows(stage, amina, now) if s.item == "pain" and s.local_date == START)
    done = await record_answer(
        stage.db, patient_id=amina.id, slot_id=slot.id, answer=scored(2), arrival=Arrival("text", now), now=now
    )
    assert done.verdict is Verdict.RECORDED


async def test_a_withdrawal_cancels_what_is_to_come_and_nobody_is_nudged_any_more(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-26 20:10")
    await status(stage, amina, PatientStatus.WITHDRAWN, now)
    found = await rows(stage, amina, now)
    assert {slot.cancelled_because for slot in found if slot.closes_at <= now} == {None}
    assert {slot.cancelled_because for slot in found if slot.closes_at > now} == {"withdrawn"}
    sender = FakeSender()
    for hours in range(0, 24 * 10, 3):
        await send_due(stage.db, sender, now=now + timedelta(hours=hours))
    assert sender.handed == []


async def test_a_phase_that_is_moved_takes_its_slots_and_those_after_it_along(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-12-05 12:00")
    changed = await move_phase(
        stage.db, code="P-001", phase="oral", start=date(2026, 12, 11), actor=SYSTEM, reason="holiday", now=now
    )
    found = await rows(stage, amina, now)
    capsules = [slot.local_date for slot in found if slot.item == "capsule"]
    assert (min(capsules), max(capsules), len(capsules)) == (date(2026, 12, 11), date(2027, 1, 7), 56)
    assert changed["dropped"] > 0
    assert await again(stage, amina, now) == NOTHING


async def test_a_phase_begun_today_asks_for_no_hour_that_has_passed(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-12-01 12:00")
    await move_phase(
        stage.db, code="P-001", phase="oral", start=date(2026, 12, 1), actor=SYSTEM, reason="early", now=now
    )
    found = await rows(stage, amina, now)
    first = [slot for slot in found if slot.item == "capsule" and slot.local_date == date(2026, 12, 1)]
    assert [slot.n for slot in first] == [1]
    assert [s.local_date for s in found if s.item == "infusion"][-1] == date(2026, 12, 1)  # this morning's stays


async def test_a_chosen_time_counts_from_the_next_evening_it_can(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-25 19:00")
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=time(18, 30), actor=SYSTEM, now=now)
    due = {slot.local_date: slot.due_at for slot in await rows(stage, amina, now) if slot.item == "pain"}
    assert due[date(2026, 11, 24)] == cairo("2026-11-24 20:00")
    assert due[date(2026, 11, 25)] == cairo("2026-11-25 20:00")  # 18:30 has passed today
    assert due[date(2026, 11, 26)] == cairo("2026-11-26 18:30")


async def test_a_leavers_plan_is_not_changed_any_more(stage: Stage):
    amina = await stage.joined()
    await status(stage, amina, PatientStatus.WITHDRAWN, T0)
    for change in (
        move_phase(
            stage.db, code="P-001", phase="oral", start=date(2026, 12, 10), actor=SYSTEM, reason="ill", now=T0
        ),
        choose_zone(stage.db, patient_id=amina.id, zone="Asia/Tokyo", actor=SYSTEM, now=T0),
        choose_time(stage.db, patient_id=amina.id, item="pain", at=time(19), actor=SYSTEM, now=T0),
    ):
        with pytest.raises(NotAllowedError, match="has left the study"):
            await change


@pytest.mark.parametrize(
    ("to", "fact"), [(PatientStatus.PAUSED, "excused_because"), (PatientStatus.WITHDRAWN, "cancelled_because")]
)
async def test_the_slot_whose_chosen_time_has_passed_today_follows_a_pause_too(stage: Stage, to, fact):
    amina = await stage.joined()
    now = cairo("2026-11-25 19:00")
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=time(18, 30), actor=SYSTEM, now=now)
    await status(stage, amina, to, now + timedelta(minutes=5))
    found = await rows(stage, amina, now)
    slot = next(s for s in found if s.item == "pain" and s.local_date == date(2026, 11, 25))
    assert (getattr(slot, fact), slot.next_nudge_at) == (to.value, None)
    if to is PatientStatus.PAUSED:
        await status(stage, amina, PatientStatus.ACTIVE, now + timedelta(minutes=10))
        (slot,) = [s for s in await rows(stage, amina, now) if s.id == slot.id]
        assert (slot.excused_because, slot.next_nudge_at) == (None, cairo("2026-11-25 20:00"))


async def test_what_was_asked_for_stays_as_it_was_asked(stage: Stage):
    amina = await stage.joined()
    asked = cairo("2026-11-24 20:00")
    await send_due(stage.db, FakeSender(), now=asked)
    before = await rows(stage, amina, asked)
    now = asked + timedelta(minutes=1)
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=time(21), actor=SYSTEM, now=now)
    await choose_zone(stage.db, patient_id=amina.id, zone="Europe/Berlin", actor=SYSTEM, now=now)
    after = {slot.id: slot for slot in await rows(stage, amina, asked)}
    for slot in before:
        if slot.due_at < now:
            assert after[slot.id] == slot


async def test_two_choices_of_a_zone_in_one_instant_leave_the_later_one(stage: Stage):
    amina = await stage.joined()
    for zone in ("Asia/Tokyo", "Europe/Berlin"):
        await choose_zone(stage.db, patient_id=amina.id, zone=zone, actor=SYSTEM, now=T0)
    assert {slot.zone for slot in await rows(stage, amina)} == {"Europe/Berlin"}


async def test_a_slot_with_a_note_can_be_moved_away_and_the_note_stays(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-12-08 08:30")  # the first capsule's window is open, it is due at 09:00
    slot = next(s for s in await rows(stage, amina, now) if s.item == "capsule")
    await keep_note(
        stage.db,
        patient_id=amina.id,
        kind="note",
        text="feeling dizzy",
        arrival=Arrival("text", now),
        key="1",
        slot_id=slot.id,
        now=now,
    )
    await move_phase(
        stage.db, code="P-001", phase="oral", start=date(2026, 12, 10), actor=SYSTEM, reason="ill", now=now
    )
    assert slot.id not in {s.id for s in await rows(stage, amina, now)}
    assert await again(stage, amina, now) == NOTHING
