"""The service's own backups: one each night, one at a start after a day without, and which of them are kept."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from diary import Database
from diary.backups import back_up, last_proven_at
from diary.team import list_sites
from protocol.calendar import zone_of
from protocol.errors import DaybookError
from schedules.sending import Clock

log = structlog.get_logger(__name__)

NIGHT: Final = time(2, 30)
NIGHT_LASTS: Final = timedelta(hours=3)
AT_LEAST_EVERY: Final = timedelta(hours=25)  # as long as the day on which clocks go back
TRY_AGAIN: Final = timedelta(hours=1)
LOOK_SECONDS: Final = 60.0
MONTHS_KEPT: Final = 12

_PROVEN: Final = re.compile(r"daybook-(\d{8}T\d{6}Z)\.backup")
_LEFT: Final = re.compile(r"daybook-\d{8}T\d{6}Z\.backup\.not-proven|\.daybook-\d{8}T\d{6}Z\.backup\.partial-\d+")


@dataclass(slots=True)
class Backups:
    """Makes them in a folder that is there already: one that is not may be a disk that is not connected.

    `quiet` is held while the database is copied, so that no tick is in its middle.
    """

    db: Database
    folder: Path
    clock: Clock
    quiet: AbstractAsyncContextManager[object]
    keep: int = 14
    _failed_at: datetime | None = field(default=None, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look now and every minute, until the block ends; a backup in the making is then broken off."""
        task = asyncio.create_task(self._run(), name="backups")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Make a backup if it is time; what goes wrong is logged, and tried again in an hour."""
        now = self.clock()
        if self._failed_at is not None and timedelta() <= now - self._failed_at < TRY_AGAIN:
            return
        try:
            if is_due(await last_proven_at(self.db), now=now, zone=await self._zone()):
                await self._make(now)
            self._failed_at = None
        except Exception as error:  # noqa: BLE001 - the service goes on, and so does the next try
            self._failed_at = now
            because = str(error) if isinstance(error, DaybookError) else type(error).__name__
            # The sentence says it, and a traceback is only needed for what nobody foresaw.
            tell = log.error if isinstance(error, DaybookError) else log.exception
            tell("backup_failed", because=because, again_in_minutes=TRY_AGAIN // timedelta(minutes=1))

    async def _make(self, now: datetime) -> None:
        made = await back_up(self.db, self.folder / name_at(now), clock=self.clock, quiet=self.quiet)
        log.info("backed_up", file=made.file.name, rows=made.rows, bytes=made.bytes, seconds=round(made.seconds, 1))
        await asyncio.to_thread(self._clear, made.file.name)

    def _clear(self, newest: str) -> None:
        for name in superfluous((path.name for path in self.folder.iterdir()), newest=newest, keep=self.keep):
            (self.folder / name).unlink(missing_ok=True)

    async def _zone(self) -> ZoneInfo:
        sites = await list_sites(self.db)
        return zone_of(sites[0].timezone if sites else "UTC")


def is_due(last: datetime | None, *, now: datetime, zone: ZoneInfo) -> bool:
    """Whether it is night at the site and the last proven backup is from before it, or that is older than a day.

    One from the future was made while the clock was wrong, and says nothing.
    """
    if last is None or last > now or now - last > AT_LEAST_EVERY:
        return True
    begun = _night_before(now, zone)
    return last < begun and now - begun < NIGHT_LASTS


def name_at(now: datetime) -> str:
    """The name of the service's backup of this moment."""
    return f"daybook-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.backup"


def superfluous(names: Iterable[str], *, newest: str, keep: int) -> list[str]:
    """Which files may go: of the service's own backups all but the last of each of `keep` days and of 12 months.

    Days and months without a backup do not count. `newest` was proven just now and stays whatever the names say;
    what others put into the folder is not looked at. Of what earlier tries left unfinished or unproven, only the
    last file that is not proven stays.
    """
    own, left = [], []
    for name in sorted(names, reverse=True):
        if found := _PROVEN.fullmatch(name):
            own.append((found[1], name))
        elif _LEFT.fullmatch(name):
            left.append(name)
    kept = {newest, *_last_of_each(own, "YYYYMMDD", keep), *_last_of_each(own, "YYYYMM", MONTHS_KEPT)}
    unproven = [name for name in left if name.endswith(".not-proven")]
    return [name for _, name in own if name not in kept] + [name for name in left if name not in unproven[:1]]


def _last_of_each(own: Iterable[tuple[str, str]], span: str, count: int) -> list[str]:
    """The last backup of each of the last days or months that have one; `own` has the newest first."""
    last: dict[str, str] = {}
    for instant, name in own:
        last.setdefault(instant[: len(span)], name)
    return list(last.values())[:count]


def _night_before(now: datetime, zone: ZoneInfo) -> datetime:
    """When the night last began at the site."""
    today = now.astimezone(zone).date()
    begins = (datetime.combine(day, NIGHT, zone).astimezone(UTC) for day in (today, today - timedelta(days=1)))
    return next(at for at in begins if at <= now)
