"""A bell that wakes everybody who waits for the rehearsal to change."""

import asyncio
from contextlib import suppress


class Bell:
    """Rung after every change; belongs to one event loop, like everything in a rehearsal."""

    __slots__ = ("_waiting", "rings")

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()
        self.rings = 0

    def ring(self) -> None:
        """Wake all who wait now."""
        self.rings += 1
        waiting, self._waiting = self._waiting, set()
        for sleeper in waiting:
            if not sleeper.done():
                sleeper.set_result(None)

    async def wait(self, seconds: float | None = None) -> None:
        """Return at the next ring, or after this many seconds."""
        sleeper = asyncio.get_running_loop().create_future()
        self._waiting.add(sleeper)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await sleeper
        finally:
            self._waiting.discard(sleeper)
