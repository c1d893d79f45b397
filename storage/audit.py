"""The audit trail: who did what to whom, when and why; every clinical row points at its line here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NewType

from sqlalchemy import Select, and_, exists, func, literal_column, select

from storage import tables
from storage.database import Connection
from storage.records import Record
from storage.writing import insert_row

_a, _p, _m = tables.audit, tables.patients, tables.staff
_FEW_PATIENTS = 300

AuditId = NewType("AuditId", int)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something; the id is a patient's or a staff member's.

    Of staff, `role` and `sites` say what they may do (diary/roles.py): without a role nothing; None is every site.
    """

    kind: Literal["patient", "staff", "system"]
    id: int | None = None
    role: str | None = None
    sites: frozenset[int] | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Audit:
    """One line of the trail; `details` holds old and new values, never a chat id."""

    at: datetime
    actor: Actor
    verb: str
    patient_id: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


async def write_audit(conn: Connection, audit: Audit) -> AuditId:
    """Add a line and give its id, which every writing function asks for."""
    added = await insert_row(
        conn,
        tables.audit,
        {
            "at": audit.at,
            "actor": audit.actor.kind,
            "actor_id": audit.actor.id,
            "verb": audit.verb,
            "patient_id": audit.patient_id,
            "details": dict(audit.details),
            "reason": audit.reason,
        },
    )
    return AuditId(added)


@dataclass(frozen=True, slots=True)
class TrailLine(Record):
    """A line of the trail as it is read: codes in place of ids; `actor_code` only of staff."""

    id: int
    at: datetime
    actor: str
    actor_code: str | None
    verb: str
    code: str | None
    details: dict[str, Any]
    reason: str | None


# Written out, since SQLite takes the index of what staff did only for a condition it can read.
_BY_STAFF = _a.c.actor == literal_column("'staff'")
_NEWEST_FIRST = (
    select(_a.c.id, _a.c.at, _a.c.actor, _m.c.code.label("actor_code"), _a.c.verb, _p.c.code)
    .add_columns(_a.c.details, _a.c.reason)
    .select_from(_a)
    .outerjoin(_p, _p.c.id == _a.c.patient_id)
    .outerjoin(_m, and_(_BY_STAFF, _m.c.id == _a.c.actor_id))
    .order_by(_a.c.id.desc())
)


async def trail_of_patient(conn: Connection, patient_id: int) -> list[TrailLine]:
    """All that was done about a patient, the newest first."""
    return [TrailLine.of(row) for row in await conn.execute(_NEWEST_FIRST.where(_a.c.patient_id == patient_id))]


async def last_reason(conn: Connection, patient_id: int, verb: str) -> str | None:
    """Why this was last done about a patient."""
    lines = select(_a.c.reason).where(_a.c.patient_id == patient_id, _a.c.verb == verb)
    return (await conn.execute(lines.order_by(_a.c.id.desc()).limit(1))).scalar_one_or_none()


async def trail_lines(
    conn: Connection,
    *,
    site_ids: frozenset[int] | None,
    patient_id: int | None,
    staff_id: int | None,
    verb: str | None,
    before_id: int | None,
    limit: int,
) -> list[TrailLine]:
    """Lines older than one, the newest first; of some sites, only those about their patients."""
    query = _NEWEST_FIRST.limit(limit)
    if patient_id is not None:
        query = query.where(_a.c.patient_id == patient_id)
    elif site_ids is not None:
        query = await _about_patients_of(conn, query, site_ids)
    if staff_id is not None:
        query = query.where(_BY_STAFF, _a.c.actor_id == staff_id)
    if verb is not None:
        query = query.where(_a.c.verb == verb)
    if before_id is not None:
        query = query.where(_a.c.id < before_id)
    return [TrailLine.of(row) for row in await conn.execute(query)]


async def _about_patients_of(conn: Connection, query: Select[Any], site_ids: frozenset[int]) -> Select[Any]:
    """Of a small site, gather its patients' lines; of a large one, go back through all until there are enough."""
    of_sites = select(_p.c.id).where(_p.c.site_id.in_(site_ids))
    count = int((await conn.execute(select(func.count()).select_from(of_sites.subquery()))).scalar_one())
    if count <= _FEW_PATIENTS:
        return query.where(_a.c.patient_id.in_(of_sites))
    theirs = tables.patients.alias()
    return query.where(exists(select(1).where(theirs.c.id == _a.c.patient_id, theirs.c.site_id.in_(site_ids))))
