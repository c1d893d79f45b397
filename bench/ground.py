"""The product as `daybook serve` runs it, and the bare floor under it, in the process that measures."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson

from bench.standin import FLOOR_TOKEN, TOKEN, Handle
from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from diary import Database
from storage.database import wal_is_safe


@dataclass(slots=True)
class Going:
    """A clock that begins where a benchmark wants it, and goes on at its own pace."""

    start: datetime
    began: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self) -> datetime:
        return self.start + timedelta(seconds=time.monotonic() - self.began)


@asynccontextmanager
async def serving(db: Database, api: Handle, clock: Going, pacer: Pacer) -> AsyncIterator[Service]:
    """The real service, its own client and pacer, polling; its ticks are left to the caller."""
    service = Service(db, build_bot(TOKEN, api.url, pacer=pacer), clock)
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop, heartbeat=False))
    try:
        await api.until(lambda counts: counts["getUpdates"] > 0)
        yield service
    finally:
        stop.set()
        await running


@asynccontextmanager
async def ticking(tick: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Wake the service every second, as its heartbeat does."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(1.0)
            await tick()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


class BareFile:
    """SQLite by its own module, as durable as the diary's database, with one commit for one row."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        wal = wal_is_safe(sqlite3.sqlite_version_info[:3])
        self.connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        self.connection.execute(f"PRAGMA synchronous = {'FULL' if wal else 'EXTRA'}")
        self.connection.execute("CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def keep(self, body: bytes) -> None:
        """One durable commit."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("INSERT INTO kept (body) VALUES (?)", (body,))
        self.connection.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


class BareBot:
    """The least a bot can do: bare aiohttp and bare sqlite3, one commit and one call for each update."""

    def __init__(self, api: Handle, file: BareFile) -> None:
        self._base = f"{api.url}/bot{FLOOR_TOKEN}"
        self._file = file
        self._answering: set[asyncio.Task[bytes]] = set()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._polling = asyncio.create_task(self._poll())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._polling.cancel()
        with suppress(asyncio.CancelledError):
            await self._polling
        await self._session.close()

    async def call(self, method: str, fields: dict[str, Any]) -> bytes:
        """One round trip."""
        headers = {"Content-Type": "application/json"}
        url = f"{self._base}/{method}"
        async with self._session.post(url, data=orjson.dumps(fields), headers=headers) as response:
            return await response.read()

    async def send(self, fields: dict[str, Any]) -> None:
        """One message out, one commit of what became of it."""
        self._file.keep(await self.call("sendMessage", fields))

    async def _poll(self) -> None:
        offset = 0
        while True:
            answer = await self.call("getUpdates", {"offset": offset, "timeout": 25})
            for update in orjson.loads(answer)["result"]:
                offset = update["update_id"] + 1
                query = update["callback_query"]
                self._file.keep(orjson.dumps(query["data"]))
                task = asyncio.create_task(self.call("editMessageText", _receipt(query)))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)


def _receipt(query: dict[str, Any]) -> dict[str, Any]:
    buttons = [
        {"text": "Change", "callback_data": "c.1~abcdefghijkl"},
        {"text": "Add a note", "callback_data": "a"},
    ]
    return {
        "chat_id": query["from"]["id"],
        "message_id": query["message"]["message_id"],
        "text": "✓ 7 recorded at 20:00\npain rating, Tue 24 Nov, 20:00",
        "reply_markup": {"inline_keyboard": [buttons]},
    }
