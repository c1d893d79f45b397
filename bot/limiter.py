"""The pacer: how fast the bot may speak, and who speaks first.

Telegram allows about 30 messages a second to a bot, one a second to a chat and 20 a minute to a group. Edits
share these limits with new messages, answers to taps have none (said by the Bot API's maintainer in
tdlib/td#3034 and tdlib/telegram-bot-api#648). The pacer spaces messages evenly instead of letting a full
bucket out at once, sends replies before reminders, and after a "too many requests" holds everything for as
long as Telegram asked.

It keeps no task: each change, and one timer, runs `_advance`, which lets go whoever may go.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from itertools import count
from typing import Any, Final, TypeAlias

import structlog
from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

from bot.outcomes import LAST_LOOK, FloodWaitError, wait_of

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 1.0
FLOOD_MARGIN_SECONDS: Final = 1.0  # Telegram counts whole seconds; a moment too early starts a new pause
GROUP_SECONDS: Final = 3.0  # 20 a minute
TAP_PATIENCE_SECONDS: Final = 10.0  # after about that long a tap can no longer be answered
MAY_EXCEED: Final = 0.05  # what the busiest second may have above the rate
LONGEST_CATCH_UP: Final = 0.01
A_MOMENT: Final = 1e-6  # seconds; below it two instants are the same, whatever floating point says

TAP_ANSWER: Final = "answerCallbackQuery"
MESSAGES: Final = ("send", "editMessage", "copyMessage", "forwardMessage", "stopPoll")
NOT_A_MESSAGE: Final = "sendChatAction"

Answer: TypeAlias = bool | dict[str, Any] | list[dict[str, Any]]
Chat: TypeAlias = int | str


class Lane(IntEnum):
    """Who goes first; handed to the bot's methods as `rate_limit_args`. A call without one is a reply.

    No member may be 0: the library drops arguments that count as false.
    """

    REPLY = 1
    NOTICE = 2
    REMINDER = 3


@dataclass(frozen=True, slots=True)
class Asking:
    """A lane for what may become unwanted while it waits: right before it goes out, `why_not` says why, or None."""

    lane: Lane
    why_not: Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class PacerFigures:
    """How busy the pacer is."""

    sent_in_last_second: int
    waiting: int
    in_flight: int
    gate_closed_for: timedelta


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    lane: Lane
    turn: int
    chat: Chat | None  # None: not a message, so it is not paced
    until: float
    goes: asyncio.Future[None]


@dataclass(slots=True)
class _Chats:
    """When each chat may hear us again; a chat is forgotten as soon as it may."""

    seconds: float
    _free_at: dict[Chat, float] = field(default_factory=dict)
    _expiry: list[tuple[float, int, Chat]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    def free_at(self, chat: Chat | None) -> float:
        return 0.0 if chat is None else self._free_at.get(chat, 0.0)

    def spoken_to(self, chat: Chat, now: float) -> None:
        if not self.seconds:
            return
        in_private = isinstance(chat, int) and chat > 0
        free_at = now + (self.seconds if in_private else max(GROUP_SECONDS, self.seconds))
        self._free_at[chat] = free_at
        heapq.heappush(self._expiry, (free_at, next(self._numbers), chat))

    def forget(self, now: float) -> None:
        while self._expiry and self._expiry[0][0] <= now:
            self._free_at.pop(heapq.heappop(self._expiry)[2], None)

    def __len__(self) -> int:
        return len(self._free_at)


class Pacer(BaseRateLimiter[Lane | Asking]):
    """The bot's pace: `per_bot` messages a second in all, `per_chat` a second in one chat; None is off.

    A reply waits at a closed gate, and is tried once more after a "too many requests", as long as that is
    within `patience` seconds. Notices and reminders are given back at once: their record keeps them, not this
    queue, so that a window that closes meanwhile is seen.
    """

    def __init__(
        self,
        *,
        per_bot: float | None = 25.0,
        per_chat: float | None = 1.0,
        in_flight: int = 64,
        patience: float = 60.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._interval = 1 / per_bot if per_bot else 0.0
        # A timer that fired late may be made good by this much. GCRA then lets at most
        # (1 s + catch-up) * rate + 1 messages into any second, which stays within MAY_EXCEED.
        self._catch_up = min(LONGEST_CATCH_UP, max(0.0, MAY_EXCEED - self._interval))
        self._most = in_flight
        self._most_unhurried = max(1, in_flight - in_flight // 4)  # the rest is kept free for replies
        self._patience = patience
        self._clock = clock
        self._chats = _Chats(1 / per_chat if per_chat else 0.0)
        self._ready: list[tuple[Lane, int, _Waiter]] = []
        self._resting: list[tuple[float, int, _Waiter]] = []  # their chat has just been spoken to
        self._turns = count()
        self._next_at = 0.0
        self._gate_until = 0.0
        self._tap_gate_until = 0.0
        self._in_flight = 0
        self._sent_at: deque[float] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def initialize(self) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Give back everything that waits: it was certainly not sent."""
        self._give_back(self._waiting(), FLOOD_MARGIN_SECONDS)
        self._set_timer(None, self._now())

    def figures(self) -> PacerFigures:
        """Say how busy the pacer is."""
        now = self._now()
        self._forget(now)
        return PacerFigures(
            sent_in_last_second=len(self._sent_at),
            waiting=len(self._waiting()),
            in_flight=self._in_flight,
            gate_closed_for=timedelta(seconds=max(0.0, self._gate_until - now)),
        )

    async def process_request(  # noqa: D102, PLR0917 - the base class's signature and words
        self,
        callback: Callable[..., Coroutine[Any, Any, Answer]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Lane | Asking | None,
    ) -> Answer:
        asking = rate_limit_args if isinstance(rate_limit_args, Asking) else None
        lane = rate_limit_args.lane if isinstance(rate_limit_args, Asking) else rate_limit_args or Lane.REPLY
        tap = endpoint == TAP_ANSWER
        until = self._now() + (TAP_PATIENCE_SECONDS if tap else self._patience)
        tries_left = 2 if lane is Lane.REPLY else 1
        while True:
            tries_left -= 1
            if tap:
                await self._tap_turn(until)
            else:
                await self._turn(lane, _chat_of(endpoint, data), until)
            look = LAST_LOOK.set(asking.why_not if asking else None)
            try:
                return await callback(*args, **kwargs)
            except RetryAfter as flood:
                self._close_gate(wait_of(flood).total_seconds(), endpoint)
                if not tries_left:
                    raise
            finally:
                LAST_LOOK.reset(look)
                if not tap:
                    self._leave()

    async def _tap_turn(self, until: float) -> None:
        """Let an answer to a tap pass at once: only a refusal of such an answer holds back the next.

        The patient's phone shows a spinner meanwhile, and sends the tap again.
        """
        now = self._now()
        if self._tap_gate_until > until:
            raise FloodWaitError(timedelta(seconds=self._tap_gate_until - now))
        if self._tap_gate_until > now:
            await asyncio.sleep(self._tap_gate_until - now)

    async def _turn(self, lane: Lane, chat: Chat | None, until: float) -> None:
        """Wait for this call's turn; raise at once when the gate is closed for longer than it may wait."""
        now = self._now()
        if self._gate_until > now and (lane is not Lane.REPLY or self._gate_until > until):
            raise FloodWaitError(timedelta(seconds=self._gate_until - now))
        goes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(lane, next(self._turns), chat, until, goes)
        heapq.heappush(self._ready, (lane, waiter.turn, waiter))
        self._advance()
        try:
            await goes
        except asyncio.CancelledError:
            # Let go and cancelled in the same moment: the place must not stay taken.
            if goes.done() and not goes.cancelled() and goes.exception() is None:
                self._leave()
            raise

    def _leave(self) -> None:
        self._in_flight -= 1
        self._advance()

    def _advance(self) -> None:
        """Let go everybody who may go now, and come back when the next one may."""
        now = self._now()
        self._forget(now)
        while self._resting and self._resting[0][0] <= now + A_MOMENT:
            waiter = heapq.heappop(self._resting)[2]
            heapq.heappush(self._ready, (waiter.lane, waiter.turn, waiter))
        while self._ready and self._has_room(self._ready[0][2]):
            waiter = self._ready[0][2]
            if self._open_at(waiter) > now + A_MOMENT:
                break
            heapq.heappop(self._ready)
            if waiter.goes.done():
                continue
            chat_free_at = self._chats.free_at(waiter.chat)
            if chat_free_at > now + A_MOMENT:
                heapq.heappush(self._resting, (chat_free_at, waiter.turn, waiter))
            else:
                self._let_go(waiter, now)
        self._set_timer(self._next_wake(), now)

    def _has_room(self, waiter: _Waiter) -> bool:
        most = self._most if waiter.lane is Lane.REPLY else self._most_unhurried
        return self._in_flight < most

    def _open_at(self, waiter: _Waiter) -> float:
        """Say when the gate and the bot's own pace allow this call."""
        if waiter.chat is None:
            return self._gate_until
        return max(self._gate_until, self._next_at - self._catch_up)

    def _let_go(self, waiter: _Waiter, now: float) -> None:
        self._in_flight += 1
        if waiter.chat is not None:
            self._next_at = max(self._next_at, now) + self._interval
            self._chats.spoken_to(waiter.chat, now)
            self._sent_at.append(now)
        waiter.goes.set_result(None)

    def _next_wake(self) -> float | None:
        """Say when time alone changes something; without room in flight it is a leaving call that does."""
        moments = [self._resting[0][0]] if self._resting else []
        if self._ready and self._has_room(self._ready[0][2]):
            moments.append(self._open_at(self._ready[0][2]))
        return min(moments, default=None)

    def _set_timer(self, at: float | None, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if at is None else loop.call_later(max(0.0, at - now), self._advance)

    def _close_gate(self, seconds: float, endpoint: str) -> None:
        """Hold everything for as long as Telegram asked; give back what has another place to wait."""
        now = self._now()
        closed_until = now + seconds + FLOOD_MARGIN_SECONDS
        self._gate_until = max(self._gate_until, closed_until)
        if endpoint == TAP_ANSWER:
            self._tap_gate_until = max(self._tap_gate_until, closed_until)
        log.warning("flood_gate_closed", endpoint=endpoint, seconds=seconds, waiting=len(self._waiting()))
        unhurried = [w for w in self._waiting() if w.lane is not Lane.REPLY or self._gate_until > w.until]
        self._give_back(unhurried, self._gate_until - now)
        self._advance()

    def _give_back(self, waiters: list[_Waiter], seconds: float) -> None:
        for waiter in waiters:
            waiter.goes.set_exception(FloodWaitError(timedelta(seconds=seconds)))
        self._ready = [entry for entry in self._ready if not entry[2].goes.done()]
        self._resting = [entry for entry in self._resting if not entry[2].goes.done()]
        heapq.heapify(self._ready)
        heapq.heapify(self._resting)

    def _waiting(self) -> list[_Waiter]:
        everybody = [entry[2] for entry in self._ready] + [entry[2] for entry in self._resting]
        return [waiter for waiter in everybody if not waiter.goes.done()]

    def _forget(self, now: float) -> None:
        self._chats.forget(now)
        while self._sent_at and self._sent_at[0] <= now - WINDOW_SECONDS:
            self._sent_at.popleft()

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()


def _chat_of(endpoint: str, data: dict[str, Any]) -> Chat | None:
    """Name the chat if this call counts as a message in it; staff may have written its number as text."""
    if endpoint == NOT_A_MESSAGE or not endpoint.startswith(MESSAGES):
        return None
    chat: Chat | None = data.get("chat_id")
    try:
        return chat if chat is None else int(chat)
    except ValueError:
        return chat
