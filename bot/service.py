"""One running diary: a bot with its intake, its lanes, the dispatcher and the heartbeat.

`cli/serve.py` runs it on the real clock, `rehearsal/` on a movable one; the parts and their wiring are the same.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from telegram.error import InvalidToken, TelegramError
from telegram.ext import ExtBot
from telegram.request import BaseRequest

from bot.application import Chat, lane_of
from bot.commands import publish_commands
from bot.intake import (
    POLL_GRACE_SECONDS,
    POLL_SECONDS,
    Backoff,
    Intake,
    RawUpdate,
    TokenRefusedError,
    pause_or_stop,
)
from bot.lanes import Lanes
from bot.request import LeanRequest
from bot.sender import NoticeSender, NudgeSender, Senders
from diary import Database
from diary.alerts import Watch, evaluate_everybody
from diary.arrivals import Waiting, keep, unfinished
from diary.calling import ask_for_digests, remind_of_alerts
from diary.service import beat, last_beat, note_bot, record_outage, tally_if_large
from diary.signing_in import forget_old_ways
from reports.heads import keep_head
from schedules.dispatcher import recover, send_due, send_notices
from schedules.heartbeat import Heartbeat, Job
from schedules.sending import Clock

log = structlog.get_logger(__name__)

TICK: Final = timedelta(seconds=1)
BEAT: Final = timedelta(seconds=15)
LOOK_AT_RULES: Final = timedelta(minutes=1)
RULES_EVERY: Final = timedelta(hours=1)
HEAD_EVERY: Final = timedelta(hours=1)
# On SIGTERM what is in hand gets this long, after the last confirmation; a container's own limit is 10 s.
_FINISH_SECONDS: Final = 6.5


@dataclass(slots=True)
class _Seen:
    """When the parts last worked, kept in memory between two heartbeats."""

    polled: datetime | None = None
    dispatched: datetime | None = None
    rules: datetime | None = None
    head: datetime | None = None
    first_poll: asyncio.Event = field(default_factory=asyncio.Event)


class Service:
    """Runs one bot until told to stop; `watches_outages` is off where the clock is moved by hand.

    `pages_url` is where staff open their pages, None where there are none; `head_file` keeps where the trail ends.
    """

    def __init__(
        self,
        db: Database,
        bot: ExtBot[Any],
        clock: Clock,
        *,
        fresh_client: Callable[[], BaseRequest] = LeanRequest,
        watches_outages: bool = True,
        pages_url: str | None = None,
        head_file: Path | None = None,
        poll_seconds: int = POLL_SECONDS,
        grace_seconds: float = POLL_GRACE_SECONDS,
    ) -> None:
        self.db = db
        self.bot = bot
        self.clock = clock
        self.chat = Chat(db, bot, clock, pages_url)
        senders = Senders(db, {}, clock)
        self._senders = senders
        self.nudges = NudgeSender(senders)
        self.notices = NoticeSender(senders)
        self._lanes = Lanes(failed=_lane_failed)
        self._fresh_client = fresh_client
        self._watches_outages = watches_outages
        self._head_file = head_file
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._seen = _Seen()
        self._watch = Watch()
        self._ticking = asyncio.Lock()
        self._ruling = asyncio.Lock()
        self._stopping = False
        self._heartbeat = Heartbeat(
            [
                Job("tick", TICK, self._tick_when_listening),
                Job("beat", BEAT, self._beat),
                Job("rules", LOOK_AT_RULES, self.hold_rules),
                # Apart from the rules: a share that hangs must keep nobody waiting.
                Job("head", LOOK_AT_RULES, self.keep_head),
            ]
        )

    async def run(self, stop: asyncio.Event, *, heartbeat: bool = True) -> None:
        """Serve until told to stop, then finish what is in hand."""
        connected = False
        try:
            connected = await self._connected(stop)
        finally:
            if not connected:
                await self.bot.shutdown()
        if not connected:
            return
        try:
            await self._pick_up()
            if heartbeat:
                await self._beat()
                self._heartbeat.start()
            await self._intake(await last_beat(self.db, "poll")).run(stop)
        finally:
            await self._finish(heartbeat=heartbeat)

    async def _connected(self, stop: asyncio.Event) -> bool:
        """Introduce ourselves to Telegram, for as long as it takes; a wrong token is final."""
        backoff, failures = Backoff(), 0
        while not stop.is_set():
            try:
                await self.chat.application.initialize()
            except InvalidToken:
                raise TokenRefusedError from None
            except TelegramError as error:
                log.warning("telegram_not_reached", error=type(error).__name__, in_a_row=failures + 1)
                await pause_or_stop(stop, backoff.seconds(failures, 1.0))
                failures += 1
            else:
                self._senders.bots = {self.bot.id: self.bot}
                await note_bot(self.db, bot_id=self.bot.id, username=self.bot.username)
                await publish_commands(self.bot)
                log.info("connected", bot=self.bot.username)
                return True
        return False

    async def _pick_up(self) -> None:
        """Take over from an earlier run: its sends in hand are unknown, its updates are handled now."""
        await recover(self.db, now=self.clock())
        for waiting in await unfinished(self.db):
            self._put(waiting)

    def _intake(self, last_polled: datetime | None) -> Intake:
        return Intake(
            self.bot.base_url,
            keep=self._keep,
            fresh_client=self._fresh_client,
            clock=self.clock,
            polled=self._polled,
            gap=self._gap if self._watches_outages else None,
            last_polled=last_polled,
            poll_seconds=self._poll_seconds,
            grace_seconds=self._grace_seconds,
        )

    async def _keep(self, updates: Sequence[RawUpdate]) -> None:
        kept = await keep(
            self.db,
            bot_id=self.bot.id,
            updates=[(update.update_id, update.body) for update in updates],
            now=self.clock(),
        )
        for waiting in kept:
            self._put(waiting)

    def _put(self, waiting: Waiting) -> None:
        self._lanes.put(lane_of(waiting.body), lambda: self.chat.work(waiting))

    def _polled(self, now: datetime) -> None:
        self._seen.polled = now
        self._seen.first_poll.set()

    async def _gap(self, began: datetime, ended: datetime) -> None:
        await record_outage(self.db, kind="intake", began_at=began, ended_at=ended, now=ended)

    async def _tick_when_listening(self) -> None:
        """Ask nobody before the first successful poll: until then an outage may still have to be recorded."""
        if not self._seen.first_poll.is_set():
            return
        if self._seen.dispatched is None:
            # Lives shorter than a beat must leave a trace too, or a row of crashes would look like an outage.
            await self._beat()
        await self.tick()

    async def tick(self) -> None:
        """Send all that is due now."""
        async with self._ticking:
            now = self.clock()
            # Two at it: while one waits for its batch's last answer, the other's is on its way.
            ended = await asyncio.gather(self._send(), self._send(), return_exceptions=True)
            for failure in ended:
                if failure is not None:
                    raise failure
            self._seen.dispatched = now

    async def _send(self) -> None:
        # Turn and turn about: a side effect must not wait until a whole morning's reminders are out.
        more = True
        while more and not self._stopping:
            more = await send_due(self.db, self.nudges, now=self.clock())
            more = await send_notices(self.db, self.notices, now=self.clock()) or more

    async def hold_rules(self) -> None:
        """Call staff: reminders and digests when their time has come, the rules of the protocol once an hour.

        Apart from the sending, which must not wait.
        """
        async with self._ruling:
            now = self.clock()
            await remind_of_alerts(self.db, now=now)
            await ask_for_digests(self.db, now=now)
            if self._seen.rules is None or now - self._seen.rules >= RULES_EVERY:
                await evaluate_everybody(self.db, now=now, watch=self._watch, stopped=lambda: self._stopping)
                await forget_old_ways(self.db, now=now)
                self._seen.rules = now
            while not self._stopping and await tally_if_large(self.db, now=now):
                pass  # a hundred patients a time, and whoever waits to write goes first

    async def keep_head(self) -> None:
        """Keep where the audit trail ends elsewhere, once a day; what fails is tried again in an hour."""
        now = self.clock()
        if self._head_file is None or (self._seen.head is not None and now - self._seen.head < HEAD_EVERY):
            return
        self._seen.head = now
        try:
            await keep_head(self.db, self._head_file, now=now)
        except OSError as error:
            log.error("head_not_kept", error=error.strerror or type(error).__name__)  # noqa: TRY400

    @property
    def between_ticks(self) -> AbstractAsyncContextManager[object]:
        """While this is held no tick runs: for what would hinder its sends, or be hindered by them."""
        return self._ticking

    @property
    def idle(self) -> bool:
        """Whether every update that was kept has been handled."""
        return not len(self._lanes)

    async def _beat(self) -> None:
        now = self.clock()
        await beat(self.db, "serve", now=now)
        if self._seen.polled is not None:
            await beat(self.db, "poll", now=self._seen.polled)
        if self._seen.dispatched is not None:
            await beat(self.db, "dispatch", now=self._seen.dispatched)

    async def _finish(self, *, heartbeat: bool) -> None:
        self._stopping = True
        if heartbeat:
            self._heartbeat.stop()
        dropped, _ = await asyncio.gather(self._lanes.drain(within=_FINISH_SECONDS), self._last_tick())
        if dropped:
            log.warning("updates_left_for_next_start", count=dropped)
        await self._beat()
        await self.chat.application.shutdown()
        log.info("stopped")

    async def _last_tick(self) -> None:
        """Wait for the batch on the wire; what is not heard of in time is unknown at the next start."""
        try:
            async with asyncio.timeout(_FINISH_SECONDS), self._ticking, self._ruling:
                pass
        except TimeoutError:
            log.warning("sends_left_unknown")


def _lane_failed(_key: object, error: BaseException) -> None:
    """`Chat.work` catches all there is to catch; the key is a chat and must not be logged."""
    log.error("lane_failed", error=type(error).__name__)
