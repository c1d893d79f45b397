"""The trial as a whole in pictures: patients who joined, answers by week, ratings by week. Never by arm.

Numbers stand with what they are of: under each week how much was expected, or of how many patients a mean is.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from reports.adherence import AdherenceRow
from reports.definitions import together
from reports.marks import Anchor, Area, Box, Boxes, Dot, Line, Mark, Picture, Point, Shape, Text, stacked, wide
from reports.palette import BLUE, GREY, INK, PAPER, QUIET, RULE
from reports.sheet import EDGE, LABEL, PHONE, SMALL, Plot, Sheet, in_rows, kept_in, words_in
from reports.trial import Arrivals, Course, PainWeek, Trial
from reports.words import Words

_DAY: Final = timedelta(days=1)
_TALL: Final = 170.0
_AXIS: Final = 44.0  # the room of a scale of per cents
_APART: Final = 15.0  # two labels one above the other


def trial_pictures(trial: Trial, language: str) -> list[Picture]:
    """Each of them, in the order in which they are told."""
    courses = [course_picture(one, language, scale=trial.scale) for one in trial.courses]
    return [
        arrivals_picture(trial.arrivals, language, today=trial.today),
        weeks_picture(trial.weeks, language),
        *courses,
    ]


def trial_picture(trial: Trial, language: str) -> Picture:
    """All of them in one, for a chat."""
    return stacked("trial", trial_pictures(trial, language))


def arrivals_picture(arrivals: Sequence[Arrivals], language: str, *, today: date) -> Picture:
    """How many had been added and had joined, by date: two lines of steps, named at their ends."""
    words = words_in(language)
    sheet = Sheet(PHONE, words)
    title = words("arrivals.title")
    if not arrivals:
        sheet.heading(title)
        sheet.say(words("nothing"))
        return sheet.picture("arrivals", words("arrivals.description"))
    first, last = arrivals[0].on, max(arrivals[-1].on, today)
    sheet.heading(title, words("span", first=words.day(first), last=words.day(last)))
    ends = [
        words("arrivals.added", count=arrivals[-1].added),
        words("arrivals.joined", count=arrivals[-1].joined),
    ]
    room = max(wide(text, LABEL, bold=True) for text in ends)
    ticks = _round_ticks(arrivals[-1].added)
    before = max(wide(words.digits(str(tick)), LABEL) for tick in ticks)
    days = (last - first).days + 1
    plot = Plot(EDGE + before + 8, sheet.width - EDGE - room - 8, sheet.y + 16, _TALL, days, 0, ticks[-1])
    sheet.add(*plot.scale((tick, words.digits(str(tick))) for tick in ticks))
    added = _steps(plot, first, [(one.on, one.added) for one in arrivals])
    joined = _steps(plot, first, [(one.on, one.joined) for one in arrivals])
    sheet.add(Area((*joined, (plot.right, plot.foot), (joined[0][0], plot.foot)), BLUE, 0.1, name="under"))
    sheet.add(Line(added, GREY, 1.8, (5, 3), name="added"), Line(joined, BLUE, 2.4, name="joined"))
    sheet.add(*_ends(plot, ends, added[-1][1], joined[-1][1]))
    sheet.add(*plot.days(first, words, plot.foot + 18))
    sheet.y = plot.foot + 20
    return sheet.picture("arrivals", words("arrivals.description"))


def _steps(plot: Plot, first: date, counts: Sequence[tuple[date, int]]) -> tuple[Point, ...]:
    """A count by date that stays until it changes, up to the last day."""
    points: list[Point] = [(plot.left, plot.foot)]
    for on, count in counts:
        x = plot.x((on - first).days)
        points += [(x, points[-1][1]), (x, plot.y(count))]
    return (*points, (plot.right, points[-1][1]))


def _ends(plot: Plot, ends: Sequence[str], added: float, joined: float) -> list[Mark]:
    """What each line is, at its end; the two are kept apart, inside the plot."""
    joined = min(max(joined, added + _APART), plot.foot)
    added = min(added, joined - _APART)
    x = plot.right + 6
    return [
        Text(x, added + 4, ends[0], LABEL, QUIET, name="line-end"),
        Text(x, joined + 4, ends[1], LABEL, BLUE, bold=True, name="line-end"),
    ]


def _round_ticks(highest: int) -> list[int]:
    """Round counts from nothing to at least the highest, four steps or fewer."""
    step = next(base * 10**power for power in range(9) for base in (1, 2, 5) if base * 10**power * 4 >= highest)
    return list(range(0, highest + step, step))


def weeks_picture(rows: Sequence[AdherenceRow], language: str) -> Picture:
    """What was answered of what was expected, a column for each week of the trial."""
    words = words_in(language)
    sheet = Sheet(PHONE, words)
    title, whole = words("weeks.title"), together(rows)
    if not rows:
        sheet.heading(title)
        sheet.say(words("nothing"))
        return sheet.picture("weeks", words("weeks.description"))
    sheet.heading(
        title,
        words("weeks.together", rate=_percent(words, whole.rate), answered=whole.answered, expected=whole.expected),
    )
    weeks = [int(row.key["week"]) for row in rows]
    plot = _week_plot(sheet, weeks, 0, 1)
    sheet.add(*plot.scale((tick / 4, _percent(words, tick / 4)) for tick in range(5)))
    for row, week in zip(rows, weeks, strict=True):
        sheet.add(*_column(plot, week - weeks[0], row, words))
    figures = {week: row.figures.expected for week, row in zip(weeks, rows, strict=True)}
    _under_weeks(sheet, plot, figures, weeks[0], words("weeks.expected"))
    sheet.legend(
        [
            (lambda x, y: [Boxes((Box(x - 5, y - 6, 11, 12),), BLUE)], words("weeks.on-time")),
            (lambda x, y: [Boxes((Box(x - 5, y - 6, 11, 12),), PAPER, BLUE)], words("weeks.late")),
        ]
    )
    return sheet.picture("weeks", words("weeks.description"))


def _column(plot: Plot, place: int, row: AdherenceRow, words: Words) -> list[Mark]:
    """What came on time is full, what came late stands hollow on it, and what is missing is missing."""
    figures, width = row.figures, 0.72
    on_time, answered = figures.on_time / figures.expected, figures.answered / figures.expected
    told = words(
        "weeks.told",
        week=int(row.key["week"]),
        rate=_percent(words, figures.rate),
        answered=figures.answered,
        expected=figures.expected,
    )
    begins = place + (1 - width) / 2
    ground = Boxes((plot.box(begins, width, 0, 1),), RULE, opacity=0.5, told=told, name="expected")
    late = Boxes((plot.box(begins, width, on_time, answered),), PAPER, BLUE, told=told, name="late")
    on = Boxes((plot.box(begins, width, 0, on_time),), BLUE, told=told, name="on-time")
    return [ground, *([late] if figures.late else []), *([on] if figures.on_time else [])]


def course_picture(course: Course, language: str, *, scale: tuple[int, int]) -> Picture:
    """The mean of a rating by week, with its interval and how many patients it is of."""
    words = words_in(language)
    sheet = Sheet(PHONE, words)
    title = words("course.title", item=course.name.in_language(language))
    weeks = [one for one in course.weeks if one.mean is not None]
    name = f"course-{course.item}"
    if not weeks:
        sheet.heading(title)
        sheet.say(words("nothing"))
        return sheet.picture(name, words("course.description"))
    sheet.heading(title, words("course.subtitle"))
    plot = _week_plot(sheet, [one.week for one in weeks], *scale)
    first, step = weeks[0].week, 2 if scale[1] - scale[0] > 5 else 1  # noqa: PLR2004 - as in a patient's history
    sheet.add(*plot.scale((score, words.digits(str(score))) for score in range(scale[0], scale[1] + 1, step)))
    sheet.add(*_course(plot, weeks, words))
    _under_weeks(sheet, plot, {one.week: one.patients.numerator for one in weeks}, first, words("course.patients"))
    return sheet.picture(name, words("course.description"))


def _course(plot: Plot, weeks: Sequence[PainWeek], words: Words) -> list[Mark]:
    places = [(plot.x(one.week - weeks[0].week + 0.5), plot.y(one.mean or 0)) for one in weeks]
    marks: list[Mark] = [
        Line((place, after), BLUE, 1.2, name="line")
        for (place, after), (one, later) in zip(pairwise(places), pairwise(weeks), strict=True)
        if later.week == one.week + 1
    ]
    size, half = min(9.0, plot.step * 0.6), min(4.0, plot.step * 0.3)
    for one, (x, y) in zip(weeks, places, strict=True):
        if one.interval is not None:
            high, low = (plot.y(min(max(end, plot.low), plot.high)) for end in one.interval[::-1])
            marks.append(Line(((x, high), (x, low)), BLUE, 2.0, name="interval"))
            marks += [Line(((x - half, end), (x + half, end)), BLUE, 1.4, name="cap") for end in (high, low)]
        marks.append(Dot(x, y, size, Shape.CIRCLE, BLUE, PAPER, _told(one, words), "mean"))
    for at in sorted({0, len(weeks) - 1}):  # the first and the last are told, the table has them all
        (x, y), one = places[at], weeks[at]
        top = y if one.interval is None else plot.y(min(one.interval[1], plot.high))
        value = _number(words, one.mean)
        label = Text(x, top - 7, value, LABEL, INK, Anchor.MIDDLE, bold=True, halo=PAPER, name="value")
        marks.append(kept_in(label, plot.right + EDGE - 2))
    return marks


def _told(one: PainWeek, words: Words) -> str:
    if one.interval is None:
        return words(
            "course.told-alone", week=one.week, mean=_number(words, one.mean), count=one.patients.numerator
        )
    low, high = (_number(words, end) for end in one.interval)
    return words(
        "course.told",
        week=one.week,
        mean=_number(words, one.mean),
        low=low,
        high=high,
        count=one.patients.numerator,
    )


def _week_plot(sheet: Sheet, weeks: Sequence[int], low: float, high: float) -> Plot:
    """A place for each week from the first to the last, at least eight so that one week alone is no wall."""
    steps = max(weeks[-1] - weeks[0] + 1, 8)
    return Plot(EDGE + _AXIS, sheet.width - EDGE, sheet.y + 16, _TALL, steps, low, high)


def _under_weeks(sheet: Sheet, plot: Plot, counts: dict[int, int], first: int, name: str) -> None:
    """The weeks' numbers, and below them a count for each, in turns on two lines where they are close."""
    words, y = sheet.words, plot.foot + 17
    numbers = [_under(plot, week - first, words.digits(str(week)), y, "week") for week in counts]
    sheet.add(*_as_fit(numbers, rows=1))
    sheet.y = y + 18
    sheet.add(Text(EDGE, sheet.y, words("weeks.axis"), SMALL, QUIET, name="axis"))
    sheet.y += 20
    sheet.add(Text(EDGE, sheet.y, name, SMALL, INK, bold=True, name="axis"))
    sheet.y += 15
    small = [
        _under(plot, week - first, words.digits(str(count)), sheet.y, "count", size=SMALL - 1)
        for week, count in counts.items()
    ]
    shown = _as_fit(small, rows=3)
    sheet.add(*shown)
    sheet.y = max(label.y for label in shown)


def _as_fit(labels: Sequence[Text], *, rows: int) -> list[Text]:
    """Every label, or each second or third and so on, such that so many rows hold them."""
    for every in range(1, len(labels) + 1):
        shown = in_rows(labels[::every], down=13)
        if max(label.y for label in shown) <= labels[0].y + 13 * (rows - 1):
            return shown
    return list(labels[:1])


def _under(plot: Plot, place: int, text: str, y: float, name: str, *, size: float = LABEL) -> Text:
    return Text(plot.x(place + 0.5), y, text, size, QUIET, Anchor.MIDDLE, name=name)


def _percent(words: Words, rate: float | None) -> str:
    return "–" if rate is None else words("percent", points=round(rate * 100))


def _number(words: Words, value: float | None) -> str:
    return "–" if value is None else words.digits(f"{value:.1f}")
