"""Intake: asks Telegram for updates and confirms none before it is kept.

The library's own polling confirms updates when it has queued them, before any handler ran; killed then, it
loses what patients answered. Here the offset, which is what confirms, moves only after `keep` came back. It
lives in memory only and never filters anything: update numbers start anew at random after a quiet week.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import Any, Final, NoReturn, TypeAlias

import orjson
import structlog
from telegram.error import RetryAfter
from telegram.request import BaseRequest, RequestData
from telegram.request._requestparameter import RequestParameter

from bot.outcomes import UNSAID_WAIT, wait_of
from bot.request import loads_leniently
from protocol.errors import SettingsError

log = structlog.get_logger(__name__)

ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query", "my_chat_member")
POLL_SECONDS: Final = 25
POLL_GRACE_SECONDS: Final = 10.0
OUTAGE: Final = timedelta(seconds=120)
"""A longer silence is an outage: Telegram keeps a tap for 150 s."""
FRESH_CLIENT_AFTER: Final = 3
CONFIRM_SECONDS: Final = 1.5
FLOOD_MARGIN: Final = timedelta(seconds=1)
LARGEST_NUMBER: Final = 2**63 - 1


class TokenRefusedError(SettingsError):
    """Telegram does not know the bot's token: asking again cannot help, the process must stop."""

    def __init__(self) -> None:
        super().__init__("Telegram refuses the bot's token. Set DAYBOOK_BOT_TOKEN to the one BotFather shows.")


class PollFailedError(Exception):
    """One poll brought nothing that could be kept; `why` is a fixed code."""

    def __init__(self, why: str, wait: timedelta | None = None) -> None:
        self.why = why
        self.wait = wait
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class RawUpdate:
    """An update exactly as Telegram wrote it; `update_id` is None where none can be read."""

    update_id: int | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from failure to failure, with jitter, so that many bots do not knock together."""

    first: float = 0.5
    longest: float = 30.0

    def seconds(self, failures: int, chance: float) -> float:
        """Give the pause after so many failures in a row; `chance` between 0 and 1 picks its jitter."""
        whole = min(self.longest, self.first * 2.0 ** min(failures, 30))
        return max(self.first, whole * (0.5 + chance / 2))


async def pause_or_stop(stop: asyncio.Event, seconds: float) -> None:
    """Wait so many seconds, or until told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


Keep: TypeAlias = Callable[[Sequence[RawUpdate]], Awaitable[None]]


class Intake:
    """The poll loop of one bot. `address` is the bot's base address; it holds the token and is never logged.

    `keep` commits the updates before it returns; an update may be handed to it more than once. `last_polled`
    is the last success of an earlier run, so that an outage across a restart is noticed.
    """

    def __init__(
        self,
        address: str,
        *,
        keep: Keep,
        fresh_client: Callable[[], BaseRequest],
        clock: Callable[[], datetime],
        polled: Callable[[datetime], None] = lambda _now: None,
        gap: Callable[[datetime, datetime], Awaitable[None]] | None = None,
        conflict: Callable[[], None] = lambda: None,
        last_polled: datetime | None = None,
        poll_seconds: int = POLL_SECONDS,
        grace_seconds: float = POLL_GRACE_SECONDS,
        backoff: Backoff | None = None,
        pause: Callable[[asyncio.Event, float], Awaitable[None]] = pause_or_stop,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = f"{address}/getUpdates"
        self._keep = keep
        self._fresh_client = fresh_client
        self._clock = clock
        self._polled = polled
        self._gap = gap
        self._conflict = conflict
        self._last_polled = last_polled
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._backoff = backoff or Backoff()
        self._pause = pause
        self._chance = chance
        self._client: BaseRequest | None = None
        self._offset: int | None = None
        self._heard = False

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until told to stop; raise TokenRefusedError when nothing but a new token can help."""
        failures = 0
        try:
            while not stop.is_set():
                try:
                    await self._round(stop)
                    failures = 0
                except PollFailedError as exc:
                    await self._recover(exc, failures, stop)
                    failures += 1
            await self._confirm()
        finally:
            await self._drop_client()

    async def _round(self, stop: asyncio.Event) -> None:
        """Ask once, keep what came, and only then move the offset."""
        payload = await self._poll_or_stop(stop)
        if payload is None:
            return
        updates = updates_in(payload)
        # First the outage, then what was said in it: an answer that it made late must find it recorded.
        unrecorded = await self._note_gap()
        if updates:
            await self._commit(updates)
        numbers = [update.update_id for update in updates if update.update_id is not None]
        # An empty answer means that everything before the offset is confirmed and gone. Asking without one
        # again then costs nothing, and finds updates whose numbers started anew below it.
        self._offset = max(numbers) + 1 if numbers else None
        if unrecorded is not None:
            raise unrecorded  # the outage lasts on until it is recorded
        self._succeeded()
        if updates and not numbers:
            raise PollFailedError("updates without numbers")  # they come again: kept once, but not in a rush

    async def _poll_or_stop(self, stop: asyncio.Event) -> bytes | None:
        """Ask, but leave at once when told to stop: an answer that is lost then was never confirmed."""
        # The first poll, and the first after trouble, does not wait for news: reminders stand still until it is
        # known that Telegram can be heard and whether there was an outage.
        seconds = self._poll_seconds if self._heard else 0
        poll = asyncio.create_task(self._ask(seconds, self._grace_seconds))
        told = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((poll, told), return_when=asyncio.FIRST_COMPLETED)
            return await poll if poll.done() else None
        finally:
            poll.cancel()
            told.cancel()
            await asyncio.gather(poll, told, return_exceptions=True)

    async def _commit(self, updates: list[RawUpdate]) -> None:
        try:
            await self._keep(updates)
        except Exception as exc:  # a full disk, a locked file: Telegram keeps the updates meanwhile
            log.error("updates_not_kept", count=len(updates), error=type(exc).__name__)  # noqa: TRY400
            raise PollFailedError("not kept") from exc

    def _succeeded(self) -> None:
        self._last_polled = self._clock()
        self._heard = True
        self._polled(self._last_polled)

    async def _note_gap(self) -> PollFailedError | None:
        """Report an outage that is over; give what went wrong with that, for the updates must be kept first."""
        began, ended = self._last_polled, self._clock()
        if self._gap is None or began is None or ended - began <= OUTAGE:
            return None
        log.warning("outage_ended", seconds=(ended - began).total_seconds())
        try:
            await self._gap(began, ended)
        except Exception as exc:  # noqa: BLE001 - the loop must live on
            log.error("outage_not_recorded", error=type(exc).__name__)  # noqa: TRY400
            return PollFailedError("outage not recorded")
        self._last_polled = ended
        return None

    async def _recover(self, failure: PollFailedError, failures: int, stop: asyncio.Event) -> None:
        """Say what went wrong, take a fresh client after every third failure in a row, and wait."""
        log.warning("poll_failed", reason=failure.why, in_a_row=failures + 1)
        self._heard = False
        if (failures + 1) % FRESH_CLIENT_AFTER == 0:
            await self._drop_client()
        seconds = self._backoff.seconds(failures, self._chance())
        if failure.wait is not None:
            seconds = max(seconds, (failure.wait + FLOOD_MARGIN).total_seconds())
        await self._pause(stop, seconds)

    async def _confirm(self) -> None:
        """Confirm what was kept last, so that the next start does not meet it again.

        What this call may bring is not kept and, since no further call follows, not confirmed either:
        Telegram hands it out again. If it fails, the inbox meets some updates twice, which is harmless.
        """
        if self._offset is None:
            return
        try:
            await self._ask(0, CONFIRM_SECONDS, limit=1)
        except (PollFailedError, TokenRefusedError):
            log.info("last_updates_not_confirmed")

    async def _ask(self, poll_seconds: int, grace_seconds: float, limit: int = 100) -> bytes:
        """Call getUpdates within a total time limit, and give the answer's bytes."""
        parameters = {
            "timeout": poll_seconds,
            "limit": limit,
            "allowed_updates": ALLOWED_UPDATES,
            **({} if self._offset is None else {"offset": self._offset}),
        }
        data = RequestData([RequestParameter.from_input(name, value) for name, value in parameters.items()])
        whole = poll_seconds + grace_seconds
        try:
            client = await self._connected()
            async with asyncio.timeout(whole):
                status, body = await client.do_request(self._url, "POST", data, read_timeout=whole)
        except RetryAfter as exc:
            raise PollFailedError("flood", wait_of(exc)) from None
        except Exception as exc:  # noqa: BLE001 - whatever the client meets, the loop must live on
            cause = exc.__cause__ or exc
            raise PollFailedError(type(cause).__name__) from None
        if status != HTTPStatus.OK:
            self._turned_down(status, body)
        return body

    def _turned_down(self, status: int, body: bytes) -> NoReturn:
        """Tell a wrong token, a second poller and a flood apart from passing trouble."""
        answer = _answer_of_telegram(body)
        if answer is not None and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND):
            log.critical("token_refused")
            raise TokenRefusedError
        if status == HTTPStatus.CONFLICT:
            log.error("second_poller", hint="another process polls with this token, or a webhook is set")
            self._conflict()
            raise PollFailedError("conflict")
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise PollFailedError("flood", _wait_in(answer))
        raise PollFailedError(f"status {status}")

    async def _connected(self) -> BaseRequest:
        if self._client is None:
            client = self._fresh_client()
            await client.initialize()
            self._client = client
        return self._client

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            await client.shutdown()
        except Exception as exc:  # noqa: BLE001 - it is thrown away either way
            log.warning("client_not_closed", error=type(exc).__name__)


# The parts of JSON that decide where an element ends; possessive, so that no input makes it slow.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]', re.DOTALL)
_RESULT: Final = re.compile(rb'"result"\s*+:\s*+\[')
_START: Final = re.compile(rb'\{\s*+"update_id"\s*+:')
_TRUE: Final = re.compile(rb'\s*+\{\s*+"ok"\s*+:\s*+true\b')
_NUMBER: Final = re.compile(rb'"update_id"\s*+:\s*+(\d{1,19})\b')


def updates_in(payload: bytes) -> list[RawUpdate]:
    """Take an answer apart without reading its updates, so that one unreadable update spoils no other."""
    bodies = _elements(payload)
    if bodies is None:
        bodies = _salvaged(payload)
    if bodies is None:
        raise PollFailedError("unreadable answer")
    return [RawUpdate(_number_of(body), body) for tangle in bodies for body in _untangled(tangle)]


def _elements(payload: bytes) -> list[bytes] | None:
    """Cut the result at its own commas; None unless what is around it is a whole answer of Telegram."""
    found = _RESULT.search(payload)
    if found is None:
        return None
    bodies, end = _cut_at_commas(payload, found.end())
    envelope = _answer_of_telegram(payload[: found.end()] + payload[end:])
    whole = envelope is not None and envelope.get("ok") is True and envelope.get("result") == []
    return bodies if whole else None


def _salvaged(payload: bytes) -> list[bytes] | None:
    """Take the whole result of an answer in which brackets do not match, as one tangle.

    An answer that breaks off is not touched: its last update would be confirmed without having been read.
    """
    found = _RESULT.search(payload)
    if found is None or not _TRUE.match(payload) or not payload.rstrip().endswith(b"]}"):
        return None
    tangle = payload[found.end() : payload.rindex(b"]")].strip()
    return [tangle] if tangle else None


def _untangled(body: bytes) -> list[bytes]:
    """Part what cannot be read where updates begin: an update with an open quote swallows the next.

    Quotes in a text are escaped, so nobody can forge the beginning of an update by writing it to the bot.
    """
    starts = [found.start() for found in _START.finditer(body)]
    if len(starts) < 2 or _is_readable(body):  # noqa: PLR2004 - one beginning is the body's own
        return [body]
    pieces = [body[start:end] for start, end in pairwise([0, *starts[1:], len(body)])]
    return [piece.strip(b", \r\n\t") for piece in pieces]


def _is_readable(body: bytes) -> bool:
    try:
        loads_leniently(body)
    except ValueError:
        return False
    return True


def _cut_at_commas(payload: bytes, start: int) -> tuple[list[bytes], int]:
    """Give the elements of the array that begins at `start`, and where it closes."""
    depth = 0
    elements = []
    for token in _TOKENS.finditer(payload, start):
        kind = token.group()
        if kind in (b"{", b"["):
            depth += 1
        elif depth and kind in (b"}", b"]"):
            depth -= 1
        elif not depth and kind in (b",", b"]"):
            elements.append(payload[start : token.start()].strip())
            start = token.end()
            if kind == b"]":
                return [element for element in elements if element], token.start()
    return [], len(payload)


def _number_of(body: bytes) -> int | None:
    """Read an update's number; from one that cannot be read at all, by its looks."""
    try:
        update = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = _NUMBER.search(body)
        number: Any = int(found.group(1)) if found else None
    else:
        number = update.get("update_id") if isinstance(update, dict) else None
    usable = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < LARGEST_NUMBER
    return number if usable else None


def _answer_of_telegram(body: bytes) -> dict[str, Any] | None:
    """Read an answer of the Bot API; None when somebody else answered."""
    try:
        answer = loads_leniently(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and "ok" in answer else None


def _wait_in(answer: dict[str, Any] | None) -> timedelta:
    """Read how long Telegram wants to hear nothing."""
    parameters = (answer or {}).get("parameters")
    seconds = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return timedelta(seconds=seconds) if isinstance(seconds, int) and seconds > 0 else UNSAID_WAIT
