"""The updates a bot has not confirmed yet: numbered, kept for a time, handed out again until confirmed."""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from rehearsal.bell import Bell
from rehearsal.chats import Json

# From Telegram's open-source Bot API server: what was typed is kept a day, a tap only 150 seconds.
KEPT_MESSAGE = timedelta(hours=24)
KEPT_TAP = timedelta(seconds=150)
# Not sent unless asked for by name: https://core.telegram.org/bots/api#getupdates
_ONLY_WHEN_NAMED = {"chat_member", "message_reaction", "message_reaction_count"}


@dataclass(frozen=True, slots=True)
class Update:
    """One update as JSON text, the same bytes at every delivery."""

    id: int
    raw: str
    expires: datetime | None
    lane: str


class Updates:
    """The queue of one bot."""

    def __init__(self, clock: Callable[[], datetime], bell: Bell, first_id: int) -> None:
        self._clock = clock
        self._bell = bell
        self._waiting: list[Update] = []
        self._handed_out: deque[Update] = deque(maxlen=1000)
        self.next_id = first_id
        self.allowed: frozenset[str] = frozenset()
        self.expired = 0

    def put(self, kind: str, content: Json, *, kept: timedelta, lane: str) -> int | None:
        """Queue an update unless the bot asked not to get its kind; answer its id."""
        if not self._wanted(kind):
            return None
        raw = orjson.dumps({"update_id": self.next_id, kind: content}).decode()
        return self._append(raw, self._clock() + kept, lane)

    def poison(self, raw: str) -> int:
        """Queue any JSON text as it is, the update id included or not."""
        return self._append(raw, None, "poison")

    def pending(self) -> list[Update]:
        """Answer what is not confirmed and not expired, oldest first."""
        now = self._clock()
        alive = [update for update in self._waiting if update.expires is None or update.expires > now]
        self.expired += len(self._waiting) - len(alive)
        self._waiting = alive
        return list(alive)

    def page(self, offset: int, limit: int) -> list[Update]:
        """Confirm what lies before the offset and answer the next ones; a negative offset counts from the end."""
        # An offset past the last number confirms nothing: after an idle week Telegram numbers anew.
        if 0 < offset <= self.next_id:
            self.confirm([update.id for update in self._waiting if update.id < offset])
        elif offset < 0:
            self.confirm([update.id for update in self.pending()[:offset]])
        return self.pending()[:limit]

    def confirm(self, ids: Collection[int]) -> None:
        """Forget these; they stay at hand for `again`."""
        done = [update for update in self._waiting if update.id in ids]
        if done:
            self._handed_out += done
            self._waiting = [update for update in self._waiting if update.id not in ids]
            self._bell.ring()

    def again(self, count: int = 1) -> list[int]:
        """Deliver the last confirmed updates once more, as Telegram does when it missed the confirmation."""
        repeated = list(self._handed_out)[-count:]
        self._waiting = repeated + self._waiting
        self._bell.ring()
        return [update.id for update in repeated]

    def clear(self) -> None:
        """Forget everything that waits."""
        self.confirm([update.id for update in self._waiting])

    def _wanted(self, kind: str) -> bool:
        return kind in self.allowed if self.allowed else kind not in _ONLY_WHEN_NAMED

    def _append(self, raw: str, expires: datetime | None, lane: str) -> int:
        update = Update(self.next_id, raw, expires, lane)
        self.next_id += 1
        self._waiting.append(update)
        self._bell.ring()
        return update.id
