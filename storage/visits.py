"""Clinic days with what was measured; rows that only grow, each superseding at most one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, select

from protocol.lifecycle import PatientStatus
from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Record, columns_of
from storage.writing import insert_once

_v, _staff, _audit = tables.visits, tables.staff, tables.audit


@dataclass(frozen=True, slots=True)
class VisitRow(Record):
    """A form as it was saved, whole; `measured` holds a number for each measure that was taken."""

    id: int
    patient_id: int
    protocol_id: int
    visit: str
    held_on: date
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


async def add_visit(conn: Connection, values: Mapping[str, Any], *, audit: AuditId) -> int | None:
    """Save a form and give its id; None where the visit has a first one, or that one a successor, already."""
    added = await conn.execute(insert_once(conn, _v, _v.c.id), {**values, "audit_id": audit})
    visit_id: int | None = added.scalar_one_or_none()
    return visit_id


@dataclass(frozen=True, slots=True)
class Expected(Record):
    """A patient in the study for whom a visit has no form yet, with day 0 of the phase it falls into."""

    patient_id: int
    code: str
    site: str
    start: date


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
    p, phases = tables.patients, tables.patient_phases
    held = select(1).where(_v.c.patient_id == p.c.id, _v.c.visit == visit).exists()
    query = (
        select(p.c.id.label("patient_id"), p.c.code, tables.sites.c.code.label("site"), phases.c.start)
        .join(phases, phases.c.patient_id == p.c.id)
        .join(tables.sites, tables.sites.c.id == p.c.site_id)
        .where(p.c.protocol_id == protocol_id, p.c.status != PatientStatus.WITHDRAWN)
        .where(phases.c.phase == phase, phases.c.start <= started_by, ~held)
        .order_by(phases.c.start, p.c.code)
        .limit(limit)
    )
    if site_ids is not None:
        query = query.where(p.c.site_id.in_(site_ids))
    return [Expected.of(row) for row in await conn.execute(query)]
