"""What the pages say when something is refused, in the language of whoever asked."""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Doubt:
    """What would follow, in sentences, and the yes to it; `key` is what the yes is to."""

    key: str
    sentences: Sequence[str]
    yes: str


class NotSureError(Exception):
    """What would follow is shown first, and done once the box of each doubt is ticked."""

    def __init__(self, doubts: Sequence[Doubt]) -> None:
        self.doubts = doubts
        super().__init__()


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
