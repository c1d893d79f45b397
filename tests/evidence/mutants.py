"""The real service with one protection taken away: what the experiments must catch, by name."""

import sys
from collections.abc import Sequence
from typing import Final

_RUN = """
from cli.main import main
main()
"""
_PRAGMAS = """
import storage.database as database
as_it_is = database._pragmas
def weakened(conn, **settings):
    as_it_is(conn, **{{**settings, **({changes} if "journal_mode" in settings else {{}})}})
database._pragmas = weakened
"""
_JOURNAL = """
import storage.database as database
database.wal_is_safe = lambda version: {wal}
"""
_ACKNOWLEDGED_FIRST = """
import asyncio
from bot.intake import Intake
kept = Intake._commit
async def later(self, updates):
    async def soon():
        await asyncio.sleep(0.3)
        await kept(self, updates)
    self._soon = asyncio.create_task(soon())
Intake._commit = later
"""
MUTANTS: Final = {
    "nothing is synced": _PRAGMAS.format(changes='{"synchronous": "OFF"}'),
    "the folder is not synced": _PRAGMAS.format(changes='{"journal_mode": "DELETE", "synchronous": "FULL"}'),
    "the log is not synced": _PRAGMAS.format(changes='{"journal_mode": "WAL", "synchronous": "NORMAL"}'),
    "confirmed before it is kept": _ACKNOWLEDGED_FIRST,
}
# What the database keeps its journal in depends on the SQLite there is; both ways are tried wherever this runs.
JOURNALS: Final = {"rollback journal": _JOURNAL.format(wal=False), "write-ahead log": _JOURNAL.format(wal=True)}


def program(change: str) -> Sequence[str]:
    """What to start in the place of `daybook serve`."""
    return (sys.executable, "-c", change + _RUN, "serve")
