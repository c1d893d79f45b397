"""Patients in the order of their need, and what a page of them shows: many rows are sorted, few are counted.

The order is read from small tables and two indexes; figures and scores are asked for the patients of a page alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
)

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.columns import Instant, LocalDate
from storage.database import Connection
from storage.entries import last_said_at
from storage.records import Record

_p, _c, _s, _e = tables.patients, tables.contacts, tables.slots, tables.entries
_phases, _zones = tables.patient_phases, tables.patient_zones
_NO_CHAT = ("blocked", "gone")


@dataclass(frozen=True, slots=True)
class Listed(Record):
    """A patient with what the order is made from."""

    id: int
    code: str
    site: str
    status: str
    protocol_id: int
    reachable: str | None
    open_alerts: int
    last_answer_at: datetime | None


@dataclass(frozen=True, slots=True)
class InPhase:
    """What it takes to be in a phase of one protocol in zones that have the same day."""

    protocol_id: int
    phase: str
    zones: frozenset[str]
    began_from: date
    began_by: date
    later_phases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which patients a list is about: None and empty mean all, `in_phase` any of these."""

    site_ids: frozenset[int] | None = None
    status: PatientStatus | None = None
    search: str = ""
    in_phase: Sequence[InPhase] | None = None


@dataclass(frozen=True, slots=True)
class DayScore(Record):
    """A score that holds."""

    patient_id: int
    local_date: date
    score: int


def _open_alerts() -> ColumnElement[Any]:
    a = tables.alerts
    return select(func.count()).where(a.c.patient_id == _p.c.id, a.c.done_at.is_(None)).scalar_subquery()


def _zone() -> ColumnElement[Any]:
    z = _zones
    return select(z.c.zone).where(z.c.patient_id == _p.c.id).order_by(z.c.since.desc()).limit(1).scalar_subquery()


_LAST, _ALERTS = last_said_at(), _open_alerts()
_LISTED = (
    select(_p.c.id, _p.c.code, tables.sites.c.code.label("site"), _p.c.status, _p.c.protocol_id)
    .add_columns(_c.c.reachable, _ALERTS.label("open_alerts"), _LAST.label("last_answer_at"))
    .join(tables.sites, tables.sites.c.id == _p.c.site_id)
    .outerjoin(_c, _c.c.patient_id == _p.c.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)


def _by_need() -> Any:
    active, in_study = _p.c.status == PatientStatus.ACTIVE, _p.c.status != PatientStatus.WITHDRAWN
    # Who has never answered has been silent since joining.
    silent_since = case((active, func.coalesce(_LAST, _p.c.joined_at, _p.c.added_at)), else_=None)
    return _LISTED.order_by(
        literal_column("open_alerts").desc(),
        case((and_(in_study, _c.c.reachable.in_(_NO_CHAT)), 0), else_=1),
        case((active, 0), else_=1),
        silent_since,
        _p.c.code,
    )


_BY_NEED = _by_need()
_BY_CODE = _LISTED.order_by(_p.c.code)
_COUNT = select(func.count()).select_from(_p)
_OF_PAGE: BindParameter[Any] = bindparam("patient_ids", expanding=True)
_STARTS = select(_phases.c.patient_id, _phases.c.phase, _phases.c.start).where(_phases.c.patient_id.in_(_OF_PAGE))
_LIVING = select(_p.c.id, _zone().label("zone")).where(_p.c.id.in_(_OF_PAGE))
_SCORES = (
    select(_s.c.patient_id, _s.c.local_date, _e.c.score)
    .join(_e, _e.c.id == _s.c.answered_by)
    .where(_s.c.patient_id.in_(_OF_PAGE), _s.c.due_at >= bindparam("since", type_=Instant))
    .where(_s.c.local_date >= bindparam("first", type_=LocalDate), _s.c.kind == "rating")
    .order_by(_s.c.patient_id, _s.c.due_at, _s.c.id)
)
_rated = tables.slots.alias("rated")
_NEWEST_RATED = (
    select(_rated.c.id)
    .where(_rated.c.patient_id == _p.c.id, _rated.c.kind == "rating", _rated.c.answered_by.is_not(None))
    .order_by(_rated.c.due_at.desc(), _rated.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_PAIN_NOW = (
    select(_p.c.id.label("patient_id"), _s.c.local_date, _e.c.score)
    .select_from(_p)
    .join(_s, _s.c.id == _NEWEST_RATED)
    .join(_e, _e.c.id == _s.c.answered_by)
    .where(_p.c.id.in_(_OF_PAGE))
)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.site_ids is not None:
        conditions.append(_p.c.site_id.in_(wanted.site_ids))
    if wanted.status is not None:
        conditions.append(_p.c.status == wanted.status)
    if wanted.search:
        conditions.append(_p.c.code.icontains(wanted.search, autoescape=True))
    if wanted.in_phase is not None:
        conditions.append(or_(false(), *(_is_in(one) for one in wanted.in_phase)))
    return conditions


def _is_in(one: InPhase) -> ColumnElement[bool]:
    began, later = _phases.alias(), _phases.alias()
    return and_(
        _p.c.protocol_id == one.protocol_id,
        exists(select(1).where(began.c.patient_id == _p.c.id, began.c.phase == one.phase)
               .where(began.c.start.between(one.began_from, one.began_by))),
        ~exists(select(1).where(later.c.patient_id == _p.c.id, later.c.phase.in_(one.later_phases))
                .where(later.c.start <= one.began_by)),
        _zone().in_(one.zones),
    )  # fmt: skip


async def count_listed(conn: Connection, wanted: Wanted) -> int:
    """How many patients a list has."""
    return int((await conn.execute(_COUNT.where(*_conditions(wanted)))).scalar_one())


async def listed_by_need(conn: Connection, wanted: Wanted, *, limit: int, offset: int) -> list[Listed]:
    """Most open alerts first, then unreachable, then the longest silence of the active, then by code."""
    query = _BY_NEED.where(*_conditions(wanted))
    return [Listed.of(row) for row in await conn.execute(query, {"limit": limit, "offset": offset})]


async def listed_by_code(conn: Connection, wanted: Wanted, *, limit: int, offset: int) -> list[Listed]:
    """The same patients in the order of their codes."""
    query = _BY_CODE.where(*_conditions(wanted))
    return [Listed.of(row) for row in await conn.execute(query, {"limit": limit, "offset": offset})]


async def phase_starts(conn: Connection, patient_ids: Collection[int]) -> dict[int, dict[str, date]]:
    """Day 0 of each phase of these patients."""
    starts: dict[int, dict[str, date]] = {patient_id: {} for patient_id in patient_ids}
    for row in await conn.execute(_STARTS, {"patient_ids": list(patient_ids)}):
        starts[row.patient_id][row.phase] = row.start
    return starts


async def zones_now(conn: Connection, patient_ids: Collection[int]) -> dict[int, str]:
    """The zone each of these patients lives in now."""
    return {row.id: row.zone for row in await conn.execute(_LIVING, {"patient_ids": list(patient_ids)})}


async def zones_in_use(conn: Connection) -> frozenset[str]:
    """Every zone a patient lives in or lived in."""
    return frozenset(row.zone for row in await conn.execute(select(_zones.c.zone).distinct()))


async def scores_since(
    conn: Connection, patient_ids: Collection[int], first: date, since: datetime
) -> list[DayScore]:
    """Scores that hold from a local date on, oldest first; `since` is an instant surely before it."""
    asked = {"patient_ids": list(patient_ids), "first": first, "since": since}
    return [DayScore.of(row) for row in await conn.execute(_SCORES, asked)]


async def newest_scores(conn: Connection, patient_ids: Collection[int]) -> dict[int, DayScore]:
    """The newest score that holds of each of these patients who has one."""
    rows = await conn.execute(_PAIN_NOW, {"patient_ids": list(patient_ids)})
    return {row.patient_id: DayScore.of(row) for row in rows}
