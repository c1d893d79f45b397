"""Puts the parts together for a command: the real clock, the open database, the protocol in use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from cli.settings import Settings
from diary import Database, Keys
from diary.protocols import adopt_protocol
from protocol.errors import SchemaError
from protocol.load import ProtocolFile, load_protocol


def clock() -> datetime:
    """The real time, aware, in UTC: the only place where Daybook asks the machine for it."""
    return datetime.now(UTC)


@asynccontextmanager
async def opened(settings: Settings, *, schema_checked: bool = True) -> AsyncIterator[Database]:
    """The diary's database, closed again afterwards; SchemaError where it is missing or of another form."""
    db = Database(settings.database, Keys(settings.secret_keys))
    if schema_checked and (file := database_file(db)) and not file.exists():
        raise SchemaError(
            f"There is no database {file.absolute()}; make it with `daybook init`, "
            "or name the right one with DAYBOOK_DATABASE_URL."
        )
    await db.open(schema_checked=schema_checked)
    try:
        yield db
    finally:
        await db.close()


def database_file(db: Database) -> Path | None:
    """The file an SQLite database lives in; None on a server."""
    return Path(db.url.database) if db.url.get_backend_name() == "sqlite" and db.url.database else None


def protocol_file(settings: Settings) -> ProtocolFile:
    """The protocol that the settings name; ProtocolError where it cannot be used."""
    return load_protocol(settings.protocol)


async def protocol_in_use(db: Database, file: ProtocolFile, *, now: datetime) -> int:
    """The id under which this version of the protocol is kept; a changed file comes into use here."""
    return await adopt_protocol(db, file, now=now)
