"""Verbs of the intake: keep an update before it is confirmed, let it go when its handling is finished."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from protocol.errors import SealError
from storage import inbox
from storage.database import Database, may_pass
from storage.records import InboxUpdate

__all__ = ["Waiting", "finish", "keep", "may_pass", "set_aside", "unfinished"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An update in the inbox, opened."""

    inbox_id: int
    bot_id: int
    received_at: datetime
    body: bytes


async def keep(
    db: Database, *, bot_id: int, updates: Sequence[tuple[int | None, bytes]], now: datetime
) -> list[Waiting]:
    """Keep raw updates in one commit and give those that were not known before."""
    async with db.write() as conn:
        kept = await inbox.keep_updates(conn, db.keys, bot_id, updates, now=now)
    return [waiting for update in kept if (waiting := await _opened(db, update))]


async def unfinished(db: Database) -> list[Waiting]:
    """What an earlier run kept and did not finish, in order of arrival."""
    async with db.read() as conn:
        kept = await inbox.open_updates(conn)
    return [waiting for update in kept if (waiting := await _opened(db, update))]


async def _opened(db: Database, update: InboxUpdate) -> Waiting | None:
    try:
        body = inbox.open_update(db.keys, update)
    except SealError as error:
        async with db.write() as conn:
            await inbox.quarantine_update(conn, update.id, because=str(error))
        return None
    return Waiting(update.id, update.bot_id, update.received_at, body)


async def finish(db: Database, inbox_id: int, *, now: datetime) -> None:
    """Let an update leave the inbox; what was personal in it is removed."""
    async with db.write() as conn:
        await inbox.finish_update(conn, inbox_id, now=now)


async def set_aside(db: Database, inbox_id: int, *, because: str) -> None:
    """Put an update that cannot be handled into quarantine, sealed and whole; `because` names a class."""
    async with db.write() as conn:
        await inbox.quarantine_update(conn, inbox_id, because=because)
