"""Where a walk through many rows goes on: opaque to whoever holds it, and good for one question only."""

import base64
import binascii
from typing import Final

from diary import Keys

_SIGNATURE_BYTES: Final = 16


def cursor_at(keys: Keys, question: str, place: bytes) -> str:
    """A cursor for a place among the rows that answer a question."""
    signature = keys.sign(_bound(question, place))[:_SIGNATURE_BYTES]
    return base64.urlsafe_b64encode(signature + place).decode().rstrip("=")


def place_of(keys: Keys, question: str, cursor: str) -> bytes | None:
    """The place a cursor stands for; None where we did not make it, or not for this question."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (ValueError, binascii.Error):
        return None
    signature, place = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    whole = len(signature) == _SIGNATURE_BYTES
    return place if whole and keys.signed(_bound(question, place), signature) else None


def _bound(question: str, place: bytes) -> str:
    return f"cursor:{question}:{place.hex()}"
