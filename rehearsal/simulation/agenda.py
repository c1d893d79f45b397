"""What people will do, in the order in which they will do it."""

import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import count
from typing import TypeAlias

Act: TypeAlias = Callable[[], Awaitable[None]]


class Agenda:
    """Acts by instant; those of one instant in the order in which they were planned."""

    def __init__(self) -> None:
        self._acts: list[tuple[datetime, int, Act]] = []
        self._numbers = count()

    def put(self, at: datetime, act: Act) -> None:
        """Plan an act."""
        heapq.heappush(self._acts, (at, next(self._numbers), act))

    @property
    def next_at(self) -> datetime | None:
        """When somebody will do something next."""
        return self._acts[0][0] if self._acts else None

    def take(self, now: datetime) -> Act | None:
        """The next act that is due, or None."""
        if not self._acts or self._acts[0][0] > now:
            return None
        return heapq.heappop(self._acts)[2]
