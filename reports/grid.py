"""Patients down, days across: one cell a day, of each one's own trial to compare stages, or of the calendar.

A day that has begun and is not over, because something of it may still be answered, is open whatever else became of
it: figures of adherence leave out what has not run its course, and so does a cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import TypeAlias

from diary.protocols import protocol_of
from protocol.calendar import phase_dates
from protocol.lifecycle import PatientStatus
from protocol.model import Protocol
from reports.adherence import sites_asked_for
from reports.roster import pages_of
from storage import grids
from storage import roster as lists
from storage.database import Connection, Database
from storage.roster import Listed, Wanted
from storage.states import SlotState

PhaseDays: TypeAlias = tuple[tuple[str, int, int], ...]


class Cell(StrEnum):
    """What became of one day of one patient."""

    ANSWERED = "answered"  # all of it, on time
    LATE = "late"  # all of it, some late
    PARTLY = "partly"  # some answered, some missed
    MISSED = "missed"
    EXCUSED = "excused"
    NOT_ASKED = "not asked"
    OPEN = "open"
    COMING = "coming"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Window:
    """So many days from the first on: a date, the same for all, or a day of each one's own trial."""

    first: int | date
    span: int

    def begins(self, start: date) -> date:
        """The first date that is shown of a trial that started on `start`."""
        return start + timedelta(days=self.first - 1) if isinstance(self.first, int) else self.first

    def until(self, last_day: int) -> int:
        """How many days are shown where the longest trial ends on this day of it; a calendar goes on."""
        return min(self.span, last_day - self.first + 1) if isinstance(self.first, int) else self.span


@dataclass(frozen=True, slots=True)
class GridLine:
    """One patient; `first` is the date of the first cell, and each phase stands with its days of the trial."""

    code: str
    site: str
    status: PatientStatus
    start: date
    first: date
    cells: tuple[Cell, ...]
    phases: PhaseDays


@dataclass(frozen=True, slots=True)
class GridPage:
    """Some of the patients; `days` is the last day of the trial, for the one of them whose trial is longest."""

    days: int
    rows: tuple[GridLine, ...]
    total: int
    page: int
    pages: int


async def grid_page(
    db: Database,
    scope: frozenset[int] | None,
    now: datetime,
    window: Window,
    *,
    site: str | None = None,
    page: int = 1,
    per_page: int = 100,
) -> GridPage:
    """A page of patients by code, leavers too, each with the days of the window."""
    async with db.read() as conn:
        wanted = Wanted(await sites_asked_for(conn, site, scope))
        total = await lists.count_listed(conn, wanted)
        pages = pages_of(total, per_page)
        page = min(max(page, 1), pages)
        listed = await lists.listed_by_code(conn, wanted, limit=per_page, offset=(page - 1) * per_page)
        days, rows = await _lines(db, conn, listed, window, now)
        return GridPage(days, rows, total, page, pages)


async def _lines(
    db: Database, conn: Connection, listed: list[Listed], window: Window, now: datetime
) -> tuple[int, tuple[GridLine, ...]]:
    """How long the longest trial is, and the lines."""
    if not listed:
        return 0, ()
    ids = [who.id for who in listed]
    starts = await lists.phase_starts(conn, ids)
    protocols = {who.id: await protocol_of(db, conn, who.protocol_id) for who in listed}
    phases = {patient_id: _phases(protocols[patient_id], starts[patient_id]) for patient_id in ids}
    days = max(last for of_patient in phases.values() for _, _, last in of_patient)
    cells: dict[int, dict[int, Cell]] = {patient_id: {} for patient_id in ids}
    for patient_id, on, states in await grids.day_states(conn, ids, now=now):
        cells[patient_id][on.toordinal()] = _cell(states)
    span, lines = window.until(days), []
    for who in listed:
        start = min(starts[who.id].values())
        first = window.begins(start)
        shown = range(first.toordinal(), first.toordinal() + span)
        found = tuple(cells[who.id].get(day, Cell.NOT_ASKED) for day in shown)
        lines.append(GridLine(who.code, who.site, PatientStatus(who.status), start, first, found, phases[who.id]))
    return days, tuple(lines)


def _phases(protocol: Protocol, starts: Mapping[str, date]) -> PhaseDays:
    start = min(starts.values())
    return tuple(
        (phase.phase, (phase.first - start).days + 1, (phase.last - start).days + 1)
        for phase in phase_dates(protocol, starts)
    )


@cache
def _cell(bits: int) -> Cell:
    states = grids.states_in(bits)
    answered = states & {SlotState.ON_TIME, SlotState.LATE}
    missed = SlotState.MISSED in states
    if SlotState.OPEN in states or (SlotState.COMING in states and (answered or missed)):
        return Cell.OPEN
    if missed:
        return Cell.PARTLY if answered else Cell.MISSED
    if answered:
        return Cell.LATE if SlotState.LATE in states else Cell.ANSWERED
    rest = {SlotState.COMING: Cell.COMING, SlotState.EXCUSED: Cell.EXCUSED, SlotState.CANCELLED: Cell.CANCELLED}
    return next(cell for state, cell in rest.items() if state in states)
