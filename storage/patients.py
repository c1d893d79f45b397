"""Patients: their status and what their plan is made from."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, delete, func, insert, select, update

from protocol.calendar import Enrolment, ZoneSince
from protocol.lifecycle import STANDING, PatientStatus
from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.people import called
from storage.records import Enrolled, Patient, columns_of
from storage.writing import insert_row

_PATIENT = columns_of(Patient, tables.patients)
_phases, _zones, _times = tables.patient_phases, tables.patient_zones, tables.patient_times
_BY_ID = select(*_PATIENT).where(tables.patients.c.id == bindparam("patient_id"))
_COUNT = select(func.count()).select_from(tables.patients)
_ACTIVE = select(tables.patients.c.id).where(tables.patients.c.status == "active").order_by(tables.patients.c.code)
_PHASES = select(_phases.c.phase, _phases.c.start).where(_phases.c.patient_id == bindparam("patient_id"))
_ZONES = (
    select(_zones.c.since, _zones.c.zone)
    .where(_zones.c.patient_id == bindparam("patient_id"))
    .order_by(_zones.c.since)
)
_TIMES = select(_times.c.item, _times.c.at).where(_times.c.patient_id == bindparam("patient_id"))


async def add_patient(
    conn: Connection,
    *,
    code: str,
    site_id: int,
    protocol_id: int,
    language: str,
    added_at: datetime,
    phase_starts: Mapping[str, date],
    zone: str,
    audit: AuditId,
) -> int:
    """Add an invited patient with phases and zone, and give the id."""
    patient_id = await insert_row(
        conn,
        tables.patients,
        {
            "code": code,
            "site_id": site_id,
            "protocol_id": protocol_id,
            "status": PatientStatus.INVITED,
            "language": language,
            "added_at": added_at,
            "audit_id": audit,
        },
    )
    phases = [
        {"patient_id": patient_id, "phase": phase, "start": start, "audit_id": audit}
        for phase, start in phase_starts.items()
    ]
    await conn.execute(insert(_phases), phases)
    since = {"patient_id": patient_id, "since": added_at, "zone": zone, "audit_id": audit}
    await conn.execute(insert(_zones), since)
    return patient_id


async def patient_by_code(conn: Connection, code: str) -> Patient | None:
    """Find a patient by subject code."""
    row = (await conn.execute(select(*_PATIENT).where(called(tables.patients, code)))).one_or_none()
    return _patient(row) if row else None


async def patient_by_id(conn: Connection, patient_id: int) -> Patient:
    """The patient of this id."""
    return _patient((await conn.execute(_BY_ID, {"patient_id": patient_id})).one())


async def patients(conn: Connection, *, site_ids: frozenset[int] | None = None) -> list[Patient]:
    """Every patient (of these sites), by code; leavers too."""
    query = select(*_PATIENT).order_by(tables.patients.c.code)
    if site_ids is not None:
        query = query.where(tables.patients.c.site_id.in_(site_ids))
    return [_patient(row) for row in await conn.execute(query)]


async def count_patients(conn: Connection) -> int:
    """How many patients there ever were."""
    return int((await conn.execute(_COUNT)).scalar_one())


async def active_ids(conn: Connection) -> list[int]:
    """Who takes part now, by ids."""
    return [row.id for row in await conn.execute(_ACTIVE)]


async def everybody(conn: Connection, *, site_ids: frozenset[int] | None = None) -> list[Enrolled]:
    """Every patient (of these sites) in few words, by code; leavers too."""
    p, s = tables.patients, tables.sites
    query = select(p.c.id, p.c.code, s.c.code.label("site"), p.c.status, p.c.added_at).join(s).order_by(p.c.code)
    if site_ids is not None:
        query = query.where(p.c.site_id.in_(site_ids))
    return [
        Enrolled(row.id, row.code, row.site, PatientStatus(row.status), row.added_at)
        for row in await conn.execute(query)
    ]


async def arrivals(
    conn: Connection, *, site_ids: frozenset[int] | None = None
) -> list[tuple[str, datetime, datetime | None]]:
    """The zone of each patient's site, and when the patient was added and joined."""
    p, s = tables.patients, tables.sites
    query = select(s.c.timezone, p.c.added_at, p.c.joined_at).join_from(p, s)
    if site_ids is not None:
        query = query.where(p.c.site_id.in_(site_ids))
    return [tuple(row) for row in await conn.execute(query)]


async def site_ids(conn: Connection) -> dict[int, int]:
    """The site of every patient, by ids."""
    rows = await conn.execute(select(tables.patients.c.id, tables.patients.c.site_id))
    return {row.id: row.site_id for row in rows}


async def change_patient(conn: Connection, patient_id: int, *, audit: AuditId, **values: Any) -> None:
    """Change columns of a patient, such as the status or the language."""
    await conn.execute(
        update(tables.patients).where(tables.patients.c.id == patient_id).values(**values, audit_id=audit)
    )


async def set_phase_starts(
    conn: Connection, patient_id: int, starts: Mapping[str, date], *, audit: AuditId
) -> None:
    """Set day 0 of these phases."""
    await conn.execute(delete(_phases).where(_phases.c.patient_id == patient_id, _phases.c.phase.in_(list(starts))))
    rows = [
        {"patient_id": patient_id, "phase": phase, "start": start, "audit_id": audit}
        for phase, start in starts.items()
    ]
    await conn.execute(insert(_phases), rows)


async def add_zone(conn: Connection, patient_id: int, *, since: datetime, zone: str, audit: AuditId) -> None:
    """Note that the patient lives in another zone from an instant on; the last word of an instant holds."""
    await conn.execute(delete(_zones).where(_zones.c.patient_id == patient_id, _zones.c.since == since))
    row = {"patient_id": patient_id, "since": since, "zone": zone, "audit_id": audit}
    await conn.execute(insert(_zones), row)


async def set_time(conn: Connection, patient_id: int, item: str, at: time, *, audit: AuditId) -> None:
    """Note the time of day a patient chose for an item."""
    await conn.execute(delete(_times).where(_times.c.patient_id == patient_id, _times.c.item == item))
    await conn.execute(insert(_times), {"patient_id": patient_id, "item": item, "at": at, "audit_id": audit})


async def enrolment_of(conn: Connection, patient: Patient) -> Enrolment:
    """All that the patient's plan is made from."""
    of_patient = {"patient_id": patient.id}
    starts = await conn.execute(_PHASES, of_patient)
    since = await conn.execute(_ZONES, of_patient)
    chosen = await conn.execute(_TIMES, of_patient)
    return Enrolment(
        phase_starts={row.phase: row.start for row in starts},
        zones=tuple(ZoneSince(row.since, row.zone) for row in since),
        chosen_times={row.item: row.at for row in chosen},
        standing=STANDING[patient.status],
    )


async def zone_of_patient(conn: Connection, patient_id: int) -> str:
    """The zone the patient lives in now."""
    return str((await conn.execute(_ZONE_NOW, {"patient_id": patient_id})).scalar_one())


def zone_now(patient_id: ColumnElement[int]) -> Select[tuple[str]]:
    """The question for the zone that a patient lives in now, alone or as a part of another one."""
    return select(_zones.c.zone).where(_zones.c.patient_id == patient_id).order_by(_zones.c.since.desc()).limit(1)


_ZONE_NOW = zone_now(bindparam("patient_id", type_=Integer))


async def add_consent(conn: Connection, *, audit: AuditId, **values: Any) -> None:
    """Keep what a patient was asked to agree to and what the answer was."""
    await conn.execute(insert(tables.consents), {**values, "audit_id": audit})


def _patient(row: Any) -> Patient:
    return Patient(**{**row._mapping, "status": PatientStatus(row.status)})  # noqa: SLF001 - as in `Record.of`
