"""Serves a rehearsal over HTTP in the running event loop, with connections that a fault can cut."""

import asyncio
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from rehearsal.api import BotApi
from rehearsal.telegram import Telegram
from web import server as web


class Server(web.Server):
    """An async context manager: `async with Server(telegram) as server`; `url` is what TELEGRAM_API takes."""

    def __init__(
        self,
        telegram: Telegram,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self._telegram = telegram
        self._connections: dict[tuple[str, int], asyncio.Transport] = {}
        app = Starlette(routes=[*BotApi(telegram, self._hang_up).routes(), *routes])
        super().__init__(app, host, port, http=_protocol(self._connections))

    async def stop(self) -> None:
        """Stop pushing and listening; whoever is connected is cut off."""
        await self._telegram.close()
        # No new connections first: clients that are cut off try again at once.
        self.stop_listening()
        for transport in list(self._connections.values()):
            transport.close()
        await super().stop()

    def _hang_up(self, peer: tuple[str, int]) -> None:
        transport = self._connections.get(peer)
        if transport:
            transport.abort()


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
