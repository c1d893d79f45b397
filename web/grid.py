"""The grid: patients down, days across, by the calendar or by the days of each one's own trial."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import groupby
from typing import Final, TypeAlias
from urllib.parse import quote

from markupsafe import Markup, escape
from starlette.responses import Response

from diary.protocols import newest_protocol
from diary.roles import Act
from diary.team import sites_of
from protocol.calendar import zone_of
from protocol.model import Phase
from protocol.typed import FIRST_DAY
from reports.grid import Cell, GridLine, GridPage, Window, grid_page
from web.asked import Asked
from web.pages import Page
from web.today import zone_for
from web.words import Words

_DAY: Final = timedelta(days=1)
SPAN: Final = 42  # days: as many as fit on a desk's screen, and as a page of 100 patients can bear
_LAST_DAY: Final = 10_000
_WEEK: Final = 7
# One class a state: the style sheet gives each a colour and a mark that tells the same.
CELLS: Final = {
    Cell.ANSWERED: "a",
    Cell.LATE: "l",
    Cell.PARTLY: "p",
    Cell.MISSED: "m",
    Cell.EXCUSED: "x",
    Cell.NOT_ASKED: "n",
    Cell.OPEN: "o",
    Cell.COMING: "c",
    Cell.CANCELLED: "w",
}


Said: TypeAlias = Callable[[date, Cell], Markup]


@dataclass(frozen=True, slots=True)
class Head:
    """A cell of the table's head over one or more days; `now` marks today."""

    text: str
    span: int = 1
    above: str = ""
    now: bool = False


async def _grid(asked: Asked) -> Response:
    return await (_by_days(asked) if asked.query("by") == "days" else _by_dates(asked))


async def _by_dates(asked: Asked) -> Response:
    """The last weeks up to today, or up to another date: who went missing when."""
    today = asked.now.astimezone(zone_of(await zone_for(asked))).date()
    last = _until(asked, today)
    dates = [last - back * _DAY for back in range(SPAN - 1, -1, -1)]
    found = await _found(asked, dates[0])
    words = asked.words
    months = groupby(dates, key=lambda on: (on.year, on.month))
    return await _page(
        asked,
        found,
        bands=[Head(words.month(date(*month, 1)), len(list(days))) for month, days in months],
        heads=[Head(words.digits(str(on.day)), above=words.weekday(on), now=on == today) for on in dates],
        earlier=asked.here(until=dates[0] - _DAY) if any(row.start < dates[0] for row in found.rows) else None,
        later=asked.here(until=last + SPAN * _DAY) if last < today else None,
        dates=(words.date(dates[0]), words.date(last)),
    )


def _until(asked: Asked, today: date) -> date:
    try:
        return min(max(date.fromisoformat(asked.query("until")), FIRST_DAY + SPAN * _DAY), today)
    except ValueError:
        return today


async def _by_days(asked: Asked) -> Response:
    """Everybody's own trial, whole or some weeks of it: patients are compared at the same stage."""
    words, day = asked.words, asked.number("day")
    first = 1 if day is None else _beginning(day)
    found = await _found(asked, first, _LAST_DAY if day is None else SPAN)
    last = found.days if day is None else min(first + SPAN - 1, found.days)
    names = {phase.id: phase.name.in_language(words.language) for phase in await _phases(asked)}
    return await _page(
        asked,
        found,
        bands=list(_bands(found.rows, first, last, words, names)),
        heads=_weeks(words, last)
        if day is None
        else [Head(words.digits(str(on))) for on in range(first, last + 1)],
        stretches=[(on, min(on + SPAN - 1, found.days)) for on in range(1, found.days + 1, SPAN)],
        first_day=None if day is None else first,
    )


def _beginning(day: int) -> int:
    """The first day of the stretch that a day is in."""
    within = min(max(1, day), _LAST_DAY)
    return within - (within - 1) % SPAN


def _weeks(words: Words, last: int) -> list[Head]:
    weeks = enumerate(range(1, last + 1, _WEEK), start=1)
    return [Head(words("grid.week", week=week), min(_WEEK, last - first + 1)) for week, first in weeks]


async def _phases(asked: Asked) -> Sequence[Phase]:
    return (await newest_protocol(asked.db)).protocol.phase


async def _found(asked: Asked, first: int | date, span: int = SPAN) -> GridPage:
    site, page = asked.query("site") or None, asked.page_number()
    return await grid_page(asked.db, asked.scope, asked.now, Window(first, span), site=site, page=page)


async def _page(
    asked: Asked,
    found: GridPage,
    *,
    bands: Sequence[Head],
    heads: Sequence[Head],
    first_day: int | None = None,
    dates: tuple[str, str] | None = None,
    stretches: Sequence[tuple[int, int]] = (),
    earlier: str | None = None,
    later: str | None = None,
) -> Response:
    whole = dates is None and first_day is None
    said = _said_in(asked.words)
    return asked.page(
        "grid.html",
        grid=found,
        sites=await sites_of(asked.db, asked.scope),
        bands=bands,
        heads=heads,
        first_day=first_day,
        dates=dates,
        stretches=stretches,
        earlier=earlier,
        later=later,
        whole=whole,
        cells=_whole(found.rows, asked.words) if whole else {line.code: _cells(line, said) for line in found.rows},
        key=CELLS,
    )


def _bands(
    lines: Sequence[GridLine], first: int, last: int, words: Words, names: Mapping[str, str]
) -> Iterator[Head]:
    """The phases over these days as most lines have them; each line marks where its own begin."""
    usual = Counter(line.phases for line in lines).most_common(1)
    day = first
    for phase, begins, ends in usual[0][0] if usual else ():
        if begins > last or ends < day:
            continue
        if begins > day:
            yield Head("", begins - day)
        day = max(begins, day)
        named = words("grid.band", phase=names.get(phase, phase), first=begins, last=ends)
        yield Head(named, min(ends, last) - day + 1)
        day = min(ends, last) + 1
    if day <= last:
        yield Head("", last - day + 1)


def _cells(line: GridLine, said: Said) -> Markup:
    """A row of cells; written here, since a template would take five times as long for thousands of them.

    They are written as short as HTML allows: there are thousands on a page.
    """
    begins = {line.start + (first - 1) * _DAY for _, first, _ in line.phases}
    path = f"/patients/{quote(line.code)}#day-"
    parts = []
    for place, cell in enumerate(line.cells):
        on = line.first + place * _DAY
        new = place and on in begins
        parts.append(f'<td class="c-{CELLS[cell]} new">' if new else f"<td class=c-{CELLS[cell]}>")
        if cell is not Cell.NOT_ASKED:
            parts.append(f'<a tabindex=-1 href={path}{on} title="{said(on, cell)}"></a>')
    return Markup("".join(parts))  # noqa: S704 - made by us, with what is said escaped


def _whole(lines: Sequence[GridLine], words: Words) -> dict[str, Markup]:
    """Rows of a whole trial: a state each, in a word that only readers aloud are told; a stretch has the dates."""
    said = {cell: "" if cell is Cell.NOT_ASKED else escape(words(f"cell.{cell}")) for cell in CELLS}
    plain = {cell: f"<td class=c-{css}>{said[cell]}" for cell, css in CELLS.items()}
    begun = {cell: f'<td class="c-{css} new">{said[cell]}' for cell, css in CELLS.items()}
    rows = {}
    for line in lines:
        cells = [plain[cell] for cell in line.cells]
        for _, first, _ in line.phases[1:]:
            cells[first - 1] = begun[line.cells[first - 1]]
        rows[line.code] = Markup("".join(cells))  # noqa: S704 - as above
    return rows


def _said_in(words: Words) -> Said:
    """What a cell says, written once for each date and state of a page."""

    @cache
    def said(on: date, cell: Cell) -> Markup:
        return escape(words("grid.cell", date=words.date(on), state=words(f"cell.{cell}")))

    return said


PAGES: Final = (Page("/grid", Act.SEE_PATIENTS, _grid),)
