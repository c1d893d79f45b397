"""An event loop whose time stands still, and which knows when everything that can happen has happened.

With one thread, no sockets and no running timers the order of things is the order in which they were begun: the
same every time. Nothing waits for time to pass unless `let_pass` is told so.
"""

import asyncio
import selectors
from typing import cast


class _SeldomAsking(selectors.DefaultSelector):
    """Asks for sockets only when there is nothing else to do: a thread's result does not come by one."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return [] if timeout == 0 else super().select(timeout)


class StillLoop(asyncio.SelectorEventLoop):
    """A loop for `asyncio.Runner(loop_factory=StillLoop)`."""

    _seconds = 0.0

    def __init__(self) -> None:
        super().__init__(_SeldomAsking())

    def time(self) -> float:
        """The loop's own seconds, which only `let_pass` moves."""
        return self._seconds

    def let_pass(self, seconds: float) -> None:
        """Let so many seconds go by; what waited for one of them goes on at the next turn of the loop."""
        self._seconds += seconds

    @property
    def at_rest(self) -> bool:
        """Whether nobody but the caller has anything to do."""
        return not self._ready  # type: ignore[attr-defined]


async def settle() -> None:
    """Let everything happen that can happen now."""
    loop = cast("StillLoop", asyncio.get_running_loop())
    await asyncio.sleep(0)
    while not loop.at_rest:  # noqa: ASYNC110 - no event says that nothing is left
        await asyncio.sleep(0)
