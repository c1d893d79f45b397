"""Questions of staff about the patients of their sites; `scope` holds those sites, None means all."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf

from protocol.lifecycle import PatientStatus
from protocol.model import Alert as Rule
from reports.adherence import (
    AdherenceRow,
    By,
    adherence,
    counts_so_far,
    figures_of,
    local_today,
    protocols_in_use,
    rows_of_patients,
    sites_asked_for,
)
from reports.definitions import Figures, together
from reports.roster import pages_of
from storage import alerts, patients, questions
from storage import roster as lists
from storage.alerts import Alert
from storage.counts import slot_counts
from storage.database import Connection, Database
from storage.questions import DayCounts, Unreachable
from storage.roster import Wanted
from storage.silences import silences

_DAY = timedelta(days=1)
_ROWS = 200


@dataclass(frozen=True, slots=True)
class PatientFigures:
    """One patient's line of the adherence table."""

    code: str
    site: str
    status: PatientStatus
    figures: Figures
    last_answer_at: datetime | None


@dataclass(frozen=True, slots=True)
class SilentPatient:
    """A patient who answered nothing on the last `days` days on which something was asked.

    `answered_on` is the last day with an answer, None where there has been none.
    """

    code: str
    site: str
    days: int
    answered_on: date | None
    last_answer_at: datetime | None


@dataclass(frozen=True, slots=True)
class GridRow:
    """A patient's figures by local day; a day is missing where nothing was due."""

    code: str
    days: dict[date, Figures]

    @property
    def total(self) -> Figures:
        """The figures of all days shown."""
        return sum(self.days.values(), start=Figures())


@dataclass(frozen=True, slots=True)
class Grid:
    """Patients by days: what the heatmap is drawn from."""

    days: tuple[date, ...]
    rows: tuple[GridRow, ...]


async def adherence_table(db: Database, scope: frozenset[int] | None, now: datetime) -> list[PatientFigures]:
    """Every patient's figures so far, by code; leavers too."""
    async with db.read() as conn:
        counted = await counts_so_far(db, conn, By.PATIENT, now=now, site_ids=scope)
        answered = await questions.last_answers_at(conn, site_ids=scope)
        everybody = await patients.everybody(conn, site_ids=scope)
    figures = {row.key: figures_of(row) for row in counted}
    return [
        PatientFigures(who.code, who.site, who.status, figures.get(who.id, Figures()), answered.get(who.id))
        for who in everybody
    ]


@dataclass(frozen=True, slots=True)
class AdherencePage:
    """A page of a table of figures, and the figures of all its pages together."""

    rows: list[AdherenceRow]
    whole: Figures
    page: int
    pages: int


async def adherence_page(
    db: Database, scope: frozenset[int] | None, now: datetime, *, by: By, site: str | None, page: int
) -> AdherencePage:
    """Figures by group; of patients, who may be thousands, only those of the page are counted one by one."""
    if by is not By.PATIENT:
        rows = await adherence(db, now=now, by=by, site=site, scope=scope)
        return AdherencePage(rows, together(rows), 1, 1)
    async with db.read() as conn:
        site_ids = await sites_asked_for(conn, site, scope)
        everybody = await patients.everybody(conn, site_ids=site_ids)
        pages = pages_of(len(everybody), _ROWS)
        page = min(page, pages)
        shown = everybody[(page - 1) * _ROWS : page * _ROWS]
        counts = await slot_counts(conn, by="patient", now=now, patient_ids=[who.id for who in shown])
        whole = await counts_so_far(db, conn, By.PHASE, now=now, site_ids=site_ids)
    return AdherencePage(rows_of_patients(shown, counts), sum(map(figures_of, whole), start=Figures()), page, pages)


async def silent(db: Database, scope: frozenset[int] | None, now: datetime) -> list[SilentPatient]:
    """Active patients silent for as long as their protocol's silent-days rule says, the longest first.

    The rule is that of diary/alerts.py, and a test holds the two together: days without a slot do not count.
    """
    async with db.read() as conn:
        rules = await rules_in_use(db, conn, "silent-days")
        if not rules:
            return []
        days = {protocol_id: rule.days or 1 for protocol_id, rule in rules.items()}
        found = await silences(conn, now=now, at_least=min(days.values()), site_ids=scope)
    return [
        SilentPatient(one.code, one.site, one.days, one.answered_on, one.last_answer_at)
        for one in found
        if one.days >= days.get(one.protocol_id, inf)
    ]


async def rules_in_use(db: Database, conn: Connection, kind: str) -> dict[int, Rule]:
    """The rule of this kind of each protocol that has one, by the protocol's id."""
    protocols = await protocols_in_use(db, conn)
    rules = {protocol_id: protocol.alert_of(kind) for protocol_id, protocol in protocols.items()}
    return {protocol_id: rule for protocol_id, rule in rules.items() if rule is not None}


async def unreachable(db: Database, scope: frozenset[int] | None) -> list[Unreachable]:
    """Patients in the study whose chat is blocked or gone."""
    async with db.read() as conn:
        return await questions.unreachable(conn, site_ids=scope)


async def open_alerts(db: Database, scope: frozenset[int] | None) -> list[Alert]:
    """Alerts nobody has dealt with yet, the newest first."""
    async with db.read() as conn:
        return await alerts.alerts(conn, site_ids=scope)


async def pressing_alerts(db: Database, scope: frozenset[int] | None, limit: int) -> tuple[list[Alert], int]:
    """The open alerts to begin with, side effects first, then the oldest; and how many there are in all."""
    async with db.read() as conn:
        pressing = await alerts.most_pressing(conn, site_ids=scope, limit=limit)
        return pressing, await alerts.count_open(conn, site_ids=scope)


async def grid(db: Database, scope: frozenset[int] | None, now: datetime, days: int) -> Grid:
    """The last `days` days of every patient who is or was asked; today is that of the easternmost site."""
    async with db.read() as conn:
        shown = await _days_up_to_now(conn, now, days, scope)
        counted = await questions.day_counts(conn, now=now, from_date=shown[0], to_date=shown[-1], site_ids=scope)
        everybody = await patients.everybody(conn, site_ids=scope)
    by_patient = _by_patient(counted)
    return Grid(shown, tuple(GridRow(who.code, by_patient[who.id]) for who in everybody if who.id in by_patient))


@dataclass(frozen=True, slots=True)
class GridPage:
    """The days of a page of patients."""

    grid: Grid
    page: int
    pages: int


async def grid_page(
    db: Database,
    scope: frozenset[int] | None,
    now: datetime,
    days: int,
    *,
    site: str | None,
    page: int,
    per_page: int,
) -> GridPage:
    """The last `days` days of some of the patients by code, also of one who was asked nothing."""
    async with db.read() as conn:
        wanted = Wanted(await sites_asked_for(conn, site, scope))
        pages = pages_of(await lists.count_listed(conn, wanted), per_page)
        page = min(page, pages)
        listed = await lists.listed_by_code(conn, wanted, limit=per_page, offset=(page - 1) * per_page)
        shown = await _days_up_to_now(conn, now, days, wanted.site_ids)
        counted = await questions.day_counts(
            conn, now=now, from_date=shown[0], to_date=shown[-1], patient_ids=[who.id for who in listed]
        )
    by_patient = _by_patient(counted)
    return GridPage(
        Grid(shown, tuple(GridRow(who.code, by_patient.get(who.id, {})) for who in listed)), page, pages
    )


async def _days_up_to_now(
    conn: Connection, now: datetime, days: int, site_ids: frozenset[int] | None
) -> tuple[date, ...]:
    last = await local_today(conn, now, site_ids)
    return tuple(last - day * _DAY for day in reversed(range(days)))


def _by_patient(counted: Iterable[DayCounts]) -> dict[int, dict[date, Figures]]:
    found: dict[int, dict[date, Figures]] = {}
    for row in counted:
        figures = Figures(row.on_time, row.late, row.missed, row.excused, row.open)
        if figures != Figures():
            found.setdefault(row.patient_id, {})[row.local_date] = figures
    return found
