"""What kinds of patients there are: how they answer, and what they do besides."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Temperament:
    """How somebody deals with the diary; chances lie between 0 and 1, minutes from a message to its answer.

    `notices` is the chance that a message leads to an answer, `on_reminder` that a later one does; of ratings
    the share `types` is written instead of tapped, and of the texts the share `nonsense` comes first.
    """

    name: str
    of_hundred: int
    notices: float
    on_reminder: float
    minutes: tuple[float, float]
    takes: float = 0.96
    fibs: float = 0.0  # says "taken" of a dose that is still in the box
    types: float = 0.15
    nonsense: float = 0.0
    travels: bool = False
    blocks: bool = False
    leaves: bool = False
    hesitates: bool = False
    falls_silent: bool = False


TEMPERAMENTS: Final = (
    Temperament("punctual", 30, notices=0.98, on_reminder=0.9, minutes=(0.5, 20), takes=0.98),
    Temperament("forgetful", 18, notices=0.5, on_reminder=0.55, minutes=(1, 90), takes=0.9, fibs=0.05),
    Temperament("nonsense", 8, notices=0.85, on_reminder=0.7, minutes=(1, 40), types=0.9, nonsense=0.35),
    Temperament("travelling", 8, notices=0.9, on_reminder=0.8, minutes=(1, 60), travels=True),
    Temperament("blocking", 6, notices=0.85, on_reminder=0.7, minutes=(1, 60), blocks=True),
    Temperament("withdrawing", 8, notices=0.8, on_reminder=0.7, minutes=(1, 60), leaves=True),
    Temperament("late", 12, notices=0.92, on_reminder=0.8, minutes=(100, 720)),
    Temperament("hesitant", 5, notices=0.9, on_reminder=0.8, minutes=(1, 45), hesitates=True),
    Temperament("falling silent", 5, notices=0.85, on_reminder=0.7, minutes=(1, 60), falls_silent=True),
)


def drawn(patients: int, draws: Random) -> list[Temperament]:
    """One of each as far as they go, the rest in their shares; in a drawn order."""
    found = list(TEMPERAMENTS[:patients])
    whole = sum(one.of_hundred for one in TEMPERAMENTS)
    while len(found) < patients:
        found.append(max(TEMPERAMENTS, key=lambda one: one.of_hundred / whole * patients - found.count(one)))
    draws.shuffle(found)
    return found


class Kind(StrEnum):
    """The things a patient may do besides answering."""

    NOTE = "note"
    SIDE_EFFECT = "side effect"
    CHANGE = "change"
    PAUSE = "pause"
    LANGUAGE = "language"
    TIME = "time"
    TODAY = "today"
    HELP = "help"
    PRIVACY = "privacy"
    PICTURE = "picture"
    TRAVEL = "travel"
    RETURN = "return"
    BLOCK = "block"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Errand:
    """Something a patient does by themselves on a day of the trial."""

    day: int
    kind: Kind


# How many patients of a hundred do each of these once.
_BESIDES: Final = (
    (Kind.NOTE, 35), (Kind.SIDE_EFFECT, 25), (Kind.CHANGE, 20), (Kind.PAUSE, 6), (Kind.LANGUAGE, 4),
    (Kind.TIME, 10), (Kind.TODAY, 30), (Kind.HELP, 25), (Kind.PRIVACY, 10), (Kind.PICTURE, 8),
)  # fmt: skip
_AWAY_DAYS: Final = (10, 30)


def errands(temperament: Temperament, days: int, draws: Random) -> list[Errand]:
    """What somebody will do besides answering in a trial of so many days, by day."""
    found = [Errand(draws.randrange(1, days), kind) for kind, chance in _BESIDES if draws.random() * 100 < chance]
    middle = draws.randrange(max(1, days // 6), max(2, days // 2))
    if temperament.travels:
        found += [
            Errand(middle, Kind.TRAVEL),
            Errand(min(days - 1, middle + draws.randint(*_AWAY_DAYS)), Kind.RETURN),
        ]
    if temperament.blocks:
        found.append(Errand(middle, Kind.BLOCK))
    if temperament.leaves:
        found.append(Errand(middle, Kind.LEAVE))
    return sorted(found, key=lambda errand: (errand.day, errand.kind))
