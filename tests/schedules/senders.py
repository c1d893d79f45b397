"""A sender for the tests of the dispatcher: it keeps what it was handed and answers as it was told."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from schedules.sending import Refusal, Refused, SendResult, Sent

SENT = Sent(501)
BLOCKED = Refused(Refusal.BLOCKED)
MINUTE = timedelta(minutes=1)


class FakeSender:
    """Answers with the results in turn, an exception by raising it, and *sent* after the last."""

    def __init__(self, *results: SendResult | Exception) -> None:
        self.handed = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self._results = list(results)

    async def send(self, message) -> SendResult:
        """Keep a message and say how it ended."""
        self.handed.append(message)
        if self.meanwhile is not None:
            await self.meanwhile()
        result = self._results.pop(0) if self._results else SENT
        if isinstance(result, Exception):
            raise result
        return result
