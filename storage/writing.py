"""The three ways a row is written, in whichever of the two dialects is in use."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Connection


async def insert_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Add a row and give its id."""
    row = await conn.execute(insert(table), dict(values))
    key = row.inserted_primary_key
    assert key is not None
    return int(key[0])


def insert_once(conn: Connection, table: Table) -> Any:
    """An insert that leaves an existing row as it is."""
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


def upsert(conn: Connection, table: Table, key: str, changed: str) -> Any:
    """An insert that, where the key is there, changes one column to the new value."""
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    return statement.on_conflict_do_update(index_elements=[key], set_={changed: statement.excluded[changed]})
