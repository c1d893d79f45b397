"""What a button says back: short, signed for its chat, with no meaning for anybody who reads it.

Telegram allows 64 bytes and hands back whatever was once on a button of ours, in any chat and at any age; so
each carries a signature over the chat, and the verb it calls still checks the owner and the state.
"""

import base64
from dataclasses import dataclass

from diary import Keys

MOST_BYTES = 64
_SIGNATURE_BYTES = 9


@dataclass(frozen=True, slots=True)
class Press:
    """A press of a button of ours: which act, with which arguments."""

    act: str
    arguments: tuple[str, ...] = ()

    def number(self, place: int) -> int:
        """An argument that is a whole number."""
        return int(self.arguments[place])


class Buttons:
    """Writes and reads callback data for one bot."""

    def __init__(self, keys: Keys, bot_id: int) -> None:
        self._keys = keys
        self._bot_id = bot_id

    def data(self, chat_id: int, act: str, *arguments: int | str) -> str:
        """Callback data for a button in this chat, at most 64 bytes."""
        payload = ".".join((act, *map(str, arguments)))
        signature = self._keys.sign(self._signed(chat_id, payload))[:_SIGNATURE_BYTES]
        data = f"{payload}~{base64.urlsafe_b64encode(signature).decode()}"
        assert len(data.encode()) <= MOST_BYTES, payload
        return data

    def read(self, chat_id: int, data: str) -> Press | None:
        """What was pressed; None for anything we did not put on a button in this chat."""
        payload, separator, written = data.rpartition("~")
        try:
            signature = base64.urlsafe_b64decode(written.encode())
        except ValueError:
            return None
        if not separator or len(signature) != _SIGNATURE_BYTES:
            return None
        if not self._keys.signed(self._signed(chat_id, payload), signature):
            return None
        act, *arguments = payload.split(".")
        return Press(act, tuple(arguments))

    def _signed(self, chat_id: int, payload: str) -> str:
        return f"{self._bot_id}:{chat_id}:{payload}"
