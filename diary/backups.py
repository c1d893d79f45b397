"""The verbs around a backup: make one that is proven, and note that a database was made out of one."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime
from pathlib import Path

from storage import proven
from storage.audit import SYSTEM, Audit, write_audit
from storage.backups import Proven, Source, Watching, back_up_into
from storage.database import Database
from storage.proofs import Contents
from storage.restoring import Restored, last_served_at, restore_from

__all__ = [
    "Contents",
    "Proven",
    "Restored",
    "back_up",
    "last_proven_at",
    "last_served_at",
    "note_restore",
    "restore_from",
]


async def back_up(
    db: Database,
    file: Path,
    *,
    clock: Callable[[], datetime],
    quiet: AbstractAsyncContextManager[object] | None = None,
) -> Proven:
    """Make a backup in a thread of its own and note that it was proven; BackupError says why there is none.

    While the database is copied, which is the short part, `quiet` is held. Whoever cancels it breaks it off.
    """
    copied, broken_off, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def is_copied() -> None:
        loop.call_soon_threadsafe(copied.set)

    def ended(made: asyncio.Future[Proven]) -> None:
        copied.set()
        if not made.cancelled():
            made.exception()  # looked at also when whoever waited has gone

    watching = Watching(broken_off.is_set, is_copied)
    database = Path(db.url.database or "")
    try:
        async with quiet or nullcontext():
            at = clock().isoformat()
            made = asyncio.ensure_future(
                asyncio.to_thread(back_up_into, file, Source(database, db.keys, at), watching)
            )
            made.add_done_callback(ended)
            await copied.wait()
        found = await asyncio.shield(made)
    finally:
        broken_off.set()
    now = clock()
    async with db.write() as conn:
        audit = await write_audit(conn, Audit(now, SYSTEM, "back up"))
        await proven.note_proven(conn, found, at=now, audit=audit)
    return found


async def last_proven_at(db: Database) -> datetime | None:
    """When the last backup was proven."""
    async with db.read() as conn:
        return await proven.last_proven_at(conn)


async def note_restore(db: Database, restored: Restored, *, now: datetime) -> None:
    """Note in the restored diary that it was made out of a backup, and when that was copied."""
    async with db.write() as conn:
        await write_audit(conn, Audit(now, SYSTEM, "restore", details={"began": restored.contents.copied_at}))
