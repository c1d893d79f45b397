"""Reminders going out: as fast as they can, and at the pace Telegram permits."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import Figure, Rounds, spread
from bench.ground import BareBot, BareFile, Going, serving
from bench.ledgers import FIRST_CHAT, Ledgers
from bench.standin import TOKEN, Handle, stand_in
from bot.limiter import Pacer
from diary import Database
from protocol.calendar import instant
from protocol.values import parse_wall
from schedules.dispatcher import BATCH

_START = date(2026, 11, 24)
_SLOW = 0.08
_EVENING = instant(_START, parse_wall("20:00"), "Africa/Cairo")


async def _people(path: Path, patients: int) -> Database:
    """A database in which so many patients are to be asked at 20:00."""
    ledgers = Ledgers(path, int(TOKEN.partition(":")[0]), [_START])
    await ledgers.set_up()
    ledgers.fill(patients, as_of=_EVENING)
    db = ledgers.database()
    await db.open()
    return db


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """How many nudges a second go out when nothing holds them back, due all at one instant."""
    patients = 150 if quick else 2000
    db = await _people(folder / "nudges.db", patients)
    try:
        async with stand_in() as api:
            clock = Going(_EVENING + timedelta(seconds=1))
            async with serving(db, api, clock, Pacer(per_bot=None, per_chat=None)) as service:
                with BareFile(folder / "floor.db") as file:
                    began = time.monotonic()
                    await service.tick()
                    ours = [patients / (time.monotonic() - began)]
                    bare = [await _bare_rate(api, file, patients)]
            counts = await api.counts()
            assert counts["sendMessage"] == patients * 2, counts
    finally:
        await db.close()
    _check(folder / "nudges.db", patients)
    rates = Rounds(ours, bare)
    return [
        Figure(
            f"nudges per second, limiter off, {patients:,} due at one instant",
            f"{spread(ours, 0)}/s",
            f"{median(bare):.0f}/s: bare aiohttp, {BATCH} at once, one durable commit each",
            rates.inverse().said(),
        )
    ]


async def _bare_rate(api: Handle, file: BareFile, count: int) -> float:
    left = list(range(count))

    async with BareBot(api, file) as bot:

        async def worker() -> None:
            while left:
                await bot.send(_question(FIRST_CHAT + 1_000_000 + left.pop()))

        began = time.monotonic()
        await asyncio.gather(*(worker() for _ in range(BATCH)))
        return count / (time.monotonic() - began)


def _question(chat_id: int) -> dict[str, Any]:
    """What the diary sends for a rating, of the same size."""
    keys = [{"text": str(score), "callback_data": f"s.123456.{score}~abcdefghijkl"} for score in range(11)]
    later = [{"text": "Later", "callback_data": "l.123456~abcdefghijkl"}]
    return {
        "chat_id": chat_id,
        "text": "How strong is your pain now?\nFor Tue 24 Nov, 20:00.\n0 = no pain, 10 = the worst pain there is",
        "reply_markup": {"inline_keyboard": [keys[:6], keys[6:], later]},
        "link_preview_options": {"is_disabled": True},
    }


def _check(path: Path, patients: int) -> None:
    with sqlite3.connect(path) as connection:
        sent = connection.execute("SELECT count(*) FROM sends WHERE outcome = 'sent'").fetchone()[0]
    connection.close()
    assert sent == patients, f"{sent} recorded as sent, of {patients}"


async def measure_limiter(folder: Path, *, quick: bool) -> list[Figure]:
    """How much of the permitted rate is used, and how much the busiest second has, where Telegram counts."""
    seconds = 3 if quick else 12
    figures = []
    for rate in (25,) if quick else (25, 200):
        for delay in (_SLOW,) if quick else (0.0, _SLOW):
            db = await _people(folder / f"limiter-{rate}-{delay}.db", rate * seconds)
            try:
                figures.append(await _paced(db, rate, rate * seconds, delay))
            finally:
                await db.close()
    return figures


async def _paced(db: Database, rate: int, patients: int, delay: float) -> Figure:
    async with stand_in() as api:
        await api.delay(delay)
        clock = Going(_EVENING + timedelta(seconds=1))
        async with serving(db, api, clock, Pacer(per_bot=float(rate))) as service:
            await service.tick()
        times = sorted((await api.received())["sendMessage"])
    assert len(times) == patients, f"{len(times)} of {patients} arrived"
    share, busiest = share_of(rate, times), busiest_second(times)
    told = "at once" if not delay else f"in {delay * 1000:.0f} ms"
    return Figure(
        f"limiter at {rate}/s, API answers {told}: share, busiest second",
        f"{share:.3f}, {busiest} messages = {busiest / rate:.2f}",
        f"the permitted {rate}/s, at the stand-in's receipt",
        f"{share:.3f}",
        ">= 0.95, <= 1.05",
        share >= 0.95 and busiest <= 1.05 * rate,
    )


def share_of(rate: float, times: Sequence[float]) -> float:
    """The rate at which they arrived, as a share of what is permitted."""
    return (len(times) - 1) / (times[-1] - times[0]) / rate


def busiest_second(times: Sequence[float]) -> int:
    """The most that arrived within any one second."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most
