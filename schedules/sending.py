"""The Sender seam: what the dispatcher hands out, and the four ways a send can end.

`schedules/` owns the words, `bot/sender.py` fulfils them, `cli/wiring.py` hands one to the other. Reasons are
short fixed codes from `bot/outcomes.py`: they may be stored and logged, because no message text, no token and
no chat id is ever in them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Protocol, TypeAlias, TypeVar

from protocol.lifecycle import SendOutcome


class Refusal(StrEnum):
    """Why asking again would be refused again, until somebody changes something."""

    BLOCKED = "blocked"  # the patient blocked the bot; a later message of theirs opens the chat again
    GONE = "gone"  # the account is deactivated or the chat does not exist: a new invite is needed
    NOT_STARTED = "not started"  # a bot cannot write first
    BAD_REQUEST = "bad request"  # our message is at fault, not the patient: quarantine and tell somebody
    MIGRATED = "migrated"  # a group became another chat; the diary never runs in groups
    TOKEN = "token"  # noqa: S105 - the word, not the secret: nothing more can be sent by this bot


UNREACHABLE: Mapping[Refusal, str] = {
    Refusal.BLOCKED: "blocked",
    Refusal.NOT_STARTED: "blocked",
    Refusal.GONE: "gone",
}
"""The refusals that say something of the chat, and how the chat then stands."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Telegram has the message and gave it a number."""

    message_id: int
    outcome: ClassVar[SendOutcome] = SendOutcome.SENT


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not sent, and not to be tried again as it is."""

    reason: Refusal
    outcome: ClassVar[SendOutcome] = SendOutcome.REFUSED


@dataclass(frozen=True, slots=True)
class PutBack:
    """Certainly not sent; may be tried again once `retry_after` has passed."""

    retry_after: timedelta
    reason: str
    outcome: ClassVar[SendOutcome] = SendOutcome.PUT_BACK


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can tell whether it was sent: never repeated blindly, a doubled dose reminder is a risk."""

    reason: str
    outcome: ClassVar[SendOutcome] = SendOutcome.UNKNOWN


SendResult: TypeAlias = Sent | Refused | PutBack | Unknown

Clock: TypeAlias = Callable[[], datetime]
"""Tells the time; made in `cli/wiring.py`, movable in `rehearsal/`."""

NudgeT_contra = TypeVar("NudgeT_contra", contravariant=True)


class Sender(Protocol[NudgeT_contra]):
    """Sends one nudge and says how it ended; it raises nothing but cancellation."""

    async def send(self, nudge: NudgeT_contra) -> SendResult:
        """Send this nudge once."""
        ...
