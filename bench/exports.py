"""The export's formats on a million entries, CSV beside a bare loop of the csv module over the same query."""

import asyncio
import csv
import gc
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from sqlalchemy.dialects import sqlite

from bench.figures import Figure, Rounds, peak_memory_mb, spread
from bench.ledgers import Ledgers
from diary.service import tally
from reports import export
from reports.adherence import By, adherence
from reports.bundle import Bundle
from reports.formats.choice import FORMATS, opened
from reports.tables import ENTRIES, TABLES
from storage import extracts
from storage.extracts import Wanted

_PATIENTS: Final = {False: 6_950, True: 700}  # 144 slots each, all answered
_ROUNDS: Final = 3
_AS_OF: Final = datetime(2026, 12, 31, tzinfo=UTC)
# What these write is whole patients, so they get every table; the others get the entries.
_OF_PATIENTS: Final = frozenset(("odm", "dataset-json", "fhir"))
_AIM_RATE: Final = 0.5
_AIM_ADHERENCE_MS: Final = 500


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    ledgers = Ledgers(folder / "daybook.db", 123_456, [date(2026, 1, 5) + timedelta(days=day) for day in range(20)])
    await ledgers.set_up()
    slots = ledgers.fill(_PATIENTS[quick], as_of=_AS_OF)
    query = _query()
    ours, floor, most = [], [], 0.0
    for _ in range(_ROUNDS):
        took, most = _apart(_write, folder, "csv")
        ours.append(slots / took)
        floor.append(slots / _apart(_bare, folder, query)[0])
    rounds = Rounds(ours, floor)
    figures = [
        Figure(
            f"{slots:,} entries as CSV",
            f"{spread([rate / 1000 for rate in ours], 0)} thousand a second, {most:.0f} MB",
            f"{spread([rate / 1000 for rate in floor], 0)}: csv.writer over the same query by sqlite3",
            rounds.said(),
            f">= {_AIM_RATE} of the floor",
            None if quick else rounds.ratio >= _AIM_RATE,
        )
    ]
    for name in FORMATS[1:]:
        took, peak = _apart(_write, folder, name)
        figures.append(Figure(f"{slots:,} entries as {name}", f"{took:.1f} s, {peak:.0f} MB"))
    return [*figures, await _adherence(ledgers, quick=quick)]


def _query() -> str:
    """The statement of the entries' table, as SQLite gets it."""
    found: list[Any] = []
    batches = extracts._batches
    extracts._batches = lambda _wanted, query: found.append(query)  # type: ignore[assignment,func-returns-value]
    extracts.entries(Wanted(None, None, _AS_OF))  # type: ignore[arg-type]
    extracts._batches = batches
    return str(found[0].compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))


def _apart(work: Any, *arguments: Any) -> tuple[float, float]:
    """Seconds and the peak of memory of some work in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(work, *arguments).result()


def _bare(folder: Path, query: str) -> tuple[float, float]:
    connection = sqlite3.connect(folder / "daybook.db")
    began = time.monotonic()
    with (folder / "bare.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(connection.execute(query))
    took = time.monotonic() - began
    connection.close()
    return took, peak_memory_mb()


def _write(folder: Path, name: str) -> tuple[float, float]:
    gc.disable()  # as the command does
    return asyncio.run(_written(folder, name))


async def _written(folder: Path, name: str) -> tuple[float, float]:
    db = Ledgers(folder / "daybook.db", 123_456, []).database()
    await db.open()
    into = folder / f"out-{name}-{time.monotonic_ns()}"
    into.mkdir()
    async with db.read() as conn:
        wanted = Wanted(conn, None, _AS_OF)
        began = time.monotonic()
        formats = opened(
            [name], Bundle(into), await export._about(db, wanted, await export._versions(wanted, None), None)
        )
        for table in TABLES if name in _OF_PATIENTS else (ENTRIES,):
            await export._write([table], wanted, formats)
        for one in formats:
            one.finish()
        took = time.monotonic() - began
    await db.close()
    return took, peak_memory_mb()


async def _adherence(ledgers: Ledgers, *, quick: bool) -> Figure:
    """Adherence of everybody, as the service has it: what had run its course is tallied."""
    db = ledgers.database()
    await db.open()
    while await tally(db, now=_AS_OF - timedelta(days=1)):
        pass  # as old as a tally gets
    await adherence(db, now=_AS_OF)
    took = []
    for _ in range(5):
        began = time.monotonic()
        rows = await adherence(db, now=_AS_OF, by=By.PATIENT)
        took.append((time.monotonic() - began) * 1000)
    await db.close()
    met = None if quick else sorted(took)[2] < _AIM_ADHERENCE_MS
    return Figure(
        f"adherence of {len(rows):,} patients x 182 days", f"{spread(took, 0)} ms", aim="< 500 ms", met=met
    )
