"""Tokens with which other programs read in a member's name: hashes only, until when, last used when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from storage import tables
from storage.audit import AuditId
from storage.columns import Instant
from storage.database import Connection
from storage.records import Record, columns_of
from storage.sealing import Keys
from storage.writing import insert_row

_PURPOSE = "api-token"


@dataclass(frozen=True, slots=True)
class KeptToken(Record):
    """A token as it is kept, named by who uses it."""

    id: int
    staff_id: int
    name: str
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Tell whether it leads anywhere, as far as the token itself goes."""
        return self.revoked_at is None and now < self.expires_at


_t = tables.api_tokens
_TOKEN = select(*columns_of(KeptToken, _t))
_HASHES: Any = bindparam("hashes", expanding=True)
_BY_TOKEN = _TOKEN.where(_t.c.token_hash.in_(_HASHES))
_AT = bindparam("at", type_=Instant)
_USED = (
    update(_t)
    .where(_t.c.id == bindparam("token_id"), or_(_t.c.used_at.is_(None), _t.c.used_at < _AT))
    .values(used_at=_AT)
)


async def add_token(
    conn: Connection,
    keys: Keys,
    *,
    staff_id: int,
    name: str,
    token: str,
    at: datetime,
    expires_at: datetime,
    audit: AuditId,
) -> int:
    """Keep a token's hash and give its id."""
    values = {
        "staff_id": staff_id,
        "name": name,
        "token_hash": keys.lookups(_PURPOSE, token)[0],
        "made_at": at,
        "expires_at": expires_at,
        "audit_id": audit,
    }
    return await insert_row(conn, _t, values)


async def token_by_secret(conn: Connection, keys: Keys, token: str) -> KeptToken | None:
    """Find a token by what its holder sends, whether it still holds or not."""
    found = (await conn.execute(_BY_TOKEN, {"hashes": keys.lookups(_PURPOSE, token)})).one_or_none()
    return KeptToken.of(found) if found else None


async def token_by_id(conn: Connection, token_id: int) -> KeptToken | None:
    """Find a token by its id."""
    found = (await conn.execute(_TOKEN.where(_t.c.id == token_id))).one_or_none()
    return KeptToken.of(found) if found else None


async def tokens_of(conn: Connection, staff_id: int) -> list[KeptToken]:
    """A member's tokens, the newest first, those that ended too."""
    found = await conn.execute(_TOKEN.where(_t.c.staff_id == staff_id).order_by(_t.c.id.desc()))
    return [KeptToken.of(row) for row in found]


async def use_token(conn: Connection, token_id: int, *, at: datetime) -> None:
    """Note that a token is in use; the first time on a day has a line in the trail, the others have none."""
    await conn.execute(_USED, {"token_id": token_id, "at": at})


async def revoke_tokens(
    conn: Connection, staff_id: int, *, at: datetime, audit: AuditId, token_id: int | None = None
) -> None:
    """End all tokens of a member for good, or one of them; those that ended already stay as they are."""
    theirs = update(_t).where(_t.c.staff_id == staff_id, _t.c.revoked_at.is_(None), _t.c.expires_at > at)
    chosen = theirs if token_id is None else theirs.where(_t.c.id == token_id)
    await conn.execute(chosen.values(revoked_at=at, audit_id=audit))
