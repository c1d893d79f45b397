"""Notes that a session or a token is in use, when the answer is out: who only reads waits for nobody who writes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from diary.arrivals import may_pass

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Marking:
    """Each one is noted once at a time; a database that is busy leaves it to the next use, and the log is told."""

    missed: str
    under_way: set[int] = field(default_factory=set)

    async def note(self, one: int, mark: Callable[[], Awaitable[None]]) -> None:
        """Note a use, unless that is being done already."""
        if one in self.under_way:
            return
        self.under_way.add(one)
        try:
            await mark()
        except Exception as error:
            if not may_pass(error):
                raise
            log.warning(self.missed, error=type(error).__name__)
        finally:
            self.under_way.discard(one)
