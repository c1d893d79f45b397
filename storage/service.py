"""What is known of the service itself: when its parts last worked, and when it did not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, insert, select

from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Record
from storage.writing import insert_row, upsert

_o = tables.outages
_DURING = select(_o.c.id).where(_o.c.began_at < bindparam("until"), _o.c.ended_at > bindparam("since")).limit(1)


async def beat(conn: Connection, part: str, *, at: datetime) -> None:
    """Note that a part of the service works."""
    await conn.execute(upsert(conn, tables.heartbeats, "part", "at"), {"part": part, "at": at})


async def heartbeats(conn: Connection) -> dict[str, datetime]:
    """When each part was last seen working."""
    rows = await conn.execute(select(tables.heartbeats.c.part, tables.heartbeats.c.at))
    return {row.part: row.at for row in rows}


async def add_outage(
    conn: Connection,
    *,
    kind: str,
    began_at: datetime,
    ended_at: datetime,
    touched: Mapping[int, int],
    audit: AuditId,
) -> int:
    """Keep a stretch in which the service could not ask or listen, with open questions by site id; give its id."""
    values = {"kind": kind, "began_at": began_at, "ended_at": ended_at, "slots_touched": sum(touched.values())}
    outage_id = await insert_row(conn, tables.outages, {**values, "audit_id": audit})
    if touched:
        rows = [
            {"outage_id": outage_id, "site_id": site, "slots_touched": count} for site, count in touched.items()
        ]
        await conn.execute(insert(tables.outage_sites), rows)
    return outage_id


@dataclass(frozen=True, slots=True)
class Outage(Record):
    """A stretch in which the service could not ask or listen, and how many slots it touched."""

    id: int
    kind: str
    began_at: datetime
    ended_at: datetime
    slots_touched: int


def slots_touched_at(site_ids: Collection[int] | None) -> ColumnElement[int]:
    """How many slots an outage touched at some sites (None: at all of them)."""
    o, at = tables.outages, tables.outage_sites
    if site_ids is None:
        return o.c.slots_touched
    own = select(func.sum(at.c.slots_touched)).where(at.c.outage_id == o.c.id, at.c.site_id.in_(site_ids))
    return func.coalesce(own.scalar_subquery(), 0).label("slots_touched")


async def outages(
    conn: Connection, *, site_ids: frozenset[int] | None, since: datetime | None = None
) -> list[Outage]:
    """Outages that were not over before an instant, the newest first, with what they touched at these sites."""
    o = tables.outages
    query = select(o.c.id, o.c.kind, o.c.began_at, o.c.ended_at, slots_touched_at(site_ids))
    query = query.order_by(o.c.began_at.desc(), o.c.id.desc())
    if since is not None:
        query = query.where(o.c.ended_at > since)
    return [Outage.of(row) for row in await conn.execute(query)]


async def outage_during(conn: Connection, *, since: datetime, until: datetime) -> bool:
    """Tell whether the service was out at some moment between two instants."""
    found = await conn.execute(_DURING, {"since": since, "until": until})
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
