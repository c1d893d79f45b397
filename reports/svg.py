"""Charts for the pages as SVG: no script, no style of their own, readable without colour, mirrored from the right.

A picture has its title and description for who cannot see it, and the page has a table of its figures below it.
Words come from the caller; each of them is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Final, Protocol

from protocol.calendar import zone_of
from reports.page import BLUE, INK, QUIET, RULE, Script
from reports.record import Line, Record
from storage.states import SlotState

_DAY = timedelta(days=1)
_WIDTH, _PLOT, _ROW = 960.0, 210.0, 17.0  # the unit is a pixel of a page that shows it whole
_START, _END = 40.0, 24.0
_LETTER: Final = 6.6
_BANDS: Final = ("#eef3f6", "#f8fafb")
_TODAY: Final = "#a32d00"
_SVG: Final = "http://www.w3.org/2000/svg"


class Visit(Protocol):
    """A clinic day: the visit's id, when it was to be, and when it was."""

    @property
    def visit(self) -> str:
        """Its id in the protocol."""
        ...

    @property
    def planned(self) -> date:
        """The day it falls on."""
        ...

    @property
    def held_on(self) -> date | None:
        """The day it took place, None before."""
        ...


@dataclass(frozen=True, slots=True)
class PainLabels:
    """The words of a patient's chart; names of phases and visits are the protocol's."""

    title: str
    description: str
    today: str


@dataclass(frozen=True, slots=True)
class _Label:
    x: float
    text: str
    anchor: str = "start"

    @property
    def ends(self) -> tuple[float, float]:
        """From where to where it takes space, counted from the side the language begins on."""
        wide = _LETTER * len(self.text) + 10
        before = {"start": 0.0, "middle": wide / 2, "end": wide}[self.anchor]
        return self.x - before, self.x - before + wide


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where days and scores lie."""

    first: date
    days: int
    low: int
    high: int
    top: float
    script: Script

    def along(self, days: float) -> float:
        """So many days after the first, from the side the language begins on."""
        return _START + (_WIDTH - _START - _END) * days / self.days

    def x(self, along: float) -> float:
        """The place in the picture, which is mirrored as a whole."""
        return _WIDTH - along if self.script.rtl else along

    def y(self, score: float) -> float:
        """How far down a score lies."""
        return self.top + _PLOT * (self.high - score) / (self.high - self.low)

    def at(self, local: datetime) -> float:
        """An instant on the patient's wall."""
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return self.along((local.date() - self.first).days + (local - midnight) / _DAY)

    def day(self, on: date) -> float:
        """Where a day begins."""
        return self.along((on - self.first).days)


def pain_svg(record: Record, *, visits: Sequence[Visit] = (), labels: PainLabels, language: str) -> str:
    """A patient's pain over the whole trial: phases as bands, visits and today as upright lines."""
    script, scale = Script(language), record.protocol.trial.nrs
    first = min(phase.first for phase in record.phases)
    last = max([phase.last for phase in record.phases] + [_day_of(visit) for visit in visits])
    names = [(visit.id, visit.name.in_language(language)) for visit in record.protocol.visit]
    plain = _Axes(first, (last - first).days + 1, scale.min, scale.max, 0, script)
    above = _in_rows(
        [_Label(plain.day(p.first) + 4, record.phase_names[p.phase].in_language(language)) for p in record.phases]
    )
    below = _in_rows([_visit_label(plain, visit, dict(names)) for visit in visits])
    axes = _Axes(first, plain.days, scale.min, scale.max, 26 + _ROW * len(above), script)
    foot = axes.top + _PLOT + 20
    parts = [
        *_bands(record, axes),
        *_scale(axes),
        *_texts(axes, above, y=32.0, css="phase", color=INK),
        *_days(axes, foot),
        *(_upright(axes, axes.day(_day_of(visit)) + _half_a_day(axes), "visit", QUIET, "4 4") for visit in visits),
        *_texts(axes, below, y=foot + _ROW, css="visit", color=INK),
        *_today(record, axes, labels.today),
        *_line(record.lines, axes),
    ]
    return _tag(
        "svg",
        _tag("title", escape(labels.title), id="pain-title"),
        _tag("desc", escape(labels.description), id="pain-desc"),
        *parts,
        xmlns=_SVG,
        css="pain",
        viewBox=f"0 0 {_number(_WIDTH)} {_number(foot + _ROW * len(below) + 14)}",
        role="img",
        aria_labelledby="pain-title pain-desc",
        direction="rtl" if script.rtl else "ltr",
        font_size=12,
    )


def _day_of(visit: Visit) -> date:
    return visit.held_on or visit.planned


def _half_a_day(axes: _Axes) -> float:
    return axes.along(0.5) - axes.along(0)


def _visit_label(axes: _Axes, visit: Visit, names: dict[str, str]) -> _Label:
    """The visit's name below its line, kept inside the picture at both ends."""
    label = _Label(axes.day(_day_of(visit)) + _half_a_day(axes), names.get(visit.visit, visit.visit), "middle")
    begins, ends = label.ends
    if begins < 0:
        return _Label(label.x, label.text)
    return _Label(label.x, label.text, "end") if ends > _WIDTH else label


def _in_rows(labels: Sequence[_Label]) -> list[list[_Label]]:
    """Labels in as few rows as they need not to run into one another."""
    rows: list[list[_Label]] = []
    for label in sorted(labels, key=lambda label: label.x):
        row = next((row for row in rows if row[-1].ends[1] <= label.ends[0]), None)
        if row is None:
            rows.append(row := [])
        row.append(label)
    return rows


def _texts(axes: _Axes, rows: Sequence[Sequence[_Label]], *, y: float, css: str, color: str) -> list[str]:
    return [
        _text(axes, label, y=y + _ROW * row, css=css, color=color)
        for row, labels in enumerate(rows)
        for label in labels
    ]


def _text(axes: _Axes, label: _Label, *, y: float, css: str, color: str) -> str:
    return _tag("text", escape(label.text), css=css, x=axes.x(label.x), y=y, text_anchor=label.anchor, fill=color)


def _bands(record: Record, axes: _Axes) -> list[str]:
    """Each phase's stretch of days; where staff left days between two, none."""
    found = []
    for number, phase in enumerate(record.phases):
        begins, ends = axes.day(phase.first), axes.day(phase.last + _DAY)
        left = axes.x(ends if axes.script.rtl else begins)
        place = {"x": left, "y": axes.top, "width": max(ends - begins, 0), "height": _PLOT}
        found.append(_tag("rect", css="band", **place, fill=_BANDS[number % 2]))
    return found


def _scale(axes: _Axes) -> list[str]:
    """Scores at the side, with a line across for each."""
    step = 2 if axes.high - axes.low > 5 else 1  # noqa: PLR2004 - NRS 0-10 has room for every second one
    found = []
    for score in range(axes.low, axes.high + 1, step):
        y = axes.y(score)
        label = _Label(_START - 10, axes.script.digits(score), "end")
        across = {"x1": axes.x(_START), "x2": axes.x(_WIDTH - _END), "y1": y, "y2": y}
        found += [_tag("line", css="rule", **across, stroke=RULE)]
        found += [_text(axes, label, y=y + 4, css="score", color=QUIET)]
    return found


def _days(axes: _Axes, y: float) -> list[str]:
    """Dates below, as many as can be read."""
    step = next(step for step in (1, 7, 28, 84, 364, axes.days) if axes.days / step <= 8)  # noqa: PLR2004 - as above
    return [
        _text(axes, _Label(axes.along(day), axes.script.day(axes.first + day * _DAY)), y=y, css="day", color=QUIET)
        for day in range(0, axes.days, step)
        if axes.along(day) < _WIDTH - 60
    ]


def _upright(axes: _Axes, along: float, css: str, color: str, dashes: str = "none") -> str:
    place = {"x1": axes.x(along), "x2": axes.x(along), "y1": axes.top, "y2": axes.top + _PLOT}
    return _tag("line", css=css, **place, stroke=color, stroke_dasharray=dashes)


def _today(record: Record, axes: _Axes, word: str) -> list[str]:
    """Where the patient is; nothing before the first day and after the last."""
    local = record.now.astimezone(zone_of(record.zone)).replace(tzinfo=None)
    if not 0 <= (local.date() - axes.first).days < axes.days:
        return []
    along = axes.at(local)
    label = _Label(along, word, "middle" if 60 < along < _WIDTH - 60 else "start" if along <= 60 else "end")  # noqa: PLR2004 - half a word
    return [_upright(axes, along, "today", _TODAY), _text(axes, label, y=14, css="today", color=_TODAY)]


def _line(lines: Sequence[Line], axes: _Axes) -> list[str]:
    """The scores that hold, joined where nothing between them was missed; late ones are hollow."""
    joined, points = [], []
    for run in _runs(lines):
        places = [(axes.x(axes.at(_local(line))), axes.y(_score(line))) for line in run]
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in places)
        joined += [_tag("polyline", css="line", points=path, fill="none", stroke=BLUE, stroke_width=2)]
        points += [_point(line, x, y, axes.script) for line, (x, y) in zip(run, places, strict=True)]
    return joined + points


def _point(line: Line, x: float, y: float, script: Script) -> str:
    late = line.slot.state == SlotState.LATE
    told = _tag("title", escape(f"{script.day(line.slot.local_date)}: {script.digits(_score(line))}"))
    look = {"css": "late", "fill": "#ffffff"} if late else {"css": "on-time", "fill": BLUE}
    return _tag("circle", told, cx=x, cy=y, r=3.5, stroke=BLUE, stroke_width=1.6, **look)


def _runs(lines: Sequence[Line]) -> list[list[Line]]:
    """Scores in stretches, broken where one is missing: a line across a gap would tell a value."""
    runs: list[list[Line]] = [[]]
    for line in lines:
        if line.entries and line.entries[-1].entry.score is not None:
            runs[-1].append(line)
        elif line.slot.kind == "rating" and line.slot.state in (SlotState.MISSED, SlotState.EXCUSED):
            runs.append([])
    return [run for run in runs if run]


def _score(line: Line) -> int:
    score = line.entries[-1].entry.score
    assert score is not None  # a line of a run has one
    return score


def _local(line: Line) -> datetime:
    return line.slot.due_local.replace(tzinfo=None)


def sparkline_svg(pains: Sequence[int | None], *, low: int, high: int, label: str, rtl: bool = False) -> str:
    """The last days' scores, oldest first, as a small line; days without one leave a gap."""
    wide, tall, foot = 112.0, 28.0, 25.0
    step = wide / max(len(pains), 1)
    places: dict[int, tuple[float, float]] = {}
    for day, pain in enumerate(pains):
        if pain is not None:
            along = (day + 0.5) * step
            places[day] = (wide - along if rtl else along, foot - 22 * (pain - low) / (high - low))
    return _tag(
        "svg",
        _tag("title", escape(label)),
        _tag("line", css="rule", x1=0, x2=wide, y1=foot, y2=foot, stroke=RULE),
        *(_stroke(places[day], places[day + 1]) for day in places if day + 1 in places),
        *(_dot(x, y, now=day == len(pains) - 1) for day, (x, y) in places.items()),
        xmlns=_SVG,
        css="sparkline",
        viewBox=f"0 0 {_number(wide)} {_number(tall)}",
        role="img",
        aria_label=label,
    )


def _stroke(one: tuple[float, float], other: tuple[float, float]) -> str:
    place = {"x1": one[0], "y1": one[1], "x2": other[0], "y2": other[1]}
    return _tag("line", css="line", **place, stroke=BLUE, stroke_width=1.5)


def _dot(x: float, y: float, *, now: bool) -> str:
    return _tag("circle", css="now" if now else "then", cx=x, cy=y, r=3 if now else 1.6, fill=BLUE)


def _tag(name: str, *inside: str, **attributes: str | float) -> str:
    """An element; `inside` is markup already, `css` stands for class and an underscore for a hyphen."""
    written = "".join(
        f' {"class" if key == "css" else key.replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
