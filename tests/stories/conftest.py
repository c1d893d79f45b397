"""A world for each story."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rehearsal.clock import Clock
from rehearsal.telegram import Telegram
from tests.cast import T0, Stage
from tests.world import World, living


@pytest.fixture
async def world(stage: Stage) -> AsyncIterator[World]:
    """A running diary with nobody in it yet."""
    async with living(stage) as world:
        yield world


@pytest.fixture
def short_pauses(monkeypatch):
    """Real time stands for nothing here."""
    monkeypatch.setattr("bot.application._PAUSES", (0.001, 0.001))
    monkeypatch.setattr("bot.application._TELEGRAM_PAUSES", (0.001,) * 12)
    monkeypatch.setattr("bot.application._DATABASE_PAUSES", (0.02,))
    for place in ("bot.limiter.wait_of", "bot.application.wait_of"):
        monkeypatch.setattr(place, lambda _exc: timedelta(milliseconds=5))
    monkeypatch.setattr("bot.limiter.FLOOD_MARGIN_SECONDS", 0.0)
    monkeypatch.setattr("bot.service._FINISH_SECONDS", 0.05)


@pytest.fixture
async def stopped(stage: Stage):
    """A world in which no service runs yet."""
    clock = Clock(T0)
    telegram = Telegram(clock)
    yield World(stage, clock, telegram, telegram.bot(), None)
    await telegram.close()
