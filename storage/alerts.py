"""Alerts: what staff were called for, once each."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, case, func, select, update

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Record, columns_of
from storage.writing import insert_once

_a = tables.alerts
# What staff owe somebody who has left, too: what was written, and a word on the wish to leave.
_OUTLASTING: Final = ("side-effect", "note", "withdrawn")


_NAMED = select(_a.c.id).where(
    _a.c.patient_id == bindparam("patient_id"), _a.c.rule == bindparam("rule"), _a.c.key == bindparam("key")
)
_p, _sites = tables.patients, tables.sites
_UNTAKEN = (
    select(_a.c.id, _a.c.patient_id, _p.c.code, _p.c.site_id, _sites.c.timezone.label("zone"), _a.c.rule)
    .add_columns(_a.c.details, _a.c.raised_at, _p.c.protocol_id)
    .join(_p, _p.c.id == _a.c.patient_id)
    .join(_sites, _sites.c.id == _p.c.site_id)
    .where(_a.c.done_at.is_(None), _a.c.seen_at.is_(None), _a.c.reminded_at.is_(None))
    .order_by(_a.c.id)
)


@dataclass(frozen=True, slots=True)
class Alert(Record):
    """One call for staff about one patient."""

    id: int
    patient_id: int
    code: str
    site_id: int
    rule: str
    key: str
    details: dict[str, Any]
    raised_at: datetime
    seen_at: datetime | None
    done_at: datetime | None
    seen_by: int | None
    done_by: int | None


async def add_alert(
    conn: Connection,
    *,
    patient_id: int,
    rule: str,
    key: str,
    details: Mapping[str, Any],
    at: datetime,
    audit: AuditId,
) -> int | None:
    """Raise an alert and give its id; None where it was raised before."""
    added = await conn.execute(
        insert_once(conn, _a, _a.c.id),
        {
            "patient_id": patient_id,
            "rule": rule,
            "key": key,
            "details": dict(details),
            "raised_at": at,
            "audit_id": audit,
        },
    )
    alert_id: int | None = added.scalar_one_or_none()
    return alert_id


async def alert_exists(conn: Connection, *, patient_id: int, rule: str, key: str) -> bool:
    """Tell whether this was raised before."""
    named = {"patient_id": patient_id, "rule": rule, "key": key}
    return (await conn.execute(_NAMED, named)).first() is not None


async def last_raised_at(conn: Connection, patient_id: int, rule: str) -> datetime | None:
    """When staff were last called by a rule for a patient."""
    query = select(func.max(_a.c.raised_at)).where(_a.c.patient_id == patient_id, _a.c.rule == rule)
    at: datetime | None = (await conn.execute(query)).scalar_one()
    return at


async def is_open(conn: Connection, patient_id: int, rule: str) -> bool:
    """Tell whether staff still have a call by a rule for a patient before them."""
    query = select(_a.c.id).where(_a.c.patient_id == patient_id, _a.c.rule == rule, _a.c.done_at.is_(None))
    return (await conn.execute(query.limit(1))).first() is not None


_ALERTS: Select[*tuple[Any, ...]] = (
    select(*columns_of(Alert, _a))
    .add_columns(tables.patients.c.code, tables.patients.c.site_id)
    .join(tables.patients, tables.patients.c.id == _a.c.patient_id)
    .order_by(_a.c.raised_at.desc(), _a.c.id.desc())
)
_BY_ID = _ALERTS.where(_a.c.id == bindparam("alert_id"))


async def alerts(
    conn: Connection, *, site_ids: frozenset[int] | None = None, open_only: bool = True
) -> list[Alert]:
    """Alerts of these sites, the newest first."""
    query = _of_sites(_ALERTS, site_ids)
    if open_only:
        query = query.where(_a.c.done_at.is_(None))
    return [Alert.of(row) for row in await conn.execute(query)]


async def most_pressing(
    conn: Connection, *, site_ids: frozenset[int] | None, limit: int, moot: bool | None = None
) -> list[Alert]:
    """Alerts nobody has dealt with: side effects first, then those that have waited longest.

    `moot` asks for those alone that nobody needs to act on since the patient has left, or for the others alone.
    """
    query = _pressing(moot=moot, everywhere=site_ids is None)
    rows = await conn.execute(query, {"limit": limit, "site_ids": sorted(site_ids or ())})
    return [Alert.of(row) for row in rows]


async def count_open(conn: Connection, *, site_ids: frozenset[int] | None, moot: bool | None = None) -> int:
    """How many alerts nobody has dealt with; `moot` as above."""
    query = _count_open(moot=moot, everywhere=site_ids is None)
    return int((await conn.execute(query, {"site_ids": sorted(site_ids or ())})).scalar_one())


# Each is written down once: the digests and every page ask them.
@cache
def _pressing(*, moot: bool | None, everywhere: bool) -> Select[*tuple[Any, ...]]:
    mild_last = case((_a.c.rule == "side-effect", 0), else_=1)
    query = _open(_ALERTS.order_by(None), moot=moot, everywhere=everywhere)
    return query.order_by(mild_last, _a.c.raised_at, _a.c.id).limit(bindparam("limit"))


@cache
def _count_open(*, moot: bool | None, everywhere: bool) -> Select[*tuple[Any, ...]]:
    counted = select(func.count()).select_from(_a).join(tables.patients, tables.patients.c.id == _a.c.patient_id)
    return _open(counted, moot=moot, everywhere=everywhere)


def _open(query: Select[*tuple[Any, ...]], *, moot: bool | None, everywhere: bool) -> Select[*tuple[Any, ...]]:
    query = query.where(_a.c.done_at.is_(None))
    if moot is not None:
        of_leaver = (tables.patients.c.status == PatientStatus.WITHDRAWN) & _a.c.rule.not_in(_OUTLASTING)
        query = query.where(of_leaver if moot else ~of_leaver)
    if everywhere:
        return query
    return query.where(tables.patients.c.site_id.in_(bindparam("site_ids", expanding=True)))


def _of_sites(query: Select[*tuple[Any, ...]], site_ids: frozenset[int] | None) -> Select[*tuple[Any, ...]]:
    return query if site_ids is None else query.where(tables.patients.c.site_id.in_(site_ids))


async def alerts_of_patient(conn: Connection, patient_id: int) -> list[Alert]:
    """All that staff were ever called for about a patient, the newest first."""
    return [Alert.of(row) for row in await conn.execute(_ALERTS.where(_a.c.patient_id == patient_id))]


async def alert_by_id(conn: Connection, alert_id: int) -> Alert | None:
    """Find an alert."""
    found = (await conn.execute(_BY_ID, {"alert_id": alert_id})).one_or_none()
    return Alert.of(found) if found else None


async def rules_of(conn: Connection, alert_ids: Collection[int]) -> dict[int, str]:
    """The rule that raised each of these alerts."""
    rows = await conn.execute(select(_a.c.id, _a.c.rule).where(_a.c.id.in_(alert_ids)))
    return {row.id: row.rule for row in rows}


async def see_alert(conn: Connection, alert_id: int, staff_id: int, *, at: datetime, audit: AuditId) -> bool:
    """Note who takes care of an alert; False where somebody has."""
    done = await conn.execute(
        update(_a)
        .where(_a.c.id == alert_id, _a.c.seen_at.is_(None))
        .values(seen_at=at, seen_by=staff_id, audit_id=audit)
    )
    return done.rowcount == 1


async def close_alert(conn: Connection, alert_id: int, staff_id: int, *, at: datetime, audit: AuditId) -> bool:
    """Note that an alert is dealt with; False where it was."""
    done = await conn.execute(
        update(_a)
        .where(_a.c.id == alert_id, _a.c.done_at.is_(None))
        .values(done_at=at, done_by=staff_id, audit_id=audit)
    )
    return done.rowcount == 1


@dataclass(frozen=True, slots=True)
class RaisedAlert(Record):
    """An alert with the times that tell how it fared."""

    code: str
    rule: str
    raised_at: datetime
    seen_at: datetime | None
    done_at: datetime | None


async def raised_since(conn: Connection, *, since: datetime, site_ids: frozenset[int] | None) -> list[RaisedAlert]:
    """Alerts raised from an instant on."""
    p = tables.patients
    query = (
        select(p.c.code, _a.c.rule, _a.c.raised_at, _a.c.seen_at, _a.c.done_at)
        .join(p, p.c.id == _a.c.patient_id)
        .where(_a.c.raised_at >= since)
    )
    return [RaisedAlert.of(row) for row in await conn.execute(_of_sites(query, site_ids))]


async def count_taking_part(conn: Connection, *, since: datetime, site_ids: frozenset[int] | None) -> int:
    """How many patients took part at some moment from an instant on."""
    p = tables.patients
    query = select(func.count()).where(p.c.joined_at.is_not(None))
    query = query.where(p.c.withdrawn_at.is_(None) | (p.c.withdrawn_at >= since))
    return int((await conn.execute(_of_sites(query, site_ids))).scalar_one())


@dataclass(frozen=True, slots=True)
class UntakenAlert(Record):
    """An open alert that nobody has taken and nobody was reminded of, with the site's zone."""

    id: int
    patient_id: int
    code: str
    site_id: int
    protocol_id: int
    zone: str
    rule: str
    details: dict[str, Any]
    raised_at: datetime


async def untaken(conn: Connection) -> list[UntakenAlert]:
    """Open alerts that wait for somebody, the oldest first."""
    return [UntakenAlert.of(row) for row in await conn.execute(_UNTAKEN)]


async def note_reminder(conn: Connection, alert_id: int, *, at: datetime, audit: AuditId) -> bool:
    """Note that the next people were told; False where somebody took it, or that was done before."""
    done = await conn.execute(
        update(_a)
        .where(_a.c.id == alert_id, _a.c.seen_at.is_(None), _a.c.done_at.is_(None), _a.c.reminded_at.is_(None))
        .values(reminded_at=at, audit_id=audit)
    )
    return done.rowcount == 1
