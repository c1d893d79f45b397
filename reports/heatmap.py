"""Patients by days as a picture for staff: a box for each day, filled from below as far as it was answered.

So a day is read by how full it is, with or without colours.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from reports.definitions import Figures
from reports.marks import Anchor, Box, Boxes, Mark, Picture, Text, wide
from reports.palette import BLUE, GREY, INK, ORANGE, QUIET
from reports.sheet import EDGE, LABEL, PHONE, Plot, Sample, Sheet, fitted, words_in
from reports.site import Grid, GridRow
from reports.words import Words

# What a phone shows at a glance, and still lets somebody read the codes.
MOST_ROWS: Final = 40
_LONGEST_CODE: Final = 110.0
_ROW, _HIGHEST = 18.0, 2000.0
_NAMED: Final = 11.0  # in lower rows no code can be read


def worst_first(grid: Grid, most: int = MOST_ROWS) -> Grid:
    """The grid where it can be shown whole, else those of its patients who answered the least."""
    if len(grid.rows) <= most:
        return grid
    return replace(grid, rows=tuple(sorted(grid.rows, key=_rate)[:most]))


def _rate(row: GridRow) -> float:
    return 1.0 if row.total.rate is None else row.total.rate


def heatmap_picture(grid: Grid, language: str, *, all_rows: int | None = None) -> Picture:
    """A row for each patient; of `all_rows`, where there are more, these are the ones who answered the least."""
    words = words_in(language)
    sheet = Sheet(PHONE, words)
    span = words("span", first=words.day(grid.days[0]), last=words.day(grid.days[-1]))
    few = all_rows is not None and all_rows > len(grid.rows)
    shown = words("heatmap.few", shown=len(grid.rows), all=all_rows) if few else span
    sheet.heading(words("heatmap.title"), shown)
    if grid.rows:
        _draw(sheet, grid, words)
        sheet.legend(_legend(words, _kinds(grid)))
    else:
        sheet.say(words("nothing"))
    return sheet.picture("heatmap", words("heatmap.description"))


def _draw(sheet: Sheet, grid: Grid, words: Words) -> None:
    row = min(_ROW, _HIGHEST / len(grid.rows))
    size = min(LABEL, row * 0.8)
    totals = [_total(one, words) for one in grid.rows]
    before = min(max(wide(one.code, size) for one in grid.rows), _LONGEST_CODE) if row >= _NAMED else 0
    after = max(wide(total, size) for total in totals) if row >= _NAMED else 0
    top = sheet.y + 30
    plot = Plot(
        EDGE + before + 8,
        sheet.width - EDGE - after - 8,
        top,
        row * len(grid.rows),
        len(grid.days),
        len(grid.rows),
        0,
    )
    sheet.add(*plot.days(grid.days[0], words, top - 8), *_cells(grid, plot))
    for place, (one, total) in enumerate(zip(grid.rows, totals, strict=True)):
        y = plot.y(place + 0.5) + size * 0.36
        if row >= _NAMED:
            code = fitted(one.code, size, _LONGEST_CODE)
            sheet.add(Text(plot.left - 8, y, code, size, INK, Anchor.END, name="subject"))
            sheet.add(Text(sheet.width - EDGE, y, total, size, QUIET, Anchor.END, name="total"))
    sheet.y = plot.foot


def _kinds(grid: Grid) -> set[str]:
    """Which kinds of days there are."""
    days = {figures for row in grid.rows for figures in row.days.values()}
    names = {frozenset(("full",)): "all", frozenset(("rest",)): "none", frozenset(("rest", "part")): "part"}
    drawn = {frozenset(_boxes(figures, Box(0, 0, 1, 1))) for figures in days}
    return {names.get(kinds, "".join(kinds)) for kinds in drawn}


def _total(row: GridRow, words: Words) -> str:
    total = row.total
    return words("heatmap.total", answered=total.answered, expected=total.expected) if total.expected else "–"


def _cells(grid: Grid, plot: Plot) -> list[Mark]:
    """All cells of a kind as one mark, since there are thousands."""
    found: dict[str, list[Box]] = {"full": [], "rest": [], "part": [], "excused": [], "open": []}
    for y, row in enumerate(grid.rows):
        for x, day in enumerate(grid.days):
            if (figures := row.days.get(day)) is not None:
                cell = Box(plot.x(x), plot.y(y), plot.step, plot.height / len(grid.rows))
                for kind, box in _boxes(figures, _within(cell)).items():
                    found[kind].append(box)
    return [_of_kind(kind, tuple(boxes)) for kind, boxes in found.items() if boxes]


def _within(cell: Box) -> Box:
    """What of a place is drawn on; the rest keeps it apart from its neighbours."""
    x, y = min(1.2, cell.width * 0.1), min(1.5, cell.height * 0.1)
    return Box(cell.x + x, cell.y + y, cell.width - 2 * x, cell.height - 2 * y)


def _boxes(figures: Figures, cell: Box) -> dict[str, Box]:
    """What is drawn of one day."""
    rate = figures.rate
    if rate is None:
        if figures.excused:
            flat = max(cell.height * 0.16, 1.0)
            return {"excused": Box(cell.x + 1, cell.y + (cell.height - flat) / 2, cell.width - 2, flat)}
        side = min(cell.width, cell.height) * 0.55
        return {"open": Box(cell.x + (cell.width - side) / 2, cell.y + (cell.height - side) / 2, side, side)}
    if rate == 1:
        return {"full": cell}
    filled = cell.height * rate
    part = {"part": Box(cell.x, cell.y + cell.height - filled, cell.width, filled)} if rate else {}
    return {"rest": cell} | part


def _of_kind(kind: str, boxes: tuple[Box, ...]) -> Boxes:
    match kind:
        case "rest":
            return Boxes(boxes, ORANGE, ORANGE, 0.22, name=kind)
        case "excused":
            return Boxes(boxes, GREY, name=kind)
        case "open":
            return Boxes(boxes, "", GREY, name=kind)
        case _:
            return Boxes(boxes, BLUE, name=kind)


# A day of each kind, for the legend.
_SAMPLES: Final = {
    "all": Figures(on_time=1),
    "part": Figures(on_time=1, missed=1),
    "none": Figures(missed=1),
    "excused": Figures(excused=1),
    "open": Figures(open=1),
}


def _legend(words: Words, seen: set[str]) -> list[tuple[Sample, str]]:
    return [(partial(_sample, day), words(f"heatmap.{kind}")) for kind, day in _SAMPLES.items() if kind in seen]


def _sample(day: Figures, x: float, y: float) -> list[Mark]:
    return [_of_kind(kind, (box,)) for kind, box in _boxes(day, Box(x - 5, y - 7, 11, 14)).items()]
