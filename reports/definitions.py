"""What every figure means, once: values in, values out, each with its source and its denominator.

A slot is counted by its state (storage/states.py), in exactly one column:

- `on_time`: answered by "on time until", or early within the window. Counted as soon as it is answered.
- `late`: answered later, inside the window. This includes answers that a break of ours held up ("after outage")
  and what staff typed in. A later correction changes the value, never the punctuality.
- `missed`: the window has closed and nothing is recorded.
- `excused`: not to be answered, for a reason that is kept: before joining, during a pause, a change of zone.
- `open`: may be answered now. It is neither done nor missed yet.
- Slots still to come and cancelled ones (after a withdrawal) count nowhere.

`expected = on_time + late + missed`: only what has run its course, as "expected" forms in EDETEK eClinical
(help 1483885-1487789) are those whose time to enter *and* to edit has passed; open windows would make every
evening look worse than it is. `rate = (on_time + late) / expected`, and None where nothing is expected: no
figure is better than a made-up one. It says how complete the diary is, not how many doses were swallowed.

**Said adherence** is *taken / due*: doses said to be taken of the doses in `expected`. **Counted adherence** is
(dispensed - returned) / expected doses. PDC and MPR proper measure refills (Pharmacy Times 2015); counts of any
kind flatter (Rudd, Clin Pharmacol Ther 1989;46:169), so said and counted stand beside one another.

A week is a week of the trial: week 1 is the first seven days from the patient's own first phase start, so that
patients who began months apart are compared at the same stage (completion falls with study day: Ono, JMIR
2019;21:e11398).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import fmean, quantiles
from typing import Final, Protocol

# Said and counted adherence that differ by more than this ask for a person's look.
DIFFERS_BY: Final = 0.2
# "Just before a clinic visit" is when answers are made up (FDA, PRO guidance 2009; Stone, BMJ 2002;324:1193).
PARKING_LOT: Final = timedelta(hours=2)
# Reductions of pain that matter: at least 30 % is a moderate, at least 50 % a substantial one (Dworkin, J Pain
# 2008;9:105).
MODERATE: Final = 30
SUBSTANTIAL: Final = 50
# Counted adherence below and from which Rudd (1989) speaks of hypo- and hyper-compliance ("pill dumping").
TOO_FEW: Final = 0.8
TOO_MANY: Final = 1.2


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, both told; where the whole is nothing there is no rate."""

    numerator: int
    denominator: int

    @property
    def rate(self) -> float | None:
        """The numerator of the denominator."""
        return self.numerator / self.denominator if self.denominator else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Slots counted by state, and doses by what was said; the module's text defines each."""

    on_time: int = 0
    late: int = 0
    missed: int = 0
    excused: int = 0
    open: int = 0
    doses: int = 0
    taken: int = 0
    not_taken: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, name) + getattr(other, name) for name in Figures.__slots__))

    @property
    def answered(self) -> int:
        """On time or late."""
        return self.on_time + self.late

    @property
    def expected(self) -> int:
        """The denominator of the rate."""
        return self.on_time + self.late + self.missed

    @property
    def rate(self) -> float | None:
        """Answered of expected; None where nothing is expected."""
        return Share(self.answered, self.expected).rate

    @property
    def said(self) -> Share:
        """Doses said to be taken, of the doses expected."""
        return Share(self.taken, self.doses)


class HasFigures(Protocol):
    """A line of any table that counts slots."""

    @property
    def figures(self) -> Figures:
        """What it counts."""
        ...


def together(rows: Iterable[HasFigures]) -> Figures:
    """The sum of several groups, so that its rate weighs every slot alike."""
    return sum((row.figures for row in rows), start=Figures())


class Dosing(StrEnum):
    """What a count of returned doses says (Rudd 1989, Clin Pharmacol Ther 46:169)."""

    TOO_FEW = "too few"
    AS_PLANNED = "as planned"
    TOO_MANY = "too many"


def dosing(counted: Share) -> Dosing | None:
    """Below 80 %, 80 to under 120 %, or 120 % and more of the doses expected; None where none is expected."""
    if counted.rate is None:
        return None
    if counted.rate < TOO_FEW:
        return Dosing.TOO_FEW
    return Dosing.TOO_MANY if counted.rate >= TOO_MANY else Dosing.AS_PLANNED


def differ(said: Share, counted: Share) -> bool:
    """Whether what was said of doses and what was counted differ by more than 20 points."""
    return said.rate is not None and counted.rate is not None and abs(said.rate - counted.rate) > DIFFERS_BY


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose that was expected: its day, and whether it was said to be taken."""

    day: int
    taken: bool


def days_covered(doses: Iterable[Dose]) -> Share:
    """Proportion of days covered: days on which every dose was said to be taken, of days with a dose expected.

    As the PDC of refills it cannot exceed 1: a double dose covers no other day. Days on which all doses are
    excused, cancelled or still open are in neither part.
    """
    days: dict[int, bool] = {}
    for dose in doses:
        days[dose.day] = days.get(dose.day, True) and dose.taken
    return Share(sum(days.values()), len(days))


@dataclass(frozen=True, slots=True)
class Rating:
    """A rating that was asked for and has run its course or been answered: its day of the trial, and the score."""

    day: int
    score: float | None


@dataclass(frozen=True, slots=True)
class WeekMean:
    """A week's mean of ratings; None where it was rated on too few of the days asked."""

    week: int
    mean: float | None
    days: Share


def week_of(day: int) -> int:
    """The week of the trial a day of it is in: days 0 to 6 are week 1, those before day 0 week 0 and below."""
    return day // 7 + 1


def weekly_means(ratings: Iterable[Rating], *, at_least: int) -> list[WeekMean]:
    """Mean score of each week in which anything was asked.

    Several ratings of a day count as their mean, so that a day weighs as a day. A mean needs `at_least` rated days,
    or all of them where fewer are asked (a rating a week in a follow-up). Three to four days give an adequate mean
    (J Pain 2024, PMID 38232864); no source was found for "4 of 7", so it is the protocol's setting.
    """
    scores: dict[int, list[float]] = {}
    for rating in ratings:
        scores.setdefault(rating.day, []).extend([] if rating.score is None else [rating.score])
    weeks: dict[int, list[list[float]]] = defaultdict(list)
    for day in sorted(scores):
        weeks[week_of(day)].append(scores[day])
    return [_week_mean(week, days, at_least) for week, days in sorted(weeks.items())]


def _week_mean(week: int, days: list[list[float]], at_least: int) -> WeekMean:
    rated = [fmean(scores) for scores in days if scores]
    enough = rated and len(rated) >= min(at_least, len(days))
    return WeekMean(week, fmean(rated) if enough else None, Share(len(rated), len(days)))


class Response(StrEnum):
    """How far pain fell; each band is told by its lower end."""

    NONE = "below 30 %"
    MODERATE = "30 % to below 50 %"
    SUBSTANTIAL = "50 % or more"


def reduction(baseline: float, later: float) -> float | None:
    """By how many per cent of the baseline pain fell, below 0 where it rose; None where there was none to fall."""
    # In binary 7 -> 4.9 would be a hair less than 30 %, and fall into the lower band.
    return round((baseline - later) * 100 / baseline, 9) if baseline > 0 else None


def response(baseline: float, later: float) -> Response | None:
    """The band of the reduction of pain, both bounds in the higher band."""
    fell = reduction(baseline, later)
    if fell is None:
        return None
    if fell >= SUBSTANTIAL:
        return Response.SUBSTANTIAL
    return Response.MODERATE if fell >= MODERATE else Response.NONE


def just_before(said: Iterable[datetime], visits: Iterable[datetime]) -> Share:
    """The parking-lot index: a patient's own answers made within 2 h before a visit began, of all of them."""
    began, answers = list(visits), list(said)
    return Share(sum(any(at - PARKING_LOT <= one < at for at in began) for one in answers), len(answers))


@dataclass(frozen=True, slots=True)
class Latency:
    """How long patients took from the first message for a slot to their answer, where both are known."""

    lower: timedelta | None
    median: timedelta | None
    upper: timedelta | None
    known: Share


def latency(answers: Iterable[tuple[datetime | None, datetime]]) -> Latency:
    """Quartiles of the time from prompt to answer; an answer before its prompt has none, and counts as not known.

    When an answer was made is when it was said by Telegram's clock, else when it arrived. The quartiles are those
    of the sample itself (inclusive), so that two answers have a median too.
    """
    all_of_them = list(answers)
    took = sorted(
        (at - prompted).total_seconds() for prompted, at in all_of_them if prompted is not None and at >= prompted
    )
    known = Share(len(took), len(all_of_them))
    if not took:
        return Latency(None, None, None, known)
    cuts = quantiles(took, n=4, method="inclusive") if len(took) > 1 else took * 3
    lower, median, upper = (timedelta(seconds=cut) for cut in cuts)
    return Latency(lower, median, upper, known)
