"""What a failed call to Telegram means: refused, certainly not sent, or nobody can tell.

The rule, measured against a scripted server: a 4xx that comes from Telegram is a definite refusal; an error
that shows no connection was made is "not sent"; everything else is "unknown", because a lost answer to an
accepted message looks like any other broken line. Wrong here means a dose reminder twice, or never.
"""

import ssl
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Final

import aiohttp
import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)
from telegram.warnings import PTBDeprecationWarning

from schedules.sending import PutBack, Refusal, Refused, Unknown

TRY_AGAIN_IN: Final = timedelta(seconds=10)
UNSAID_WAIT: Final = timedelta(seconds=5)
"""How long to wait after "too many requests" when Telegram does not say."""

# No byte of the request can have reached Telegram. ClientConnectorError covers names, refused connections,
# TLS and proxies; its parent ClientOSError does not belong here: that one also breaks in mid-sentence.
_NEVER_CONNECTED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    ConnectionRefusedError,
    ssl.SSLCertVerificationError,
)


class FloodWaitError(RetryAfter):
    """Telegram asked for a pause. Always a timedelta, whatever the environment variable PTB_TIMEDELTA says.

    The library's own class warns each time it is built without that variable, and where warnings are errors
    the warning would hide the pause.
    """

    __slots__ = ()

    @property
    def retry_after(self) -> timedelta:
        """How long Telegram wants to hear nothing."""
        return self._retry_after


class NotWantedError(TelegramError):
    """A message was not wanted any more when it was about to go out: certainly not sent, and `why`.

    One of the library's family, because it hides any other that leaves a client.
    """

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


# What says whether the message of this call has become unwanted, and why; the client asks when a line is there.
LAST_LOOK: Final[ContextVar[Callable[[], Awaitable[str | None]] | None]] = ContextVar("LAST_LOOK", default=None)


async def look_once_more() -> None:
    """Stop a call whose message has become unwanted; the last thing a client does before it writes."""
    why_not = LAST_LOOK.get()
    if why_not is not None and (why := await why_not()) is not None:
        raise NotWantedError(why)


def classify(exc: BaseException) -> Refused | PutBack | Unknown:
    """Say what this failure of a send means for the send record."""
    if isinstance(exc, RetryAfter):
        return PutBack(wait_of(exc), "flood")
    if isinstance(exc, ChatMigrated):
        return Refused(Refusal.MIGRATED)
    if isinstance(exc, Conflict | Forbidden | InvalidToken | BadRequest):
        return _refused(exc)
    if any(isinstance(link, _NEVER_CONNECTED) for link in _chain(exc)):
        return PutBack(TRY_AGAIN_IN, "not connected")
    if type(exc) is NetworkError and (exc.__cause__ is None or _from_elsewhere(exc)):
        return _by_status_text(exc)
    return Unknown(_why_unknown(exc))


def wait_of(exc: RetryAfter) -> timedelta:
    """Read how long to wait, given as whole seconds or as a timedelta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PTBDeprecationWarning)
        wait = exc.retry_after
    return wait if isinstance(wait, timedelta) else timedelta(seconds=wait)


def is_not_modified(exc: BaseException) -> bool:
    """Whether an edit changed nothing: the message already says so, which is success."""
    return _says(exc, "message is not modified")


def is_query_too_old(exc: BaseException) -> bool:
    """Whether a tap can no longer be answered: harmless once the entry is stored."""
    return _says(exc, "query is too old", "query id is invalid")


def is_cannot_edit(exc: BaseException) -> bool:
    """Whether a message cannot be edited any more, so that a new one must be sent."""
    return _says(exc, "message to edit not found", "message can't be edited", "message_id_invalid")


def is_cannot_parse(exc: BaseException) -> bool:
    """Whether Telegram could not read our formatting: send it plain, and mend the text."""
    return _says(exc, "can't parse entities")


def _refused(exc: TelegramError) -> Refused | PutBack:
    """Sort the 4xx answers of Telegram; one with an unreadable body was given by something in between."""
    # A firewall's or captive portal's 403 page must not mark a whole trial's patients as "blocked the bot".
    if _from_elsewhere(exc):
        return PutBack(TRY_AGAIN_IN, "not telegram")
    if isinstance(exc, Conflict):  # about getUpdates only, so this message was not taken
        return PutBack(TRY_AGAIN_IN, "conflict")
    if isinstance(exc, InvalidToken):
        return Refused(Refusal.TOKEN)
    if _says(exc, "chat not found", "user not found", "deactivated", "peer_id_invalid"):
        return Refused(Refusal.GONE)
    if _says(exc, "can't initiate"):
        return Refused(Refusal.NOT_STARTED)
    return Refused(Refusal.BLOCKED if isinstance(exc, Forbidden) else Refusal.BAD_REQUEST)


def _by_status_text(exc: NetworkError) -> Refused | PutBack | Unknown:
    """Sort the answers for which the library keeps no class, only the status in words."""
    status = exc.message.lower()  # only its beginning is the status: a foreign page's text may follow
    if status.startswith("too many requests"):
        return PutBack(UNSAID_WAIT, "flood")
    if status.startswith(("request entity too large", "content too large")):
        return Refused(Refusal.BAD_REQUEST)
    return Unknown("server error")


def _why_unknown(exc: BaseException) -> str:
    if isinstance(exc, TimedOut | TimeoutError):
        return "answer lost"
    if isinstance(exc, NetworkError | OSError | aiohttp.ClientError | httpx.HTTPError):
        return "connection lost"
    if isinstance(exc, TelegramError | KeyError):
        return "unreadable answer"
    return "unexpected"


def _from_elsewhere(exc: TelegramError) -> bool:
    """Whether the answer was not the Bot API's: the library then keeps the reading error as the cause."""
    return type(exc.__cause__) is TelegramError


def _says(exc: BaseException, *phrases: str) -> bool:
    """Compare the library's text, in which the first letter may have been made a capital."""
    if not isinstance(exc, TelegramError):
        return False
    text = exc.message.lower()
    return any(phrase in text for phrase in phrases)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = exc
    while link is not None:
        yield link
        link = link.__cause__
