"""What is known of the service itself: when its parts last worked, and when it did not."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Record, columns_of
from storage.writing import insert_row, upsert


async def beat(conn: Connection, part: str, *, at: datetime) -> None:
    """Note that a part of the service works."""
    await conn.execute(upsert(conn, tables.heartbeats, "part", "at"), {"part": part, "at": at})


async def heartbeats(conn: Connection) -> dict[str, datetime]:
    """When each part was last seen working."""
    rows = await conn.execute(select(tables.heartbeats.c.part, tables.heartbeats.c.at))
    return {row.part: row.at for row in rows}


async def add_outage(
    conn: Connection, *, kind: str, began_at: datetime, ended_at: datetime, slots_touched: int, audit: AuditId
) -> int:
    """Keep a stretch in which the service could not ask or listen, and give its id."""
    return await insert_row(
        conn,
        tables.outages,
        {
            "kind": kind,
            "began_at": began_at,
            "ended_at": ended_at,
            "slots_touched": slots_touched,
            "audit_id": audit,
        },
    )


@dataclass(frozen=True, slots=True)
class Outage(Record):
    """A stretch in which the service could not ask or listen, and how many slots it touched."""

    id: int
    kind: str
    began_at: datetime
    ended_at: datetime
    slots_touched: int


async def outages(conn: Connection, *, since: datetime | None = None) -> list[Outage]:
    """Outages that were not over before an instant, the newest first."""
    o = tables.outages
    query = select(*columns_of(Outage, o)).order_by(o.c.began_at.desc(), o.c.id.desc())
    if since is not None:
        query = query.where(o.c.ended_at > since)
    return [Outage.of(row) for row in await conn.execute(query)]


async def outage_during(conn: Connection, *, since: datetime, until: datetime) -> bool:
    """Tell whether the service was out at some moment between two instants."""
    o = tables.outages
    found = await conn.execute(select(o.c.id).where(o.c.began_at < until, o.c.ended_at > since).limit(1))
    return found.first() is not None


async def note_bot(conn: Connection, bot_id: int, username: str) -> None:
    """Remember a bot's public name."""
    await conn.execute(upsert(conn, tables.bots, "id", "username"), {"id": bot_id, "username": username})


async def bot_username(conn: Connection, bot_id: int) -> str | None:
    """The public name of a bot, where it was ever asked for."""
    found = await conn.execute(select(tables.bots.c.username).where(tables.bots.c.id == bot_id))
    username: str | None = found.scalar_one_or_none()
    return username


async def bot_usernames(conn: Connection) -> list[str]:
    """The public names of all bots, by id."""
    rows = await conn.execute(select(tables.bots.c.username).order_by(tables.bots.c.id))
    return [row.username for row in rows]
