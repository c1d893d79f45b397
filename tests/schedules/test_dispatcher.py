import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from diary import SYSTEM, PatientStatus
from diary.alerts import note_reachable
from diary.answers import Arrival, record_answer, scored
from diary.enrolment import change_status, move_phase
from diary.joining import choose_zone
from diary.service import record_outage
from protocol.calendar import next_nudge
from schedules import dispatcher
from schedules.dispatcher import BATCH, recover, send_due, send_notices
from schedules.sending import PutBack, Refusal, Refused, Sent, Unknown
from storage import sends as send_record
from storage import slots as ledger
from storage import tables
from storage.audit import Audit, write_audit
from tests.cast import AMINA_CHAT, Stage, cairo
from tests.schedules.senders import BLOCKED, MINUTE, FakeSender

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


@pytest.fixture
async def amina(stage: Stage):
    """Amina, who has been asked for nothing but her evening rating."""
    amina = await stage.joined()
    await without(stage, amina, "infusion")
    return amina


async def without(stage, patient, item):
    """Let one item's messages go, so that the test sees the other."""
    async with stage.db.write() as conn:
        s = tables.slots
        await conn.execute(
            update(s).where(s.c.patient_id == patient.id, s.c.item == item).values(next_nudge_at=None)
        )


async def give(stage, patient, slot, at):
    await record_answer(
        stage.db, patient_id=patient.id, slot_id=slot.id, answer=scored(4), arrival=Arrival("button", at), now=at
    )


# --- what can become of a message -----------------------------------------------------------------------------


async def test_a_due_nudge_is_sent_and_the_next_of_its_ladder_planned(stage, amina):
    sender = FakeSender(Sent(77))
    assert await send_due(stage.db, sender, now=DUE) is False

    slot = await rating(stage, amina)
    assert [(nudge.slot_id, nudge.nudges, nudge.language) for nudge in sender.handed] == [(slot.id, 0, "en")]
    assert await outcomes(stage, slot) == [(0, "sent", None)]
    assert (slot.nudges, slot.next_nudge_at) == (1, DUE + 45 * MINUTE)
    assert slot.prompted_at is not None
    async with stage.db.read() as conn:
        assert await send_record.prompt_messages(conn, slot.id) == [77]


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


# --- what forbids a message -----------------------------------------------------------------------------------


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
    """What goes out when something happens after the due messages were found."""
    find = ledger.due_nudges

    async def find_then(conn, **asked):
        found = await find(conn, **asked)
        assert found
        await happens()
        return found

    sender = FakeSender()
    with monkeypatch.context() as patched:
        patched.setattr(dispatcher.ledger, "due_nudges", find_then)
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
    for minute in range(0, 11 * 60, 1):
        await send_due(stage.db, sender, now=DUE + minute * MINUTE)
    nights = [n.next_nudge_at for n in sender.handed if n.next_nudge_at > cairo("2026-11-24 22:40")]
    assert [at for at in nights if at < cairo("2026-11-25 07:00")] == []
    assert len(sender.handed) > 20


async def test_a_message_whose_window_ends_before_the_morning_is_let_go(stage, amina):
    async with stage.db.write() as conn:
        s = tables.slots
        await conn.execute(
            update(s).where(s.c.item == "pain").values(closes_at=cairo("2026-11-25 06:00"))
        )
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


# --- batches, crashes, two at once ----------------------------------------------------------------------------


async def crowd(stage, count):
    everybody = [await stage.joined(f"P-{n:03}", chat=5000 + n) for n in range(count)]
    for one in everybody:
        await without(stage, one, "infusion")
    return everybody


async def test_a_batch_says_whether_there_may_be_more(stage):
    await crowd(stage, BATCH + 2)
    sender = FakeSender()
    assert await send_due(stage.db, sender, now=DUE) is True
    assert len(sender.handed) == BATCH
    assert await send_due(stage.db, sender, now=DUE) is False
    assert len({nudge.slot_id for nudge in sender.handed}) == BATCH + 2


async def test_two_dispatchers_at_once_send_each_message_once(stage):
    await crowd(stage, 20)
    one, two = FakeSender(), FakeSender()
    await asyncio.gather(
        *(send_due(stage.db, sender, now=DUE) for sender in (one, two, one, two))
    )
    handed = [nudge.slot_id for nudge in one.handed + two.handed]
    assert len(handed) == len(set(handed)) == 20


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
        stage.db, code="P-001", phase="iv", start=date(2026, 11, 26), actor=SYSTEM, reason="ill", now=DUE - 60 * MINUTE
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


async def protocol_of_stage(stage):
    async with stage.db.read() as conn:
        return await dispatcher.protocol_of(stage.db, conn, stage.protocol_id)


# --- notices --------------------------------------------------------------------------------------------------


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
    for n in range(20):
        await notice(stage, nour, key=f"k{n}")
    one, two = FakeSender(), FakeSender()
    await asyncio.gather(*(send_notices(stage.db, sender, now=DUE) for sender in (one, two)))
    handed = [sent.notice_id for sent in one.handed + two.handed]
    assert len(handed) == len(set(handed)) == 20


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
    sender = FakeSender(asyncio.CancelledError())

    async def killed():
        raise asyncio.CancelledError

    sender.meanwhile = killed
    with pytest.raises(asyncio.CancelledError):
        await send_notices(stage.db, sender, now=DUE)
    assert await recover(stage.db, now=DUE + MINUTE) == 1
    assert [row.outcome for row in await notices(stage, "digest")] == ["unknown"]


# --- after a break --------------------------------------------------------------------------------------------


async def test_after_a_break_everything_open_is_asked_in_one_message(stage):
    amina = await stage.joined()
    now = cairo("2026-11-24 20:30")  # the infusion of 09:00 is still open until 23:00
    sender = FakeSender()
    count = await record_outage(
        stage.db, kind="service", began_at=cairo("2026-11-24 08:00"), ended_at=now, now=now
    )
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
    await record_answer(
        stage.db,
        patient_id=patient.id,
        slot_id=slot.id,
        answer=dispatcher_taken(),
        arrival=Arrival("button", at),
        now=at,
    )


def dispatcher_taken():
    from diary.answers import TAKEN

    return TAKEN


def test_the_chat_of_the_cast_is_no_secret_of_a_nudge():
    assert AMINA_CHAT
