"""The audit trail: who did what to whom, when and why; every clinical row points at its line here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NewType

from sqlalchemy import Select, Table, and_, exists, func, literal_column, select

from storage import tables
from storage.chain import BEFORE_ALL, COVERED, HEAD, as_kept, digest_of, head, line_content, link, row_content
from storage.database import Connection
from storage.records import Record
from storage.writing import insert_row

_a, _p, _m = tables.audit, tables.patients, tables.staff
_FEW_PATIENTS = 300
_ENDS = {
    name: HEAD.add_columns(select(func.max(table.c.id)).scalar_subquery().label("last"))
    for name, table in COVERED.items()
}

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


@dataclass(frozen=True, slots=True)
class Grown:
    """A line and the row that came with it, by id."""

    audit: AuditId
    row_id: int


@dataclass(frozen=True, slots=True)
class RowTold:
    """A row as a line leaves it: its table, its id, its columns as they are kept but for the line's id."""

    table: str
    id: int
    kept: Mapping[str, Any]


async def write_audit(conn: Connection, audit: Audit) -> AuditId:
    """Add a line to the chain and give its id, which every writing function asks for."""
    return await _add_line(conn, audit, await head(conn))


async def write_audit_of(conn: Connection, audit: Audit, row: RowTold) -> AuditId:
    """The same for a line that changes a row the chain covers."""
    return await _add_line(conn, audit, await head(conn), row)


async def grow(conn: Connection, table: Table, values: Mapping[str, Any], *, audit: Audit) -> Grown:
    """Add a row that the chain covers, and the line it came with."""
    number, sha256, row_id = await _ends(conn, table)
    told = RowTold(table.name, row_id, {"id": row_id, **as_kept(table, values, conn.dialect)})
    line = await _add_line(conn, audit, (number, sha256), told)
    await insert_row(conn, table, {**values, "id": row_id, "audit_id": line})
    return Grown(line, row_id)


async def _ends(conn: Connection, table: Table) -> tuple[int, str, int]:
    """The head of the chain, and the next id of a table; there is one writer at a time."""
    found = (await conn.execute(_ENDS[table.name])).one_or_none()
    return (found.id, found.sha256, (found.last or 0) + 1) if found else (0, BEFORE_ALL, 1)


async def _add_line(conn: Connection, audit: Audit, before: tuple[int, str], row: RowTold | None = None) -> AuditId:
    number = before[0] + 1
    values: dict[str, Any] = {
        "at": audit.at,
        "actor": audit.actor.kind,
        "actor_id": audit.actor.id,
        "verb": audit.verb,
        "patient_id": audit.patient_id,
        "details": dict(audit.details),
        "reason": audit.reason,
        "row_of": row.table if row else None,
        "row_id": row.id if row else None,
        "row_sha256": _digest_of_row(row, number) if row else None,
    }
    content = line_content(as_kept(tables.audit, values, conn.dialect))
    bound = {"id": number, "sha256": link(before[1], number, digest_of(content))}
    return AuditId(await insert_row(conn, tables.audit, {**values, **bound}))


def _digest_of_row(row: RowTold, line: int) -> str:
    return digest_of(row_content(row.table, {**row.kept, "audit_id": line}, line=line))


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
