"""The export's tables that sum up: each patient's adherence, weeks of pain, one line a patient, the trial's flow.

What the figures mean is said in reports/definitions.py and nowhere else; here they are only given their lines.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from protocol.errors import DaybookError
from protocol.model import Protocol
from reports.columns import Column, Kind, code, from_source, integer, number, text
from reports.definitions import (
    Dose,
    Figures,
    Rating,
    Share,
    WeekMean,
    days_covered,
    just_before,
    latency,
    weekly_means,
)
from reports.flow import STEPS, flow_of
from reports.formats.taking import About
from reports.tables import SITE, STUDY, WHO, Table
from storage.extracts import Batch, Wanted
from storage.journeys import Asked, AskedOn, Diary, Form, diaries
from storage.states import EXPECTED, SlotState

_STATES: Final = ("on_time", "late", "missed", "excused", "open")
_AT_ONCE: Final = 100

Line = dict[str, Any]


def summaries(about: About, places: Sequence[AskedOn]) -> tuple[Table, ...]:
    """The tables that sum up, of a trial whose diary asks at these places."""
    protocol = about.protocol
    counting = {one.counts.item: (one.id, one.counts.dispensed) for one in protocol.measure if one.counts}
    return (
        Table(
            "adherence",
            "ADHEREN",
            "One line for each patient and item: what became of its slots, with numerators and denominators.",
            "",
            _some_diaries,
            _ADHERENCE,
            _of_each(lambda diary: _adherence(diary, counting)),
        ),
        Table(
            "weeks",
            "WEEKS",
            "One line for each patient, rating and week of the trial; a mean needs "
            f"{protocol.trial.weekly_mean_days} rated days, or all of them where fewer are asked.",
            "",
            _some_diaries,
            _WEEKS,
            _of_each(lambda diary: _weeks(diary, protocol.trial.weekly_mean_days)),
        ),
        Table(
            "wide",
            "WIDE",
            "One line for each patient with a column for each place in the diary: the score, or 1 for a dose said "
            "to be taken and 0 for one not taken; and one for each measure of each visit.",
            "",
            _some_diaries,
            (*WHO, *_wide_columns((protocol, *about.earlier), places)),
            _of_each(lambda diary: [_wide(diary)]),
        ),
        Table(
            "flow",
            "FLOW",
            "How many patients reached each step of the trial, by site, for a CONSORT diagram.",
            "",
            flow_of(protocol, about.phase_starts),
            _FLOW,
        ),
    )


async def _some_diaries(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every diary, some at a time: each is read once, whatever is summed up of it."""
    read: list[Diary] = []
    async for diary in diaries(wanted):
        read.append(diary)
        if len(read) >= _AT_ONCE:
            yield {"diary": read}
            read = []
    if read:
        yield {"diary": read}


def _of_each(lines: Callable[[Diary], Iterable[Line]]) -> Callable[[Batch], Batch]:
    """The lines that each of some diaries gives."""
    return lambda batch: _by_column([{**_who(diary), **line} for diary in batch["diary"] for line in lines(diary)])


def _by_column(lines: list[Line]) -> Batch:
    names = dict.fromkeys(name for line in lines for name in line)
    return defaultdict(lambda: [None] * len(lines), {name: [line.get(name) for line in lines] for name in names})


def _who(diary: Diary) -> Line:
    return {name: getattr(diary, name) for name in ("study", "protocol_version", "site", "subject")}


def _minutes(long: timedelta | None) -> float | None:
    return None if long is None else long.total_seconds() / 60


def _adherence(diary: Diary, counting: Mapping[str, tuple[str, int]]) -> Iterable[Line]:
    began = [form.began_at for form in diary.forms if form.began_at is not None]
    for (item, kind), asked in _by_item(diary).items():
        figures = _figures(asked)
        covered = days_covered(Dose(one.day, one.answer == "taken") for one in asked if _is_dose(one))
        took = latency((one.prompted_at, one.answered_at) for one in asked if one.answered_at is not None)
        parked = just_before((one.answered_at for one in asked if one.answered_at is not None), began)
        yield {
            "item": item,
            "item_kind": kind,
            **{state: getattr(figures, state) for state in _STATES},
            "expected": figures.expected,
            "rate": figures.rate,
            "doses": figures.doses,
            "taken": figures.taken,
            "not_taken": figures.not_taken,
            "said_rate": figures.said.rate,
            "days_covered": covered.numerator,
            "days_with_doses": covered.denominator,
            "covered_rate": covered.rate,
            "own_answers": took.known.denominator,
            "latency_known": took.known.numerator,
            "latency_lower": _minutes(took.lower),
            "latency_median": _minutes(took.median),
            "latency_upper": _minutes(took.upper),
            "visits_timed": len(began),
            "before_visits": parked.numerator if began else None,
            **(_counted(diary.forms, asked, *counting[item]) if item in counting else {}),
        }


def _counted(forms: Sequence[Form], asked: Sequence[Asked], measure: str, dispensed: int) -> Line:
    """Doses as those returned at the last visit count them, up to its day; nothing before there is such a visit."""
    counts = [form for form in forms if measure in form.measured]
    if not counts:
        return {}
    last = counts[-1]
    doses = [one for one in asked if _is_dose(one) and one.day <= last.day]
    gone = Share(dispensed - round(last.measured[measure]), len(doses))
    return {
        "counted_visit": last.visit,
        "counted_gone": gone.numerator,
        "counted_doses": gone.denominator,
        "counted_said": sum(one.answer == "taken" for one in doses),
        "counted_rate": gone.rate,
    }


def _by_item(diary: Diary) -> dict[tuple[str, str], list[Asked]]:
    found: dict[tuple[str, str], list[Asked]] = {}
    for one in diary.asked:
        found.setdefault((one.item, one.kind), []).append(one)
    return found


def _is_dose(one: Asked) -> bool:
    return one.kind == "dose" and one.state in EXPECTED


def _figures(asked: Sequence[Asked]) -> Figures:
    states = Counter(one.state for one in asked)
    doses = Counter(one.answer for one in asked if _is_dose(one))
    return Figures(
        **{state: states[SlotState[state.upper()]] for state in _STATES},
        doses=doses.total(),
        taken=doses["taken"],
        not_taken=doses["not-taken"],
    )


_ADHERENCE: Final = (
    *WHO,
    text("item", "ITEM", "The item's id in the protocol."),
    code("item_kind", "ITEMKIND", "What is asked for.", ("dose", "rating")),
    integer("expected", "EXPECTED", "Slots that have run their course: on time, late and missed.", unit="slots"),
    integer("on_time", "ONTIME", "Answered by the end of the on-time window, or early within it.", unit="slots"),
    integer("late", "LATE", "Answered later, inside the window, or by staff.", unit="slots"),
    integer("missed", "MISSED", "The window closed and nothing is recorded.", unit="slots"),
    integer("excused", "EXCUSED", "Not to be answered, for a reason that is kept.", unit="slots"),
    integer("open", "OPEN", "May be answered now.", unit="slots"),
    number("rate", "RATE", "(on_time + late) / expected; empty where nothing is expected."),
    integer("doses", "DOSES", "The part of expected that are doses.", unit="doses"),
    integer("taken", "TAKEN", "Doses said to be taken.", unit="doses"),
    integer("not_taken", "NOTTAKEN", "Doses said not to be taken.", unit="doses"),
    number("said_rate", "SAIDRATE", "Said adherence: taken / doses."),
    integer("days_covered", "COVERED", "Days on which every dose was said to be taken.", unit="days"),
    integer("days_with_doses", "DOSEDAYS", "Days on which a dose was expected.", unit="days"),
    number("covered_rate", "COVRATE", "Proportion of days covered: days_covered / days_with_doses."),
    integer("own_answers", "OWNANSW", "First answers given by the patient's own hand.", unit="answers"),
    integer(
        "latency_known", "LATKNOWN", "Of these, those given after the first message for the slot.", unit="answers"
    ),
    number("latency_lower", "LATLOWER", "Lower quartile of the time from that message to the answer.", unit="min"),
    number("latency_median", "LATMED", "Median of the time from that message to the answer.", unit="min"),
    number("latency_upper", "LATUPPER", "Upper quartile of the time from that message to the answer.", unit="min"),
    integer("visits_timed", "VISTIMED", "Visits whose time of day was written down.", unit="visits"),
    integer(
        "before_visits", "BEFOREV",
        "The parking-lot index's part of own_answers: given within 2 h before such a visit began.", unit="answers",
    ),
    text("counted_visit", "CNTVISIT", "Id of the last visit at which returned doses were counted; empty: none."),
    integer("counted_gone", "CNTGONE", "Doses dispensed that did not come back to that visit.", unit="doses"),
    integer("counted_doses", "CNTDOSES", "Doses expected up to the day of that visit.", unit="doses"),
    integer("counted_said", "CNTSAID", "Of these, those said to be taken.", unit="doses"),
    number("counted_rate", "CNTRATE", "Counted adherence: counted_gone / counted_doses; it may be more than 1."),
)  # fmt: skip


def _weeks(diary: Diary, at_least: int) -> Iterable[Line]:
    for (item, kind), asked in _by_item(diary).items():
        if kind == "rating":
            ratings = [Rating(one.day, one.score) for one in asked if one.state in EXPECTED]
            yield from (_week(item, week) for week in weekly_means(ratings, at_least=at_least))


def _week(item: str, week: WeekMean) -> Line:
    return {
        "item": item,
        "week": week.week,
        "mean": week.mean,
        "days_rated": week.days.numerator,
        "days_asked": week.days.denominator,
    }


_WEEKS: Final = (
    *WHO,
    text("item", "ITEM", "The item's id in the protocol."),
    integer("week", "WEEK", "Week of the trial: 1 is the first seven days from the patient's own first day."),
    number("mean", "MEAN", "Mean of the days' scores; empty where too few days were rated.", unit="NRS points"),
    integer("days_rated", "DAYSRATD", "Days with a score.", unit="days"),
    integer("days_asked", "DAYSASKD", "Days on which a rating was asked and has run its course.", unit="days"),
)


def _wide(diary: Diary) -> Line:
    said = {_place_name(AskedOn(one.item, one.n, one.day)): _wide_cell(one) for one in diary.asked}
    measured = {
        _measure_name(form.visit, name): value for form in diary.forms for name, value in form.measured.items()
    }
    return {**said, **measured}


def _wide_cell(one: Asked) -> int | None:
    return one.score if one.kind == "rating" else {"taken": 1, "not-taken": 0}.get(one.answer or "")


def _place_name(place: AskedOn) -> str:
    day = f"m{-place.day:03d}" if place.day < 0 else f"d{place.day:03d}"
    return f"{place.item.replace('-', '_')}_{day}_{place.n}"


def _measure_name(visit: str, measure: str) -> str:
    return f"{visit}_{measure}".replace("-", "_")


def _wide_columns(protocols: Sequence[Protocol], places: Sequence[AskedOn]) -> list[Column]:
    """Those of the newest protocol first; of earlier ones whatever that has not."""
    items = list(dict.fromkeys(item.id for protocol in protocols for _, item in protocol.items()))
    items += sorted({place.item for place in places} - set(items))  # of a version that nobody follows any more
    columns = [_wide_column(place, items.index(place.item)) for place in places]
    visits = list(dict.fromkeys(visit.id for protocol in protocols for visit in protocol.visit))
    measures = list(dict.fromkeys(one.id for protocol in protocols for one in protocol.measure))
    taken = {(v.id, name) for protocol in protocols for v in protocol.visit for name in v.measures}
    columns += [
        number(
            _measure_name(visit, name), f"V{place}M{measures.index(name)}", f"{name} as measured at {visit}.",
        )
        for place, visit in enumerate(visits)
        for name in measures
        if (visit, name) in taken
    ]  # fmt: skip
    if len({column.name for column in columns}) < len(columns):
        raise DaybookError(
            "Two items, or visits with their measures, have names in the protocol that differ by a hyphen only, so "
            "the wide table would have a column twice; give one of them another id in the next version."
        )
    return columns


def _wide_column(place: AskedOn, item: int) -> Column:
    name = _place_name(place)
    day = f"{place.day + 1000:04d}" if place.day < 0 else f"{place.day:03d}"
    short = f"{chr(ord('A') + item % 26)}{item // 26 or ''}D{day}N{place.n}"
    meaning = f"{place.item} on day {place.day} of the trial, occurrence {place.n}."
    return Column(name, short, Kind.INTEGER, meaning, from_source(name))


_FLOW: Final = (
    STUDY,
    SITE,
    code("step", "STEP", "What is counted.", STEPS),
    text("of", "OF", "The phase or visit it is about."),
    integer("patients", "PATIENTS", "How many patients.", unit="patients"),
    integer("of_patients", "OFPATS", "Of how many.", unit="patients"),
)
