import asyncio
import sqlite3
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

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


async def test_where_the_trail_ends_is_kept_each_day_and_a_share_that_is_away_stops_nothing(stage, tmp_path):
    telegram = Telegram(lambda: T0)
    telegram.bot()
    now = [T0]
    file = tmp_path / "share" / "heads.txt"
    bot = build_bot(TOKEN, "http://127.0.0.1:9")
    service = Service(stage.db, bot, lambda: now[0], head_file=file)
    with capture_logs() as logs:
        await service.keep_head()
        await service.keep_head()  # in the same hour it is not tried again
    assert [(line["event"], line["log_level"], line["error"]) for line in logs] == [
        ("head_not_kept", "error", "No such file or directory")
    ]
    file.parent.mkdir()
    for _ in range(49):
        now[0] += timedelta(hours=1)
        await service.keep_head()
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == [
        "2026-11-23T09:00:00Z", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z",
    ]  # fmt: skip
    await bot.shutdown()
