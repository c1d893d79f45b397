"""Pushes updates to a bot's webhook as Telegram does: in order per chat, again until the answer is 2xx."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import aiohttp

from rehearsal.accounts import Account, WebhookSettings
from rehearsal.updates import Update

# Answers the HTTP status and, when given, the seconds of Retry-After.
Post = Callable[[str, Mapping[str, str], bytes], Awaitable[tuple[int, float | None]]]

LONGEST_PAUSE_SECONDS = 60.0
LONGEST_ANSWER_SECONDS = 60.0


async def post_by_http(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float | None]:
    """Post over the network."""
    timeout = aiohttp.ClientTimeout(total=LONGEST_ANSWER_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=body, headers=dict(headers)) as answer,
    ):
        wait = answer.headers.get("Retry-After", "")
        return answer.status, float(wait) if wait.isdigit() else None


class Pusher:
    """Pushes one account's updates until it is stopped."""

    def __init__(self, account: Account, post: Post, first_pause_seconds: float) -> None:
        self._account = account
        self._post = post
        self._first_pause = first_pause_seconds
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def busy(self) -> bool:
        """Whether an update is being pushed right now."""
        return any(not lane.done() for lane in self._lanes.values())

    def cancel(self) -> None:
        """Stop, without waiting for what is under way."""
        for task in (self._task, *self._lanes.values()):
            task.cancel()

    async def stop(self) -> None:
        """Stop and wait until nothing is under way."""
        self.cancel()
        for task in (self._task, *self._lanes.values()):
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while hook := self._account.webhook:
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.done()}
            for update in self._account.updates.pending():
                if update.lane not in self._lanes and len(self._lanes) < hook.connections:
                    lane = asyncio.get_running_loop().create_task(self._push(hook, update.lane))
                    lane.add_done_callback(lambda _: self._account.bell.ring())
                    self._lanes[update.lane] = lane
            await self._account.bell.wait()

    async def _push(self, hook: WebhookSettings, lane: str) -> None:
        pause = self._first_pause
        while waiting := [update for update in self._account.updates.pending() if update.lane == lane]:
            wished = await self._deliver(hook, waiting[0])
            if wished is None:
                pause = self._first_pause
            else:
                await asyncio.sleep(wished or pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _deliver(self, hook: WebhookSettings, update: Update) -> float | None:
        headers = {"Content-Type": "application/json"}
        if hook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = hook.secret
        try:
            status, wished = await self._post(hook.url, headers, update.raw.encode())
        except (aiohttp.ClientError, TimeoutError, OSError) as reason:
            self._note(hook, f"Connection failed: {type(reason).__name__}")
            return 0.0
        if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
            self._account.updates.confirm([update.id])
            return None
        self._note(hook, f"Wrong response from the webhook: {status}")
        return wished or 0.0

    def _note(self, hook: WebhookSettings, reason: str) -> None:
        hook.last_error_at = self._account.clock()
        hook.last_error = reason
