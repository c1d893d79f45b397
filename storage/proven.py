"""Which backups were proven, and when the last one was."""

from datetime import datetime

from sqlalchemy import select

from storage import tables
from storage.audit import AuditId
from storage.backups import Proven
from storage.database import Connection
from storage.writing import insert_row

_LAST = select(tables.backups.c.proven_at).order_by(tables.backups.c.id.desc()).limit(1)


async def note_proven(conn: Connection, proven: Proven, *, at: datetime, audit: AuditId) -> None:
    """Remember a backup that was proven."""
    values = {
        "proven_at": at,
        "name": proven.file.name,
        "row_count": proven.rows,
        "byte_count": proven.bytes,
        "sha256": proven.sha256,
        "audit_id": audit,
    }
    await insert_row(conn, tables.backups, values)


async def last_proven_at(conn: Connection) -> datetime | None:
    """When the last backup was proven: the last one made, whatever a clock that was wrong said of others."""
    at: datetime | None = (await conn.execute(_LAST)).scalar_one_or_none()
    return at
