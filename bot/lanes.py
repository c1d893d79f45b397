"""Lanes: updates of one patient are handled in order, of different patients side by side.

Without them a slow answer to one patient holds up everybody; with plain concurrency "7" and its correction
"8" may change places.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context, copy_context
from functools import partial

import structlog

log = structlog.get_logger(__name__)

Job = Callable[[], Awaitable[None]]


class Lanes:
    """Runs jobs, those of one key one after the other, and at most `at_once` in all.

    A job that fails is handed to `failed` and stops nothing: its update is still in the inbox.
    """

    def __init__(self, *, failed: Callable[[Hashable, BaseException], None], at_once: int = 32) -> None:
        self._failed = failed
        self._at_once = at_once
        self._lanes: dict[Hashable, deque[tuple[Job, Context]]] = {}
        self._ready: deque[Hashable] = deque()  # lanes with a job and none running
        self._running: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Count the jobs that are waiting or running."""
        return len(self._running) + sum(map(len, self._lanes.values()))

    def put(self, key: Hashable, job: Job) -> None:
        """Add a job to this key's lane; it starts when the lane and a place are free."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = deque()
            self._ready.append(key)
            self._idle.clear()
        # The caller's context goes along: what one patient's job binds to its log lines stays its own.
        lane.append((job, copy_context()))
        self._start()

    async def drain(self, within: float | None = None) -> int:
        """Wait until every job is done; after `within` seconds drop the rest, and say how many those were."""
        try:
            async with asyncio.timeout(within):
                await self._idle.wait()
        except TimeoutError:
            return await self._drop()
        return 0

    async def _drop(self) -> int:
        left = len(self)
        for key in self._ready:
            del self._lanes[key]
        self._ready.clear()
        for lane in self._lanes.values():
            lane.clear()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return left

    def _start(self) -> None:
        while self._ready and len(self._running) < self._at_once:
            key = self._ready.popleft()
            job, context = self._lanes[key].popleft()
            task = asyncio.create_task(self._run(key, job), context=context)
            self._running.add(task)
            task.add_done_callback(partial(self._ended, key))

    async def _run(self, key: Hashable, job: Job) -> None:
        try:
            await job()
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._report(key, exc)  # something the job waited for was cancelled, not the job
        except Exception as exc:  # noqa: BLE001 - whatever it was, the next update must not pay for it
            self._report(key, exc)

    def _report(self, key: Hashable, exc: BaseException) -> None:
        try:
            self._failed(key, exc)
        except Exception as second:  # noqa: BLE001 - nor may the report of a failure
            log.error(  # noqa: TRY400 - a traceback may quote the patient
                "lane_report_failed", error=type(second).__name__
            )

    def _ended(self, key: Hashable, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._lanes[key]:
            self._ready.append(key)
        else:
            del self._lanes[key]
        self._start()
        if not self._lanes:
            self._idle.set()
