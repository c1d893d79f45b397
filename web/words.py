"""The words of the pages, from the catalogues in web/locale, and how figures and instants are written there."""

from datetime import date, datetime

from protocol.calendar import zone_of
from reports.definitions import Figures
from reports.words import Words, languages_of, words_of

__all__ = ["Words", "day", "instant", "languages", "percent", "points", "words_in"]


def words_in(language: str) -> Words:
    """The pages' words in a language, in English where there is no catalogue."""
    return words_of("web", language if language in languages() else "en")


def languages() -> tuple[str, ...]:
    """The languages there are catalogues for."""
    return languages_of("web")


def percent(words: Words, figures: Figures) -> str:
    """The rate with its numerator and denominator, "86 % (24 of 28)", or a dash where nothing is expected."""
    if figures.rate is None:
        return "–"
    return words(
        "figure.rate", rate=points(words, figures.rate), answered=figures.answered, expected=figures.expected
    )


def points(words: Words, rate: float | None) -> str:
    """A share as whole per cent."""
    return "–" if rate is None else words("figure.percent", points=round(rate * 100))


def day(words: Words, on: date) -> str:
    """A day with its year, "2026-11-24", isolated as an instant is."""
    return f"\u2066{words.digits(on.isoformat())}\u2069"


def instant(words: Words, at: datetime | None, zone: str) -> str:
    """An instant on a zone's wall with its year, "2026-11-24 20:05", or a dash: what a record is read by."""
    if at is None:
        return "–"
    # Isolated, since a date runs from the left between words that run from the right.
    return f"\u2066{words.digits(f'{at.astimezone(zone_of(zone)):%Y-%m-%d %H:%M}')}\u2069"
