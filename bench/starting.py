"""`daybook serve` with many patients' ledgers, and finding what is due among all their slots."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from bench.figures import Figure, Rounds, peak_memory_mb, spread
from bench.ledgers import KEY, PROTOCOL, Ledgers
from bench.standin import TOKEN, Handle, stand_in
from cli.wiring import clock
from diary import Database
from storage import slots as ledger

_IMPORTS = "import telegram.ext, sqlalchemy.ext.asyncio"
# A trial that has been taking people in for half a year, a few days apart.
_DAYS_BETWEEN_STARTS = 4
_DAYS_OF_STARTS = 180
_FIRST_TICKS_SECONDS = 5.0


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """Start beside many ledgers, then fill up and look for what is due."""
    patients, slots = (1_000, 200_000) if quick else (10_000, 2_000_000)
    now = clock()
    days = range(5 - _DAYS_OF_STARTS, 5, _DAYS_BETWEEN_STARTS)
    ledgers = Ledgers(
        folder / "many.db", int(TOKEN.partition(":")[0]), [now.date() + timedelta(days=day) for day in days]
    )
    await ledgers.set_up()
    began = time.monotonic()
    count = ledgers.fill(patients, as_of=now)
    print(f"  {patients:,} patients with {count:,} slots made in {time.monotonic() - began:.0f} s", flush=True)
    figures = await _starts(ledgers.path, patients, count, rounds=1 if quick else 5, assess=not quick)
    per_patient = count / patients
    count = ledgers.fill(int(slots / per_patient) + 1, as_of=now)
    return [*figures, *await _due(ledgers.database(), ledgers.path, count, now, quick=quick)]


async def _starts(path: Path, patients: int, count: int, *, rounds: int, assess: bool) -> list[Figure]:
    ours, bare, peaks, later_peaks, bare_peaks = [], [], [], [], []
    async with stand_in() as api:
        for turn in range(rounds):
            seconds, memory = await _imports()
            bare.append(seconds)
            bare_peaks.append(memory)
            last = turn == rounds - 1
            seconds, memory, later = await _one_start(path, api, stay=last)
            ours.append(seconds)
            peaks.append(memory)
            if last:
                later_peaks.append(later)
    times, memory = Rounds(ours, bare), Rounds(peaks, bare_peaks)
    name = f"daybook serve, {patients:,} patients, {count:,} slots"
    peak = max(*peaks, *later_peaks)
    return [
        Figure(
            f"{name}: start to first poll",
            f"{spread(ours)} s",
            f"{median(bare):.2f} s: python -c '{_IMPORTS}'",
            times.said(),
            "< 3 s",
            median(ours) < 3 if assess else None,
        ),
        Figure(
            f"{name}: peak memory",
            f"{spread(peaks, 0)} MB; {later_peaks[0]:.0f} MB after {_FIRST_TICKS_SECONDS:.0f} s",
            f"{median(bare_peaks):.0f} MB: the same imports",
            memory.said(),
            "< 250 MB",
            peak < 250 if assess else None,
        ),
    ]


async def _one_start(path: Path, api: Handle, *, stay: bool) -> tuple[float, float, float]:
    await api.received(forget=True)
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "daybook"),
        "serve",
        env={
            "PATH": os.environ.get("PATH", ""),
            "DAYBOOK_BOT_TOKEN": TOKEN,
            "DAYBOOK_TELEGRAM_API": api.url,
            "DAYBOOK_DATABASE_URL": f"sqlite:///{path}",
            "DAYBOOK_SECRET_KEY": KEY,
            "DAYBOOK_PROTOCOL": PROTOCOL,
            "DAYBOOK_WEB_PORT": "0",
            "DAYBOOK_LOG_LEVEL": "error",
        },
        cwd=path.parent,
        stderr=subprocess.DEVNULL,
    )
    try:
        await api.until(lambda counts: counts["getUpdates"] > 0)
        first_poll = (await api.received())["getUpdates"][0]
        memory = later = peak_memory_mb(process.pid)
        if stay:
            await asyncio.sleep(_FIRST_TICKS_SECONDS)
            later = peak_memory_mb(process.pid)
        return first_poll - began, memory, later
    finally:
        process.kill()
        await process.wait()


async def _imports() -> tuple[float, float]:
    """Start an interpreter, import the two libraries, say how much memory that took."""
    told = f"{_IMPORTS}; print([l for l in open('/proc/self/status') if l.startswith('VmHWM')][0].split()[1])"
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", told, stdout=subprocess.PIPE)
    said, _ = await process.communicate()
    return time.monotonic() - began, int(said) / 1024


async def _due(db: Database, path: Path, count: int, now: datetime, *, quick: bool) -> list[Figure]:
    await db.open()
    try:
        async with db.read() as conn:
            burst_at = await _fullest_instant(conn, now)
        many = await _due_at(db, burst_at)
        cases: list[tuple[str, Callable[[Any], Awaitable[object]]]] = [
            ("nothing is due", lambda conn: ledger.due_nudges(conn, now=now, limit=25)),
            (f"25 of {many:,} due at one instant", lambda conn: ledger.due_nudges(conn, now=burst_at, limit=25)),
            ("the next message's time", lambda conn: ledger.next_nudge_after(conn, now)),
        ]
        rounds = 3 if quick else 5
        return [
            await _found(db, path, f"among {count:,} slots: {name}", ask, rounds=rounds, assess=not quick)
            for name, ask in cases
        ]
    finally:
        await db.close()


async def _fullest_instant(conn: Any, now: datetime) -> datetime:
    """The instant of the next day at which most messages fall due."""
    query = (
        "SELECT next_nudge_at FROM slots WHERE next_nudge_at BETWEEN ? AND ?"
        " GROUP BY next_nudge_at ORDER BY count(*) DESC LIMIT 1"
    )
    span = tuple(at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for at in (now, now + timedelta(days=1)))
    return datetime.fromisoformat((await conn.exec_driver_sql(query, span)).scalar_one())


async def _due_at(db: Database, at: datetime) -> int:
    async with db.read() as conn:
        return len(await ledger.due_nudges(conn, now=at, limit=1_000_000))


async def _found(
    db: Database, path: Path, name: str, ask: Callable[[Any], Awaitable[object]], *, rounds: int, assess: bool
) -> Figure:
    with _statements() as seen:
        async with db.read() as conn:
            await ask(conn)
    statement, parameters = seen[-1]
    bare_file = sqlite3.connect(path, isolation_level=None)
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(median([await _timed(db, ask) for _ in range(100)]))
        bare.append(median([_timed_bare(bare_file, statement, parameters) for _ in range(100)]))
    bare_file.close()
    times = Rounds(ours, bare)
    return Figure(
        name,
        f"{spread(ours, 3)} ms",
        f"{median(bare):.3f} ms: the same statement by sqlite3",
        times.said(),
        "< 1 ms",
        median(ours) < 1 if assess else None,
    )


async def _timed(db: Database, ask: Callable[[Any], Awaitable[object]]) -> float:
    began = time.perf_counter()
    async with db.read() as conn:
        await ask(conn)
    return (time.perf_counter() - began) * 1000


def _timed_bare(connection: sqlite3.Connection, statement: str, parameters: Any) -> float:
    began = time.perf_counter()
    connection.execute(statement, parameters).fetchall()
    return (time.perf_counter() - began) * 1000


@contextmanager
def _statements() -> Iterator[list[tuple[str, Any]]]:
    """What the database is asked meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
