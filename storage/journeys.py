"""What an export sums up by patient: the ledger with what was said, and the way through the trial."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import and_, func, select

from storage import tables
from storage.counts import DaysBetween, first_days
from storage.extracts import LINES_AT_ONCE, Wanted, of_site, of_use
from storage.patients import zone_now
from storage.records import Record
from storage.states import state_of_slot
from storage.tables import OWN_SOURCES

_s, _p, _e, _v, _c = tables.slots, tables.patients, tables.entries, tables.protocols, tables.sites
_f = tables.visits


@dataclass(frozen=True, slots=True)
class Asked(Record):
    """A slot with its state, the answer that holds, and when the patient gave the first one."""

    day: int  # of the trial
    item: str
    kind: str
    n: int
    state: str
    answer: str | None
    score: int | None
    prompted_at: datetime | None
    answered_at: datetime | None  # by the patient's own hand; None where staff recorded it


@dataclass(frozen=True, slots=True)
class Form(Record):
    """The form of a visit that holds; `day` is of the trial."""

    visit: str
    day: int
    began_at: datetime | None
    measured: dict[str, float]


@dataclass(frozen=True, slots=True)
class Diary:
    """A patient with all slots by due time, and the visits that were held, in the order of their days."""

    study: str
    protocol_version: str
    site: str
    subject: str
    asked: tuple[Asked, ...]
    forms: tuple[Form, ...]


async def diaries(wanted: Wanted) -> AsyncIterator[Diary]:
    """The diary of each patient whose diary is in use and who has a slot, by code."""
    began, first, held = first_days(), _e.alias("first"), _e.alias("held")
    own = and_(first.c.slot_id == _s.c.id, first.c.supersedes.is_(None), first.c.source.in_(OWN_SOURCES))
    said = func.coalesce(first.c.said_at, first.c.received_at).label("answered_at")
    query = (
        of_use(wanted, DaysBetween(began.c.start, _s.c.local_date).label("day"))
        .add_columns(_s.c.item, _s.c.kind, _s.c.n, state_of_slot(wanted.cut_off))
        .add_columns(held.c.answer, held.c.score, _s.c.prompted_at, said)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .join(_s, _s.c.patient_id == _p.c.id)
        .join(began, began.c.patient_id == _p.c.id)
        .outerjoin(held, held.c.id == _s.c.answered_by)
        .outerjoin(first, own)
        .order_by(_p.c.code, _s.c.due_at, _s.c.id)
    )
    forms = await _forms(wanted)
    found = await wanted.conn.stream(query.execution_options(yield_per=LINES_AT_ONCE))
    kept: list[Any] = []
    async for rows in found.partitions():
        for who, lines in groupby(rows, key=lambda row: tuple(row[:4])):
            if kept and kept[0][:4] != who:
                yield _diary(kept, forms)
                kept = []
            kept += lines
    if kept:
        yield _diary(kept, forms)


def _diary(rows: list[Any], forms: Mapping[str, Sequence[Form]]) -> Diary:
    study, version, site, subject = rows[0][:4]
    asked = tuple(Asked(*row[4:]) for row in rows)
    return Diary(study, version, site, subject, asked, tuple(forms.get(subject, ())))


async def _forms(wanted: Wanted) -> dict[str, list[Form]]:
    """For each subject the forms that hold: a handful for a patient, so that all of them have room."""
    began, later = first_days(), _f.alias("later")
    query = (
        select(_p.c.code, _f.c.visit, DaysBetween(began.c.start, _f.c.held_on).label("day"))
        .add_columns(_f.c.began_at, _f.c.measured)
        .join(_p, _p.c.id == _f.c.patient_id)
        .join(began, began.c.patient_id == _p.c.id)
        .outerjoin(later, later.c.supersedes == _f.c.id)
        .where(later.c.id.is_(None))
        .order_by(_p.c.code, _f.c.held_on, _f.c.id)
    )
    found: dict[str, list[Form]] = {}
    for code, *form in await wanted.conn.execute(of_site(wanted, query)):
        found.setdefault(code, []).append(Form(*form))
    return found


@dataclass(frozen=True, slots=True, order=True)
class AskedOn:
    """A place in everybody's diary: the item, its time of the day, and the day of the trial."""

    item: str
    n: int
    day: int


async def places(wanted: Wanted) -> list[AskedOn]:
    """Every place that the diary of some patient of the export has."""
    began = first_days()
    day = DaysBetween(began.c.start, _s.c.local_date)
    query = (
        select(_s.c.item, _s.c.n, day.label("day"))
        .distinct()
        .join(began, began.c.patient_id == _s.c.patient_id)
        .join(_p, _p.c.id == _s.c.patient_id)
        .where(_p.c.use_stopped_at.is_(None))
    )
    query = of_site(wanted, query)
    return sorted(AskedOn(row.item, row.n, row.day) for row in await wanted.conn.execute(query))


@dataclass(frozen=True, slots=True)
class Journey(Record):
    """How far a patient came; `declined_at` is when the patient last said "not now"."""

    site: str
    subject: str
    zone: str
    joined_at: datetime | None
    withdrawn_at: datetime | None
    erased_at: datetime | None
    use_stopped_at: datetime | None
    declined_at: datetime | None


async def journeys(wanted: Wanted) -> list[Journey]:
    """Every patient ever added, by code."""
    consents = tables.consents
    declined = (
        select(func.max(consents.c.decided_at))
        .where(consents.c.patient_id == _p.c.id, consents.c.decision == "not-now")
        .scalar_subquery()
    )
    query = (
        select(_c.c.code.label("site"), _p.c.code.label("subject"))
        .add_columns(zone_now(_p.c.id).scalar_subquery().label("zone"), declined.label("declined_at"))
        .add_columns(_p.c.joined_at, _p.c.withdrawn_at, _p.c.erased_at, _p.c.use_stopped_at)
        .select_from(_p)
        .join(_c, _c.c.id == _p.c.site_id)
        .order_by(_p.c.code)
    )
    query = of_site(wanted, query)
    return [Journey.of(row) for row in await wanted.conn.execute(query)]


async def phase_starts(wanted: Wanted) -> dict[str, dict[str, date]]:
    """For each subject the first day of each phase."""
    phases = tables.patient_phases
    query = select(_p.c.code, phases.c.phase, phases.c.start).join(phases, phases.c.patient_id == _p.c.id)
    query = of_site(wanted, query)
    starts: dict[str, dict[str, date]] = {}
    for row in await wanted.conn.execute(query):
        starts.setdefault(row.code, {})[row.phase] = row.start
    return starts


async def forms_held(wanted: Wanted) -> dict[str, frozenset[str]]:
    """For each subject the visits that have a form."""
    query = select(_p.c.code, tables.visits.c.visit).distinct().join(_p, _p.c.id == tables.visits.c.patient_id)
    query = of_site(wanted, query)
    held: dict[str, set[str]] = {}
    for row in await wanted.conn.execute(query):
        held.setdefault(row.code, set()).add(row.visit)
    return {code: frozenset(visits) for code, visits in held.items()}
