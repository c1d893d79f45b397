"""The heartbeat: a few interval jobs that wake the service; APScheduler decides nothing clinical.

Its cron triggers skip and double days at clock changes, so it never sees a wall time: only "every so often".
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        for job in jobs:
            self._scheduler.add_job(
                _guarded(job),
                IntervalTrigger(seconds=job.every.total_seconds(), timezone=UTC),
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
        await asyncio.shield(task)

    return shielded
