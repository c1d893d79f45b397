from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from rehearsal.accounts import Account
from rehearsal.clock import Clock
from rehearsal.people import Person
from rehearsal.telegram import Telegram

Call = Callable[..., Awaitable[Any]]


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 1, 8, 0, tzinfo=UTC))


@pytest.fixture
async def telegram(clock):
    telegram = Telegram(clock)
    yield telegram
    await telegram.close()


@pytest.fixture
def bot(telegram) -> Account:
    return telegram.bot()


@pytest.fixture
def stranger(telegram, bot) -> Person:
    return telegram.person("Amina", language_code="ar")


@pytest.fixture
def amina(stranger, bot) -> Person:
    """A patient who pressed Start; her /start is confirmed."""
    stranger.press_start(bot)
    bot.updates.clear()
    return stranger


@pytest.fixture
def call(telegram, bot) -> Call:
    """Call the Bot API; the answer's `result`, or the whole refusal."""

    async def call(method: str, **fields: Any) -> Any:
        answer = await telegram.call(bot.token, method, fields)
        body = orjson.loads(answer.body)
        return body["result"] if body["ok"] else body

    return call
