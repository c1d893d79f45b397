"""Opens the database as the diary needs it: durable, one writer, refusing an old schema.

SQLite from 3.7.0 to 3.51.2 can corrupt a WAL that is reset while two connections write (mended in 3.51.3
and back in 3.50.7 and 3.44.6), so older ones keep a rollback journal. `synchronous` is never below FULL:
NORMAL loses the last commits at a power cut, and those are answers that patients saw as recorded.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from protocol.errors import SchemaError, SettingsError
from storage.driver import connect
from storage.key_check import check_keys
from storage.sealing import Keys
from storage.tables import key_check

Connection = AsyncConnection

_BUSY_SECONDS = 10.0
_READERS = 4
_RIGHTS = "give the user that runs Daybook the right to write its file and the folder around it"
# What SQLite says, and what to do about it.
_MENDS = {
    "readonly database": _RIGHTS,
    "unable to open database file": _RIGHTS,
    "disk I/O error": "look after the disk under it",
    "database or disk is full": "make room on its disk",
    "database is locked": "another program is writing there, so try again when that has ended",
    "file is not a database": "name another file with DAYBOOK_DATABASE_URL, or move this one away",
    "malformed": "it is damaged: put the newest backup in its place",
}


class Database:
    """One writer connection, a few readers, and the keys that open what is sealed."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.url = _url(url)
        self.keys = keys
        self._writing = asyncio.Lock()
        self._write_engine = _engine(self.url, readers=0)
        self._read_engine = _engine(self.url, readers=_READERS)
        self._writer: AsyncConnection | None = None

    async def open(self, *, schema_checked: bool = True) -> None:
        """Connect; raises SchemaError on a database of another form, SettingsError on one that cannot be used."""
        _make_folder(self.url)
        try:
            self._writer = await self._write_engine.connect()
            if schema_checked:
                await self._check()
        except (DatabaseError, sqlite3.Error) as error:
            await self.close()
            raise SettingsError(_unusable(shown(self.url), error)) from None
        except (SchemaError, SettingsError):
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection; an open one would keep the process alive."""
        if self._writer is not None:
            await self._writer.close()
            self._writer = None
        await self._write_engine.dispose()
        await self._read_engine.dispose()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """One transaction, alone in writing: committed when the block ends, undone when it raises."""
        if self._writer is None:
            raise SettingsError("The database is not open.")
        async with self._writing, self._writer.begin():
            yield self._writer

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """One consistent view that cannot write."""
        async with self._read_engine.connect() as conn:
            yield conn

    async def migrate(self) -> str:
        """Bring the schema up to date in one transaction, and give its revision."""
        # SQLite changes a table by building it anew, which rows elsewhere that point at it would forbid.
        await self._foreign_keys("OFF")
        try:
            async with self.write() as conn:
                await conn.run_sync(_upgrade)
                if (await conn.exec_driver_sql("PRAGMA foreign_key_check")).first() is not None:
                    raise SchemaError(f"The database {shown(self.url)} would lose rows; nothing was changed.")
                await check_keys(conn, self.keys)
        except CommandError as error:
            raise SchemaError(
                f"The database {shown(self.url)} cannot be brought up to date ({error}); "
                "it was made by a newer Daybook: run that one."
            ) from None
        finally:
            await self._foreign_keys("ON")
        return _head()

    async def empty_journal(self) -> None:
        """Leave nothing of what was overwritten in a write-ahead log or under it; elsewhere there is none."""
        await self._outside("wal_checkpoint(TRUNCATE)")

    async def _foreign_keys(self, state: str) -> None:
        await self._outside(f"foreign_keys = {state}")

    async def _outside(self, pragma: str) -> None:
        """Ask for what SQLite does outside of any transaction only."""
        if self._writer is not None and self.url.get_backend_name() == "sqlite":
            async with self._writing:
                raw = await self._writer.get_raw_connection()
                async with cast("Any", raw.driver_connection).execute(f"PRAGMA {pragma}"):
                    pass

    async def try_writing(self) -> None:
        """Write a row and take it back; SettingsError where nothing can be written, which opening may not show."""
        try:
            async with self.write() as conn, conn.begin_nested() as trial:
                await conn.execute(insert(key_check).values(sealed=b""))
                await trial.rollback()
        except (DatabaseError, sqlite3.Error) as error:
            raise SettingsError(_unusable(shown(self.url), error)) from None

    async def pragmas(self) -> dict[str, Any]:
        """What the writer really runs with, for `daybook doctor`; empty on PostgreSQL."""
        if self.url.get_backend_name() != "sqlite":
            return {}
        async with self.write() as conn:
            names = ("journal_mode", "synchronous", "foreign_keys")
            found = {name: (await conn.exec_driver_sql(f"PRAGMA {name}")).scalar_one() for name in names}
        return {"sqlite": sqlite3.sqlite_version, **found}

    async def _check(self) -> None:
        async with self.write() as conn:
            await self._check_schema(conn)
            await check_keys(conn, self.keys)

    async def _check_schema(self, conn: Connection) -> None:
        revision = await conn.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
        if revision is None:
            raise SchemaError(f"The database {shown(self.url)} is empty; make it with `daybook init`.")
        if revision != _head():
            raise SchemaError(
                f"The database {shown(self.url)} has the form {revision}, and this Daybook needs {_head()}; "
                "back it up and run `daybook migrate`."
            )


def compared_form(revision: str) -> Literal["same", "older", "newer"]:
    """How a database's form stands to the one this Daybook needs."""
    scripts = ScriptDirectory.from_config(_alembic())
    if revision == scripts.get_current_head():
        return "same"
    return "older" if any(script.revision == revision for script in scripts.walk_revisions()) else "newer"


def may_pass(error: BaseException) -> bool:
    """Tell whether the same call may succeed later: another writer, a full disk, a database that is away."""
    return isinstance(error, OperationalError | PoolTimeoutError)


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Tell whether this SQLite has the mend of the WAL-reset fault (3.51.3, 3.50.7, 3.44.6)."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


def shown(url: URL) -> str:
    """The address of a database without its password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError("DAYBOOK_DATABASE_URL cannot be read; write it as sqlite:///data/daybook.db") from None
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise SettingsError("DAYBOOK_DATABASE_URL must name an SQLite file, such as sqlite:///data/daybook.db")
    return url.set(drivername="sqlite+aiosqlite")


def _engine(url: URL, *, readers: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        connect_args={"async_creator_fn": connect},
        pool_size=readers or 1,
        max_overflow=0,
        hide_parameters=True,  # what a patient wrote must not reach a log through an error
    )
    event.listen(engine.sync_engine, "connect", _prepare_reader if readers else _prepare_writer)
    event.listen(engine.sync_engine, "begin", _begin_reading if readers else _begin_writing)
    return engine


def _prepare_writer(connection: Any, _record: Any) -> None:
    wal = wal_is_safe(sqlite3.sqlite_version_info[:3])
    _pragmas(
        connection,
        journal_mode="WAL" if wal else "DELETE",
        synchronous="FULL" if wal else "EXTRA",
        foreign_keys="ON",
        secure_delete="ON",  # an erased chat's bytes are overwritten, and no later backup holds them
    )


def _prepare_reader(connection: Any, _record: Any) -> None:
    _pragmas(connection, query_only="ON", foreign_keys="ON")


def _pragmas(connection: Any, **settings: str) -> None:
    # The driver must not begin transactions of its own: a deferred one that turns into a
    # writing one fails at once with SQLITE_BUSY, whatever the time limit.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
    for name, value in settings.items():
        cursor.execute(f"PRAGMA {name} = {value}")
    cursor.close()


def _begin_writing(connection: SyncConnection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: SyncConnection) -> None:
    connection.exec_driver_sql("BEGIN")


def _make_folder(url: URL) -> None:
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} for the database cannot be made ({error.strerror}); "
            "choose another one with DAYBOOK_DATABASE_URL."
        ) from None


def trouble_of(error: BaseException) -> str | None:
    """A sentence about what SQLite cannot do with its file or its disk; None where the error is another one."""
    known = isinstance(error, DatabaseError | sqlite3.Error) and _mend(error) is not None
    return _unusable("", error) if known else None


def _unusable(name: str, error: BaseException) -> str:
    mend = _mend(error) or "check its folder's rights and free space"
    return f"The database {name + ' ' if name else ''}cannot be used ({_reason(error)}); {mend}."


def _mend(error: BaseException) -> str | None:
    return next((mend for said, mend in _MENDS.items() if said in _reason(error)), None)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", error))


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _head() -> str:
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def _upgrade(connection: SyncConnection) -> None:
    config = _alembic()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
