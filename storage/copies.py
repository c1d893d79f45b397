"""A copy of the database that may be read for minutes while the diary goes on writing."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from storage.database import Connection, Database


@asynccontextmanager
async def unhurried_view(db: Database, folder: Path) -> AsyncIterator[Connection]:
    """One consistent view that may be read for minutes; `folder`, open to us alone, has room for a copy.

    With a rollback journal (storage/database.py says when) a reader keeps every writer from committing, and after
    ten seconds an answer would be refused. So a copy is read there, which takes seconds to make, and goes again.
    """
    async with db.read() as conn:
        if conn.dialect.name != "sqlite" or await _has_wal(conn):
            yield conn
            return
        path = folder / "copy.db"
        await _copy(conn, path)
    copy = Database(f"sqlite:///{path}", db.keys)
    try:
        async with copy.read() as conn:
            yield conn
    finally:
        await copy.close()
        path.unlink()


async def _has_wal(conn: Connection) -> bool:
    return bool((await conn.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal")


async def _copy(conn: Connection, path: Path) -> None:
    driver = (await conn.get_raw_connection()).driver_connection
    assert driver is not None
    # SQLite's own backup: consistent, whatever is written meanwhile. It runs in the driver's thread.
    with closing(sqlite3.connect(path, check_same_thread=False)) as target:
        await driver.backup(target)
