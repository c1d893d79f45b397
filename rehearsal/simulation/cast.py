"""Who takes part in a simulation, drawn from its seed: patients and their habits, sites, days of recruitment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final

from protocol.calendar import instant
from protocol.model import Protocol
from rehearsal.simulation.patient import Who
from rehearsal.simulation.temperament import drawn, errands

# A Monday; a trial of half a year from here on meets clock changes in autumn and in spring.
BEGINS: Final = date(2026, 10, 5)
SITES: Final = ("north", "south")
_ARABIC, _NOT_ELIGIBLE = 0.4, 0.025
_A_WEEK: Final = 10  # patients
_MOST_WEEKS: Final = 8


@dataclass(frozen=True, slots=True)
class Arrival:
    """When somebody comes to the clinic for the first time."""

    at: datetime
    who: Who


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, by arrival; the break in service that comes upon them; and when all is over."""

    arrivals: Sequence[Arrival]
    outage: tuple[datetime, datetime]
    ends: datetime


def cast_of(protocol: Protocol, patients: int, seed: int) -> Cast:
    """Draw a trial."""
    draws = Random(f"{seed} cast")  # noqa: S311 - nobody is protected by it
    zone, days = protocol.trial.timezone, sum(phase.days for phase in protocol.phase)
    recruited_in = 7 * min(_MOST_WEEKS, -(-patients // _A_WEEK))
    temperaments = drawn(patients, draws)
    arrivals = []
    for number, temperament in enumerate(temperaments):
        came_on = BEGINS + timedelta(days=number * recruited_in // patients)
        at = instant(came_on, time(9), zone) + timedelta(minutes=draws.randrange(240))
        site = SITES[number % len(SITES)]
        who = Who(
            code=f"{site}-{number // len(SITES) + 1:03}",
            site=site,
            language=_language(protocol, draws),
            home=zone,
            start=came_on + timedelta(days=draws.choice((1, 1, 1, 2, 3))),
            evening=draws.randrange(100),
            temperament=temperament,
            errands=tuple(errands(temperament, days, draws)),
            eligible=draws.random() >= _NOT_ELIGIBLE,
        )
        arrivals.append(Arrival(at, who))
    arrivals.sort(key=lambda arrival: arrival.at)
    out_on = BEGINS + timedelta(days=recruited_in * 3 // 4 + 2)
    last = max(arrival.who.start for arrival in arrivals)
    return Cast(
        arrivals,
        outage=(instant(out_on, time(18, 40), zone), instant(out_on, time(23, 5), zone)),
        ends=instant(last + timedelta(days=days + 5), time(12), zone),
    )


def _language(protocol: Protocol, draws: Random) -> str:
    first, *others = protocol.trial.languages
    return draws.choice(others) if others and draws.random() < _ARABIC else first
