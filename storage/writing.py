"""The three ways a row is written, in whichever of the two dialects is in use."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Table, insert
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Connection


async def insert_row(conn: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Add a row and give its id."""
    row = await conn.execute(_insert(table), dict(values))
    key = row.inserted_primary_key
    assert key is not None
    return int(key[0])


def insert_once(conn: Connection, table: Table, *returning: ColumnElement[Any]) -> Any:
    """An insert that leaves an existing row as it is, and then returns nothing."""
    return _insert_once(conn.dialect.name, table, returning)


# Writing a statement down takes SQLAlchemy longer than SQLite takes to execute it.
@cache
def _insert(table: Table) -> Any:
    return insert(table)


@cache
def _insert_once(dialect_name: str, table: Table, returning: tuple[ColumnElement[Any], ...]) -> Any:
    dialect = sqlite if dialect_name == "sqlite" else postgresql
    statement = dialect.insert(table).on_conflict_do_nothing()
    return statement.returning(*returning) if returning else statement


def upsert(conn: Connection, table: Table, key: str, changed: str) -> Any:
    """An insert that, where the key is there, changes one column to the new value."""
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    return statement.on_conflict_do_update(index_elements=[key], set_={changed: statement.excluded[changed]})
