"""Verbs about sites and staff."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from diary.enrolment import check_zone
from diary.invites import IssuedInvite, invite_of_form, issue_invite
from diary.roles import Act, Role, allow, site_called
from protocol.errors import AlreadyThereError, ConflictError, NotAllowedError, UnknownCodeError, WrongCallError
from protocol.typed import check_no_page
from storage import contacts, people, sign_ins, tokens
from storage.audit import Actor, Audit, write_audit
from storage.database import Connection, Database
from storage.records import Site, StaffMember
from storage.tables import ROLES


async def add_site(db: Database, *, code: str, name: str, timezone: str, actor: Actor, now: datetime) -> None:
    """Add a clinic with its time zone."""
    _allow_for(actor, None)
    check_zone(timezone)
    async with db.write() as conn:
        if known := await people.site_by_code(conn, code):
            if actor.kind == "staff" and (known.name, known.timezone) == (name, timezone):
                return  # the same form once more
            says = f"There is a site {known.code} already; choose another code."
            raise AlreadyThereError(says, "site-there", code=known.code)
        audit = await write_audit(conn, Audit(now, actor, "add site", details={"code": code}))
        await people.add_site(conn, code=code, name=name, timezone=timezone, audit=audit)


async def list_sites(db: Database) -> list[Site]:
    """Every clinic."""
    async with db.read() as conn:
        return await people.sites(conn)


async def sites_of(db: Database, scope: frozenset[int] | None) -> list[Site]:
    """The clinics within somebody's scope; None is every clinic."""
    return [site for site in await list_sites(db) if scope is None or site.id in scope]


async def add_staff(
    db: Database,
    *,
    code: str,
    role: str,
    sites: Sequence[str],
    language: str,
    actor: Actor,
    now: datetime,
    form: str | None = None,
) -> IssuedInvite:
    """Add a staff member bound to sites (none only for an administrator: every site) and make an invite.

    `form` names the form it was typed in: sent again with the same in it, it is the same act, with the same invite.
    """
    allow(actor, Act.MANAGE_TEAM)
    check_no_page(code)
    _check_role(role, sites)
    async with db.write() as conn:
        clinics = await _clinics(conn, sites, actor)
        if known := await people.staff_by_code(conn, code):
            again = await invite_of_form(db, conn, code=known.code, staff_id=known.id, form=form, now=now)
            bound = await people.site_ids_of(conn, known.id)
            if again is not None and (known.role, bound) == (role, frozenset(clinics)):
                return again
            says = f"There is a staff member {known.code} already; choose another code."
            raise AlreadyThereError(says, "staff-there", code=known.code)
        details = {"code": code, "role": role, "sites": list(clinics.values())}
        audit = await write_audit(conn, Audit(now, actor, "add staff", details=details))
        staff_id = await people.add_staff(
            conn, code=code, role=role, language=language, site_ids=list(clinics), audit=audit
        )
        return await issue_invite(db, conn, code=code, staff_id=staff_id, form=form, now=now, audit=audit)


async def invite_staff(
    db: Database, *, code: str, actor: Actor, now: datetime, form: str | None = None
) -> IssuedInvite:
    """Make a new invite; earlier ones stop working. The same `form` sent again gives the same invite."""
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        if member.disabled_at is not None:
            raise NotAllowedError(f"{member.code} is disabled and cannot be invited.", "disabled", code=member.code)
        who: Any = {"code": member.code, "staff_id": member.id, "form": form}
        if (again := await invite_of_form(db, conn, **who, now=now)) is not None:
            return again
        audit = await write_audit(conn, Audit(now, actor, "invite staff", details={"code": member.code}))
        return await issue_invite(db, conn, **who, now=now, audit=audit)


async def disable_staff(db: Database, *, code: str, actor: Actor, now: datetime, reason: str | None = None) -> None:
    """Shut a staff member out at once, of the pages too; no token of theirs works again."""
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        if member.disabled_at is not None:
            return
        await _check_led(conn, member, actor)
        line = Audit(now, actor, "disable staff", details={"code": member.code}, reason=reason)
        audit = await write_audit(conn, line)
        await contacts.revoke_invites(conn, at=now, staff_id=member.id, audit=audit)
        await sign_ins.shut_out(conn, member.id, at=now, audit=audit)
        await tokens.revoke_tokens(conn, member.id, at=now, audit=audit)
        await people.disable_staff(conn, member.id, at=now, audit=audit)


async def change_staff(
    db: Database,
    *,
    code: str,
    role: str,
    sites: Sequence[str],
    actor: Actor,
    reason: str,
    now: datetime,
    seen: tuple[str, frozenset[str]] | None = None,
) -> None:
    """Give a member another role or other sites; it holds from the next thing they ask.

    `seen` is the role and the sites the change began with; ConflictError where they are others by now.
    """
    _check_role(role, sites)
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        clinics = await _clinics(conn, sites, actor)
        bound = await people.site_ids_of(conn, member.id)
        if (member.role, bound) == (role, frozenset(clinics)):
            return
        known = {site.id: site.code for site in await people.sites(conn)}
        old = [known[site_id] for site_id in sorted(bound)]
        if seen not in (None, (member.role, frozenset(old))):
            raise ConflictError
        await _check_led(conn, member, actor)
        was = {"role": member.role, "sites": old}
        details = {"code": member.code, "old": was, "new": {"role": role, "sites": list(clinics.values())}}
        audit = await write_audit(conn, Audit(now, actor, "change staff", details=details, reason=reason))
        await people.change_role(conn, member.id, role=role, site_ids=list(clinics), audit=audit)


async def readmit_staff(db: Database, *, code: str, actor: Actor, reason: str, now: datetime) -> None:
    """Let a member in again who was shut out; what led in before does not: they need a new invite."""
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        if member.disabled_at is None:
            return
        line = Audit(now, actor, "readmit staff", details={"code": member.code}, reason=reason)
        audit = await write_audit(conn, line)
        await people.keep_passphrase(conn, member.id, None, audit=audit)
        await people.readmit_staff(conn, member.id, audit=audit)


async def _clinics(conn: Connection, sites: Sequence[str], actor: Actor) -> dict[int, str]:
    """The codes of these sites by id, for somebody who may bind members to them; none is every site."""
    clinics = {clinic.id: clinic.code for clinic in [await site_called(conn, site) for site in sites]}
    _allow_for(actor, frozenset(clinics) or None)
    return clinics


def _check_role(role: str, sites: Sequence[str]) -> None:
    if role not in ROLES:
        raise WrongCallError(f"{role} is no role; choose one of {', '.join(ROLES)}.", "role-unknown")
    if not sites and role != Role.ADMINISTRATOR:
        raise WrongCallError(f"A {role} belongs to a site; name at least one with --site.", "site-needed")


async def _check_led(conn: Connection, member: StaffMember, actor: Actor) -> None:
    """Refuse to leave the pages without an administrator; at the console, where one is added, it may be meant."""
    if actor.kind != "staff" or member.role != Role.ADMINISTRATOR:
        return
    if not await people.is_led_without(conn, member.id):
        says = f"{member.code} is the last administrator who can sign in; let another one sign in first."
        raise NotAllowedError(says, "last-administrator", code=member.code)


async def list_staff(db: Database) -> list[tuple[StaffMember, list[str]]]:
    """Everybody of the team with the codes of their sites."""
    async with db.read() as conn:
        codes = {site.id: site.code for site in await people.sites(conn)}
        return [
            (member, sorted(codes[site_id] for site_id in await people.site_ids_of(conn, member.id)))
            for member in await people.staff_members(conn)
        ]


async def code_of_staff(db: Database, staff_id: int) -> str:
    """The code of a staff member."""
    async with db.read() as conn:
        member = await people.staff_by_id(conn, staff_id)
    return member.code if member else "?"


async def id_of_staff(db: Database, *, code: str, actor: Actor) -> int:
    """The id of a staff member, for somebody who may change them."""
    async with db.read() as conn:
        return (await member_for(conn, code, actor)).id


async def member_for(conn: Connection, code: str, actor: Actor) -> StaffMember:
    """The member of this code, for somebody who may change them; one with sites beyond the actor's is unknown."""
    member = await people.staff_by_code(conn, code)
    bound = await people.site_ids_of(conn, member.id) if member else frozenset()
    if member is None or not _covers(actor, bound or None):
        raise UnknownCodeError(f"There is no staff member {code}; `daybook staff list` shows those there are.")
    allow(actor, Act.MANAGE_TEAM)
    return member


def _covers(actor: Actor, sites: frozenset[int] | None) -> bool:
    """Whether an actor's sites hold all of these; None means every site."""
    return actor.sites is None or (sites is not None and sites <= actor.sites)


def _allow_for(actor: Actor, sites: frozenset[int] | None) -> None:
    """Refuse a change of the team that reaches beyond the actor's own sites."""
    allow(actor, Act.MANAGE_TEAM)
    if not _covers(actor, sites):
        raise NotAllowedError("An administrator of some sites may not change what concerns others.", "other-sites")
