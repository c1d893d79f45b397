"""How fast `daybook simulate` lives: days of patients in a second, beside the rows it leaves by bare sqlite3."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.figures import Figure, Rounds, spread
from protocol.load import load_protocol
from rehearsal.simulation.outcome import DATABASE

_PATIENTS: Final = {False: 80, True: 10}
_SEEDS: Final = {False: 1, True: 3}
# Half a year of 80 patients in a minute.
_AIM_RATE: Final = 80 * 182 / 60
_COMMAND: Final = (str(Path(sys.executable).parent / "daybook"), "simulate")


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """A whole trial by the command, from its start to its last file."""
    protocol = "postop-week" if quick else "magnesium-clbp"
    days = load_protocol(protocol).protocol.days
    patients = _PATIENTS[quick]
    lived, bare = [], []
    for seed in range(1, _SEEDS[quick] + 1):
        out = folder / f"seed-{seed}"
        began = time.monotonic()
        asked = {"--patients": patients, "--seed": seed, "--protocol": protocol, "--out": out}
        arguments = [str(part) for option in asked.items() for part in option]
        # It answers with an error where the simulation finds a fault.
        await asyncio.to_thread(subprocess.run, [*_COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
        lived.append(patients * days / (time.monotonic() - began))
        bare.append(patients * days / _rows_written_bare(out / DATABASE))
    rounds = Rounds(lived, bare)
    return [
        Figure(
            f"simulate: patient-days per second, {patients} patients over {days} days",
            f"{spread(rounds.measured, 0)}/s",
            f"{spread(rounds.floor, 0)}/s: the rows it leaves, one by one into memory by sqlite3",
            rounds.inverse().said(),
            f">= {_AIM_RATE:.0f}/s",
            None if quick else min(lived) >= _AIM_RATE,
        )
    ]


def _rows_written_bare(path: Path) -> float:
    """Seconds for the same rows into the same tables in memory, a statement each: no bot, no second look."""
    with sqlite3.connect(path) as left:
        made = [sql for (sql,) in left.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")]
        names = [name for (name,) in left.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: left.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    left.close()
    memory = sqlite3.connect(":memory:", isolation_level=None)
    for sql in made:
        memory.execute(sql)
    began = time.monotonic()
    for name, held in rows.items():
        places = ", ".join("?" * len(held[0])) if held else ""
        for row in held:
            memory.execute(f"INSERT INTO {name} VALUES ({places})", row)
    took = time.monotonic() - began
    memory.close()
    return took
