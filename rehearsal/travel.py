"""Moves the clock from event to event, so that nothing on the way is skipped."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rehearsal.clock import Clock

# A host whose next event does not move on must not hold the clock for ever.
_SMALLEST_STEP = timedelta(minutes=1)


@dataclass(slots=True)
class TimeControls:
    """What the host says about time: when something is due next, and what to do once the clock has moved."""

    next_event: Callable[[], Awaitable[datetime | None]]
    moved: Callable[[datetime], Awaitable[None]]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def moving(self) -> bool:
        """Whether the clock is on its way."""
        return self._turn.locked()

    async def to_next(self, clock: Clock) -> datetime | None:
        """Move to the next event and answer its time; None when nothing is planned any more."""
        async with self._turn:
            event = await self.next_event()
            return None if event is None else await self._step(clock, event)

    async def forward(self, clock: Clock, span: timedelta) -> datetime:
        """Move on by this span, stopping at every event on the way in order."""
        async with self._turn:
            end = clock() + span
            event = await self.next_event()
            while event is not None and event <= end and clock() < end:
                await self._step(clock, min(event, end))
                event = await self.next_event()
            if clock() < end:
                await self._step(clock, end)
            return end

    async def _step(self, clock: Clock, event: datetime) -> datetime:
        now = clock.move_to(event if event > clock() else clock() + _SMALLEST_STEP)
        await self.moved(now)
        return now
