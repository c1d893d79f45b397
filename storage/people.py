"""Sites, staff and the protocol versions in use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, insert, select, update

from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Record, Site, StaffMember, columns_of
from storage.writing import insert_row

_SITE = columns_of(Site, tables.sites)
_SITE_BY_ID = select(*_SITE).where(tables.sites.c.id == bindparam("site_id"))
_SITES = select(*_SITE).order_by(tables.sites.c.code)
_PROTOCOL_IDS = select(tables.protocols.c.sha256, tables.protocols.c.id)
_STAFF = columns_of(StaffMember, tables.staff)
_BOUND = select(tables.staff_sites.c.site_id).where(tables.staff_sites.c.staff_id == tables.staff.c.id)
_TO_TELL = (
    select(*_STAFF)
    .join(tables.contacts, tables.contacts.c.staff_id == tables.staff.c.id)
    .where(tables.staff.c.disabled_at.is_(None), tables.staff.c.role.in_(bindparam("roles", expanding=True)))
    .where(
        _BOUND.where(tables.staff_sites.c.site_id == bindparam("site_id")).exists()
        | ((tables.staff.c.role == "administrator") & ~_BOUND.exists())
    )
    .order_by(tables.staff.c.code)
)
_REACHED = _TO_TELL.where(tables.contacts.c.reachable == "yes")
_ANY_REACHED = _REACHED.limit(1)
_SITES_OF = select(tables.staff_sites.c.site_id).where(tables.staff_sites.c.staff_id == bindparam("staff_id"))
_STAFF_BY_ID = select(*_STAFF).where(tables.staff.c.id == bindparam("staff_id"))


@dataclass(frozen=True, slots=True)
class Proof(Record):
    """What a staff member proves on the pages that it is them with: the passphrase as argon2 writes it."""

    passphrase: str | None = field(repr=False)
    locked_until: datetime | None


_PROOF = select(*columns_of(Proof, tables.staff)).where(tables.staff.c.id == bindparam("staff_id"))


def called(table: Table, code: str) -> ColumnElement[bool]:
    """The row of this code, however its letters were typed: P-001 and p-001 are one code."""
    return func.lower(table.c.code) == code.lower()


async def add_site(conn: Connection, *, code: str, name: str, timezone: str, audit: AuditId) -> int:
    """Add a clinic and give its id."""
    values = {"code": code, "name": name, "timezone": timezone, "audit_id": audit}
    return await insert_row(conn, tables.sites, values)


async def sites(conn: Connection) -> list[Site]:
    """Every clinic, by code."""
    return [Site.of(row) for row in await conn.execute(_SITES)]


async def site_by_code(conn: Connection, code: str) -> Site | None:
    """Find a clinic."""
    row = (await conn.execute(select(*_SITE).where(called(tables.sites, code)))).one_or_none()
    return Site.of(row) if row else None


async def site_by_id(conn: Connection, site_id: int) -> Site:
    """The clinic of this id."""
    return Site.of((await conn.execute(_SITE_BY_ID, {"site_id": site_id})).one())


async def add_staff(
    conn: Connection, *, code: str, role: str, language: str, site_ids: Sequence[int], audit: AuditId
) -> int:
    """Add a staff member bound to sites and give the id."""
    values = {"code": code, "role": role, "language": language, "audit_id": audit}
    staff_id = await insert_row(conn, tables.staff, values)
    await _bind(conn, staff_id, site_ids)
    return staff_id


async def change_role(
    conn: Connection, staff_id: int, *, role: str, site_ids: Sequence[int], audit: AuditId
) -> None:
    """Give a staff member another role and bind them to these sites and no other."""
    await _change_staff(conn, staff_id, role=role, audit_id=audit)
    await conn.execute(delete(tables.staff_sites).where(tables.staff_sites.c.staff_id == staff_id))
    await _bind(conn, staff_id, site_ids)


async def _bind(conn: Connection, staff_id: int, site_ids: Sequence[int]) -> None:
    if site_ids:
        rows = [{"staff_id": staff_id, "site_id": site_id} for site_id in site_ids]
        await conn.execute(insert(tables.staff_sites), rows)


async def readmit_staff(conn: Connection, staff_id: int, *, audit: AuditId) -> None:
    """Take back that a staff member was shut out; their chat needs a new invite."""
    await _change_staff(conn, staff_id, disabled_at=None, audit_id=audit)


async def disable_staff(conn: Connection, staff_id: int, *, at: datetime, audit: AuditId) -> None:
    """Shut a staff member out, chat and all."""
    await _change_staff(conn, staff_id, disabled_at=at, audit_id=audit)
    await conn.execute(delete(tables.contacts).where(tables.contacts.c.staff_id == staff_id))


async def is_led_without(conn: Connection, staff_id: int) -> bool:
    """Tell whether somebody else is an administrator of every site and can sign in."""
    s, b = tables.staff, tables.staff_sites
    bound = select(b.c.site_id).where(b.c.staff_id == s.c.id)
    others = select(s.c.id).where(s.c.role == "administrator", s.c.id != staff_id, ~bound.exists())
    able = others.where(s.c.disabled_at.is_(None), s.c.passphrase.is_not(None))
    return (await conn.execute(able.limit(1))).first() is not None


async def staff_members(conn: Connection) -> list[StaffMember]:
    """Everybody of the team, by code."""
    return [StaffMember.of(row) for row in await conn.execute(select(*_STAFF).order_by(tables.staff.c.code))]


async def staff_codes(conn: Connection) -> dict[int, str]:
    """What everybody of the team is called, by id."""
    rows = await conn.execute(select(tables.staff.c.id, tables.staff.c.code))
    return {row.id: row.code for row in rows}


async def staff_by_code(conn: Connection, code: str) -> StaffMember | None:
    """Find a staff member by code."""
    row = (await conn.execute(select(*_STAFF).where(called(tables.staff, code)))).one_or_none()
    return StaffMember.of(row) if row else None


async def staff_by_id(conn: Connection, staff_id: int) -> StaffMember | None:
    """Find a staff member by id."""
    row = (await conn.execute(_STAFF_BY_ID, {"staff_id": staff_id})).one_or_none()
    return StaffMember.of(row) if row else None


async def proof_of(conn: Connection, staff_id: int) -> Proof:
    """What a staff member has to know, and until when it is of no use."""
    return Proof.of((await conn.execute(_PROOF, {"staff_id": staff_id})).one())


async def keep_passphrase(conn: Connection, staff_id: int, passphrase: str | None, *, audit: AuditId) -> None:
    """Keep a passphrase as argon2 writes it, or forget it; wrong tries and a lock are forgotten with it."""
    await _change_staff(conn, staff_id, passphrase=passphrase, wrong_tries=0, locked_until=None, audit_id=audit)


async def count_wrong_try(conn: Connection, staff_id: int, *, audit: AuditId) -> int:
    """Count a wrong passphrase and give how many there were since the last right one, or the last lock."""
    counted = await conn.execute(
        update(tables.staff)
        .where(tables.staff.c.id == staff_id)
        .values(wrong_tries=tables.staff.c.wrong_tries + 1, audit_id=audit)
        .returning(tables.staff.c.wrong_tries)
    )
    return int(counted.scalar_one())


async def lock_staff(conn: Connection, staff_id: int, *, until: datetime, audit: AuditId) -> None:
    """Refuse every passphrase for a while; the count begins anew after it."""
    await _change_staff(conn, staff_id, wrong_tries=0, locked_until=until, audit_id=audit)


async def _change_staff(conn: Connection, staff_id: int, **values: Any) -> None:
    await conn.execute(update(tables.staff).where(tables.staff.c.id == staff_id).values(**values))


async def site_ids_of(conn: Connection, staff_id: int) -> frozenset[int]:
    """The sites a staff member is bound to."""
    rows = await conn.execute(_SITES_OF, {"staff_id": staff_id})
    return frozenset(row.site_id for row in rows)


async def staff_to_tell(
    conn: Connection, site_id: int, roles: Sequence[str], *, reached_only: bool = False
) -> list[StaffMember]:
    """Those in these roles who have a chat, or one that messages reach, and may know of a patient at this site."""
    query = _REACHED if reached_only else _TO_TELL
    rows = await conn.execute(query, {"site_id": site_id, "roles": list(roles)})
    return [StaffMember.of(row) for row in rows]


async def team_can_be_told(conn: Connection, site_id: int, roles: Sequence[str]) -> bool:
    """Whether any of those to tell has a chat that messages reach."""
    told = await conn.execute(_ANY_REACHED, {"site_id": site_id, "roles": list(roles)})
    return told.first() is not None


async def add_protocol(
    conn: Connection, *, trial: str, version: str, sha256: str, toml: str, audit: AuditId
) -> int:
    """Keep a protocol version's exact text and give its id."""
    values = {"trial": trial, "version": version, "sha256": sha256, "toml": toml, "audit_id": audit}
    return await insert_row(conn, tables.protocols, values)


async def protocol_ids(conn: Connection) -> dict[str, int]:
    """The ids of the protocol versions in use, by fingerprint."""
    rows = await conn.execute(_PROTOCOL_IDS)
    return {row.sha256: row.id for row in rows}


async def protocol_text(conn: Connection, protocol_id: int) -> str:
    """The text of a protocol version as it was when it came into use."""
    row = await conn.execute(select(tables.protocols.c.toml).where(tables.protocols.c.id == protocol_id))
    return str(row.scalar_one())
