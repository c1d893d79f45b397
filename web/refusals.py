"""What the pages say when something is refused, in the language of whoever asked."""

from datetime import date, datetime, time

from protocol.errors import DaybookError, WrongCallError
from protocol.lifecycle import PatientStatus
from protocol.values import Text
from web.words import Words


class NotUnderstoodError(WrongCallError):
    """A field of a form that cannot be used; its key is the catalogue's sentence about it."""

    def __init__(self, key: str) -> None:
        super().__init__(key, key)


def said(words: Words, error: DaybookError) -> str:
    """What an error says; one that no form can bring about has only its own sentence."""
    key = error.key if isinstance(error, NotUnderstoodError) else f"refused.{error.key}"
    if not words.knows(key):
        return str(error)
    return words(key, **{name: _told(words, value) for name, value in error.values.items()})


def _told(words: Words, value: object) -> object:
    """A value as the sentence around it has it."""
    match value:
        case Text():
            return value.in_language(words.language)
        case PatientStatus():
            return words(f"status.{value}")
        case time():
            return words.time(value)
        case date():
            # Isolated, since it runs from the left in any text.
            written = f"{value:%Y-%m-%d %H:%M}" if isinstance(value, datetime) else f"{value:%Y-%m-%d}"
            return f"\u2066{words.digits(written)}\u2069"
        case float():
            return words.digits(f"{value:g}")
    return value
