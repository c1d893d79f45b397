import asyncio
from datetime import timedelta

import pytest

from diary.answers import TAKEN, Arrival, record_answer
from diary.service import record_outage
from schedules.dispatcher import recover, send_due, send_notices
from schedules.sending import PutBack
from storage import sends as send_record
from storage import slots as ledger
from tests.cast import cairo
from tests.schedules.scenes import DUE, TIMEOUT, notices, rating
from tests.schedules.senders import MINUTE, FakeSender


async def notice(stage, staff_id, *, key="k", at=DUE, lasts=timedelta(hours=1)):
    async with stage.db.write() as conn:
        await send_record.add_notice(
            conn, staff_id=staff_id, kind="digest", key=key, details={}, at=at, expires_at=at + lasts
        )


async def test_a_notice_goes_out_once_however_often_it_is_asked_for(stage):
    nour = await stage.nurse()
    await notice(stage, nour)
    await notice(stage, nour)
    sender = FakeSender()
    assert await send_notices(stage.db, sender, now=DUE) is False
    await send_notices(stage.db, sender, now=DUE)
    assert [(one.staff_id, one.kind) for one in sender.handed] == [(nour, "digest")]
    assert [row.outcome for row in await notices(stage, "digest")] == ["sent"]


async def test_two_dispatchers_at_once_send_each_notice_once(stage):
    nour = await stage.nurse()
    for n in range(12):
        await notice(stage, nour, key=f"k{n}")
    one, two = FakeSender(), FakeSender()
    await asyncio.gather(*(send_notices(stage.db, sender, now=DUE) for sender in (one, two)))
    handed = [sent.notice_id for sent in one.handed + two.handed]
    assert len(handed) == len(set(handed)) == 12


async def test_a_notice_that_was_put_back_is_tried_again_at_its_time(stage):
    await notice(stage, await stage.nurse())
    sender = FakeSender(PutBack(5 * MINUTE, "flood"))
    for minute, tries in ((0, 1), (4, 1), (6, 2), (7, 2)):
        await send_notices(stage.db, sender, now=DUE + minute * MINUTE)
        assert len(sender.handed) == tries
    assert [row.outcome for row in await notices(stage, "digest")] == ["sent"]


@pytest.mark.parametrize("result", [TIMEOUT, RuntimeError("bug")])
async def test_a_notice_that_may_have_been_sent_is_never_repeated(stage, result):
    await notice(stage, await stage.nurse())
    sender = FakeSender(result)
    for minute in range(20):
        await send_notices(stage.db, sender, now=DUE + minute * MINUTE)
    assert len(sender.handed) == 1
    assert [row.outcome for row in await notices(stage, "digest")] == ["unknown"]


async def test_a_notice_that_is_too_old_is_let_go(stage):
    await notice(stage, await stage.nurse())
    sender = FakeSender()
    await send_notices(stage.db, sender, now=DUE + timedelta(hours=1))
    assert sender.handed == []


async def test_a_crash_leaves_a_notice_unknown(stage):
    await notice(stage, await stage.nurse())
    sender = FakeSender()

    async def killed():
        raise asyncio.CancelledError

    sender.meanwhile = killed
    with pytest.raises(asyncio.CancelledError):
        await send_notices(stage.db, sender, now=DUE)
    assert await recover(stage.db, now=DUE + MINUTE) == 1
    assert [row.outcome for row in await notices(stage, "digest")] == ["unknown"]


async def test_after_a_break_everything_open_is_asked_in_one_message(stage):
    amina = await stage.joined()
    now = cairo("2026-11-24 20:30")  # the infusion of 09:00 is still open until 23:00
    sender = FakeSender()
    count = await record_outage(stage.db, kind="service", began_at=cairo("2026-11-24 08:00"), ended_at=now, now=now)
    await send_due(stage.db, sender, now=now)
    assert (count, sender.handed) == (2, [])

    await send_notices(stage.db, sender, now=now)
    (asked,) = sender.handed
    assert (asked.kind, asked.patient_id, len(asked.details["slots"])) == ("reask", amina.id, 2)
    await send_notices(stage.db, sender, now=now + MINUTE)
    await send_due(stage.db, sender, now=now + MINUTE)
    assert len(sender.handed) == 1
    assert (await rating(stage, amina)).prompted_at is not None


async def test_after_a_break_at_night_the_question_waits_for_the_morning(stage):
    await stage.joined()
    now = cairo("2026-11-25 02:00")
    await record_outage(stage.db, kind="service", began_at=DUE - 5 * MINUTE, ended_at=now, now=now)
    sender = FakeSender()
    for at in (now, cairo("2026-11-25 06:59")):
        await send_notices(stage.db, sender, now=at)
        await send_due(stage.db, sender, now=at)
    assert sender.handed == []
    await send_notices(stage.db, sender, now=cairo("2026-11-25 07:00"))
    assert len(sender.handed) == 1


async def test_after_a_break_nobody_is_asked_who_has_nothing_open(stage, amina):
    now = cairo("2026-11-24 19:00")
    await give_infusion_answer(stage, amina)
    count = await record_outage(stage.db, kind="intake", began_at=now - 60 * MINUTE, ended_at=now, now=now)
    assert (count, await notices(stage, "reask")) == (0, [])


async def give_infusion_answer(stage, patient):
    at = cairo("2026-11-24 09:30")
    async with stage.db.read() as conn:
        slots = await ledger.slots_of_patient(conn, patient.id, now=at)
    slot = next(s for s in slots if s.item == "infusion")
    arrival = Arrival("button", at)
    await record_answer(stage.db, patient_id=patient.id, slot_id=slot.id, answer=TAKEN, arrival=arrival, now=at)
