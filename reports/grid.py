"""Patients down, days of the trial across: one cell a day, so that patients are compared at the same stage.

A day that has begun and is not over, because something of it may still be answered, is open whatever else became of
it: figures of adherence leave out what has not run its course, and so does a cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cache

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
class GridLine:
    """One patient; the first cell is the page's first day, and each phase stands with its first and last day."""

    code: str
    site: str
    status: PatientStatus
    start: date
    cells: tuple[Cell, ...]
    phases: tuple[tuple[str, int, int], ...]


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
    *,
    site: str | None = None,
    first_day: int = 1,
    page: int = 1,
    per_page: int = 100,
) -> GridPage:
    """A page of patients by code, leavers too, each from day `first_day` of the trial to its end."""
    async with db.read() as conn:
        wanted = Wanted(await sites_asked_for(conn, site, scope))
        total = await lists.count_listed(conn, wanted)
        pages = pages_of(total, per_page)
        page = min(max(page, 1), pages)
        listed = await lists.listed_by_code(conn, wanted, limit=per_page, offset=(page - 1) * per_page)
        days, rows = await _lines(db, conn, listed, first_day, now)
        return GridPage(days, rows, total, page, pages)


async def _lines(
    db: Database, conn: Connection, listed: list[Listed], first_day: int, now: datetime
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
    first = {patient_id: min(starts[patient_id].values()).toordinal() for patient_id in ids}
    for patient_id, on, states in await grids.day_states(conn, ids, now=now):
        cells[patient_id][on.toordinal() - first[patient_id] + 1] = _cell(states)
    shown = range(max(first_day, 1), days + 1)
    return days, tuple(
        GridLine(
            who.code,
            who.site,
            PatientStatus(who.status),
            min(starts[who.id].values()),
            tuple(cells[who.id].get(day, Cell.NOT_ASKED) for day in shown),
            phases[who.id],
        )
        for who in listed
    )


def _phases(protocol: Protocol, starts: Mapping[str, date]) -> tuple[tuple[str, int, int], ...]:
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
