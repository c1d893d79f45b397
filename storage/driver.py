"""One trip to the connection's thread for a statement, where aiosqlite and SQLAlchemy together make four.

Measured: a trip costs 90 us, most statements of the diary 10 us. So the cursor is opened, the statement executed,
its first rows fetched and the cursor closed in one, and a transaction begins together with its first statement.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Self

import aiosqlite

_ROWS_WITH_THE_STATEMENT: Final = 500
"""More rows than a question of the diary has; a longer answer is fetched as it is asked for."""


def connect(database: str, **settings: Any) -> "DiaryConnection":
    """What SQLAlchemy asks for a connection (`async_creator_fn`); awaiting it opens the file."""
    connection = DiaryConnection(lambda: sqlite3.connect(database, **settings), iter_chunk_size=64)
    # A connection that somebody forgot to close must not keep the process alive.
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with those it makes
    return connection


class DiaryConnection(aiosqlite.Connection):
    """A connection whose transaction begins with its first statement."""

    _begin: str | None = None  # said, and not handed to the thread yet
    _begun = False  # handed to the thread, which may still be at it when the caller has gone

    def cursor(self) -> "DiaryCursor":  # type: ignore[override]
        """A cursor that costs nothing until it executes."""
        return DiaryCursor(self)

    def begin(self, statement: str) -> None:
        """Begin a transaction together with the statement that comes next."""
        self._begin = statement

    async def commit(self) -> None:
        """Commit; a transaction without a statement never began."""
        self._begin = None
        if self._begun:
            await super().commit()
            self._begun = False

    async def rollback(self) -> None:
        """Undo what was begun, where anything was."""
        self._begin = None
        if self._begun and self._connection is not None:
            await super().rollback()
            self._begun = False

    async def in_thread(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Do something with the connection in its thread, in one trip."""
        begin, self._begin = self._begin, None
        if begin is None:
            return await self._execute(lambda: work(self._conn))  # type: ignore[no-untyped-call]
        self._begun = True
        return await self._execute(lambda: (self._conn.execute(begin), work(self._conn))[1])  # type: ignore[no-untyped-call]


class DiaryCursor:
    """What SQLAlchemy's adapter asks of a cursor, and no more."""

    arraysize = 1

    def __init__(self, connection: DiaryConnection) -> None:
        self._connection = connection
        self._open: sqlite3.Cursor | None = None  # only while there are more rows
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        """SQLAlchemy enters a cursor before it uses it."""
        return self

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> None:
        """Execute, and fetch the first rows; a BEGIN waits for the statement after it."""
        if statement.startswith("BEGIN"):
            self._connection.begin(statement)
        else:
            await self._connection.in_thread(lambda raw: self._keep(raw.execute(statement, tuple(parameters))))

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Execute once for each of the parameters."""
        await self._connection.in_thread(lambda raw: self._keep(raw.executemany(statement, parameters)))

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description, self.lastrowid = cursor.description, cursor.lastrowid
        # Rows first: what a RETURNING changes is counted when the last of them is fetched.
        self._rows = cursor.fetchmany(_ROWS_WITH_THE_STATEMENT) if cursor.description else []
        self.rowcount = cursor.rowcount
        if len(self._rows) < _ROWS_WITH_THE_STATEMENT:
            cursor.close()
        else:
            self._open = cursor

    async def fetchmany(self, size: int) -> Sequence[Any]:
        """The next rows, at most so many."""
        rows, self._rows = self._rows[:size], self._rows[size:]
        if len(rows) < size and self._open is not None:
            cursor = self._open
            rows += await self._connection.in_thread(lambda _: cursor.fetchmany(size - len(rows)))
        return rows

    async def fetchall(self) -> Sequence[Any]:
        """The rest of the rows."""
        rows, self._rows = self._rows, []
        if self._open is not None:
            rows += await self._connection.in_thread(lambda _: self._finish())
        return rows

    def _finish(self) -> list[Any]:
        cursor, self._open = self._open, None
        if cursor is None:
            return []
        rows = cursor.fetchall()
        cursor.close()
        return rows

    async def close(self) -> None:
        """Let go of what is still open; for most there is nothing left to do."""
        self._rows = []
        if self._open is not None:
            cursor, self._open = self._open, None
            await self._connection.in_thread(lambda _: cursor.close())
