"""What the chat's tests share: a scripted Telegram of their own, and a clock that moves instead of waiting."""

import asyncio
import selectors
import socket
import struct
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

TOKEN = "123456:the-secret-token"


class Trouble(Enum):
    DROP = auto()  # takes the request, hangs up without an answer
    RESET = auto()  # the same, with a reset
    HANG = auto()  # takes the request, never answers
    TRICKLE = auto()  # one byte of the answer at a time, for ever


@dataclass(frozen=True)
class Call:
    method: str
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class ScriptedTelegram:
    """Answers each method from a script; what is not scripted gets a plain `ok`."""

    calls: list[Call] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    address: str = ""
    _script: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    _arrivals: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)
    _hanging: asyncio.Event = field(default_factory=asyncio.Event)

    def script(self, method: str, *steps: Any) -> None:
        """A step is a Trouble, (status, body) and perhaps headers, or something to be called for one."""
        self._script[method].extend(steps)

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    async def arrived(self, calls: int = 1) -> None:
        """Wait until so many more calls came in."""
        for _ in range(calls):
            await self._arrivals.get()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        method = request.path.rsplit("/", 1)[-1]
        self.connections.add(request.transport)
        call = Call(method, request.headers.get("Content-Type", ""), await request.read())
        self.calls.append(call)
        self._arrivals.put_nowait(call)
        step = self._script[method].popleft() if self._script[method] else (200, self._ok(method))
        if callable(step):
            step = step()
        return await self._do(request, step)

    async def _do(self, request: web.Request, step: Any) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        if step is Trouble.RESET:
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if step in (Trouble.DROP, Trouble.RESET):
            transport.abort()
            return web.Response()
        if step is Trouble.HANG:
            await self._hanging.wait()
            return web.Response()
        if step is Trouble.TRICKLE:
            return await self._trickle(request)
        status, body, *headers = step
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        kind = "application/json" if raw.startswith(b"{") else "text/html"
        return web.Response(status=status, body=raw, content_type=kind, headers=headers[0] if headers else None)

    async def _trickle(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not self._hanging.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.005)
        return response

    def release(self) -> None:
        self._hanging.set()

    @staticmethod
    def _ok(method: str) -> dict[str, Any]:
        message = {"message_id": 7, "date": 0, "chat": {"id": 42, "type": "private"}, "text": "-"}
        results = {"getUpdates": [], "getMe": {"id": 1, "is_bot": True, "first_name": "b", "username": "b"}}
        sends = method.startswith(("send", "edit"))
        return {"ok": True, "result": results.get(method, message if sends else True)}


@pytest.fixture
async def telegram() -> AsyncIterator[ScriptedTelegram]:
    scripted = ScriptedTelegram()
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.01, access_log=None)
    scripted.address = f"http://127.0.0.1:{server.port}"
    yield scripted
    scripted.release()
    await server.close()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A place that takes connections, and neither reads nor says anything."""
    lines: list[asyncio.StreamWriter] = []

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        lines.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for line in lines:
        line.transport.abort()
    server.close()
    await server.wait_closed()


class _InstantSelector(selectors.DefaultSelector):
    """Moves the clock to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if not events:
            assert timeout is not None, "everybody waits and no timer is set"
            self.now += timeout
        return events


class MovedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._moved = _InstantSelector()
        super().__init__(self._moved)

    def time(self) -> float:
        return self._moved.now


@pytest.fixture
def on_moved_clock() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in a loop whose time passes only when everybody waits for it."""

    def run(scenario: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=MovedLoop) as runner:
            return runner.run(scenario)

    return run
