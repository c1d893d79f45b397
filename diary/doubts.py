"""What a visit's form may say that is grave or unlikely, and is saved only once it was said to be meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

from protocol.calendar import visit_dates
from protocol.model import Measure, Protocol, Visit


@dataclass(frozen=True, slots=True)
class Below:
    """A value below the least that the protocol asks for at this visit: the patient does not go on."""

    measure: Measure
    value: float
    least: float
    visit: Visit

    @property
    def key(self) -> str:
        """What names this doubt, with its value, where it is said to be meant."""
        return f"{self.measure.id}:{self.value:g}"

    def __str__(self) -> str:
        """The reason as the audit trail keeps it."""
        name, at = self.measure.name.in_language("en"), self.visit.name.in_language("en")
        return f"{name} {self.value:g} is below {self.least:g}, the least at {at}"


@dataclass(frozen=True, slots=True)
class Nearer:
    """A day that lies nearer to another visit's day than to the visit's own."""

    held_on: date
    planned: date
    visit: Visit
    other: Visit
    other_on: date

    @property
    def key(self) -> str:
        """What names this doubt, with its day, where it is said to be meant."""
        return f"day:{self.held_on}"


Doubt: TypeAlias = Below | Nearer


def below(protocol: Protocol, visit: Visit, measured: Mapping[str, float]) -> Below | None:
    """The first value that is below what is required at this visit."""
    for measure in protocol.measure:
        required, value = measure.require, measured.get(measure.id)
        if required is not None and value is not None and required.at == visit.id and value < required.min:
            return Below(measure, value, required.min, visit)
    return None


def nearer(protocol: Protocol, starts: Mapping[str, date], visit: Visit, held_on: date) -> Nearer | None:
    """The other visit that a day is nearer to; a day just half way is still this one's."""
    days = {planned.visit: planned.on for planned in visit_dates(protocol, starts)}

    def away(other: Visit) -> timedelta:
        return abs(held_on - days[other.id])

    nearest = min(protocol.visit, key=away)
    if away(nearest) >= away(visit):
        return None
    return Nearer(held_on, days[visit.id], visit, nearest, days[nearest.id])
