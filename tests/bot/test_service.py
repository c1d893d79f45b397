import asyncio
import sqlite3

import pytest

from bot.application import build_bot
from bot.request import LeanRequest
from bot.service import Service, TokenRefusedError
from rehearsal.server import Server
from rehearsal.telegram import TOKEN, Telegram
from tests.cast import T0


@pytest.mark.parametrize("token", [TOKEN, "123456:not-a-bots-token"])
async def test_a_service_that_fails_to_start_closes_its_clients(db, monkeypatch, token):
    async def refuses(*_args, **_named):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("bot.service.note_bot", refuses)
    telegram = Telegram(lambda: T0)
    telegram.bot()
    clients = LeanRequest(), LeanRequest()
    async with Server(telegram) as server:
        bot = build_bot(token, server.url)
        bot._request = clients
        with pytest.raises((sqlite3.OperationalError, TokenRefusedError)):
            await Service(db, bot, lambda: T0).run(asyncio.Event())
    assert [client._session for client in clients] == [None, None]
