"""The clock of a rehearsal: it stands still until somebody moves it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that is called like the real one and answers aware UTC."""

    __slots__ = ("_now",)

    def __init__(self, start: datetime) -> None:
        self._now = _utc(start)

    def __call__(self) -> datetime:
        """Answer the time."""
        return self._now

    def move_to(self, instant: datetime) -> datetime:
        """Move forward to this instant and answer it; going back has a verb of its own."""
        later = _utc(instant)
        if later < self._now:
            raise ValueError(f"the clock stands at {self._now}; use step_back to set it back to {later}")
        self._now = later
        return later

    def advance(self, span: timedelta) -> datetime:
        """Move forward by this span and answer the new time."""
        return self.move_to(self._now + span)

    def step_back(self, span: timedelta) -> datetime:
        """Set the clock back, as a machine does when its time is corrected."""
        if span < timedelta(0):
            raise ValueError("step_back takes a span greater than zero")
        self._now -= span
        return self._now


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return instant.astimezone(UTC)
