"""A stand-in Telegram in a process of its own that costs next to nothing, and the handle to it.

It knows just the methods that are measured. The one in `rehearsal/` checks every call as Telegram would, which
costs more than what is measured here, and would make floor and figure alike. Times are taken here, where Telegram
would see them, with a clock that all processes share.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import aiohttp
import orjson
from aiohttp import web

# Shaped like real tokens, and plainly none.
TOKEN: Final = "7000000001:BENCHMARK-ONLY-not-a-secret-0000001"
FLOOR_TOKEN: Final = "7000000002:BENCHMARK-ONLY-not-a-secret-0000002"
_LONGEST_POLL: Final = 50.0

Json = dict[str, Any]


@dataclass(slots=True)
class Inbox:
    """One bot's updates, and when each was handed out and its acknowledgement answered."""

    waiting: list[tuple[int, bytes]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    polls: int = 0
    polling: bool = False
    handed_out: dict[int, float] = field(default_factory=dict)
    open_taps: dict[int, int] = field(default_factory=dict)  # chat -> update
    latencies: list[float] = field(default_factory=list)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)


class StandIn:
    """The stand-in itself."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.inboxes: defaultdict[str, Inbox] = defaultdict(Inbox)
        self.asked: dict[int, Json] = {}  # chat -> the newest message with buttons
        self.received: defaultdict[str, list[float]] = defaultdict(list)
        self._update_ids = count(100_001)
        self._message_ids = count(1)

    async def call(self, request: web.Request) -> web.Response:
        """Answer one call of a bot."""
        method, token = request.match_info["method"], request.match_info["token"]
        body = await request.read()
        arrived = time.monotonic()
        fields = orjson.loads(body) if body else {}
        if method == "getUpdates":
            self.received[method].append(arrived)
            return _answer(await self._updates(self.inboxes[token], fields))
        self.received[method].append(arrived)
        if self.delay:
            await asyncio.sleep(self.delay)
        result = self._carried_out(method, token, fields)
        if method == "editMessageText":
            self._acknowledge(self.inboxes[token], fields)
        return _answer(orjson.dumps(result))

    async def _updates(self, inbox: Inbox, fields: Json) -> bytes:
        inbox.polls += 1
        mine = inbox.polls
        offset = fields.get("offset", 0)
        inbox.waiting = [update for update in inbox.waiting if update[0] >= offset]
        until = time.monotonic() + min(_LONGEST_POLL, fields.get("timeout", 0))
        inbox.polling = True
        while not inbox.waiting and inbox.polls == mine and (left := until - time.monotonic()) > 0:
            inbox.changed.clear()
            try:
                await asyncio.wait_for(inbox.changed.wait(), left)
            except TimeoutError:
                break
        if inbox.polls != mine:
            return b"[]"
        inbox.polling = False
        page = inbox.waiting[:100]
        now = time.monotonic()
        for update_id, _ in page:
            inbox.handed_out.setdefault(update_id, now)
        return b"[" + b",".join(raw for _, raw in page) + b"]"

    def _carried_out(self, method: str, token: str, fields: Json) -> Any:
        me = {"id": int(token.partition(":")[0]), "is_bot": True, "first_name": "Daybook", "username": "bench_bot"}
        if method == "getMe":
            return me
        if method not in ("sendMessage", "editMessageText"):
            return True
        chat_id = int(fields["chat_id"])
        message = {
            "message_id": fields.get("message_id") or next(self._message_ids),
            "from": me,
            "chat": {"id": chat_id, "type": "private", "first_name": "Patient"},
            "date": int(time.monotonic()),
            "text": fields["text"],
            "reply_markup": fields.get("reply_markup") or {"inline_keyboard": []},
        }
        if method == "sendMessage":
            self.asked[chat_id] = message
        return message

    def _acknowledge(self, inbox: Inbox, fields: Json) -> None:
        update_id = inbox.open_taps.pop(int(fields["chat_id"]), None)
        if update_id is not None:
            inbox.latencies.append(time.monotonic() - inbox.handed_out.pop(update_id))
            inbox.acknowledged.set()

    def _tap(self, inbox: Inbox, chat_id: int, label: str) -> None:
        message = self.asked[chat_id]
        buttons = [button for row in message["reply_markup"]["inline_keyboard"] for button in row]
        data = next(button["callback_data"] for button in buttons if button["text"] == label)
        update_id = next(self._update_ids)
        person = {"id": chat_id, "is_bot": False, "first_name": "Patient", "language_code": "en"}
        query = {
            "id": str(update_id * 7919),
            "from": person,
            "message": message,
            "chat_instance": "1",
            "data": data,
        }
        inbox.waiting.append((update_id, orjson.dumps({"update_id": update_id, "callback_query": query})))
        inbox.open_taps[chat_id] = update_id
        inbox.changed.set()

    async def taps(self, request: web.Request) -> web.Response:
        """Tap one button in each of these chats, so many at once, and say how long each acknowledgement took."""
        wanted = orjson.loads(await request.read())
        inbox = self.inboxes[wanted["token"]]
        inbox.latencies.clear()
        chats = list(reversed(wanted["chats"]))
        began = time.monotonic()
        while chats or inbox.open_taps:
            while chats and len(inbox.open_taps) < wanted["at_once"]:
                if wanted["at_once"] == 1:
                    await _calm(inbox, wanted["pause"])
                self._tap(inbox, chats.pop(), wanted["label"])
            inbox.acknowledged.clear()
            if inbox.open_taps:
                await inbox.acknowledged.wait()
        return _answer(orjson.dumps({"latencies": inbox.latencies, "seconds": time.monotonic() - began}))

    async def control(self, request: web.Request) -> web.Response:
        """Set the delay, give what was received, or forget it."""
        wanted = orjson.loads(await request.read())
        self.delay = wanted.get("delay", self.delay)
        received = dict(self.received)
        if wanted.get("forget"):
            self.received.clear()
        return _answer(orjson.dumps(received))


async def _calm(inbox: Inbox, pause: float) -> None:
    """Wait until the bot polls again, and a little longer: a patient taps while the bot has nothing to do."""
    while not inbox.polling:  # noqa: ASYNC110 - a poll may come at any time, and nobody else waits for it
        await asyncio.sleep(0.001)
    await asyncio.sleep(pause)


def _answer(result: bytes) -> web.Response:
    return web.Response(body=b'{"ok":true,"result":' + result + b"}", content_type="application/json")


async def _serve() -> None:
    stand_in = StandIn()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/control", stand_in.control)
    app.router.add_post("/taps", stand_in.taps)
    app.router.add_post("/bot{token}/{method}", stand_in.call)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until the one who started us is gone
    await runner.cleanup()


@dataclass(slots=True)
class Handle:
    """The stand-in as the benchmarks see it."""

    url: str
    session: aiohttp.ClientSession

    async def tap(
        self, token: str, chats: list[int], *, at_once: int, label: str = "7", pause: float = 0.01
    ) -> Json:
        """Let these chats tap; the latencies in seconds, and how long it took in all."""
        wanted = {"token": token, "chats": chats, "at_once": at_once, "label": label, "pause": pause}
        return await self._ask("taps", wanted)

    async def delay(self, seconds: float) -> None:
        """Answer every call but getUpdates this much later."""
        await self._ask("control", {"delay": seconds})

    async def received(self, *, forget: bool = False) -> dict[str, list[float]]:
        """When each method's calls arrived."""
        return await self._ask("control", {"forget": forget})

    async def counts(self) -> Counter[str]:
        """How often each method was called."""
        return Counter({method: len(times) for method, times in (await self.received()).items()})

    async def until(self, true: Callable[[Counter[str]], bool], *, seconds: float = 60.0) -> None:
        """Wait until what was received satisfies this."""
        async with asyncio.timeout(seconds):
            while not true(await self.counts()):  # noqa: ASYNC110 - it happens in another process
                await asyncio.sleep(0.02)

    async def _ask(self, path: str, wanted: Json) -> Any:
        async with self.session.post(f"{self.url}/{path}", data=orjson.dumps(wanted)) as response:
            return orjson.loads(await response.read())["result"]


@asynccontextmanager
async def stand_in() -> AsyncIterator[Handle]:
    """Run the stand-in beside us."""
    process = subprocess.Popen(  # noqa: ASYNC220 - started once, before anything is measured
        [sys.executable, "-m", "bench.standin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    port = int(process.stdout.readline())
    try:
        no_limit = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=no_limit) as session:
            yield Handle(f"http://127.0.0.1:{port}", session)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    asyncio.run(_serve())
