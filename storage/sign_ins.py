"""Ways into the staff pages: links that work once, the tickets they are exchanged for, sessions; hashes only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, null, select, update

from storage import tables
from storage.audit import AuditId
from storage.columns import Instant
from storage.database import Connection
from storage.records import Record, columns_of
from storage.sealing import Keys
from storage.writing import insert_row


@dataclass(frozen=True, slots=True)
class KeptLink(Record):
    """A link to the pages as it is kept."""

    id: int
    staff_id: int
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeptSession(Record):
    """Somebody's stay on the pages as it is kept."""

    id: int
    staff_id: int
    began_at: datetime
    seen_at: datetime
    ended_at: datetime | None


_l = tables.sign_in_links
_s = tables.sessions
_BEFORE = bindparam("before", type_=Instant)
_FORGET = (delete(_l).where(_l.c.expires_at < _BEFORE), delete(_s).where(_s.c.seen_at < _BEFORE))
_OF_USE = _l.c.used_at.is_(None) | _l.c.browser_hash.is_not(None)
_AT = bindparam("at", type_=Instant)
_HASHES: Any = bindparam("hashes", expanding=True)
_LINK = select(*columns_of(KeptLink, _l))
_BY_TOKEN = _LINK.where(_l.c.token_hash.in_(_HASHES))
_BY_TICKET = _LINK.where(_l.c.browser_hash.in_(_HASHES))
_SESSION = select(*columns_of(KeptSession, _s)).where(_s.c.token_hash.in_(_HASHES))
_SEEN = (
    update(_s)
    .where(_s.c.id == bindparam("session_id"), _s.c.ended_at.is_(None), _s.c.seen_at < _AT)
    .values(seen_at=_AT)
)


async def add_link(
    conn: Connection, keys: Keys, *, staff_id: int, token: str, expires_at: datetime, audit: AuditId
) -> int:
    """Keep a link's hash; earlier ones of the same member are ended by `end_links`."""
    values = {
        "staff_id": staff_id,
        "token_hash": keys.lookups("sign-in", token)[0],
        "expires_at": expires_at,
        "audit_id": audit,
    }
    return await insert_row(conn, _l, values)


async def link_by_token(conn: Connection, keys: Keys, token: str) -> KeptLink | None:
    """Find a link."""
    return await _link(conn, _BY_TOKEN, keys.lookups("sign-in", token))


async def link_by_ticket(conn: Connection, keys: Keys, ticket: str) -> KeptLink | None:
    """Find the link that a browser exchanged for this ticket and has not signed in with yet."""
    return await _link(conn, _BY_TICKET, keys.lookups("ticket", ticket))


async def _link(conn: Connection, question: Any, hashes: list[bytes]) -> KeptLink | None:
    found = (await conn.execute(question, {"hashes": hashes})).one_or_none()
    return KeptLink.of(found) if found else None


async def use_link(
    conn: Connection, keys: Keys, link_id: int, *, ticket: str, at: datetime, audit: AuditId
) -> bool:
    """Exchange a link for a ticket; False where somebody else was first."""
    done = await conn.execute(
        update(_l)
        .where(_l.c.id == link_id, _l.c.used_at.is_(None), _l.c.expires_at > at)
        .values(used_at=at, browser_hash=keys.lookups("ticket", ticket)[0], audit_id=audit)
    )
    return done.rowcount == 1


async def use_ticket(conn: Connection, link_id: int, *, at: datetime, audit: AuditId) -> bool:
    """Spend the ticket of a link; False where it is spent already, or no longer holds."""
    done = await conn.execute(
        update(_l)
        .where(_l.c.id == link_id, _l.c.browser_hash.is_not(None), _l.c.expires_at > at)
        .values(browser_hash=null(), audit_id=audit)
    )
    return done.rowcount == 1


async def end_links(conn: Connection, staff_id: int, *, at: datetime, audit: AuditId) -> None:
    """Make a member's links, and the tickets they were exchanged for, useless."""
    await conn.execute(
        update(_l)
        .where(_l.c.staff_id == staff_id, _l.c.expires_at > at, _OF_USE)
        .values(expires_at=at, audit_id=audit)
    )


async def add_session(
    conn: Connection,
    keys: Keys,
    *,
    staff_id: int,
    token: str,
    at: datetime,
    audit: AuditId,  # noqa: ARG001 - the sign-in's line in the trail must have been written
) -> int:
    """Keep a session's hash and give its id."""
    values = {
        "staff_id": staff_id,
        "token_hash": keys.lookups("session", token)[0],
        "began_at": at,
        "seen_at": at,
    }
    return await insert_row(conn, _s, values)


async def session_by_token(conn: Connection, keys: Keys, token: str) -> KeptSession | None:
    """Find a session, whether it still holds or not."""
    found = (await conn.execute(_SESSION, {"hashes": keys.lookups("session", token)})).one_or_none()
    return KeptSession.of(found) if found else None


async def see_session(conn: Connection, session_id: int, *, at: datetime) -> None:
    """Note that a session is in use; nobody did anything, hence no audit entry."""
    await conn.execute(_SEEN, {"session_id": session_id, "at": at})


async def end_session(
    conn: Connection,
    session_id: int,
    *,
    at: datetime,
    audit: AuditId,  # noqa: ARG001 - says why
) -> None:
    """End one session."""
    await conn.execute(update(_s).where(_s.c.id == session_id, _s.c.ended_at.is_(None)).values(ended_at=at))


async def has_way_in(conn: Connection, staff_id: int, *, at: datetime) -> bool:
    """Tell whether a member has a session, or a link or ticket that could become one."""
    links = select(_l.c.id).where(_l.c.staff_id == staff_id, _l.c.expires_at > at, _OF_USE)
    sessions = select(_s.c.id).where(_s.c.staff_id == staff_id, _s.c.ended_at.is_(None))
    return (await conn.execute(links.union_all(sessions).limit(1))).first() is not None


async def shut_out(
    conn: Connection, staff_id: int, *, at: datetime, audit: AuditId, but: int | None = None
) -> None:
    """End a member's sessions (all but one), and whatever they could begin another one with."""
    await end_links(conn, staff_id, at=at, audit=audit)
    theirs = update(_s).where(_s.c.staff_id == staff_id, _s.c.ended_at.is_(None))
    await conn.execute((theirs if but is None else theirs.where(_s.c.id != but)).values(ended_at=at))


async def forget_old(conn: Connection, *, before: datetime) -> None:
    """Remove links and sessions that were over before an instant; the trail tells who came in and when."""
    for forget in _FORGET:
        await conn.execute(forget, {"before": before})
