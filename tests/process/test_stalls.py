"""Telegram takes the connection and never answers: the poll ends by its own limit, and stopping does not wait."""

import asyncio

import pytest

from bot.application import build_bot
from bot.request import LeanRequest
from bot.service import Service
from cli.wiring import clock
from diary import Database
from rehearsal.faults import silent
from rehearsal.server import Server
from rehearsal.telegram import TOKEN, Telegram

GRACE_SECONDS = 0.2


@pytest.fixture
async def telegram():
    return Telegram(clock)


def _service(db: Database, api: str) -> Service:
    bot = build_bot(TOKEN, api, request=LeanRequest(read=GRACE_SECONDS))
    return Service(db, bot, clock, poll_seconds=1, grace_seconds=GRACE_SECONDS)


async def test_a_poll_that_is_never_answered_is_given_up_in_time_and_the_next_one_hears(
    db: Database, telegram: Telegram
):
    account, stop = telegram.bot(), asyncio.Event()
    async with Server(telegram) as server:
        running = asyncio.create_task(_service(db, server.url).run(stop))
        telegram.faults.next(silent(carried_out=False), method="getUpdates", times=2)
        telegram.person("Amina").press_start(account)
        began = asyncio.get_running_loop().time()
        await telegram.until(lambda: telegram.calls("sendMessage"), seconds=10)
        # Two polls of 0.2 s given up, the pauses between them, and the answer.
        assert asyncio.get_running_loop().time() - began < 5
        assert not account.updates.pending()
        stop.set()
        await running


async def test_told_to_stop_while_telegram_answers_nothing_from_the_start_it_stops(
    db: Database, telegram: Telegram
):
    telegram.bot()
    telegram.faults.when(lambda _call: True, silent(carried_out=False))
    stop = asyncio.Event()
    async with Server(telegram) as server:
        running = asyncio.create_task(_service(db, server.url).run(stop))
        await telegram.until(lambda: telegram.calls("getMe"))
        stop.set()
        async with asyncio.timeout(2):
            await running
