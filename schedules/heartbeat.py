"""The heartbeat: a few interval jobs that wake the service; APScheduler decides nothing clinical.

Its cron triggers skip and double days at clock changes, so it never sees a wall time: only "every so often".
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done again and again; it is never run twice at once, and a missed turn is run once."""

    name: str
    every: timedelta
    run: Callable[[], Awaitable[None]]


class Heartbeat:
    """Runs jobs until it is stopped; a job that fails is logged and runs again at its next turn."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._scheduler: AsyncIOScheduler = _Steady(jobs)
        for job in jobs:
            self._scheduler.add_job(  # type: ignore[no-untyped-call]
                _guarded(job),
                _every(job),
                id=job.name,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
            )

    def start(self) -> None:
        """Begin to beat."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop waking anybody; what runs is left to finish."""
        self._scheduler.shutdown(wait=False)


class _Steady(AsyncIOScheduler):
    """A scheduler that beats on when the machine's clock is set back.

    It plans on the wall clock: set back by two hours, as at a start before the time is known, it would wake
    nobody for two hours.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__(timezone=UTC)  # type: ignore[no-untyped-call]
        self._beats = jobs
        self._longest = 2 * min((job.every.total_seconds() for job in jobs), default=0.0)

    def _process_jobs(self) -> float | None:
        wait: float | None = super()._process_jobs()  # type: ignore[no-untyped-call]
        if wait is None or wait <= self._longest:
            return wait
        log.warning("clock_set_back", seconds=round(wait))
        for job in self._beats:
            self.reschedule_job(job.name, trigger=_every(job))  # type: ignore[no-untyped-call]
        return self._longest


def _every(job: Job) -> IntervalTrigger:
    return IntervalTrigger(seconds=job.every.total_seconds(), timezone=UTC)


def _guarded(job: Job) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        try:
            await job.run()
        except Exception as error:
            log.exception("job_failed", job=job.name, error=type(error).__name__)

    running: set[asyncio.Task[None]] = set()

    async def shielded() -> None:
        # The scheduler cancels what runs when it stops, and a send that is cut off is one nobody knows about.
        task = asyncio.create_task(run(), name=job.name)
        running.add(task)
        task.add_done_callback(running.discard)
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)

    return shielded
