"""A database for a simulation: quick, repeatable, and never anybody's diary.

It lives in memory, in the caller's own thread, and reaches a file only when it is whole; its key and what seals
come from a seed, so the same acts give the same bytes. None of this must ever hold for a real diary. So it takes no
address of a database and no key: nothing that was there before can be opened with it.
"""

import base64
import hashlib
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import CursorResult, Dialect, Executable, create_engine
from sqlalchemy.pool import StaticPool

from protocol.errors import SettingsError
from storage.database import Connection, Database
from storage.prepared import Statements
from storage.sealing import NONCE_BYTES, Keys

_T = TypeVar("_T")
# A table as SQLAlchemy writes it down: what stands between its brackets, each part on a line of its own.
_BODY: Final = re.compile(r"(CREATE TABLE [^(]*\(\n\t)(.*)(\n\)[^)]*)", re.DOTALL)


class ThrowawayKeys(Keys):
    """A key that anybody can make from its seed, and nonces that count up: they keep nothing secret."""

    def __init__(self, seed: int) -> None:
        secret = hashlib.sha256(f"daybook throwaway {seed}".encode()).digest()
        self.secret_key = base64.b64encode(secret).decode()
        self._sealed = 0
        super().__init__([self.secret_key])

    def _nonce(self) -> bytes:
        self._sealed += 1
        return self._sealed.to_bytes(NONCE_BYTES)


class ThrowawayDatabase(Database):
    """An empty database in memory that can be written into a new file, once."""

    def __init__(self, file: Path, *, seed: int) -> None:
        self.throwaway_keys = ThrowawayKeys(seed)
        super().__init__(f"sqlite:///{file}", self.throwaway_keys)
        self._file = file
        self._raw: sqlite3.Connection | None = None

    async def open(self, *, schema_checked: bool = False) -> None:
        """Begin with nothing."""
        assert not schema_checked, "there is no schema before it is made"
        self._go_on_with(sqlite3.connect(":memory:", isolation_level=None, cached_statements=1000))

    async def close(self) -> None:
        """Forget everything that was not written out."""
        self._let_go()

    async def migrate(self) -> str:
        """Make the newest schema; in an order of its own, since that of the migrations is not always the same."""
        revision = await super().migrate()
        assert self._raw is not None
        ordered = sqlite3.connect(":memory:", isolation_level=None, cached_statements=1000)
        _copy_in_order(self._raw, ordered)
        self._let_go()
        self._go_on_with(ordered)
        return revision

    def _go_on_with(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        raw.execute("PRAGMA foreign_keys = ON")
        self._here = _Here(raw)

    def _let_go(self) -> None:
        if self._raw is not None:
            self._here.sync.close()
            self._raw.close()
            self._raw = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Connection]:
        """One transaction, alone in writing: committed when the block ends, undone when it raises."""
        async with self._writing:
            assert self._raw is not None
            self._raw.execute("BEGIN")
            try:
                yield cast("Connection", self._here)
            except BaseException:
                self._raw.rollback()
                raise
            self._raw.commit()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """The same connection, in its turn: whoever reads sees no transaction that is under way."""
        async with self._writing:
            yield cast("Connection", self._here)

    def write_out(self) -> None:
        """Write all of it into its file, which must not be there; packed, so that only what it holds tells."""
        assert self._raw is not None
        if self._file.exists():
            raise SettingsError(f"{self._file} is there already, and a simulation changes no database it finds.")
        self._raw.execute("VACUUM INTO ?", (str(self._file),))

    async def try_writing(self) -> None:
        """Nothing stands in the way of writing to memory."""

    async def _outside(self, pragma: str) -> None:
        if self._raw is not None:
            self._raw.execute(f"PRAGMA {pragma}")


class _Here:
    """What storage/ asks of a connection, answered at once: no thread, no waiting, no order but the caller's."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool, hide_parameters=True)
        self.sync = engine.connect()
        self._raw = raw
        self._statements = Statements(self.sync.dialect)

    @property
    def dialect(self) -> Dialect:
        return self.sync.dialect

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        given = {} if parameters is None else parameters
        if isinstance(given, Mapping) and (plain := self._statements.prepared(statement, given)) is not None:
            try:
                return cast("CursorResult[Any]", plain.execute(self._raw, given))
            except sqlite3.Error:
                pass  # which SQLAlchemy meets too, and raises as its callers know it
        return self.sync.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str) -> CursorResult[Any]:
        return self.sync.exec_driver_sql(statement)

    async def run_sync(self, work: Callable[[SyncConnection], _T]) -> _T:
        return work(self.sync)


def _copy_in_order(made: sqlite3.Connection, fresh: sqlite3.Connection) -> None:
    """Tables, indexes and triggers by name, and a table's constraints too: SQLAlchemy keeps these in sets."""
    parts = made.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    for kind in ("table", "index", "trigger"):
        for _, name, sql in (part for part in parts if part[0] == kind):
            fresh.execute(_constraints_in_order(sql) if kind == "table" else sql)
            rows = made.execute(f"SELECT * FROM {name}").fetchall() if kind == "table" else []  # noqa: S608 - ours
            if rows:
                fresh.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608


def _constraints_in_order(sql: str) -> str:
    begins, parts, ends = _BODY.fullmatch(sql).group(1, 2, 3)  # type: ignore[union-attr]
    lines = parts.split(", \n\t")
    named = sorted(line for line in lines if line.startswith("CONSTRAINT "))
    return begins + ", \n\t".join([line for line in lines if line not in named] + named) + ends
