"""Pictures: a patient's own history for a phone, and patients by days for staff.

Every mark has a shape of its own beside its colour. Right-to-left languages get the whole picture mirrored, time
included, and their own digits. Words come from the caller's catalogue. Drawing takes a good part of a second of
processor time: call these in a thread.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reports.definitions import Figures
from reports.page import BLUE, FONT, GREEN, GREY, INK, ORANGE, QUIET, RULE, Page, Script, colours, day_axis
from reports.patient import DiaryLine, History
from reports.site import Grid
from storage.states import SlotState

_WIDTH: Final = 900
_LETTER = 10.5  # pixels a letter takes at the size of the axes
# Text layout and font caches of matplotlib are not made for two threads at once.
_DRAWING = threading.Lock()


@dataclass(frozen=True, slots=True)
class HistoryLabels:
    """The words of a patient's picture; `items` names items, a mark without a word is not explained."""

    title: str
    ratings: str
    doses: str
    taken: str
    not_taken: str
    missed: str
    excused: str = ""
    items: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeatmapLabels:
    """The words of the staff picture."""

    title: str = ""
    excused: str = ""
    open: str = ""


def history_picture(history: History, *, language: str, labels: HistoryLabels) -> bytes:
    """A patient's ratings and doses by day, as a PNG to be read on a phone."""
    script = Script(language)
    ratings = _by_name([line for line in history.lines if line.slot.kind == "rating"], with_n=False)
    doses = _by_name([line for line in history.lines if line.slot.kind == "dose"], with_n=True)
    tall = 400.0 if len(ratings) <= 1 else 300.0
    panels = [tall] * len(ratings) + ([62.0 * len(doses)] if doses else [])
    with _DRAWING:
        names = _dose_names(doses, labels, script)
        margin = max(100.0, 40 + _LETTER * max(map(len, names), default=0))
        page = Page(_WIDTH, panels, script, side=(margin, 56))
        page.heading(labels.title, script.span(history.first_day, history.last_day))
        for (item, _), lines in ratings.items():
            axes = page.panel(tall, labels.items.get(item, labels.ratings))
            _draw_ratings(axes, history, lines, script)
        if doses:
            axes = page.panel(62.0 * len(doses), labels.doses)
            _draw_doses(axes, history, doses, names, script)
        page.legend(_history_marks(history, labels))
        return page.png()


def heatmap_picture(grid: Grid, *, language: str, labels: HeatmapLabels | None = None) -> bytes:
    """Patients by days as a PNG: what part of each day's expected slots was answered, from orange to blue."""
    script, words = Script(language), labels or HeatmapLabels()
    # Telegram takes pictures whose sides add up to 10,000; rows get thinner rather than being left out.
    row = min(30.0, 6400 / max(len(grid.rows), 1))
    with _DRAWING:
        height = row * max(len(grid.rows), 1)
        page = Page(1200, [height], script, side=(150, 130))
        page.heading(words.title, script.span(grid.days[0], grid.days[-1]) if grid.days else "")
        _draw_grid(page.panel(height, ""), grid, script, row)
        page.colour_bar()
        page.legend([(_square("#c3cad2"), words.excused), (_square("#ffffff", edge=GREY), words.open)])
        return page.png()


def _by_name(lines: Sequence[DiaryLine], *, with_n: bool) -> dict[tuple[str, int], list[DiaryLine]]:
    """Lines of one item, or of one item at one of its times of day, in order of first appearance."""
    found: dict[tuple[str, int], list[DiaryLine]] = {}
    for line in lines:
        found.setdefault((line.slot.item, line.slot.n if with_n else 0), []).append(line)
    return found


def _draw_ratings(axes: Any, history: History, lines: Sequence[DiaryLine], script: Script) -> None:
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 - as above

    low, high = history.scale
    places = _places(history, lines)
    for run in _runs(lines):
        xs, ys = [places[line.slot.id] for line in run], [_score(line) for line in run]
        axes.plot(xs, ys, color=BLUE, linewidth=2.6, alpha=0.75, zorder=2, solid_capstyle="round")
        axes.fill_between(xs, ys, low, color=BLUE, alpha=0.07, linewidth=0, zorder=1)
        axes.scatter(xs, ys, s=95, color=BLUE, edgecolor="white", linewidth=1.6, zorder=3, clip_on=False)
    answered = [line for line in lines if line.entry is not None and line.entry.score is not None]
    for line in answered if len(answered) <= 31 else ():  # noqa: PLR2004 - more figures would run together
        axes.annotate(
            script.digits(_score(line)),
            (places[line.slot.id], _score(line)),
            xytext=(0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=13,
            fontweight="bold",
            color=INK,
            family=FONT,
            zorder=4,
            annotation_clip=False,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    missed = [places[line.slot.id] for line in lines if line.slot.state == SlotState.MISSED]
    below = low - (high - low) * 0.09
    axes.scatter(missed, [below] * len(missed), s=60, facecolor="white", edgecolor=GREY, linewidth=1.8, zorder=3)
    axes.set_ylim(low - (high - low) * 0.15, high + (high - low) * 0.09)
    ticks = list(range(low, high + 1, max((high - low) // 5, 1)))
    axes.set_yticks(ticks, [script.digits(tick) for tick in ticks], fontfamily=FONT)
    axes.hlines(ticks, *axes.get_xlim(), color=RULE, linewidth=1.2, zorder=0)
    day_axis(axes, history.first_day, history.last_day, script)
    axes.hlines(ticks, *axes.get_xlim(), color=RULE, linewidth=1.2, zorder=0)


def _places(history: History, lines: Sequence[DiaryLine]) -> dict[int, float]:
    """Where each slot lies on the axis of days; several on one day stand side by side."""
    most = max((line.slot.n for line in lines), default=0) + 1
    return {
        line.slot.id: (line.slot.local_date - history.first_day).days + (line.slot.n + 0.5) / most - 0.5
        for line in lines
    }


def _runs(lines: Sequence[DiaryLine]) -> list[list[DiaryLine]]:
    """Answered ratings in stretches, broken where one was missed: a line across a gap would tell a value."""
    runs: list[list[DiaryLine]] = [[]]
    for line in lines:
        if line.entry is not None and line.entry.score is not None:
            runs[-1].append(line)
        elif line.slot.state == SlotState.MISSED and runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _score(line: DiaryLine) -> int:
    assert line.entry is not None
    assert line.entry.score is not None
    return line.entry.score


def _draw_doses(
    axes: Any,
    history: History,
    doses: Mapping[tuple[str, int], Sequence[DiaryLine]],
    names: Sequence[str],
    script: Script,
) -> None:
    size = 190 if (history.last_day - history.first_day).days < 29 else 60  # noqa: PLR2004 - a month side by side
    marks = _marks(size)
    for row, lines in enumerate(doses.values()):
        for mark, style in marks.items():
            days = [(line.slot.local_date - history.first_day).days for line in lines if _mark_of(line) == mark]
            axes.scatter(days, [row] * len(days), **style)
    axes.set_yticks(range(len(names)), names, fontfamily=FONT)
    axes.set_ylim(len(names) - 0.5, -0.5)
    day_axis(axes, history.first_day, history.last_day, script)
    axes.hlines(range(len(names)), *axes.get_xlim(), color=RULE, linewidth=1.2, zorder=0)


def _dose_names(
    doses: Mapping[tuple[str, int], Sequence[DiaryLine]], labels: HistoryLabels, script: Script
) -> list[str]:
    """What stands before each row of doses: the item, and its time where there are several a day."""
    rows = Counter(item for item, _ in doses)
    names = []
    for (item, _), lines in doses.items():
        at = script.digits(f"{lines[-1].slot.due_local:%H:%M}")
        name = labels.items.get(item)
        names.append(at if name is None else f"{name} {at}" if rows[item] > 1 else name)
    return names


def _marks(size: float) -> dict[str, dict[str, Any]]:
    """How each kind of dose is drawn; the order is that of the legend."""
    return {
        "taken": {"s": size, "marker": "o", "color": GREEN, "zorder": 3},
        "not-taken": {"s": size * 0.8, "marker": "X", "color": ORANGE, "linewidth": 0, "zorder": 3},
        "missed": {
            "s": size * 0.8,
            "marker": "o",
            "facecolor": "white",
            "edgecolor": GREY,
            "linewidth": 1.8,
            "zorder": 3,
        },
        "excused": {"s": size * 0.25, "marker": "s", "color": GREY, "zorder": 3},
    }


def _mark_of(line: DiaryLine) -> str:
    return line.entry.answer if line.entry is not None else line.slot.state


def _history_marks(history: History, labels: HistoryLabels) -> list[tuple[Any, str]]:
    """The marks that occur, with their words."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - as above

    words = {
        "taken": labels.taken,
        "not-taken": labels.not_taken,
        "missed": labels.missed,
        "excused": labels.excused,
    }
    seen = {_mark_of(line) for line in history.lines}
    return [
        (
            Line2D(
                [],
                [],
                linestyle="",
                marker=style["marker"],
                markersize=12 if mark != "excused" else 7,
                markerfacecolor=style.get("facecolor", style.get("color")),
                markeredgecolor=style.get("edgecolor", style.get("color")),
                markeredgewidth=1.8 if mark == "missed" else 0,
            ),
            words[mark],
        )
        for mark, style in _marks(190).items()
        if mark in seen
    ]


def _square(color: str, *, edge: str | None = None) -> Any:
    from matplotlib.patches import Patch  # noqa: PLC0415 - as above

    return Patch(facecolor=color, edgecolor=edge or color)


def _draw_grid(axes: Any, grid: Grid, script: Script, row_height: float) -> None:
    scale = colours()
    for y, row in enumerate(grid.rows):
        for x, day in enumerate(grid.days):
            if (figures := row.days.get(day)) is not None:
                _draw_cell(axes, x, y, figures, scale)
    axes.set_ylim(max(len(grid.rows), 1) - 0.5, -0.5)
    day_axis(axes, grid.days[0], grid.days[-1], script)
    if row_height < 12:  # noqa: PLR2004 - below this no name can be read
        axes.set_yticks([])
        return
    axes.set_yticks(range(len(grid.rows)), [row.code for row in grid.rows], fontfamily=FONT)
    axes.tick_params(axis="y", labelsize=min(13, row_height * 0.55), labelcolor=INK)
    for y, row in enumerate(grid.rows):
        total = row.total
        axes.annotate(
            script.digits(f"{total.answered}/{total.expected}") if total.expected else "–",
            (1.02 if not script.rtl else -0.02, y),
            xycoords=("axes fraction", "data"),
            ha="right" if script.rtl else "left",
            va="center",
            fontsize=min(13, row_height * 0.55),
            color=QUIET,
            family=FONT,
            annotation_clip=False,
        )


def _draw_cell(axes: Any, x: int, y: int, figures: Figures, scale: Any) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - as above

    rate = figures.rate
    look = (
        {"facecolor": scale(rate), "edgecolor": "none"}
        if rate is not None
        else {"facecolor": "#c3cad2", "edgecolor": "none"}
        if figures.excused
        else {"facecolor": "white", "edgecolor": GREY}
    )
    axes.add_patch(Rectangle((x - 0.44, y - 0.42), 0.88, 0.84, linewidth=1, **look))
