"""What the pages say when something is refused, in the language of whoever asked."""

from collections.abc import Sequence
from datetime import date, datetime, time

from protocol.errors import ConflictError, DaybookError, WrongCallError
from protocol.lifecycle import PatientStatus
from protocol.values import Text
from web.words import Words, day


class NotUnderstoodError(WrongCallError):
    """A field of a form that cannot be used; its key is the catalogue's sentence about it."""

    def __init__(self, key: str) -> None:
        super().__init__(key, key)


class MeanwhileError(ConflictError):
    """What somebody else did meanwhile leaves another way than sending it again; its key says which."""

    def __init__(self, key: str) -> None:
        super().__init__(key, key)


class NotSureError(Exception):
    """What would follow is shown first, and a yes to it is asked for; `about` is what the yes is to."""

    def __init__(self, effects: Sequence[str], about: str) -> None:
        self.effects = effects
        self.about = about
        super().__init__(about)


def said(words: Words, error: DaybookError) -> str:
    """What an error says; one that no form can bring about has only its own sentence."""
    key = error.key if isinstance(error, NotUnderstoodError | MeanwhileError) else f"refused.{error.key}"
    if not words.knows(key):
        return str(error)
    return words(key, **{name: _told(words, value) for name, value in error.values.items()})


def _told(words: Words, value: object) -> object:
    """A value as the sentence around it has it."""
    written: object = value
    match value:
        case Text():
            written = value.in_language(words.language)
        case PatientStatus():
            written = words(f"status.{value}")
        case time():
            written = words.time(value)
        case datetime():
            written = f"{day(words, value.date())} {words.time(value)}"
        case date():
            written = day(words, value)
        case float():
            written = words.digits(f"{value:g}")
    return written
