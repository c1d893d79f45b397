"""Runs a simulation and leaves its folder: whole under its name, or nothing at all."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from diary import Database, Keys
from rehearsal.simulation import messages
from rehearsal.simulation.check import Findings, check
from rehearsal.simulation.load import Load, load_of, write_load
from rehearsal.simulation.page import as_page
from rehearsal.simulation.results import results
from rehearsal.simulation.trial import Trial, Wanted, allocation
from rehearsal.still import StillLoop
from reports.bundle import whole_or_nothing
from reports.export import export_bundle
from reports.formats.choice import checked
from reports.randomisation import Kit, write_list
from storage.throwaway import ThrowawayDatabase, ThrowawayKeys

DATABASE: Final = "daybook.db"
KEY: Final = "daybook.key"
EXPORT: Final = "export"
ALLOCATION: Final = "allocation.csv"

Told = Callable[[datetime, datetime, datetime], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation came to."""

    trial: Trial
    findings: Findings
    load: Load
    lines: int  # of messages.csv


def simulate(
    out: Path,
    wanted: Wanted,
    *,
    formats: Sequence[str] = (),
    kits: Sequence[Kit] | None = None,
    told: Told = lambda _began, _now, _ends: None,
) -> Outcome:
    """Live through a trial and write down all of it into the new or empty folder `out`.

    `told` hears now and then how far it is; another list than the seed's own is handed in with `kits`.
    """
    formats = checked(["csv", *formats])  # before half a year is lived through for nothing
    with whole_or_nothing(out) as folder, _seldom_collecting():
        # Two loops: in the first time stands still; the second one waits for threads and the disk like any other.
        with asyncio.Runner(loop_factory=StillLoop) as still:
            trial = still.run(_lived(folder, wanted, kits or allocation(wanted), told))
        return asyncio.run(_written(folder, trial, formats))


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Few cycles are made, and looking for them among all that is remembered takes longer the longer it lasts."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _lived(folder: Path, wanted: Wanted, kits: Sequence[Kit], told: Told) -> Trial:
    db = ThrowawayDatabase(folder / DATABASE, seed=wanted.seed)
    await db.open()
    try:
        await db.migrate()
        trial = Trial(db, wanted, kits)
        await trial.run(lambda now: told(trial.began, now, trial.cast.ends))
        db.write_out()
    finally:
        await db.close()
    return trial


async def _written(folder: Path, trial: Trial, formats: Sequence[str]) -> Outcome:
    """Everything that is told about it is read from the file that was written."""
    wanted, ends = trial.wanted, trial.cast.ends
    lines, protocol = trial.stage.transcript.lines, wanted.protocol.protocol
    key = ThrowawayKeys(wanted.seed).secret_key
    db = Database(f"sqlite:///{folder / DATABASE}", Keys([key]))
    await db.open()
    try:
        findings = await check(db, trial.book, protocol, now=ends)
        await export_bundle(db, folder / EXPORT, formats=formats, now=ends)
        with (folder / ALLOCATION).open("x", encoding="utf-8", newline="") as file:
            write_list(file, trial.kits)
        load = load_of(lines, protocol.trial.timezone)
        told = await results(db, trial, findings, load, export=folder / EXPORT, allocation=folder / ALLOCATION)
    finally:
        await db.close()
    count = messages.write_messages(folder / "messages.csv", lines)
    texts = messages.texts_of(lines, protocol, trial.began.date(), ends.date())
    _write(folder / "messages.md", messages.as_markdown(protocol.trial.title, texts))
    _write(folder / "messages.html", messages.as_page(protocol.trial.title, texts))
    write_load(folder / "load.csv", load)
    _write(folder / KEY, f"{key}\n")
    _write(folder / "index.html", as_page(told))
    return Outcome(trial, findings, load, count)


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
