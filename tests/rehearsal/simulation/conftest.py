"""One short simulation that all may look at, and ways to look."""

import asyncio
import csv
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from diary import Database, Keys
from protocol.load import load_protocol
from rehearsal.simulation.check import Findings, check
from rehearsal.simulation.outcome import DATABASE, KEY, Outcome, simulate
from rehearsal.simulation.trial import Wanted

WEEK = load_protocol("postop-week")


@dataclass(frozen=True, slots=True)
class Left:
    """What a simulation left behind."""

    folder: Path
    outcome: Outcome

    def rows(self, name: str) -> list[dict[str, str]]:
        """A file's lines by their heads."""
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def checked_after(self, tmp_path: Path, harm: Callable[[sqlite3.Connection], object]) -> Findings:
        """What the check finds once somebody has been at a copy of the database."""
        copy = tmp_path / DATABASE
        shutil.copy(self.folder / DATABASE, copy)
        with sqlite3.connect(copy) as raw:
            for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                raw.execute(f"DROP TRIGGER {trigger}")
            harm(raw)
        raw.close()
        return asyncio.run(self._checked(copy))

    async def _checked(self, copy: Path) -> Findings:
        db = Database(f"sqlite:///{copy}", Keys([(self.folder / KEY).read_text().strip()]))
        await db.open()
        try:
            trial = self.outcome.trial
            return await check(db, trial.book, WEEK.protocol, now=trial.cast.ends)
        finally:
            await db.close()


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Nine patients, one of each temperament, in a trial of seven days."""
    folder = tmp_path_factory.mktemp("simulation") / "week"
    return Left(folder, simulate(folder, Wanted(WEEK, patients=9, seed=1)))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
