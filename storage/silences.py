"""Who stopped answering: silent patients, and doses missed in a row; what diary/alerts.py asks for one, for all.

Dates follow due times, whatever the zone, so whoever answered the newest slot that has run its course is out of the
question. That leaves a few, whose slots are read back to their last answer: not the whole ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, bindparam, exists, func, or_, select

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.columns import Instant
from storage.database import Connection
from storage.entries import last_said_at
from storage.records import Record
from storage.states import SlotState, state_of_slot

_s, _p = tables.slots, tables.patients
_NOW = bindparam("now", type_=Instant)
_STATE = state_of_slot(_NOW).element
_ANSWERED = (SlotState.ON_TIME.value, SlotState.LATE.value)
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Silence(Record):
    """For how many of the last days on which something was asked a patient has answered nothing."""

    code: str
    site: str
    protocol_id: int
    days: int
    answered_on: date | None
    last_answer_at: datetime | None


@dataclass(frozen=True, slots=True)
class MissedDoses(Record):
    """How many of a patient's last doses in a row were missed, and the day of the first of them."""

    code: str
    site: str
    protocol_id: int
    doses: int
    since: date


def _newest(
    column: ColumnElement[Any], states: tuple[str, ...], *wanted: ColumnElement[bool], back: Any = None
) -> ColumnElement[Any]:
    """Something of the newest slot in these states of the row's patient, or of one so many before it."""
    return (
        select(column)
        .where(_s.c.patient_id == _p.c.id, _s.c.due_at <= _NOW, _STATE.in_(states), *wanted)
        .order_by(_s.c.due_at.desc(), _s.c.id.desc())
        .limit(1)
        .offset(back)
        .scalar_subquery()
    )


def _stopped(*wanted: ColumnElement[bool], first: Sequence[ColumnElement[bool]] = ()) -> Select[Any]:
    """Active patients who missed the newest slot and the one `back` before it, with the last one they answered."""
    closed = (*_ANSWERED, SlotState.MISSED.value)
    return (
        select(
            _p.c.id.label("patient_id"),
            _newest(_s.c.due_at, _ANSWERED, *wanted).label("answered_due_at"),
            _newest(_s.c.local_date, _ANSWERED, *wanted).label("answered_on"),
        )
        .where(_p.c.status == PatientStatus.ACTIVE, *first)
        .where(_is_missed(_newest(_STATE, closed, *wanted)))
        .where(_is_missed(_newest(_STATE, closed, *wanted, back=bindparam("back"))))
    )


def _is_missed(state: ColumnElement[str]) -> ColumnElement[bool]:
    return state == SlotState.MISSED.value


def _missed_since(stopped: CTE, *columns: ColumnElement[Any]) -> Select[Any]:
    """Columns about each patient's missed slots since the last answer was due."""
    return (
        select(_p.c.code, tables.sites.c.code.label("site"), _p.c.protocol_id, *columns)
        .select_from(stopped)
        .join(_p, _p.c.id == stopped.c.patient_id)
        .join(tables.sites, tables.sites.c.id == _p.c.site_id)
        .join(_s, _s.c.patient_id == stopped.c.patient_id)
        .where(_s.c.due_at <= _NOW, _s.c.due_at >= func.coalesce(stopped.c.answered_due_at, _BEFORE_ALL))
        .where(_is_missed(_STATE))
        .group_by(_p.c.id, _p.c.code, tables.sites.c.code, _p.c.protocol_id, *stopped.c)
    )


def _once(stopped: Select[Any], *, of_sites: bool) -> CTE:
    if of_sites:
        stopped = stopped.where(_p.c.site_id.in_(bindparam("site_ids", expanding=True)))
    # Computed once for each patient: folded into the rest, it would be for each slot.
    return stopped.cte("stopped").prefix_with("MATERIALIZED")


# What staff typed in is neither the patient's silence nor the end of it.
_SILENT = _stopped(or_(_s.c.answered_as.is_(None), _s.c.answered_as != "staff"))
_DOSE = _s.c.kind == "dose"
_coming = _s.alias("coming")
# When the capsules are over there is nothing left to be done about them.
_DOSES_TO_COME = exists(
    select(1)
    .where(_coming.c.patient_id == _p.c.id, _coming.c.kind == "dose", _coming.c.cancelled_because.is_(None))
    .where(_coming.c.due_at.between(_NOW, bindparam("soon", type_=Instant)))
)
_SOON = timedelta(days=14)
_WITHOUT_DOSES = _stopped(_DOSE, first=[_DOSES_TO_COME])


async def silences(
    conn: Connection, *, now: datetime, at_least: int, site_ids: frozenset[int] | None
) -> list[Silence]:
    """Active patients who answered nothing on so many of the last days on which something was asked."""
    # A day has a slot or more: whoever is silent for three days has missed the newest three slots.
    asked = {"now": now, "back": at_least - 1, "at_least": at_least, **_among(site_ids)}
    rows = await conn.execute(_silences(of_sites=site_ids is not None), asked)
    return [Silence.of(row) for row in rows]


@cache
def _silences(*, of_sites: bool) -> Select[Any]:
    stopped = _once(_SILENT, of_sites=of_sites)
    days = func.count(_s.c.local_date.distinct())
    return (
        _missed_since(stopped, days.label("days"), stopped.c.answered_on, last_said_at().label("last_answer_at"))
        .where(_s.c.local_date > func.coalesce(stopped.c.answered_on, date.min))
        .having(days >= bindparam("at_least"))
        .order_by(days.desc(), _p.c.id)
    )


def _among(site_ids: frozenset[int] | None) -> dict[str, Any]:
    return {} if site_ids is None else {"site_ids": sorted(site_ids)}


async def missed_doses(
    conn: Connection, *, now: datetime, at_least: int, site_ids: frozenset[int] | None
) -> list[MissedDoses]:
    """Active patients with doses to come who missed so many of the last in a row, the most first."""
    asked = {"now": now, "soon": now + _SOON, "back": at_least - 1, "at_least": at_least, **_among(site_ids)}
    rows = await conn.execute(_missed_doses(of_sites=site_ids is not None), asked)
    return [MissedDoses.of(row) for row in rows]


@cache
def _missed_doses(*, of_sites: bool) -> Select[Any]:
    stopped = _once(_WITHOUT_DOSES, of_sites=of_sites)
    doses, since = func.count(), func.min(_s.c.local_date, type_=_s.c.local_date.type)
    return (
        _missed_since(stopped, doses.label("doses"), since.label("since"))
        .where(_DOSE)
        .having(doses >= bindparam("at_least"))
        .order_by(doses.desc(), _p.c.id)
    )
