"""A lean way to Telegram for python-telegram-bot: aiohttp and orjson instead of httpx.

Measured: four times the messages of the stock client for a quarter of its work, and no collapse when many
calls are in flight. No error that leaves this module has the address in its text, because the token is part
of the address.
"""

import asyncio
import io
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson
from telegram._utils.defaultvalue import DefaultValue
from telegram._utils.types import ODVInput
from telegram.error import NetworkError, TelegramError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

from bot.outcomes import LAST_LOOK, UNSAID_WAIT, FloodWaitError, NotWantedError, look_once_more

KEEPALIVE_SECONDS: Final = 30.0
"""Long enough for a conversation, shorter than the 39 s after which Telegram was seen to hang up: a message
written to a line that is just being closed ends as "unknown", and a new connection costs little."""

DEFAULT: Final = BaseRequest.DEFAULT_NONE


class LeanRequest(BaseRequest):
    """One aiohttp session; timeouts in seconds, each of them settable for a single call as well."""

    __slots__ = ("_busy", "_connections", "_proxies", "_session", "_timeouts", "_upload_write")

    def __init__(
        self,
        *,
        connections: int = 256,
        connect: float | None = 5.0,
        read: float | None = 5.0,
        write: float | None = 5.0,
        pool: float | None = 1.0,
        upload_write: float | None = 20.0,
    ) -> None:
        self._connections = connections
        self._timeouts = {"connect": connect, "read": read, "write": write, "pool": pool}
        self._upload_write = upload_write
        self._session: aiohttp.ClientSession | None = None
        self._busy = asyncio.Semaphore(connections)
        self._proxies: dict[tuple[str, str], str | None] = {}

    @property
    def read_timeout(self) -> float | None:
        """How long an answer may take when a call does not say."""
        return self._timeouts["read"]

    async def initialize(self) -> None:
        """Open the session; nothing is connected yet."""
        if self._session is not None:
            return
        self._proxies.clear()
        self._busy = asyncio.Semaphore(self._connections)
        # limit=0: the semaphore is the limit, so that a full pool and a slow connection can be told apart.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ttl_dns_cache=300)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "Daybook"},
        )

    async def shutdown(self) -> None:
        """Close the session and its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(  # noqa: D102, PLR0917 - the base class's signature and words
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: ODVInput[float] = DEFAULT,
        write_timeout: ODVInput[float] = DEFAULT,
        connect_timeout: ODVInput[float] = DEFAULT,
        pool_timeout: ODVInput[float] = DEFAULT,
    ) -> tuple[int, bytes]:
        uploads = request_data is not None and request_data.contains_files
        connect = self._seconds(connect_timeout, "connect")
        read = self._seconds(read_timeout, "read")
        if uploads and isinstance(write_timeout, DefaultValue):
            write = self._upload_write
        else:
            write = self._seconds(write_timeout, "write")
        # aiohttp has no time limit for writing. Its read limit starts when the body is written, so the sum
        # bounds a stalled upload, and an answer that trickles. Downloads may trickle as long as they like.
        bounded = method == "POST" and connect is not None and read is not None and write is not None
        whole = (connect or 0) + (read or 0) + (write or 0) if bounded else None
        limits = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=read)
        try:
            async with self._slot(self._seconds(pool_timeout, "pool")), asyncio.timeout(whole):
                status, body = await self._exchange(url, method, limits, request_data)
        except TimeoutError as exc:
            raise TimedOut from _without_address(exc, url)
        except (aiohttp.ClientError, OSError) as exc:
            raise NetworkError(f"aiohttp.{type(exc).__name__}") from _without_address(exc, url)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise FloodWaitError(_wait_asked_for(body))
        return status, body

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Read an answer; unlike the base class, never write its content to the log."""
        try:
            answer = loads_leniently(payload)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or (answer.get("ok") is True and "result" not in answer):
            # The library takes the result unseen, and its KeyError would look like a fault of ours.
            # No cause is kept: a decoding error carries the document it could not read.
            raise TelegramError("Invalid server response")
        result = answer.get("result")
        if isinstance(result, dict) and "message_id" in result and "text" in result:
            # A text that was sent or changed comes back whole. Nobody looks at more of it than its number, and at
            # nothing of what was changed, and to make objects of the rest takes longer than to send it.
            place = {name: result[name] for name in ("message_id", "date", "chat") if name in result}
            answer["result"] = True if "edit_date" in result else place
        return answer

    async def _exchange(
        self, url: str, method: str, limits: aiohttp.ClientTimeout, request_data: RequestData | None
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("This request is not initialized, or was shut down.")
        body, stopped = _body(request_data), list[NotWantedError]()
        if LAST_LOOK.get() is not None:
            body = _looked_at(body, stopped)
        try:
            # A redirect would repeat the call, and with it the token, at a place nobody chose.
            async with self._session.request(
                method, url, timeout=limits, allow_redirects=False, proxy=self._proxy(url), **body
            ) as response:
                return response.status, await response.read()
        except aiohttp.ClientError:
            if stopped:
                raise stopped[0] from None
            raise

    @asynccontextmanager
    async def _slot(self, seconds: float | None) -> AsyncIterator[None]:
        """Hold one of the connections; a full pool means that nothing was sent."""
        try:
            async with asyncio.timeout(seconds if self._busy.locked() else None):
                await self._busy.acquire()
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError("Every connection is busy; the request was not sent.") from None
        try:
            yield
        finally:
            self._busy.release()

    def _seconds(self, given: ODVInput[float], name: str) -> float | None:
        return self._timeouts[name] if isinstance(given, DefaultValue) else given

    def _proxy(self, url: str) -> str | None:
        """Read the proxy for this host from the environment, once.

        aiohttp's own `trust_env` reads it and ~/.netrc for each call, in two worker threads.
        """
        address = URL(url)
        key = (address.scheme, address.host or "")
        if key not in self._proxies:
            named = urllib.request.getproxies()
            bypassed = urllib.request.proxy_bypass(key[1])
            self._proxies[key] = None if bypassed else named.get(key[0], named.get("all"))
        return self._proxies[key]


def loads_leniently(payload: bytes) -> Any:
    """Read JSON, also where orjson is stricter than Telegram: half an emoji is legal in JSON's letter."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        try:
            return json.loads(payload.decode("utf-8", "replace"))
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _body(request_data: RequestData | None) -> dict[str, Any]:
    """Give the arguments that carry the parameters: JSON, or a form when files go along."""
    if request_data is None:
        return {}
    if not request_data.contains_files:
        try:
            encoded = orjson.dumps(request_data.parameters, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:  # half an emoji again: let Telegram refuse it, which is a definite answer
            encoded = json.dumps(request_data.parameters).encode()
        return {"data": encoded, "headers": {"Content-Type": "application/json"}}
    form = aiohttp.FormData(quote_fields=False)
    for name, value in request_data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, mime_type) in request_data.multipart_data.items():
        # A stream, because aiohttp warns about large bytes, and such a warning would quote them whole.
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        form.add_field(name, stream, filename=filename, content_type=mime_type)
    return {"data": form}


def _looked_at(body: dict[str, Any], stopped: list[NotWantedError]) -> dict[str, Any]:
    """The same JSON, written when the line is there and the message is wanted still; Telegram reads no half."""
    encoded: bytes = body["data"]

    async def at_last() -> AsyncIterator[bytes]:
        try:
            await look_once_more()
        except NotWantedError as unwanted:
            stopped.append(unwanted)
            raise
        yield encoded

    return {"data": at_last(), "headers": body["headers"] | {"Content-Length": str(len(encoded))}}


def _wait_asked_for(body: bytes) -> timedelta:
    """Find the pause in a "too many requests" answer; some come without one."""
    try:
        seconds = float(orjson.loads(body)["parameters"]["retry_after"])
    except (ValueError, KeyError, TypeError):
        return UNSAID_WAIT
    return timedelta(seconds=seconds) if seconds > 0 else UNSAID_WAIT


def _without_address(exc: Exception, url: str) -> Exception:
    """Give the same kind of error without the address in its words or in those of its causes."""
    if url not in str(exc):
        return exc
    kinds = (aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
    kind = next((kind for kind in kinds if isinstance(exc, kind)), aiohttp.ClientConnectionError)
    return kind(f"{type(exc).__name__} (address withheld)")
