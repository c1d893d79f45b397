"""The inbox: updates kept before they are confirmed, and emptied of what is personal after handling."""

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, select, update

from protocol.errors import SealError
from storage import tables
from storage.database import Connection
from storage.records import InboxUpdate, columns_of
from storage.sealing import Keys
from storage.writing import insert_once

_i = tables.inbox
NO_NUMBER = -1
_UPDATE = columns_of(InboxUpdate, _i)
_CHANGE = update(_i).where(_i.c.id == bindparam("inbox_id"))


async def keep_updates(
    conn: Connection, keys: Keys, bot_id: int, bodies: Sequence[tuple[int | None, bytes]], *, now: datetime
) -> list[InboxUpdate]:
    """Keep raw updates byte for byte, one without a readable number too, and give those not seen before.

    Only what the caller has committed may be confirmed to Telegram.
    """
    kept = []
    for number, body in bodies:
        update_id = NO_NUMBER if number is None else number
        row = await conn.execute(
            insert_once(conn, _i, *_UPDATE),
            {
                "bot_id": bot_id,
                "update_id": update_id,
                # Keyed, since the body names a chat.
                "digest": keys.lookups("update", body.decode("latin-1"))[0],
                "received_at": now,
                "sealed": keys.seal_bytes(body, context=_context(bot_id, update_id)),
            },
        )
        if found := row.one_or_none():
            kept.append(InboxUpdate.of(found))
    return kept


def open_update(keys: Keys, kept: InboxUpdate) -> bytes:
    """The update as Telegram wrote it."""
    return keys.open_bytes(kept.sealed, context=_context(kept.bot_id, kept.update_id))


async def open_updates(conn: Connection) -> list[InboxUpdate]:
    """Updates whose handling has not finished, in order of arrival: what a crash left."""
    query = select(*_UPDATE).where(_i.c.done_at.is_(None), _i.c.quarantined_because.is_(None)).order_by(_i.c.id)
    return [InboxUpdate.of(row) for row in await conn.execute(query)]


async def finish_update(conn: Connection, inbox_id: int, *, now: datetime) -> None:
    """Let an update leave the inbox: handled, answered, and emptied."""
    await conn.execute(_CHANGE, {"inbox_id": inbox_id, "done_at": now, "sealed": None})


async def quarantine_update(conn: Connection, inbox_id: int, *, because: str) -> None:
    """Set an update aside that cannot be handled; it stays sealed and whole for a person to look at."""
    await conn.execute(_CHANGE, {"inbox_id": inbox_id, "quarantined_because": because})


async def forget_chat(conn: Connection, keys: Keys, *, bot_id: int, chat_id: int, now: datetime) -> None:
    """Empty what waits and what was set aside of one chat; each is opened, for a row does not say whose it is."""
    query = select(*_UPDATE).where(_i.c.bot_id == bot_id, _i.c.sealed.is_not(None))
    # A person's and a chat's numbers are the only ones that Telegram writes as "id" without quotes.
    names_chat = re.compile(rb'"id"\s*:\s*%d(?!\d)' % chat_id)
    for row in await conn.execute(query):
        kept = InboxUpdate.of(row)
        try:
            body = open_update(keys, kept)
        except SealError:
            continue  # no key opens it, so it tells nobody anything
        if names_chat.search(body):
            await finish_update(conn, kept.id, now=now)


async def count_inbox(conn: Connection) -> tuple[int, int]:
    """How many updates wait, and how many are in quarantine."""
    waiting = select(func.count()).where(_i.c.done_at.is_(None), _i.c.quarantined_because.is_(None))
    aside = select(func.count()).where(_i.c.quarantined_because.is_not(None))
    return (
        int((await conn.execute(waiting)).scalar_one()),
        int((await conn.execute(aside)).scalar_one()),
    )


def _context(bot_id: int, update_id: int) -> str:
    return f"inbox:{bot_id}:{update_id}"
