"""A crash between an answer's commit and the end of its handling: the update is handled again at the next start."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson

from bot.application import Chat, build_bot
from diary import Database
from diary.arrivals import Waiting, keep
from rehearsal.clock import Clock
from rehearsal.inprocess import API, InProcessRequest
from rehearsal.telegram import TOKEN, Telegram
from tests.process.deployment import BOT_ID, enrol, trial_in

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


async def _scores_after_a_replay(db: Database, folder: Path, *, ratings: int) -> list[tuple[str, int]]:
    """Let a patient write 7 while so many ratings are open, handle it twice, and give what is recorded."""
    protocol = folder / "kept.toml"
    protocol.write_text(trial_in("Etc/GMT", ratings=ratings))
    telegram = Telegram(Clock(NOON))
    account, person = telegram.bot(), telegram.person("P-001")
    await enrol(db, protocol, "Etc/GMT", [person], now=NOON)
    chat = Chat(db, build_bot(TOKEN, API, request=InProcessRequest(telegram)), telegram.clock)
    await chat.application.initialize()
    person.type("7")
    bodies = [update.raw.encode() for update in account.updates.pending()]
    numbered = [(int(orjson.loads(body)["update_id"]), body) for body in bodies]
    (waiting,) = await keep(db, bot_id=BOT_ID, updates=numbered, now=NOON)
    await _twice(chat, waiting)
    await chat.application.shutdown()
    async with db.read() as conn:
        found = await conn.exec_driver_sql("SELECT s.item, e.score FROM entries e JOIN slots s ON s.id = e.slot_id")
        return [(str(item), int(score)) for item, score in found]


async def _twice(chat: Chat, waiting: Waiting) -> None:
    for _ in range(2):
        async with asyncio.timeout(5):
            await chat.work(waiting)


async def test_a_number_that_is_handled_again_after_a_crash_is_recorded_once(db: Database, tmp_path: Path):
    assert await _scores_after_a_replay(db, tmp_path, ratings=1) == [("rating-0", 7)]


async def test_a_number_that_is_handled_again_while_two_ratings_are_open_is_recorded_once(
    db: Database, tmp_path: Path
):
    assert len(await _scores_after_a_replay(db, tmp_path, ratings=2)) == 1
