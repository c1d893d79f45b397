"""Brings python-telegram-bot to the stand-in without a socket.

Failures end as they do over a real line: no connection is `NetworkError` caused by `ConnectionRefusedError`, a
dropped one `NetworkError` caused by `ConnectionResetError`, a missing answer `TimedOut` caused by `TimeoutError`
(at once: nobody waits in a rehearsal), and 429 the product's own `FloodWaitError`.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from telegram._utils.types import ODVInput
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

from bot.outcomes import UNSAID_WAIT, FloodWaitError, look_once_more
from bot.request import LeanRequest
from rehearsal.faults import Answer, Ending
from rehearsal.parameters import Upload
from rehearsal.telegram import Telegram

Wait = ODVInput[float]
DEFAULT = BaseRequest.DEFAULT_NONE

# For `Bot(base_url=..., base_file_url=...)`; only the path behind it counts.
API = "http://rehearsal.invalid"


class InProcessRequest(BaseRequest):
    """Hand one to `Bot(request=..., get_updates_request=...)`."""

    __slots__ = ("_telegram",)

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram

    @property
    def read_timeout(self) -> float | None:
        """How long an answer may take; here it does not matter."""
        return 5.0

    async def initialize(self) -> None:
        """Open nothing."""

    async def shutdown(self) -> None:
        """Close nothing."""

    parse_json_payload = staticmethod(LeanRequest.parse_json_payload)

    async def do_request(  # noqa: D102, PLR0917 - the base class's signature and words
        self,
        url: str,
        method: str,  # noqa: ARG002 - the base class's
        request_data: RequestData | None = None,
        read_timeout: Wait = DEFAULT,  # noqa: ARG002
        write_timeout: Wait = DEFAULT,  # noqa: ARG002
        connect_timeout: Wait = DEFAULT,  # noqa: ARG002
        pool_timeout: Wait = DEFAULT,  # noqa: ARG002
    ) -> tuple[int, bytes]:
        # The library writes the token's colon as %3A in the addresses of files.
        path = unquote(urlsplit(url).path)
        token, _, rest = path.partition("/bot")[2].partition("/")
        if path.startswith("/file/"):
            file = self._telegram.file_at(token, rest)
            return (HTTPStatus.OK, file.content) if file else (HTTPStatus.NOT_FOUND, b"{}")
        await look_once_more()
        return _received(await self._telegram.call(token, rest, _fields(request_data)))


def _fields(data: RequestData | None) -> Mapping[str, Any]:
    """What was asked with: as JSON has it, or, where files go along, as a form does."""
    if data is None:
        return {}
    if not data.contains_files:
        return data.parameters
    files = {
        name: Upload(name=file_name, content=content if isinstance(content, bytes) else content.read(), mime=mime)
        for name, (file_name, content, mime) in (data.multipart_data or {}).items()
    }
    return data.json_parameters | files


def _received(answer: Answer) -> tuple[int, bytes]:
    """Answer what a client receives, or raise what it raises."""
    match answer.ending:
        case Ending.UNREACHABLE:
            raise NetworkError("ConnectionRefusedError") from ConnectionRefusedError("no connection")
        case Ending.DROPPED:
            raise NetworkError("ConnectionResetError") from ConnectionResetError("dropped without an answer")
        case Ending.SILENT:
            raise TimedOut from TimeoutError("no answer")
        case Ending.ANSWERED if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise FloodWaitError(_wait(answer.body))
        case _:
            return answer.status, answer.body


def _wait(body: bytes) -> timedelta:
    seconds = json.loads(body).get("parameters", {}).get("retry_after", 0)
    return timedelta(seconds=seconds) if seconds else UNSAID_WAIT
