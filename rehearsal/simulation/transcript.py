"""Everything that went over the wire between the bot and the phones, line by line."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Cause: TypeAlias = Literal["by itself", "reply", ""]


@dataclass(frozen=True, slots=True)
class Line:
    """One message, change of a message, line that fades, tap or text.

    `cause` says of what the bot sent whether it answers somebody or came by itself.
    """

    at: datetime
    code: str
    staff: bool
    zone: str
    language: str
    to_phone: bool
    kind: str
    cause: Cause
    text: str
    buttons: tuple[str, ...] = ()
    message: int | None = None


MESSAGE, CHANGED, BUTTONS_OFF, TOAST, REFUSED = "message", "message changed", "buttons off", "pop-up", "refused"
TAP, TEXT, PICTURE, BLOCKED, UNBLOCKED = "tap", "text", "picture", "blocked the bot", "let the bot in again"
# What Telegram counts against a bot's limits: new messages and changes of them, not the answers to taps.
COUNTED = (MESSAGE, CHANGED, BUTTONS_OFF)


class Transcript:
    """All lines, in the order in which they happened."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, line: Line) -> None:
        """Write a line."""
        self.lines.append(line)
