"""A patient's own history as a picture, in the chat and on the patient's page; and the small line of the lists.

Scores lie on a scale by day, joined where nothing between them is missing, since a line across a gap would tell a
value. Doses lie in a row for each item and time of day.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final, TypeAlias

from reports.marks import Anchor, Area, Boxes, Dot, Line, Mark, Picture, Shape, Text
from reports.palette import BAND, BLUE, GREY, INK, ORANGE, PAPER, QUIET, RULE
from reports.patient import DiaryLine, History, Stretch
from reports.sheet import EDGE, LABEL, PHONE, SMALL, Plot, Sample, Sheet, fitted, in_rows, kept_in, words_in
from reports.words import Words
from storage.states import SlotState

_ROW: Final = 37.0
_SCORES: Final = 26.0  # the room of a scale of scores
_LINE: Final = 15.0
# A figure stands over its dot where a day has room for it.
_ROOM_FOR_SCORE: Final = 11.0

_Rows: TypeAlias = Mapping[tuple[str, int], Sequence[DiaryLine]]


@dataclass(frozen=True, slots=True)
class _Look:
    """How a mark of a kind looks, and its word."""

    shape: Shape
    fill: str
    stroke: str
    part: float = 1.0

    def sample(self, x: float, y: float) -> list[Mark]:
        return [Dot(x, y, 10 * self.part, self.shape, self.fill, self.stroke, name="sample")]


# By kind, in the order of the legend. What came on time is full, late is hollow; each kind has a shape of its own.
_LOOKS: Final = {
    "taken": _Look(Shape.CIRCLE, BLUE, BLUE),
    "late": _Look(Shape.CIRCLE, PAPER, BLUE, 0.9),
    "not-taken": _Look(Shape.CROSS, ORANGE, ORANGE),
    "missed": _Look(Shape.DIAMOND, PAPER, GREY),
    "excused": _Look(Shape.DASH, GREY, GREY),
}


def _dot(kind: str, x: float, y: float, size: float, told: str = "") -> Dot:
    look = _LOOKS[{"on-time": "taken", "taken-late": "late"}.get(kind, kind)]
    return Dot(x, y, size * look.part, look.shape, look.fill, look.stroke, told, kind)


def history_picture(history: History, language: str, *, width: float = PHONE) -> Picture:
    """Ratings and doses by day; a page that shows a whole trial asks for a wider one."""
    words = words_in(language)
    sheet = Sheet(width, words)
    span = words("span", first=words.day(history.first_day), last=words.day(history.last_day))
    sheet.heading(words("history.title"), span)
    ratings = _by_name(line for line in history.lines if line.slot.kind == "rating")
    doses = _by_name((line for line in history.lines if line.slot.kind == "dose"), with_n=True)
    days = (history.last_day - history.first_day).days + 1
    plot = partial(Plot, EDGE + _SCORES, width - EDGE, steps=days)
    for number, ((item, _), lines) in enumerate(ratings.items()):
        _draw_ratings(sheet, plot, history, item, lines, first=number == 0, alone=len(ratings) <= 1)
    if doses:
        _draw_doses(sheet, plot, history, doses)
    if not history.lines:
        sheet.say(words("nothing"))
    sheet.legend(_legend({_kind(line) for line in history.lines}, words))
    return sheet.picture("history", words("history.description"))


def _by_name(lines: Iterable[DiaryLine], *, with_n: bool = False) -> dict[tuple[str, int], list[DiaryLine]]:
    """Lines of one item, or of one item at one of its times of day, in order of first appearance."""
    found: dict[tuple[str, int], list[DiaryLine]] = {}
    for line in lines:
        found.setdefault((line.slot.item, line.slot.n if with_n else 0), []).append(line)
    return found


def _kind(line: DiaryLine) -> str:
    """What became of a slot, as it is drawn; nothing is drawn of one that is open or still to come."""
    late = line.slot.state == SlotState.LATE
    if line.entry is None:
        return {SlotState.MISSED: "missed", SlotState.EXCUSED: "excused"}.get(SlotState(line.slot.state), "")
    if line.entry.score is not None:
        return "late" if late else "on-time"
    return "taken-late" if late and line.entry.answer == "taken" else line.entry.answer


def _legend(seen: set[str], words: Words) -> list[tuple[Sample, str]]:
    """The marks that occur, with their words; a score that is there and a dose that is taken look alike."""
    full = "both" if {"on-time", "taken"} <= seen else "taken" if "taken" in seen else "on-time"
    shown = {"taken" if kind == "on-time" else "late" if kind == "taken-late" else kind for kind in seen}
    return [
        (look.sample, words(f"history.{full if kind == 'taken' else kind}"))
        for kind, look in _LOOKS.items()
        if kind in shown
    ]


def _draw_ratings(
    sheet: Sheet,
    plot: Callable[..., Plot],
    history: History,
    item: str,
    lines: Sequence[DiaryLine],
    *,
    first: bool,
    alone: bool,
) -> None:
    words, (low, high) = sheet.words, history.scale
    sheet.panel(history.items[item].in_language(words.language))
    above = _phase_names(history, plot(0, 1), sheet.y + 14, words) if first else []
    names_today = first and bool(_today(history, plot(0, 1), words, named=True))
    top = max([sheet.y, *(label.y for label in above)]) + (24 if names_today else 12)
    # Half a point below the scale is where what was missed lies.
    room = 0.8 * (high - low) / 10
    axes = plot(top, 200.0 if alone else 130.0, low=low - room, high=high + room / 2)
    step = 2 if high - low > 5 else 1  # noqa: PLR2004 - NRS 0-10 has room for every second one
    sheet.add(
        *_bands(history, axes),
        *axes.scale((score, words.digits(str(score))) for score in range(low, high + 1, step)),
        *above,
    )
    sheet.add(*_visits(history, axes), *_today(history, axes, words, named=first))
    sheet.add(*_scores(history, lines, axes, words))
    sheet.add(*axes.days(history.first_day, words, axes.foot + 16))
    sheet.y = axes.foot + 18
    if first:
        names = _visit_names(history, axes, sheet.y + _LINE, words)
        sheet.add(*names)
        sheet.y = max([sheet.y, *(name.y for name in names)])


def _seen(history: History, stretches: Iterable[Stretch]) -> list[Stretch]:
    return [one for one in stretches if one.first <= history.last_day and one.last >= history.first_day]


def _place(history: History, day: date) -> int:
    return (day - history.first_day).days


def _bands(history: History, axes: Plot) -> list[Mark]:
    """Each second phase on a ground of its own, so that phases can be told apart without a colour."""
    found: list[Mark] = []
    for number, phase in enumerate(history.phases):
        if number % 2 == 0 and phase in _seen(history, (phase,)):
            begins = max(_place(history, phase.first), 0)
            ends = min(_place(history, phase.last) + 1, axes.steps)
            found.append(Boxes((axes.box(begins, ends - begins, axes.low, axes.high),), BAND, name="band"))
    return found


def _phase_names(history: History, axes: Plot, y: float, words: Words) -> list[Text]:
    labels = []
    for phase in _seen(history, history.phases):
        name = fitted(phase.name.in_language(words.language), SMALL, axes.right - axes.left)
        begins = axes.x(max(_place(history, phase.first), 0)) + 2
        labels.append(kept_in(Text(begins, y, name, SMALL, QUIET, name="phase-name"), axes.right))
    return in_rows(labels, down=_LINE)


def _visits(history: History, axes: Plot) -> list[Mark]:
    return [
        axes.upright(axes.x(_place(history, one.first) + 0.5), QUIET, dashes=(3, 3), name="visit")
        for one in _seen(history, history.visits)
    ]


def _visit_names(history: History, axes: Plot, y: float, words: Words) -> list[Text]:
    labels = [
        Text(
            axes.x(_place(history, one.first) + 0.5),
            y,
            one.name.in_language(words.language),
            SMALL,
            QUIET,
            Anchor.MIDDLE,
            name="visit",
        )
        for one in _seen(history, history.visits)
    ]
    return in_rows((kept_in(label, axes.right + EDGE - 2) for label in labels), down=_LINE)


def _today(history: History, axes: Plot, words: Words, *, named: bool) -> list[Mark]:
    """Where the patient is; nothing where that is the last day shown, or none of them."""
    place = _place(history, history.today)
    if not 0 <= place < axes.steps - 1:
        return []
    x = axes.x(place + 0.5)
    label = Text(x, axes.top - 3, words("today"), SMALL, INK, Anchor.MIDDLE, bold=True, halo=PAPER, name="today")
    return [axes.upright(x, INK, name="today"), *([kept_in(label, axes.right)] if named else [])]


def _scores(history: History, lines: Sequence[DiaryLine], axes: Plot, words: Words) -> list[Mark]:
    most = max((line.slot.n for line in lines), default=0) + 1
    size = min(10.0, max(axes.step / most * 0.9, 5.0))
    low = history.scale[0]

    def x(line: DiaryLine) -> float:
        return axes.x(_place(history, line.slot.local_date) + (line.slot.n + 0.5) / most)

    found: list[Mark] = []
    for run in _runs(lines):
        points = tuple((x(line), axes.y(_score(line))) for line in run)
        foot = axes.y(low)
        found.append(Area(((points[0][0], foot), *points, (points[-1][0], foot)), BLUE, 0.08, name="under"))
        found.append(Line(points, BLUE, 2.0, name="line"))
    figures: list[Text] = []
    for line in lines:
        kind, place = _kind(line), x(line)
        if kind in ("on-time", "late"):
            score = words.digits(str(_score(line)))
            told = words("history.score", day=words.day(line.slot.local_date), score=score)
            y = axes.y(_score(line))
            found.append(_dot(kind, place, y, size, told))
            figures.append(
                Text(place, y - 8, score, SMALL, INK, Anchor.MIDDLE, bold=True, halo=PAPER, name="score")
            )
        elif kind:
            found.append(_dot(kind, place, axes.y((axes.low + low) / 2), size * 0.9))
    return found + (_apart(figures) if axes.step / most >= _ROOM_FOR_SCORE else [])


def _apart(figures: Iterable[Text]) -> list[Mark]:
    """The figures that do not run into the one before them: two tens of days that follow one another would."""
    found: list[Text] = []
    for one in figures:
        if not found or found[-1].ends[1] <= one.ends[0] or abs(found[-1].y - one.y) >= one.size * 0.8:
            found.append(one)
    return list(found)


def _runs(lines: Iterable[DiaryLine]) -> list[list[DiaryLine]]:
    """Scores in stretches, broken where one is missing."""
    runs: list[list[DiaryLine]] = [[]]
    for line in lines:
        if line.entry is not None and line.entry.score is not None:
            runs[-1].append(line)
        elif line.slot.state in (SlotState.MISSED, SlotState.EXCUSED):
            runs.append([])
    return [run for run in runs if run]


def _score(line: DiaryLine) -> int:
    assert line.entry is not None
    assert line.entry.score is not None
    return line.entry.score


def _draw_doses(sheet: Sheet, plot: Callable[..., Plot], history: History, doses: _Rows) -> None:
    """A row for each, with its name above it."""
    sheet.y += 14
    axes = plot(sheet.y, _ROW * len(doses), low=len(doses), high=0)
    sheet.add(*_bands(history, axes))
    size = min(11.0, max(axes.step * 0.9, 5.0))
    names = [fitted(name, LABEL, axes.right - axes.left) for name in _dose_names(doses, history, sheet.words)]
    for row, (lines, name) in enumerate(zip(doses.values(), names, strict=True)):
        y = axes.y(row) + _ROW - size
        sheet.add(Line(((axes.left, y), (axes.right, y)), RULE, name="rule"))
        sheet.add(Text(axes.left, y - 10, name, LABEL, name="dose"))
        for line in lines:
            if kind := _kind(line):
                sheet.add(_dot(kind, axes.x(_place(history, line.slot.local_date) + 0.5), y, size))
    sheet.add(*_today(history, axes, sheet.words, named=False))
    sheet.add(*axes.days(history.first_day, sheet.words, axes.foot + 16))
    sheet.y = axes.foot + 18


def _dose_names(doses: _Rows, history: History, words: Words) -> list[str]:
    """What stands before each row of doses: the item, and its time where there are several a day."""
    rows = Counter(item for item, _ in doses)
    names = []
    for (item, _), lines in doses.items():
        name = history.items[item].in_language(words.language)
        at = words.time(lines[-1].slot.due_local)
        names.append(f"{name} {at}" if rows[item] > 1 else name)
    return names


def small_line(pains: Sequence[int | None], language: str, *, scale: tuple[int, int], told: str) -> Picture:
    """The last days' scores, oldest first, as a small line without words; days without one leave a gap."""
    axes = Plot(0, 112, 3, 22, max(len(pains), 1), *scale)
    places = {day: (axes.x(day + 0.5), axes.y(pain)) for day, pain in enumerate(pains) if pain is not None}
    marks: list[Mark] = [Line(((axes.left, axes.foot), (axes.right, axes.foot)), RULE, name="rule")]
    marks += [Line((places[day], places[day + 1]), BLUE, 1.5, name="line") for day in places if day + 1 in places]
    for day, (x, y) in places.items():
        now = day == len(pains) - 1
        marks.append(Dot(x, y, 6.0 if now else 3.2, Shape.CIRCLE, BLUE, BLUE, name="now" if now else "then"))
    return Picture("sparkline", told, "", 112, 28, words_in(language).rtl, tuple(marks))
