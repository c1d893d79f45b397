"""Serves an ASGI application in the running event loop; signals stay with the program around it."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from protocol.errors import DaybookError

# What the machine says of a port, and what to do about it; anything else is about the host.
_MENDS = {errno.EADDRINUSE: "choose another port", errno.EACCES: "choose a port above 1023"}
_OTHER_ADDRESS = "choose an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all it has"


class AddressTakenError(DaybookError):
    """The address cannot be listened on."""


class Server:
    """An async context manager; port 0 takes a free port, and `url` says which."""

    def __init__(self, app: ASGIApp, host: str, port: int, **options: Any) -> None:
        self.app = app
        self.host = host
        self.port = port
        self._options = options
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The base address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; AddressTakenError where somebody else does."""
        listener = _listen(self.host, self.port)
        self.port = listener.getsockname()[1]
        settings: dict[str, Any] = {
            "lifespan": "off",
            "ws": "none",
            "log_config": None,
            "access_log": False,  # an address may hold a token
            "timeout_graceful_shutdown": 1,
            **self._options,
        }
        self._server = _Quiet(uvicorn.Config(self.app, **settings))
        self._task = asyncio.create_task(self._server.serve([listener]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn tells by this flag only
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Answer what is under way, for a second at most, and stop."""
        if self._server and self._task:
            self._server.should_exit = True
            await self._task

    def stop_listening(self) -> None:
        """Take no new connections; those there are go on."""
        for listening in self._server.servers if self._server else []:
            listening.close()


class _Quiet(uvicorn.Server):
    """Leaves the signals to the program it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def check_listening(host: str, port: int) -> None:
    """Try an address; AddressTakenError says why it cannot be listened on."""
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, because asyncio turns Nagle's delay (40 ms an answer) off only where it is.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as reason:
        listener.close()
        why = getattr(reason, "strerror", None) or "unknown address"
        mend = _MENDS.get(getattr(reason, "errno", None) or 0, _OTHER_ADDRESS)
        raise AddressTakenError(f"Cannot listen on {host}:{port} ({why}); {mend}.") from None
    return listener
