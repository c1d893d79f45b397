from datetime import timedelta

import pytest

from diary.alerts import note_reachable
from schedules.dispatcher import send_due
from schedules.sending import PutBack, Refusal, Refused, Sent
from storage import sends as send_record
from tests.schedules.scenes import DUE, TIMEOUT, give, notices, outcomes, rating, reachable, without
from tests.schedules.senders import BLOCKED, MINUTE, FakeSender


async def test_a_due_nudge_is_sent_and_the_next_of_its_ladder_planned(stage, amina):
    sender = FakeSender(Sent(77))
    assert await send_due(stage.db, sender, now=DUE) is False

    slot = await rating(stage, amina)
    assert [(nudge.slot_id, nudge.nudges, nudge.language) for nudge in sender.handed] == [(slot.id, 0, "en")]
    assert await outcomes(stage, slot) == [(0, "sent", None)]
    assert (slot.nudges, slot.next_nudge_at) == (1, DUE + 45 * MINUTE)
    assert slot.prompted_at is not None
    async with stage.db.read() as conn:
        assert await send_record.settle_answered(conn, slot.id, amina.id, now=DUE) == [77]


async def test_the_whole_ladder_goes_out_and_nothing_after_it(stage, amina):
    sender = FakeSender()
    for minute in range(0, 16 * 60, 5):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)

    slot = await rating(stage, amina)
    assert [nudge.next_nudge_at - DUE for nudge in sender.handed] == [0 * MINUTE, 45 * MINUTE, 90 * MINUTE]
    assert (slot.nudges, slot.next_nudge_at) == (3, None)


async def test_before_its_time_nothing_is_sent(stage, amina):
    sender = FakeSender()
    assert await send_due(stage.db, sender, now=DUE - timedelta(seconds=1)) is False
    assert sender.handed == []


async def test_a_blocked_chat_is_noted_staff_are_told_and_it_is_asked_again_when_it_opens(stage, amina):
    nour = await stage.nurse()
    sender = FakeSender(BLOCKED)
    await send_due(stage.db, sender, now=DUE)

    slot = await rating(stage, amina)
    assert await reachable(stage, amina) == "blocked"
    assert await outcomes(stage, slot) == [(0, "refused", "blocked")]
    ((staff_id, _, details, _),) = await notices(stage, "alert")
    assert (staff_id, details["rule"], details["code"], details["because"]) == (
        nour, "unreachable", "P-001", "blocked",
    )  # fmt: skip

    await send_due(stage.db, sender, now=DUE + 5 * MINUTE)
    assert len(sender.handed) == 1  # nobody writes to a blocked chat

    (contact,) = [nudge.contact_id for nudge in sender.handed]
    await note_reachable(stage.db, contact_id=contact, now=DUE + 10 * MINUTE)
    await send_due(stage.db, sender, now=DUE + 10 * MINUTE)
    assert len(sender.handed) == 2
    assert await outcomes(stage, slot) == [(0, "refused", "blocked"), (0, "sent", None)]


@pytest.mark.parametrize(
    ("reason", "kept"), [(Refusal.BLOCKED, "blocked"), (Refusal.GONE, "gone"), (Refusal.NOT_STARTED, "blocked")]
)
async def test_each_way_of_being_unreachable_is_kept(stage, amina, reason, kept):
    await send_due(stage.db, FakeSender(Refused(reason)), now=DUE)
    assert await reachable(stage, amina) == kept


async def test_a_message_at_fault_is_not_repeated_but_the_next_of_the_ladder_goes(stage, amina):
    sender = FakeSender(Refused(Refusal.BAD_REQUEST))
    for minute in (0, 1, 44, 45):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)
    assert await outcomes(stage, await rating(stage, amina)) == [(0, "refused", "bad request"), (1, "sent", None)]
    assert await reachable(stage, amina) == "yes"


async def test_a_refused_token_says_nothing_about_the_patient_and_is_tried_again(stage, amina):
    sender = FakeSender(Refused(Refusal.TOKEN))
    await send_due(stage.db, sender, now=DUE)
    assert await reachable(stage, amina) == "yes"
    await send_due(stage.db, sender, now=DUE + 2 * MINUTE)
    assert await outcomes(stage, await rating(stage, amina)) == [(0, "refused", "token"), (0, "sent", None)]


async def test_what_was_put_back_is_tried_again_at_its_time_and_not_before(stage, amina):
    sender = FakeSender(PutBack(7 * MINUTE, "flood"))
    await send_due(stage.db, sender, now=DUE)
    for minute, tries in ((1, 1), (6, 1), (8, 2), (9, 2)):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)
        assert len(sender.handed) == tries
    slot = await rating(stage, amina)
    assert await outcomes(stage, slot) == [(0, "put back", "flood"), (0, "sent", None)]
    assert (slot.nudges, slot.next_nudge_at) == (1, DUE + 45 * MINUTE)


async def test_what_may_have_been_sent_is_never_repeated_and_the_next_of_the_ladder_goes(stage, amina):
    sender = FakeSender(TIMEOUT)
    for minute in range(46):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)
    slot = await rating(stage, amina)
    assert await outcomes(stage, slot) == [(0, "unknown", "read timeout"), (1, "sent", None)]


async def test_an_answer_proves_that_an_unknown_message_arrived(stage, amina):
    await send_due(stage.db, FakeSender(TIMEOUT), now=DUE)
    slot = await rating(stage, amina)
    await give(stage, amina, slot, DUE + MINUTE)
    assert await outcomes(stage, slot) == [(0, "sent", "answered")]


async def test_a_sender_that_breaks_leaves_an_unknown_message_and_stops_no_other(stage, amina):
    basma = await stage.joined("P-002", chat=1002)
    await without(stage, basma, "infusion")
    sender = FakeSender(RuntimeError("no text of a patient in here"))
    await send_due(stage.db, sender, now=DUE)
    ends = [await outcomes(stage, await rating(stage, who)) for who in (amina, basma)]
    assert sorted(end[0][1:] for end in ends) == [("sent", None), ("unknown", "unexpected")]
