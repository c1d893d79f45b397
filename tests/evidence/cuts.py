"""Power cuts under the real service: what patients saw recorded and Telegram saw confirmed is there afterwards."""

import asyncio
import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rehearsal.accounts import FIRST_UPDATE
from tests.evidence import power
from tests.process.deployment import BOT_ID, deployed
from tests.process.patients import Patient, living
from tests.process.reckoning import Receipt, confirmed_by, receipts_seen

_WRITES = "daybook.db"


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the service's life: all it wrote, and all it acknowledged, with the times."""

    acts: Sequence[power.Act]
    at_first: dict[str, bytes]
    receipts: Sequence[Receipt]
    confirmed: Sequence[tuple[float, int]]


async def recorded(
    folder: Path, template: Path, *, seconds: float, seed: int, program: Sequence[str] | None = None
) -> Run:
    """Let patients answer the real service for a while, and note what it writes and acknowledges."""
    chance = random.Random(seed)
    library, log = power.build(folder), folder / "power.log"
    home = folder / "home"
    home.mkdir()
    async with deployed(home, template, patients=24, ratings=4, doses=4) as deployment:
        deployment.fall_due(chance, earliest=-1.0, latest=seconds)
        first = await deployment.listening(program=program)  # the journal's mode is set, as by `daybook init`
        first.stop()
        await first.ended()
        at_first = {file.name: file.read_bytes() for file in home.glob(f"{_WRITES}*")}
        service = await deployment.listening(program=program, **power.watching(library, home, log))
        patients = [Patient(person, random.Random(chance.random())) for person in deployment.people]
        async with living(patients):
            await asyncio.sleep(seconds)
        service.kill()
        await service.ended()
        return Run(tuple(power.read(log)), at_first, receipts_seen(deployment), confirmed_by(deployment))


def losses(run: Run, *, cuts: int, seed: int) -> Iterator[str]:
    """Cut the power so often, at moments of chance, and tell for each cut that lost anything what it lost."""
    chance = random.Random(seed)
    moments = sorted(chance.randrange(len(run.acts) + 1) for _ in range(cuts))
    disk, done = power.Disk(run.at_first), 0
    with TemporaryDirectory(prefix="daybook-cut-") as folder:
        for moment in moments:
            for act in run.acts[done:moment]:
                disk.take(act)
            done = moment
            at = run.acts[moment].at if moment < len(run.acts) else run.acts[-1].at
            lost = _lost(disk.after_a_cut(chance), run, at, Path(folder))
            if lost is not None:
                yield f"seed {seed}, after write {moment}: {lost}"


def _lost(files: dict[str, bytes], run: Run, at: float, folder: Path) -> str | None:
    """What was acknowledged by a moment and is not in these files; None where all is."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    conn = sqlite3.connect(folder / _WRITES)
    try:
        whole = conn.execute("PRAGMA integrity_check").fetchone()[0]
        if whole != "ok":
            return f"the database is damaged: {whole[:80]}"
        kept = {(slot, str(score) if answer == "score" else answer.replace("-", " ")) for slot, answer, score in
                conn.execute("SELECT slot_id, answer, score FROM entries")}  # fmt: skip
        inbox = {row[0] for row in conn.execute("SELECT update_id FROM inbox WHERE bot_id = ?", (BOT_ID,))}
    except sqlite3.DatabaseError as error:
        return f"the database cannot be read: {error}"
    finally:
        conn.close()
    gone = [receipt for receipt in run.receipts if receipt.at < at and (receipt.slot_id, receipt.said) not in kept]
    by = max((number for when, number in run.confirmed if when < at), default=FIRST_UPDATE)
    missing = [number for number in range(FIRST_UPDATE, by) if number not in inbox]
    return f"{len(gone)} answers and {len(missing)} updates" if gone or missing else None
