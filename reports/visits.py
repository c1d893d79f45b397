"""Clinic days: which are to come, due or overdue, what was measured, and adherence counted beside adherence said.

Said and counted adherence stand beside one another (reports/definitions.py says what each is); a count above the
expected is shown as it is. Once returned doses were counted, both are of the doses up to that visit's day: what is
due after it is in the box.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from diary.doubts import Below, below
from diary.protocols import protocol_of
from diary.roles import patient_called
from protocol.calendar import VisitDate, anchor_of, visit_dates, zone_of
from protocol.model import Measure, Protocol, Visit
from protocol.values import Text
from reports.definitions import Share, differ
from reports.patient import Stretch
from storage import patients, people, roster, visits
from storage.counts import slot_counts
from storage.database import Connection, Database
from storage.visits import VisitRow

_DAY = timedelta(days=1)
_WEEK = 7 * _DAY
_EASTERNMOST = timedelta(hours=14)
MOST_DUE: Final = 200


@dataclass(frozen=True, slots=True)
class Measured:
    """One value of a visit, as it is shown: with the measure's decimals at most, and its unit."""

    measure: str
    names: Text
    value: float
    unit: str

    @property
    def shown(self) -> str:
        """The number as it was typed."""
        return f"{self.value:g}"


@dataclass(frozen=True, slots=True)
class SavedVisit:
    """A form as somebody saved it, and the value of it that lies below the protocol's least."""

    id: int
    by: str
    held_on: date
    began: time | None
    measured: tuple[Measured, ...]
    recorded_at: datetime
    change_reason: str | None
    below: Below | None


@dataclass(frozen=True, slots=True)
class VisitLine:
    """A visit of one patient; `row_id` is the form that holds, which a correction names, `today` the patient's.

    `began` is on the clinic's own clock; None where nobody wrote it down.
    """

    visit: str
    names: Text
    planned: date
    today: date
    state: str
    held_on: date | None
    began: time | None
    row_id: int | None
    measures: tuple[Measure, ...]
    measured: tuple[Measured, ...]
    history: tuple[SavedVisit, ...]


def clinic_days(visits: Iterable[VisitLine]) -> tuple[Stretch, ...]:
    """Each visit on the day it took place, and before that on the day planned."""
    days = [(visit.names, visit.held_on or visit.planned) for visit in visits]
    return tuple(Stretch(name, on, on) for name, on in days)


@dataclass(frozen=True, slots=True)
class DueVisit:
    """A visit that nobody has recorded yet, of a patient who is still in the study."""

    code: str
    site: str
    visit: str
    names: Text
    planned: date
    state: str


@dataclass(frozen=True, slots=True)
class Counted:
    """An item's adherence as said and as the doses returned at a visit count it, up to its day; None before."""

    item: str
    names: Text
    said: Share
    counted: Share | None
    visit: str | None
    until: date | None

    @property
    def flagged(self) -> bool:
        """Whether the two are too far apart."""
        return self.counted is not None and differ(self.said, self.counted)


def state_of_visit(planned: date, today: date, *, held: bool) -> str:
    """A visit's state on the patient's own day: the week before it and its own day are "due this week"."""
    if held:
        return "held"
    if planned < today:
        return "overdue"
    return "due this week" if planned < today + _WEEK else "to come"


async def visits_of(db: Database, code: str, scope: frozenset[int] | None, now: datetime) -> tuple[VisitLine, ...]:
    """The visits of a patient of the asker's sites, in the order of the protocol."""
    async with db.read() as conn:
        patient = await patient_called(conn, code, scope)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        starts = (await patients.enrolment_of(conn, patient)).phase_starts
        today = now.astimezone(zone_of(await patients.zone_of_patient(conn, patient.id))).date()
        saved = await visits.visits_of_patient(conn, patient.id)
        zone = zone_of((await people.site_by_id(conn, patient.site_id)).timezone)
    return tuple(_line(protocol, one, saved, today, zone) for one in visit_dates(protocol, starts))


def _line(protocol: Protocol, planned: VisitDate, saved: list[VisitRow], today: date, zone: ZoneInfo) -> VisitLine:
    visit = protocol.visit_of(planned.visit)
    assert visit is not None  # `visit_dates` goes through the protocol's own
    measures = tuple(protocol.measure_of(name) for name in visit.measures)
    history = [row for row in saved if row.visit == visit.id]
    held = history[-1] if history else None
    return VisitLine(
        visit=visit.id,
        names=visit.name,
        planned=planned.on,
        today=today,
        state=state_of_visit(planned.on, today, held=held is not None),
        held_on=held.held_on if held else None,
        began=_wall(held, zone) if held else None,
        row_id=held.id if held else None,
        measures=measures,
        measured=_measured(measures, held.measured) if held else (),
        history=tuple(
            SavedVisit(
                id=row.id,
                by=row.staff or "system",
                held_on=row.held_on,
                began=_wall(row, zone),
                measured=_measured(measures, row.measured),
                recorded_at=row.recorded_at,
                change_reason=row.change_reason,
                below=below(protocol, visit, row.measured),
            )
            for row in history
        ),
    )


def _wall(row: VisitRow, zone: ZoneInfo) -> time | None:
    return None if row.began_at is None else row.began_at.astimezone(zone).time()


def _measured(measures: tuple[Measure, ...], taken: Mapping[str, float]) -> tuple[Measured, ...]:
    return tuple(Measured(m.id, m.name, taken[m.id], m.unit) for m in measures if m.id in taken)


async def visits_due(
    db: Database, scope: frozenset[int] | None, now: datetime, within: int = 7
) -> tuple[DueVisit, ...]:
    """Visits of these sites that nobody has recorded, overdue or planned within so many days; the earliest first.

    At most `MOST_DUE` of each visit: who has more on the list works from the top.
    """
    found: list[DueVisit] = []
    async with db.read() as conn:
        for protocol_id in (await people.protocol_ids(conn)).values():
            protocol = await protocol_of(db, conn, protocol_id)
            for visit in protocol.visit:
                found += await _due(conn, protocol_id, protocol, visit, scope, now, within)
    return tuple(sorted(found, key=lambda due: (due.planned, due.code)))


async def _due(  # noqa: PLR0917 - the parts of one question
    conn: Connection,
    protocol_id: int,
    protocol: Protocol,
    visit: Visit,
    scope: frozenset[int] | None,
    now: datetime,
    within: int,
) -> list[DueVisit]:
    phase, days = anchor_of(protocol, visit.day)
    furthest = (now + _EASTERNMOST).date() + within * _DAY  # each patient's own day is looked at below
    expected = await visits.expected_visits(
        conn,
        protocol_id=protocol_id,
        phase=phase,
        visit=visit.id,
        started_by=furthest - days * _DAY,
        site_ids=scope,
        limit=MOST_DUE,
    )
    if not expected:
        return []
    zones = await roster.zones_now(conn, [one.patient_id for one in expected])
    found = []
    for one in expected:
        planned, today = one.start + days * _DAY, now.astimezone(zone_of(zones[one.patient_id])).date()
        if planned < today + within * _DAY:
            state = state_of_visit(planned, today, held=False)
            found.append(DueVisit(one.code, one.site, visit.id, visit.name, planned, state))
    return found


async def counted(db: Database, code: str, scope: frozenset[int] | None, now: datetime) -> tuple[Counted, ...]:
    """Said and counted adherence of each item whose returned doses the protocol counts."""
    async with db.read() as conn:
        patient = await patient_called(conn, code, scope)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        counting = [measure for measure in protocol.measure if measure.counts is not None]
        if not counting:
            return ()
        returned = await _returned(conn, patient.id)
        names = {item.id: item.name for _, item in protocol.items()}
        found = [await _counted(conn, patient.id, one, names, returned.get(one.id), now) for one in counting]
        return tuple(found)


async def _counted(  # noqa: PLR0917 - the parts of one question
    conn: Connection,
    patient_id: int,
    measure: Measure,
    names: Mapping[str, Text],
    row: VisitRow | None,
    now: datetime,
) -> Counted:
    assert measure.counts is not None
    item, until = measure.counts.item, row.held_on if row else None
    doses = {
        group.key: group
        for group in await slot_counts(conn, by="item", now=now, patient_id=patient_id, until=until)
    }.get(item)
    expected = doses.doses if doses else 0
    said = Share(doses.taken if doses else 0, expected)
    if row is None:
        return Counted(item, names[item], said, None, None, None)
    gone = measure.counts.dispensed - round(row.measured[measure.id])
    return Counted(item, names[item], said, Share(gone, expected), row.visit, until)


async def _returned(conn: Connection, patient_id: int) -> dict[str, VisitRow]:
    """For each measure the form of the last visit at which it was taken."""
    newest = {row.visit: row for row in await visits.visits_of_patient(conn, patient_id)}
    found: dict[str, VisitRow] = {}
    for row in sorted(newest.values(), key=lambda row: row.held_on):
        found |= dict.fromkeys(row.measured, row)
    return found
