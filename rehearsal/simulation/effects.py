"""What the treatment does to simulated patients: the figures of the trial, and the only place that knows an arm.

After Yousef AA, Al-deeb AE. Anaesthesia 2013;68(3):260-6. Published are pain (NRS) before treatment and at six
months, that the groups did not differ at two weeks and did at six weeks, three and six months, and the movements of
the magnesium group before and at six months. What lies between, and that the placebo group's movements stayed as
they were, is assumed here. Both groups begin alike (7.45): they were drawn from the same patients.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from protocol.model import Measure, Protocol, Scale

MAGNESIUM: Final = "magnesium"
PLACEBO: Final = "placebo"
ARMS: Final = (MAGNESIUM, PLACEBO)

# How far a rating of an evening lies from how a patient fares that week, in points of the scale.
_FROM_DAY_TO_DAY: Final = 0.7
_OF_A_MEASUREMENT: Final = 0.4


@dataclass(frozen=True, slots=True)
class Course:
    """The mean and spread of a group on some days of the trial; between these it goes straight."""

    days: tuple[int, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]

    def at(self, day: float, place: float) -> float:
        """The value on a day of somebody who is so many spreads away from the mean."""
        return self._between(self.means, day) + place * self._between(self.spreads, day)

    def _between(self, values: tuple[float, ...], day: float) -> float:
        after = bisect_right(self.days, day)
        if after == 0:
            return values[0]
        if after == len(self.days):
            return values[-1]
        before = after - 1
        share = (day - self.days[before]) / (self.days[after] - self.days[before])
        return values[before] + share * (values[after] - values[before])


@dataclass(frozen=True, slots=True)
class Effects:
    """Courses by arm: of pain, and of the measures of a clinic day."""

    pain: Mapping[str, Course]
    measured: Mapping[str, Mapping[str, Course]]


_KNOWN_AT = (0, 14, 42, 91, 182)


def _as_before(mean: float, spread: float) -> Course:
    return Course((0,), (mean,), (spread,))


AS_PUBLISHED: Final = Effects(
    pain={
        MAGNESIUM: Course(_KNOWN_AT, (7.45, 7.1, 5.9, 5.2, 4.7), (2.2, 2.1, 2.0, 1.9, 1.8)),
        PLACEBO: Course(_KNOWN_AT, (7.45, 7.1, 7.2, 7.2, 7.2), (2.2, 2.1, 2.0, 2.0, 2.0)),
    },
    measured={
        "flexion": {
            MAGNESIUM: Course((14, 182), (22.2, 34.7), (8.4, 11.5)),
            PLACEBO: _as_before(22.2, 8.4),
        },
        "extension": {
            MAGNESIUM: Course((14, 182), (11.8, 16.9), (3.4, 3.5)),
            PLACEBO: _as_before(11.8, 3.4),
        },
        "lateral-flexion": {
            MAGNESIUM: Course((14, 182), (11.4, 17.2), (3.6, 4.4)),
            PLACEBO: _as_before(11.4, 3.6),
        },
    },
)


class Body:
    """How one patient fares: where in the group they stand, and what they would say or measure on a day.

    The arm comes with the kit; before it everybody is as all are on day 0.
    """

    def __init__(self, effects: Effects, draws: Random) -> None:
        self.arm: str | None = None
        self._effects = effects
        self._draws = draws
        self._pain = draws.gauss(0, 1)
        self._moves = draws.gauss(0, 1)

    def rating(self, day: float, scale: Scale) -> int:
        """What the patient would answer when asked for the pain now."""
        return self._score(day, scale, _FROM_DAY_TO_DAY)

    def measurement(self, protocol: Protocol, measure: Measure, day: float) -> float:
        """What is measured at a clinic day; of a measure the trial does not have, anything in its range."""
        least, most = measure.range
        scale = protocol.trial.nrs
        if (least, most) == (scale.min, scale.max):
            return float(self._score(day, scale, _OF_A_MEASUREMENT))
        courses = self._effects.measured.get(measure.id)
        if courses is None:
            value = self._draws.uniform(measure.require.min if measure.require else least, most)
        else:
            value = self._of(courses).at(self._since(day), 0.8 * self._moves + 0.6 * self._draws.gauss(0, 1))
        return round(min(max(value, least), most), measure.decimals)

    def _score(self, day: float, scale: Scale, noise: float) -> int:
        pain = self._of(self._effects.pain).at(self._since(day), self._pain)
        return min(max(round(pain + self._draws.gauss(0, noise)), scale.min), scale.max)

    def _of(self, courses: Mapping[str, Course]) -> Course:
        return courses[self.arm] if self.arm is not None else next(iter(courses.values()))

    def _since(self, day: float) -> float:
        return 0 if self.arm is None else day
