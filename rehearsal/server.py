"""Serves a rehearsal over HTTP in the running event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from rehearsal.api import BotApi
from rehearsal.telegram import Telegram


class AddressTakenError(OSError):
    """Another program listens where the rehearsal should."""


class Server:
    """An async context manager: `async with Server(telegram) as server: server.url`."""

    def __init__(
        self,
        telegram: Telegram,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self.host = host
        self.port = port
        self._telegram = telegram
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        self.app = Starlette(routes=[*BotApi(telegram, self._hang_up).routes(), *routes])
        self._uvicorn: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The base address, which is also what the setting TELEGRAM_API takes."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listen; port 0 takes a free one and says which."""
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self.app,
            http=_protocol(self._connections),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._uvicorn = _Quiet(config)
        self._task = asyncio.get_running_loop().create_task(self._uvicorn.serve([listener]))
        while not self._uvicorn.started:  # noqa: ASYNC110 - uvicorn tells by this flag only
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Stop pushing and listening; whoever is connected is cut off."""
        await self._telegram.close()
        if self._uvicorn and self._task:
            self._uvicorn.should_exit = True
            # No new connections first: clients that are cut off try again at once.
            for listening in self._uvicorn.servers:
                listening.close()
            for transport in list(self._connections.values()):
                transport.close()
            await self._task

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _hang_up(self, peer: tuple[str, int]) -> None:
        transport = self._connections.get(peer)
        if transport:
            transport.abort()


class _Quiet(uvicorn.Server):
    """Leaves the signals to the program it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as reason:
        listener.close()
        raise AddressTakenError(f"cannot listen on {host}:{port}: {reason.strerror}; choose another port") from None
    return listener


def _protocol(connections: dict[tuple[str, int], asyncio.Transport]) -> type[H11Protocol]:
    """Make a protocol that keeps its connections at hand, so that a fault can cut one."""

    class Held(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    return Held
