"""Clinic days with what was measured; rows that only grow, each superseding at most one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, select

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.audit import Audit, grow
from storage.database import Connection
from storage.records import Record, columns_of

_v, _staff, _audit = tables.visits, tables.staff, tables.audit


@dataclass(frozen=True, slots=True)
class VisitRow(Record):
    """A form as it was saved, whole; `measured` holds a number for each measure that was taken."""

    id: int
    patient_id: int
    protocol_id: int
    visit: str
    held_on: date
    began_at: datetime | None
    measured: dict[str, float]
    recorded_at: datetime
    supersedes: int | None
    change_reason: str | None
    staff: str | None  # the code of whoever saved it


_ROWS = (
    select(*columns_of(VisitRow, _v), _staff.c.code.label("staff"))
    .join(_audit, _audit.c.id == _v.c.audit_id)
    .outerjoin(_staff, (_staff.c.id == _audit.c.actor_id) & (_audit.c.actor == "staff"))
    .where(_v.c.patient_id == bindparam("patient_id"))
    .order_by(_v.c.id)
)


async def visits_of_patient(conn: Connection, patient_id: int) -> list[VisitRow]:
    """Every saved form of a patient, the oldest first."""
    return [VisitRow.of(row) for row in await conn.execute(_ROWS, {"patient_id": patient_id})]


async def add_visit(conn: Connection, values: Mapping[str, Any], *, audit: Audit) -> int:
    """Save a form and give its id; the visit has no first one yet, or that one no successor."""
    return (await grow(conn, _v, values, audit=audit)).row_id


@dataclass(frozen=True, slots=True)
class Expected(Record):
    """A patient in the study for whom a visit has no form yet, with day 0 of the phase it falls into."""

    patient_id: int
    code: str
    site: str
    start: date


_p, _phases = tables.patients, tables.patient_phases
_EXPECTED = (
    select(_p.c.id.label("patient_id"), _p.c.code, tables.sites.c.code.label("site"), _phases.c.start)
    .join(_phases, _phases.c.patient_id == _p.c.id)
    .join(tables.sites, tables.sites.c.id == _p.c.site_id)
    .where(_p.c.protocol_id == bindparam("protocol_id"), _p.c.status != PatientStatus.WITHDRAWN)
    .where(_phases.c.phase == bindparam("phase"), _phases.c.start <= bindparam("started_by"))
    .where(~select(1).where(_v.c.patient_id == _p.c.id, _v.c.visit == bindparam("visit")).exists())
    .order_by(_phases.c.start, _p.c.code)
    .limit(bindparam("limit"))
)
_EXPECTED_AT_SITES = _EXPECTED.where(_p.c.site_id.in_(bindparam("site_ids", expanding=True)))


async def expected_visits(
    conn: Connection,
    *,
    protocol_id: int,
    phase: str,
    visit: str,
    started_by: date,
    site_ids: frozenset[int] | None,
    limit: int,
) -> list[Expected]:
    """Patients of a protocol whose phase began by a day, and who have no form of this visit; the earliest first."""
    asked = {"protocol_id": protocol_id, "phase": phase, "visit": visit, "started_by": started_by, "limit": limit}
    if site_ids is None:
        rows = await conn.execute(_EXPECTED, asked)
    else:
        rows = await conn.execute(_EXPECTED_AT_SITES, {**asked, "site_ids": sorted(site_ids)})
    return [Expected.of(row) for row in rows]
