"""A database for a simulation: quick and repeatable, and never anybody's diary.

Statements run in the caller's own thread, nothing is forced onto the disk, and the key and what seals are drawn from a
seed: the same acts give the same bytes, for nobody's data. So that none of this ever holds for a real diary, it takes
neither an address nor a key from outside, and refuses a file that is there already.
"""

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from protocol.errors import SettingsError
from storage.database import Connection, Database
from storage.driver import DiaryConnection
from storage.sealing import NONCE_BYTES, Keys


class ThrowawayKeys(Keys):
    """A key that anybody can make from its seed, and nonces that count up; they protect nothing."""

    def __init__(self, seed: int) -> None:
        self.secret = base64.b64encode(hashlib.sha256(f"daybook throwaway {seed}".encode()).digest()).decode()
        self._sealed = 0
        super().__init__([self.secret])

    def _nonce(self) -> bytes:
        self._sealed += 1
        return self._sealed.to_bytes(NONCE_BYTES)


class _AtOnce:
    """Stands where aiosqlite queues work for its thread, and does it at once."""

    @staticmethod
    def put_nowait(work: "tuple[asyncio.Future[Any] | None, Callable[[], Any]]") -> None:
        future, function = work
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            if future is not None:
                future.set_exception(error)
        else:
            if future is not None:
                future.set_result(result)


class _HereConnection(DiaryConnection):
    """A connection without a thread of its own: no trip, and no order but the one in which it was asked."""

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        self._tx = _AtOnce()  # type: ignore[assignment]
        return self._connect().__await__()


def _connect_here(database: str, **settings: Any) -> _HereConnection:
    return _HereConnection(lambda: sqlite3.connect(database, **settings), iter_chunk_size=64)


class ThrowawayDatabase(Database):
    """A fresh SQLite file that would not survive a power cut."""

    def __init__(self, file: Path, *, seed: int) -> None:
        if file.exists():
            raise SettingsError(f"{file} is there already; a simulation never touches a database it did not make.")
        super().__init__(f"sqlite:///{file}", ThrowawayKeys(seed))

    _connect = staticmethod(_connect_here)

    @staticmethod
    def _writer_settings() -> Mapping[str, str]:
        return {"locking_mode": "EXCLUSIVE", "journal_mode": "MEMORY", "synchronous": "OFF", "foreign_keys": "ON"}

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """The same connection, in its turn: a reader beside it would keep it from committing, and nobody to wait for."""
        async with self.write() as conn:
            yield conn
