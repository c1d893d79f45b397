"""What stands before every page: headers, where a form may come from, how often one may try, how much is read.

The items are those of OWASP ASVS 5.0: cookies 3.3, cross-site requests 3.5, headers 3.4, rate limits 2.4 and 6.1.
"""

import base64
import secrets
from collections import deque
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diary import Keys
from web.numbers import number_of

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_A_YEAR: Final = "max-age=31536000; includeSubDomains"
_LARGEST_FORM: Final = 65_536  # bytes; the longest comment, in any script, several times over


class Guard:
    """Puts the headers on every answer, errors too; a page that may be kept says so itself."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = {**HEADERS, **({"Strict-Transport-Security": _A_YEAR} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, self._headers)
            await send(message)

        await self._app(scope, receive, with_headers)


def _add(message: MutableMapping[str, Any], headers: Mapping[str, str]) -> None:
    there = MutableHeaders(raw=message.setdefault("headers", []))
    for name, value in headers.items():
        there.setdefault(name, value)


class TooOften:
    """Counts tries in a sliding window, in memory: a restart forgives them, the lock of an account stays."""

    def __init__(self, most: int, within: timedelta) -> None:
        self._most = most
        self._within = within
        self._tries: dict[str, deque[datetime]] = {}

    def __call__(self, who: str, *, now: datetime) -> bool:
        """Tell whether a try is one too many, and count it where it is not."""
        if self.reached(who, now=now):
            return True
        self.count(who, now=now)
        return False

    def reached(self, who: str, *, now: datetime) -> bool:
        """Tell whether there were as many as may be."""
        for key in [key for key, tries in self._tries.items() if tries[-1] <= now - self._within]:
            del self._tries[key]
        return sum(at > now - self._within for at in self._tries.get(who, ())) >= self._most

    def count(self, who: str, *, now: datetime) -> None:
        """Count a try."""
        self._tries.setdefault(who, deque(maxlen=self._most)).append(now)


def csrf_of(keys: Keys, session: str) -> str:
    """What the forms of a session carry: nobody who cannot read them can make it.

    Each page has it under another mask: pages are compressed, and the length of one that shows what somebody typed
    would tell, try by try, a value that is always the same (BREACH).
    """
    signature = keys.sign(f"form:{session}")
    mask = secrets.token_bytes(len(signature))
    return base64.urlsafe_b64encode(mask + _masked(signature, mask)).decode()


def is_csrf(keys: Keys, session: str, given: str) -> bool:
    """Tell whether a form belongs to this session."""
    try:
        raw = base64.urlsafe_b64decode(given.encode("ascii"))
    except ValueError:
        return False
    size = len(keys.sign(""))
    return len(raw) == 2 * size and keys.signed(f"form:{session}", _masked(raw[size:], raw[:size]))


def _masked(value: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(value, mask, strict=True))


def comes_from_here(request: Request, pages_url: str | None) -> bool:
    """Tell whether a form was sent from these pages, by what browsers say of it."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site in ("same-origin", "none")
    # An older browser; with the referrer policy above some write "null" for a form of our own, too.
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host"), urlsplit(pages_url).netloc if pages_url else None}
    return origin in (None, "null") or urlsplit(origin).netloc in hosts


async def form_of(request: Request) -> FormData:
    """The fields of a form, read up to a limit and without files."""
    length = number_of(request.headers.get("content-length", ""), digits=9)
    if length is None or length > _LARGEST_FORM:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return await request.form(max_files=0, max_fields=200)
    except HTTPException:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from None


def who_asks(request: Request) -> str:
    """The address a request comes from, as far as the server knows."""
    return request.client.host if request.client else "?"
