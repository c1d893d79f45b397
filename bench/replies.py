"""From a tap to its receipt: the update is handed out, the entry is durable, the acknowledgement is answered."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from bench.figures import Figure, Rounds, percentile, spread
from bench.ground import BareBot, BareFile, Going, serving, ticking
from bench.ledgers import Ledgers, chat_of
from bench.standin import FLOOR_TOKEN, TOKEN, Handle, stand_in
from bot.limiter import Pacer
from diary import Database
from protocol.calendar import instant
from protocol.values import parse_wall
from schedules.dispatcher import send_due

_START = date(2026, 11, 24)
_EVENING = instant(_START, parse_wall("20:00"), "Africa/Cairo")
_AT_ONCE = 32
_SLOW = 0.08


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How many rounds, and how many taps in each."""

    rounds: int
    alone: int
    slow: int
    together: int


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """Latency one tap at a time, on bare loopback and with 80 ms at Telegram; then 32 patients side by side."""
    rounds, alone, slow, together = (2, 20, 8, 48) if quick else (5, 60, 25, 160)
    patients = rounds * (alone + slow + together)
    ledgers = Ledgers(folder / "replies.db", int(TOKEN.partition(":")[0]), [_START])
    await ledgers.set_up()
    ledgers.fill(patients, as_of=_EVENING)
    chats = iter([chat_of(number) for number in range(1, patients + 1)])
    db = ledgers.database()
    await db.open()
    try:
        async with stand_in() as api:
            with BareFile(folder / "floor.db") as file:
                figures = await _all(db, api, file, chats, _Sizes(rounds, alone, slow, together))
    finally:
        await db.close()
    _check(ledgers.path, patients)
    return figures


async def _all(db: Database, api: Handle, file: BareFile, chats: Iterator[int], sizes: _Sizes) -> list[Figure]:
    clock = Going(_EVENING + timedelta(seconds=1))
    async with serving(db, api, clock, Pacer(per_bot=None, per_chat=None)) as service:

        async def send() -> None:
            while await send_due(db, service.nudges, now=clock()):
                pass

        await send()
        async with ticking(send):
            quick_ones = await _one_by_one(api, file, chats, sizes.rounds, sizes.alone)
            await api.delay(_SLOW)
            slow_ones = await _one_by_one(api, file, chats, sizes.rounds, sizes.slow)
            await api.delay(0.0)
            rates = await _side_by_side(api, file, chats, sizes.rounds, sizes.together)
            commits = [_timed_commit(file) for _ in range(100)]
    floor = "bare poll + one durable commit + one bare aiohttp call"
    return [
        Figure("one durable commit of one row by sqlite3: p50", f"{median(commits):.2f} ms"),
        *_latency("reply, API answers at once", quick_ones, floor, aim=6.0),
        *_latency("reply, API answers in 80 ms", slow_ones, floor, aim=1.1),
        Figure(
            f"replies per second, {_AT_ONCE} side by side",
            f"{spread(rates.measured, 0)}/s",
            f"{median(rates.floor):.0f}/s: the same floor, {_AT_ONCE} side by side",
            rates.inverse().said(),
        ),
    ]


async def _one_by_one(
    api: Handle, file: BareFile, chats: Iterator[int], rounds: int, count: int
) -> list[tuple[list[float], list[float]]]:
    """Rounds of the diary and of the floor in turn, so that a noisy spell hits both."""
    found: list[tuple[list[float], list[float]]] = []
    for _ in range(rounds):
        group = [next(chats) for _ in range(count)]
        ours = await api.tap(TOKEN, group, at_once=1)
        async with BareBot(api, file):
            bare = await api.tap(FLOOR_TOKEN, group, at_once=1)
        found.append((ours["latencies"], bare["latencies"]))
    return found


async def _side_by_side(api: Handle, file: BareFile, chats: Iterator[int], rounds: int, count: int) -> Rounds:
    ours, bare = [], []
    for _ in range(rounds):
        group = [next(chats) for _ in range(count)]
        ours.append(count / (await api.tap(TOKEN, group, at_once=_AT_ONCE))["seconds"])
        await asyncio.sleep(0.2)
        async with BareBot(api, file):
            bare.append(count / (await api.tap(FLOOR_TOKEN, group, at_once=_AT_ONCE))["seconds"])
    return Rounds(ours, bare)


def _latency(name: str, found: list[tuple[list[float], list[float]]], floor: str, *, aim: float) -> list[Figure]:
    rounds = Rounds([median(ours) * 1000 for ours, _ in found], [median(bare) * 1000 for _, bare in found])
    ours = [value * 1000 for values, _ in found for value in values]
    bare = [value * 1000 for _, values in found for value in values]
    return [
        Figure(
            f"{name}: p50",
            f"{spread(rounds.measured)} ms",
            f"{median(rounds.floor):.2f} ms: {floor}",
            rounds.said(),
            f"<= {aim}x",
            rounds.ratio <= aim,
        ),
        Figure(
            f"{name}: p99",
            f"{percentile(ours, 0.99):.2f} ms",
            f"{percentile(bare, 0.99):.2f} ms: the same",
            f"{percentile(ours, 0.99) / percentile(bare, 0.99):.2f}",
        ),
    ]


def _timed_commit(file: BareFile) -> float:
    began = time.perf_counter()
    file.keep(b"x" * 300)
    return (time.perf_counter() - began) * 1000


def _check(path: Path, patients: int) -> None:
    """Every tap that was acknowledged is an entry, and its update has left the inbox."""
    with sqlite3.connect(path) as connection:
        entries = connection.execute("SELECT count(*) FROM entries WHERE answer = 'score' AND score = 7").fetchone()
        waiting = connection.execute("SELECT count(*) FROM inbox WHERE done_at IS NULL").fetchone()
    connection.close()
    assert entries[0] == patients, f"{entries[0]} entries for {patients} taps"
    assert waiting[0] == 0, f"{waiting[0]} updates not finished"
