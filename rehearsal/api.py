"""The Bot API over HTTP: `/bot<token>/<method>` and `/file/bot<token>/<path>`."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rehearsal.faults import Answer, Ending, as_answer
from rehearsal.forms import fields_of
from rehearsal.rules import RefusalError
from rehearsal.telegram import Telegram

# Closes the connection a request came by, named by its peer's address.
HangUp = Callable[[tuple[str, int]], None]


class BotApi:
    """The routes bots use, to be mounted at the root."""

    def __init__(self, telegram: Telegram, hang_up: HangUp | None = None) -> None:
        self._telegram = telegram
        self._hang_up = hang_up

    def routes(self) -> list[Route]:
        """Answer the routes; the token is part of the path, as at Telegram."""
        return [
            Route("/bot{token}/{method}", _Endpoint(self._call), methods=["GET", "POST"]),
            Route("/file/bot{token}/{path:path}", self._file, methods=["GET"]),
        ]

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            fields = await fields_of(request)
        except ClientDisconnect:
            return
        except RefusalError as refusal:
            await _respond(as_answer(refusal))(scope, receive, send)
            return
        token, method = request.path_params["token"], request.path_params["method"]
        call = asyncio.ensure_future(self._telegram.call(token, method, fields))
        gone = asyncio.ensure_future(_gone(receive))
        # A bot that hangs up in the middle of a long poll is not listening any more.
        await asyncio.wait({call, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not call.done():
            call.cancel()
            with suppress(asyncio.CancelledError):
                await call
            return
        await self._end(call.result(), gone, scope, receive, send)

    async def _end(
        self, answer: Answer, gone: "asyncio.Future[None]", scope: Scope, receive: Receive, send: Send
    ) -> None:
        if answer.ending is Ending.ANSWERED:
            gone.cancel()
            await _respond(answer)(scope, receive, send)
            return
        if answer.ending is not Ending.SILENT and self._hang_up and scope["client"]:
            self._hang_up(tuple(scope["client"]))
        await gone

    async def _file(self, request: Request) -> Response:
        file = self._telegram.file_at(request.path_params["token"], request.path_params["path"])
        if file is None:
            return _respond(as_answer(RefusalError(404, "Not Found")))
        return Response(file.content, media_type="application/octet-stream")


class _Endpoint:
    """Starlette hands raw ASGI only to objects that are not functions."""

    def __init__(self, run: Callable[[Scope, Receive, Send], object]) -> None:
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._run(scope, receive, send)  # type: ignore[misc]


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _respond(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, media_type=answer.content_type)
