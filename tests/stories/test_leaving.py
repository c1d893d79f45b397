"""Nothing goes out after the commit of a withdrawal, not even what was claimed and waited for its turn."""

import asyncio
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from bot.limiter import Pacer
from bot.outcomes import look_once_more
from bot.sender import NoticeSender, NudgeSender, Senders
from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status, invite_patient, patient_id_of
from diary.joining import join
from schedules.dispatcher import send_due, send_notices
from storage import sends, tables
from tests.cast import BOT, Stage
from tests.schedules.scenes import without
from tests.stories.scenes import EVENING, MINUTE


class SlowBot:
    """A bot with room for one message at a time: the first is on the wire until it is let go, the others wait."""

    id = BOT

    def __init__(self) -> None:
        self.pacer = Pacer(per_bot=None, per_chat=None, in_flight=1)
        self.written_to: list[int] = []
        self.began, self.goes_on = asyncio.Event(), asyncio.Event()

    async def send_message(self, chat_id, _text, *, rate_limit_args, **_rest):
        call = (self._answer, (chat_id,), {}, "sendMessage", {"chat_id": chat_id}, rate_limit_args)
        return await self.pacer.process_request(*call)

    async def _answer(self, chat_id):
        await look_once_more()  # as every client does before it writes
        self.written_to.append(chat_id)
        self.began.set()
        await self.goes_on.wait()
        return SimpleNamespace(message_id=1)


@pytest.fixture
async def bot():
    return SlowBot()


@pytest.fixture
async def everybody(stage: Stage):
    """Three patients who are due for the same question at the same moment."""
    found = [await stage.joined(f"P-00{n}", chat=1000 + n) for n in (1, 2, 3)]
    for one in found:
        await without(stage, one, "infusion")
    return found


async def become(stage, code, status=PatientStatus.WITHDRAWN):
    patient_id = await patient_id_of(stage.db, code)
    now = EVENING + MINUTE
    await change_status(stage.db, patient_id=patient_id, status=status, actor=SYSTEM, reason="asked", now=now)


def senders(stage, bot):
    return Senders(stage.db, {BOT: bot}, lambda: EVENING)


async def sent_while(stage, bot, happens, sending):
    """Let something happen while one message is on the wire and the others wait for their turn."""
    under_way = asyncio.create_task(sending)
    await asyncio.wait_for(bot.began.wait(), 5)
    await happens()
    bot.goes_on.set()
    await under_way
    return bot.written_to


async def ends(stage, table=tables.sends):
    async with stage.db.read() as conn:
        query = select(table.c.patient_id, table.c.outcome, table.c.detail).order_by(table.c.id)
        return {row.patient_id: (row.outcome, row.detail) for row in await conn.execute(query)}


@pytest.mark.parametrize("status", [PatientStatus.WITHDRAWN, PatientStatus.PAUSED])
async def test_who_leaves_or_pauses_while_a_claimed_reminder_waits_for_its_turn_gets_none(
    stage, bot, everybody, status
):
    async def leaves():
        await become(stage, "P-002", status)

    written_to = await sent_while(
        stage, bot, leaves, send_due(stage.db, NudgeSender(senders(stage, bot)), now=EVENING)
    )
    assert sorted(written_to) == [1001, 1003]
    assert bot.pacer.figures().in_flight == 0
    assert await ends(stage) == {1: ("sent", None), 2: ("put back", status.value), 3: ("sent", None)}
    for minute in (1, 46, 91):
        await send_due(stage.db, NudgeSender(senders(stage, bot)), now=EVENING + minute * MINUTE)
    assert 1002 not in bot.written_to


async def test_who_leaves_between_the_claim_and_the_sending_gets_none(stage, bot, everybody):
    class Leaving(NudgeSender):
        async def send(self, nudge):
            await become(stage, f"P-00{nudge.patient_id}")
            return await super().send(nudge)

    await send_due(stage.db, Leaving(senders(stage, bot)), now=EVENING)
    assert bot.written_to == []
    assert await ends(stage) == dict.fromkeys((1, 2, 3), ("put back", "withdrawn"))


async def test_a_chat_that_was_left_for_another_is_not_written_to_and_the_new_one_is(stage, bot, everybody):
    async def moves():
        invite = await invite_patient(stage.db, code="P-002", actor=SYSTEM, now=EVENING)
        await join(stage.db, bot_id=BOT, chat_id=2002, token=invite.token, now=EVENING)

    sender = NudgeSender(senders(stage, bot))
    written_to = await sent_while(stage, bot, moves, send_due(stage.db, sender, now=EVENING))
    assert sorted(written_to) == [1001, 1003]
    assert (await ends(stage))[2] == ("put back", "another chat")
    await send_due(stage.db, sender, now=EVENING + MINUTE)
    assert bot.written_to[2:] == [2002]


async def test_who_leaves_while_a_notice_waits_for_its_turn_gets_none(stage, bot, everybody):
    about = {"slots": [], "began": EVENING.isoformat(), "ended": EVENING.isoformat()}
    async with stage.db.write() as conn:
        for one in everybody:
            await sends.add_notice(
                conn, patient_id=one.id, kind="reask", key="k", details=about, at=EVENING,
                expires_at=EVENING + 60 * MINUTE,
            )  # fmt: skip

    async def leaves():
        await become(stage, "P-003")

    sender = NoticeSender(senders(stage, bot))
    written_to = await sent_while(stage, bot, leaves, send_notices(stage.db, sender, now=EVENING))
    assert sorted(written_to) == [1001, 1002]
    assert (await ends(stage, tables.notices))[3] == ("put back", "withdrawn")
    await send_notices(stage.db, sender, now=EVENING + 5 * MINUTE)
    assert len(bot.written_to) == 2


async def test_who_cannot_be_asked_for_is_not_written_to_yet(stage, bot, everybody, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise OSError

    sender = NudgeSender(senders(stage, bot))
    bot.goes_on.set()
    with monkeypatch.context() as patched:
        patched.setattr("bot.sender.why_not_written_to", broken)
        await send_due(stage.db, sender, now=EVENING)
    assert bot.written_to == []
    assert set((await ends(stage)).values()) == {("put back", "not asked")}
    await send_due(stage.db, sender, now=EVENING + MINUTE)
    assert len(bot.written_to) == 3
