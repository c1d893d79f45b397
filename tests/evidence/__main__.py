"""`make evidence`: the whole table; SCALE=10 tries ten times as often. Exit 1 where a line does not hold."""

import asyncio
import logging
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import structlog

from cli.wiring import clock
from tests.conftest import make_template
from tests.evidence import every_call, inside
from tests.evidence.cuts import losses, recorded
from tests.evidence.mutants import JOURNALS, MUTANTS, program
from tests.evidence.table import Control, Row, printed
from tests.process.reaper import Killed, killed

Experiment = Callable[[int, int], Iterable[str]]

SCALE = float(os.environ.get("SCALE", "1"))
SEED = int(os.environ.get("SEED", "1"))
_WEAKER = {"rollback journal": "the folder is not synced", "write-ahead log": "the log is not synced"}


def scaled(size: int) -> int:
    """A size at the scale that was asked for, at least 1."""
    return max(1, round(size * SCALE))


async def power_cuts(journal: str, template: Path) -> Row:
    """Cuts at any moment of a service that answers patients, with one journal and its weaker setting beside it."""
    lost = await _cut(JOURNALS[journal], template, cuts=scaled(2000))
    weaker = _WEAKER[journal]
    return Row(
        f"a power cut takes nothing that was acknowledged ({journal})",
        scaled(2000),
        "cuts",
        lost,
        controls=(Control(weaker, scaled(500), len(await _cut(MUTANTS[weaker], template, cuts=scaled(500)))),),
    )


async def _cut(change: str, template: Path, *, cuts: int) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="daybook-evidence-") as folder:
        run = await recorded(Path(folder), template, seconds=12, seed=SEED, program=program(change))
        return list(losses(run, cuts=cuts, seed=SEED))


def within(claim: str, *, of: str, tried: int, failing: Experiment, mutants: Sequence[str], control: int) -> Row:
    """A row of an experiment within this process, and of its mutants, each tried `control` times at most."""
    controls = []
    for name in mutants:
        with inside.MUTANTS[name]():
            controls.append(Control(name, control, len(list(failing(control, SEED)))))
    return Row(claim, tried, of, list(failing(tried, SEED)), controls)


def forged_taps() -> Row:
    """Every way to alter or borrow a button's data."""
    mutants = ("signatures are not looked at", "signatures forget the chat")
    claim = "what was never on a button of this chat is taken for none"
    tried, failing = scaled(100_000), inside.forged_taps
    return within(claim, of="forged taps", tried=tried, failing=failing, mutants=mutants, control=1000)


def clock_changes() -> Row:
    """Every zone there is; a small scale takes a sample."""
    tried = len(inside.some_changes(scaled(2000), SEED))
    claim = "around a clock change each date has its slots, at the right instant"
    mutants = ("a wall time is taken as it is",)
    return within(claim, of="changes", tried=tried, failing=inside.clock_changes, mutants=mutants, control=300)


def whole_trials() -> Row:
    """Trials with outages, travellers and people who block the bot, each by a seed that lives them again."""
    mutants = ("a question is sent twice", "nights are as good as days")
    claim = "nothing is lost, doubled, changed, asked twice or at night in a whole trial"
    of, failing = "trials of a week, 9 patients each", inside.whole_trials
    return within(claim, of=of, tried=scaled(12), failing=failing, mutants=mutants, control=1)


async def failing_statements(template: Path) -> Row:
    """A disk error at each statement and each commit of an evening."""
    mutant, thin = "an update that fails is set aside at once", 7
    tried, amiss = await every_call.failing_statements(template, _every(1))
    with every_call.MUTANTS[mutant]():
        again, caught = await every_call.failing_statements(template, thin)
    claim = "whichever statement of an evening fails, it ends the same"
    return Row(claim, tried, "statements", amiss, (Control(mutant, again, len(caught)),))


async def failing_calls(template: Path) -> Row:
    """Each call to Telegram of an evening, failing in each of seven ways."""
    mutant = "a message of unknown fate is sent again"
    tried, amiss = await every_call.failing_calls(template, _every(1))
    with every_call.MUTANTS[mutant]():
        again, caught = await every_call.failing_calls(template, 1)
    claim = "whichever call to Telegram of an evening fails, and however, it ends the same"
    return Row(claim, tried, "calls", amiss, (Control(mutant, again, len(caught)),))


def _every(how_thin: int) -> int:
    """Which of all to try at this scale: each, or every so manieth."""
    return max(1, round(how_thin / SCALE))


async def kills(template: Path) -> Row:
    """SIGKILL of the real process, at random and as certain calls are on the wire."""
    came = await _kill(template, kills=scaled(40))
    early = "confirmed before it is kept"
    control = await _kill(template, kills=8, change=MUTANTS[early])
    return Row(
        "a killed service loses and doubles nothing that was acknowledged",
        came.kills,
        f"kills, {came.found.acknowledged:,} acknowledged",
        came.found.amiss,
        controls=(Control(early, control.kills, len(control.found.amiss)),),
    )


async def _kill(template: Path, *, kills: int, change: str | None = None) -> Killed:
    with tempfile.TemporaryDirectory(prefix="daybook-evidence-") as folder:
        other = None if change is None else program(change)
        return await killed(Path(folder), template, kills=kills, seed=SEED, program=other)


async def evidence() -> list[Row]:
    """Every experiment, one after the other."""
    with tempfile.TemporaryDirectory(prefix="daybook-evidence-") as folder:
        template = Path(folder) / "template.db"
        await make_template(template)
        experiments: Sequence[Callable[[], Awaitable[Row]]] = (
            *(lambda journal=journal: power_cuts(journal, template) for journal in JOURNALS),
            lambda: kills(template),
            lambda: failing_statements(template),
            lambda: failing_calls(template),
            lambda: asyncio.to_thread(forged_taps),
            lambda: asyncio.to_thread(clock_changes),
            lambda: asyncio.to_thread(whole_trials),
        )
        rows = []
        for experiment in experiments:
            rows.append(await experiment())
            print(f"{rows[-1].claim}: {'holds' if rows[-1].holds else 'DOES NOT HOLD'}", flush=True)
            for failure in rows[-1].failures[:5]:
                print(f"  {failure}", flush=True)
        return rows


def main() -> int:
    """Print the table, and give 1 where a line does not hold."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = clock()
    machine = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    print(f"{began:%Y-%m-%d %H:%M} UTC, {machine}, seed {SEED}")
    rows = asyncio.run(evidence())
    print(f"\n{printed(rows)}\n\nTook {(clock() - began).total_seconds():.0f} s.")
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
