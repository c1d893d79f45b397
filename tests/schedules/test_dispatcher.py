import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from diary import SYSTEM, PatientStatus
from diary.answers import answer_later
from diary.enrolment import change_status, move_phase
from diary.joining import choose_zone
from protocol.calendar import next_nudge
from schedules import dispatcher
from schedules.dispatcher import recover, send_due
from schedules.sending import PutBack
from storage import slots as ledger
from storage import tables
from storage.audit import Audit, write_audit
from tests.cast import cairo
from tests.schedules.scenes import DUE, TIMEOUT, give, outcomes, rating, without
from tests.schedules.senders import MINUTE, FakeSender


async def test_an_answer_between_finding_and_claiming_stops_the_message(stage, amina, monkeypatch):
    async def answered():
        await give(stage, amina, await rating(stage, amina), DUE)

    assert await sent_when(stage, monkeypatch, answered) == []


@pytest.mark.parametrize("status", [PatientStatus.PAUSED, PatientStatus.WITHDRAWN])
async def test_a_pause_or_a_withdrawal_between_finding_and_claiming_stops_the_message(
    stage, amina, monkeypatch, status
):
    async def gone():
        await change_status(
            stage.db, patient_id=amina.id, status=status, actor=SYSTEM, reason="asked", now=DUE + MINUTE
        )

    assert await sent_when(stage, monkeypatch, gone) == []


async def test_a_chat_that_was_blocked_between_finding_and_claiming_stops_the_message(stage, amina, monkeypatch):
    async def blocked():
        async with stage.db.write() as conn:
            await conn.execute(update(tables.contacts).values(reachable="blocked"))

    assert await sent_when(stage, monkeypatch, blocked) == []


async def sent_when(stage, monkeypatch, happens):
    """What goes out when something happens after the due messages were found and before they are claimed."""
    claim = dispatcher._claim

    async def claim_after_that(db, due, *, now):
        assert due
        await happens()
        return await claim(db, due, now=now)

    sender = FakeSender()
    with monkeypatch.context() as patched:
        patched.setattr(dispatcher, "_claim", claim_after_that)
        await send_due(stage.db, sender, now=DUE + 2 * MINUTE)
    return sender.handed


async def test_a_closed_window_is_not_asked_for_and_leaves_the_index(stage, amina):
    sender = FakeSender()
    after = cairo("2026-11-25 12:00")
    await send_due(stage.db, sender, now=after)
    assert sender.handed == []
    async with stage.db.read() as conn:
        assert await ledger.oldest_overdue(conn, now=after) is None
    # With the next that is due, what is past leaves the index.
    await send_due(stage.db, sender, now=cairo("2026-11-25 20:00"))
    assert [nudge.local_date for nudge in sender.handed] == [date(2026, 11, 25)]
    assert (await rating(stage, amina)).next_nudge_at is None


async def test_after_a_long_break_the_messages_that_were_missed_are_one(stage, amina):
    sender = FakeSender()
    late = DUE + 80 * MINUTE
    await send_due(stage.db, sender, now=late)
    await send_due(stage.db, sender, now=late)
    assert len(sender.handed) == 1
    assert (await rating(stage, amina)).next_nudge_at == DUE + 90 * MINUTE


@pytest.mark.parametrize("clock", ["22:41", "23:30", "00:00", "03:00", "06:59"])
async def test_late_at_night_a_belated_message_waits_for_the_morning(stage, amina, clock):
    sender = FakeSender()
    at_night = cairo(f"2026-11-{24 if clock > '12' else 25} {clock}")
    await send_due(stage.db, sender, now=at_night)
    assert sender.handed == []
    assert (await rating(stage, amina)).next_nudge_at == cairo("2026-11-25 07:00")
    await send_due(stage.db, sender, now=cairo("2026-11-25 07:00"))
    assert len(sender.handed) == 1


async def test_a_message_of_the_last_minute_before_the_night_may_be_a_little_late(stage, amina):
    sender = FakeSender()
    await send_due(stage.db, sender, now=cairo("2026-11-24 22:35"))
    assert len(sender.handed) == 1


async def test_what_is_put_back_again_and_again_does_not_creep_into_the_night(stage, amina):
    sender = FakeSender(*[PutBack(5 * MINUTE, "unreachable")] * 500)
    for minute in range(0, 11 * 60, 3):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)
    nights = [n.next_nudge_at for n in sender.handed if n.next_nudge_at > cairo("2026-11-24 22:40")]
    assert [at for at in nights if at < cairo("2026-11-25 07:00")] == []
    assert len(sender.handed) > 20


async def test_a_message_whose_window_ends_before_the_morning_is_let_go(stage, amina):
    slot = await rating(stage, amina)
    async with stage.db.write() as conn:
        s = tables.slots
        await conn.execute(update(s).where(s.c.id == slot.id).values(closes_at=cairo("2026-11-25 06:00")))
    sender = FakeSender()
    await send_due(stage.db, sender, now=cairo("2026-11-25 02:00"))
    assert (sender.handed, (await rating(stage, amina)).next_nudge_at) == ([], None)


async def test_the_night_is_that_of_the_place_where_the_patient_is_now(stage, amina):
    sender = FakeSender()
    await send_due(stage.db, sender, now=DUE)  # asked at 20:00 in Cairo, to be repeated at 20:45
    await choose_zone(
        stage.db, patient_id=amina.id, zone="Asia/Tokyo", actor=SYSTEM, now=DUE + 10 * MINUTE
    )  # where it is past three in the morning
    await send_due(stage.db, sender, now=DUE + 50 * MINUTE)
    assert len(sender.handed) == 1
    assert (await rating(stage, amina)).next_nudge_at == cairo("2026-11-25 00:00")  # 07:00 in Tokyo


async def crowd(stage, count):
    everybody = [await stage.joined(f"P-{n:03}", chat=5000 + n) for n in range(count)]
    for one in everybody:
        await without(stage, one, "infusion")
    return everybody


async def test_a_batch_says_whether_there_may_be_more(stage, monkeypatch):
    monkeypatch.setattr(dispatcher, "BATCH", 4)
    await crowd(stage, 6)
    sender = FakeSender()
    assert await send_due(stage.db, sender, now=DUE) is True
    assert len(sender.handed) == 4
    assert await send_due(stage.db, sender, now=DUE) is False
    assert len({nudge.slot_id for nudge in sender.handed}) == 6


async def test_two_dispatchers_at_once_send_each_message_once(stage):
    await crowd(stage, 8)
    one, two = FakeSender(), FakeSender()
    await asyncio.gather(*(send_due(stage.db, sender, now=DUE) for sender in (one, two, one, two)))
    handed = [nudge.slot_id for nudge in one.handed + two.handed]
    assert len(handed) == len(set(handed)) == 8


async def test_what_a_crash_left_in_hand_is_unknown_and_not_sent_again(stage, amina):
    async def killed():
        raise asyncio.CancelledError

    crashing = FakeSender()
    crashing.meanwhile = killed
    with pytest.raises(asyncio.CancelledError):
        await send_due(stage.db, crashing, now=DUE)
    slot = await rating(stage, amina)
    assert await outcomes(stage, slot) == [(0, "claimed", None)]

    assert await recover(stage.db, now=DUE + MINUTE) == 1
    assert await outcomes(stage, slot) == [(0, "unknown", "the service stopped")]
    after = FakeSender()
    for minute in range(1, 45):
        await send_due(stage.db, after, now=DUE + minute * MINUTE)
    assert after.handed == []
    await send_due(stage.db, after, now=DUE + 45 * MINUTE)
    assert [nudge.nudges for nudge in after.handed] == [1]
    assert await recover(stage.db, now=DUE + 50 * MINUTE) == 0


async def test_the_network_is_never_waited_for_within_a_transaction(stage, amina):
    sender = FakeSender()

    async def write_meanwhile():
        async with asyncio.timeout(2), stage.db.write() as conn:
            await write_audit(conn, Audit(DUE, SYSTEM, "written while a message is on its way"))

    sender.meanwhile = write_meanwhile
    await send_due(stage.db, sender, now=DUE)
    assert await outcomes(stage, await rating(stage, amina)) == [(0, "sent", None)]


async def test_a_slot_moved_by_staff_is_asked_for_at_its_new_time_only(stage, amina):
    await move_phase(
        stage.db,
        code="P-001",
        phase="iv",
        start=date(2026, 11, 26),
        actor=SYSTEM,
        reason="ill",
        now=DUE - 60 * MINUTE,
    )
    sender = FakeSender()
    await send_due(stage.db, sender, now=DUE)
    assert sender.handed == []
    await without(stage, amina, "infusion")
    await send_due(stage.db, sender, now=DUE + timedelta(days=2))
    assert [nudge.local_date for nudge in sender.handed] == [date(2026, 11, 26)]


async def test_a_message_never_leaves_its_ladder(stage, amina):
    slot = await rating(stage, amina)
    sender = FakeSender(TIMEOUT, PutBack(3 * MINUTE, "flood"))
    for minute in range(0, 120, 2):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)
    kept = await outcomes(stage, slot)
    assert kept == [(0, "unknown", "read timeout"), (1, "put back", "flood"), (1, "sent", None), (2, "sent", None)]
    item = (await protocol_of_stage(stage)).item("iv", "pain")
    assert next_nudge(await protocol_of_stage(stage), item, slot.due_at, slot.closes_at, slot.zone, after=DUE) == (
        DUE + 45 * MINUTE
    )


async def test_whoever_said_later_is_not_asked_again_at_once_by_the_ladder(stage, amina):
    slot = await rating(stage, amina)
    sender, asked_at = FakeSender(), []
    for minute in range(0, 120, 1):
        now = DUE + minute * MINUTE
        if minute == 8:  # to be asked again at 20:38, seven minutes before the ladder's 20:45
            await answer_later(stage.db, patient_id=amina.id, slot_id=slot.id, now=now)
        before = len(sender.handed)
        await send_due(stage.db, sender, now=now)
        asked_at += [minute] * (len(sender.handed) - before)
    assert asked_at == [0, 38, 90]


async def protocol_of_stage(stage):
    async with stage.db.read() as conn:
        return await dispatcher.protocol_of(stage.db, conn, stage.protocol_id)
