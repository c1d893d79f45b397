"""Scripted failures: what goes wrong between Telegram and a bot, call by call."""

import json
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from rehearsal.rules import RefusalError, bad_request, conflict, forbidden, too_many


class Ending(Enum):
    """How a call ends for the one who made it."""

    ANSWERED = "answered"
    DROPPED = "dropped"  # the connection is closed without an answer
    SILENT = "silent"  # the connection stays open, no answer comes
    UNREACHABLE = "unreachable"  # the connection never came about


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire."""

    status: int
    body: bytes
    content_type: str = "application/json"
    ending: Ending = Ending.ANSWERED


@dataclass(slots=True)
class Call:
    """One API call in the log, refused ones too; `status` is None while it is under way."""

    at: datetime
    bot: str
    method: str
    parameters: dict[str, Any]
    status: int | None = None
    description: str = ""
    carried_out: bool = False
    ending: Ending = Ending.ANSWERED

    @property
    def chat_id(self) -> int | None:
        """The chat it was about."""
        given = str(self.parameters.get("chat_id", ""))
        return int(given) if given.lstrip("-").isdigit() else None

    @property
    def ok(self) -> bool:
        """Whether the caller was told that it worked."""
        return self.status == 200 and self.ending is Ending.ANSWERED  # noqa: PLR2004 - HTTP's own number


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail: carried out or not, answered how, after how long."""

    carried_out: bool
    answer: Answer | None = None
    delay_seconds: float = 0.0


def refused(refusal: RefusalError) -> Fault:
    """Refuse with this answer."""
    return Fault(carried_out=False, answer=as_answer(refusal))


def flood(retry_after: int | None = 1) -> Fault:
    """429, with the seconds to wait or, as proxies do, without."""
    return refused(too_many(retry_after))


def blocked() -> Fault:
    """403: the person blocked the bot."""
    return refused(forbidden("bot was blocked by the user"))


def deactivated() -> Fault:
    """403: the account is gone."""
    return refused(forbidden("user is deactivated"))


def never_started() -> Fault:
    """403: the person never pressed Start."""
    return refused(forbidden("bot can't initiate conversation with a user"))


def bad(reason: str) -> Fault:
    """400 with any reason."""
    return refused(bad_request(reason))


def migrated(chat_id: int) -> Fault:
    """400: the group became a supergroup with this id."""
    reason = "group chat was upgraded to a supergroup chat"
    return refused(bad_request(reason, {"migrate_to_chat_id": chat_id}))


def unauthorized() -> Fault:
    """401: the token was revoked."""
    return refused(RefusalError(401, "Unauthorized"))


def two_pollers() -> Fault:
    """409: somebody else polls."""
    return refused(conflict("terminated by other getUpdates request"))


def too_large() -> Fault:
    """413."""
    return refused(RefusalError(413, "Request Entity Too Large"))


def broken(*, carried_out: bool = False) -> Fault:
    """500: nobody can tell whether it was carried out."""
    return Fault(carried_out, as_answer(RefusalError(500, "Internal Server Error")))


def bad_gateway(*, carried_out: bool = False) -> Fault:
    """502 with a page of HTML, as a proxy answers."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    return Fault(carried_out, Answer(502, page, "text/html"))


def captive_portal(*, carried_out: bool = False) -> Fault:
    """200 with a page of HTML."""
    return Fault(carried_out, Answer(200, b"<html><body>Please log in</body></html>", "text/html"))


def no_result(*, carried_out: bool = True) -> Fault:
    """200 with `ok` and no result."""
    return Fault(carried_out, Answer(200, b'{"ok":true}'))


def dropped(*, carried_out: bool = True) -> Fault:
    """Carried out, then the connection is closed without an answer."""
    return Fault(carried_out, Answer(0, b"", ending=Ending.DROPPED))


def silent(*, carried_out: bool = True) -> Fault:
    """Carried out, and no answer ever comes."""
    return Fault(carried_out, Answer(0, b"", ending=Ending.SILENT))


def unreachable() -> Fault:
    """No connection: certainly not carried out. Over HTTP it looks like `dropped`; stop the server instead."""
    return Fault(carried_out=False, answer=Answer(0, b"", ending=Ending.UNREACHABLE))


def slow(seconds: float) -> Fault:
    """Carried out and answered properly, after this real time."""
    return Fault(carried_out=True, delay_seconds=seconds)


def as_answer(refusal: RefusalError) -> Answer:
    """Answer the refusal as it goes over the wire."""
    return Answer(refusal.code, json.dumps(refusal.as_json()).encode())


@dataclass(slots=True)
class _Rule:
    fault: Fault
    applies: Callable[[Call], bool]
    left: float


@dataclass(slots=True)
class Faults:
    """The script: one call takes one fault, the earliest rule that applies to it."""

    _rules: list[_Rule] = field(default_factory=list)

    def next(self, *faults: Fault, method: str | None = None, chat_id: int | None = None, times: int = 1) -> None:
        """Let the next matching calls meet these faults in turn; no method means any but getUpdates."""
        for fault in faults:
            self._rules.append(_Rule(fault, _matcher(method, chat_id), times))

    def always(self, fault: Fault, *, method: str | None = None, chat_id: int | None = None) -> None:
        """Let every matching call meet this fault until `clear`."""
        self._rules.append(_Rule(fault, _matcher(method, chat_id), math.inf))

    def when(self, applies: Callable[[Call], bool], fault: Fault, *, times: float = math.inf) -> None:
        """Let the calls this function picks meet this fault."""
        self._rules.append(_Rule(fault, applies, times))

    def clear(self) -> None:
        """From now on everything works."""
        self._rules.clear()

    @property
    def waiting(self) -> int:
        """How many scripted faults were not met yet."""
        return sum(int(rule.left) for rule in self._rules if rule.left != math.inf)

    def take(self, call: Call) -> Fault | None:
        """Answer the fault this call meets."""
        for rule in self._rules:
            if rule.applies(call):
                rule.left -= 1
                self._rules = [each for each in self._rules if each.left > 0]
                return rule.fault
        return None


def _matcher(method: str | None, chat_id: int | None) -> Callable[[Call], bool]:
    def applies(call: Call) -> bool:
        right_method = call.method != "getUpdates" if method is None else call.method.lower() == method.lower()
        return right_method and (chat_id is None or call.chat_id == chat_id)

    return applies


class Limits:
    """Telegram's published pace: about 30 messages a second over all, one a second in a chat."""

    def __init__(
        self,
        *,
        per_second: int = 30,
        per_chat_per_second: int = 1,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._per_chat = per_chat_per_second
        self._seconds = seconds
        self._all: deque[float] = deque()
        self._chats: defaultdict[int, deque[float]] = defaultdict(deque)

    def check(self, call: Call) -> None:
        """Refuse a message that comes too soon; only methods that make messages count."""
        if not call.method.lower().startswith("send") or call.method.lower() == "sendchataction":
            return
        now = self._seconds()
        chat = self._chats[call.chat_id or 0]
        wait = max(_wait(self._all, self._per_second, now), _wait(chat, self._per_chat, now))
        if wait > 0:
            raise too_many(max(1, math.ceil(wait)))
        self._all.append(now)
        chat.append(now)


def _wait(window: deque[float], allowed: int, now: float) -> float:
    while window and window[0] <= now - 1:
        window.popleft()
    return 0.0 if len(window) < allowed else window[0] + 1 - now


def as_fields(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the parameters as the log keeps them, nested JSON text read."""
    return {name: _read(value) for name, value in parameters.items()}


def _read(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
