"""Signing in to the staff pages: a link from the chat, then a passphrase, then a session.

The link alone is one factor and proves only that somebody reads the member's chat (OWASP ASVS 5.0, 6.3.3).
It is spent by a tap, never by being opened, since previews open links; the ticket it is exchanged for binds
the rest to one browser. A newer link ends the older ones and their tickets: nobody holds two ways in at a time.
"""

import asyncio
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from diary.roles import actor_in
from diary.team import member_for
from protocol.errors import SignInError, UnknownCodeError
from storage import contacts, people, sends, sign_ins
from storage.audit import SYSTEM, Actor, Audit, AuditId, write_audit
from storage.database import Connection, Database
from storage.people import Proof
from storage.records import StaffMember
from storage.sealing import Keys
from storage.sign_ins import KeptLink, KeptSession

# OWASP ASVS 5.0, 6.5.5 for the link, 7.3.1 and 7.3.2 for the session.
LINK_LASTS: Final = timedelta(minutes=10)
IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=12)
WRONG_TRIES: Final = 5
LOCKED_FOR: Final = timedelta(minutes=15)
SHORTEST_PASSPHRASE: Final = 12  # characters

_TOKEN_BYTES = 16
_TELL_WITHIN = timedelta(days=3)
_FORGET_AFTER = timedelta(days=30)
# A page view is not a write each time, and nobody notices a minute in thirty.
_SEEN_EVERY = timedelta(minutes=1)
# A code of one or two characters is found in many a good passphrase.
_TELLING_CODE = 3
_HASHER = PasswordHasher()


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A fresh way to the pages: the token goes into a link."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whom a browser is about to sign in; `chooses` where they have no passphrase yet."""

    code: str
    language: str
    chooses: bool


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in, with the role and sites of this moment."""

    session_id: int
    member: StaffMember
    actor: Actor
    unmarked: bool  # it is a while since `mark_session`


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whoever holds a ticket, and what they have to know."""

    link: KeptLink
    member: StaffMember
    proof: Proof

    @property
    def chooses(self) -> bool:
        return self.proof.passphrase is None

    def is_locked(self, now: datetime) -> bool:
        return _is_locked(self.proof, now)


def _is_locked(proof: Proof, now: datetime) -> bool:
    return proof.locked_until is not None and now < proof.locked_until


async def make_link(db: Database, *, staff_id: int, actor: Actor, now: datetime) -> SignInLink:
    """Make a link for a member, who asks for it or is given it; earlier ones stop working."""
    link = SignInLink(secrets.token_urlsafe(_TOKEN_BYTES), now + LINK_LASTS)
    async with db.write() as conn:
        member = await _member(conn, staff_id, actor)
        if member.disabled_at is not None:
            raise SignInError("disabled")
        audit = await write_audit(conn, Audit(now, actor, "make sign-in link", details={"code": member.code}))
        await sign_ins.end_links(conn, member.id, at=now, audit=audit)
        await sign_ins.add_link(
            conn, db.keys, staff_id=member.id, token=link.token, expires_at=link.expires_at, audit=audit
        )
        await tell_of_way_in(conn, member, "link", actor=actor, audit=audit, now=now)
    return link


async def tell_of_way_in(
    conn: Connection, member: StaffMember, what: str, *, actor: Actor, audit: AuditId, now: datetime
) -> None:
    """Tell a member in their own chat what somebody else did about their way in: nobody signs in as them unseen."""
    if (actor.kind, actor.id) == ("staff", member.id) or not await contacts.has_chat(conn, member.id):
        return  # whoever has yet to join is told by hand
    await sends.add_notice(
        conn,
        staff_id=member.id,
        kind="way-in",
        key=f"{what}:{audit}",
        details={"what": what},
        at=now,
        expires_at=now + _TELL_WITHIN,
    )


async def _member(conn: Connection, staff_id: int, actor: Actor) -> StaffMember:
    """The member of this id, for themselves or for somebody who may change them."""
    member = await people.staff_by_id(conn, staff_id)
    if member is None:
        raise UnknownCodeError("There is no such staff member.")
    themselves = actor.kind == "staff" and actor.id == staff_id
    return member if themselves else await member_for(conn, member.code, actor)


async def check_link(db: Database, *, token: str, now: datetime) -> None:
    """Say by a SignInError why a link cannot be used; changes nothing."""
    async with db.read() as conn:
        why = await _flaw(conn, await _link(conn, db.keys, token), now=now)
    if why is not None:
        raise SignInError(why)


async def take_link(db: Database, *, token: str, now: datetime) -> str:
    """Exchange a link for a ticket, which its browser keeps; of two who try, exactly one gets it."""
    ticket = secrets.token_urlsafe(_TOKEN_BYTES)
    async with db.write() as conn:
        link = await _link(conn, db.keys, token)
        why = await _flaw(conn, link, now=now)
        if why is None:
            await _spend(conn, db.keys, link, ticket=ticket, now=now)
            return ticket
        await _note_failure(conn, link, why, now=now)
    raise SignInError(why)


async def _spend(conn: Connection, keys: Keys, link: KeptLink, *, ticket: str, now: datetime) -> None:
    line = Audit(now, Actor("staff", link.staff_id), "use sign-in link", details={"link": link.id})
    audit = await write_audit(conn, line)
    if not await sign_ins.use_link(conn, keys, link.id, ticket=ticket, at=now, audit=audit):
        raise SignInError("used")


async def _note_failure(conn: Connection, link: KeptLink, why: str, *, now: datetime) -> AuditId:
    details = {"link": link.id, "why": why}
    return await write_audit(conn, Audit(now, Actor("staff", link.staff_id), "sign in failed", details=details))


async def _link(conn: Connection, keys: Keys, token: str) -> KeptLink:
    link = await sign_ins.link_by_token(conn, keys, token)
    if link is None:
        raise SignInError("unknown")
    return link


async def _flaw(conn: Connection, link: KeptLink, *, now: datetime) -> str | None:
    """Why a link cannot be used, if so."""
    member = await people.staff_by_id(conn, link.staff_id)
    if member is None or member.disabled_at is not None:
        return "disabled"
    if link.used_at is not None:
        return "used"
    return "expired" if now >= link.expires_at else None


async def ticket_of(db: Database, *, ticket: str, now: datetime) -> Ticket:
    """Whom a ticket is for; it holds as long as its link would have, and for one session."""
    async with db.read() as conn:
        holder = await _holder(conn, db.keys, ticket, now=now)
    return Ticket(holder.member.code, holder.member.language, holder.chooses)


async def _holder(conn: Connection, keys: Keys, ticket: str, *, now: datetime) -> _Holder:
    link = await sign_ins.link_by_ticket(conn, keys, ticket)
    if link is None:
        raise SignInError("unknown")
    member = await people.staff_by_id(conn, link.staff_id)
    if member is None or member.disabled_at is not None:
        raise SignInError("disabled")
    if now >= link.expires_at:
        raise SignInError("expired")
    return _Holder(link, member, await people.proof_of(conn, member.id))


async def sign_in(db: Database, *, ticket: str, passphrase: str, now: datetime) -> str:
    """Open a session for who holds a ticket and knows the passphrase, or now chooses one, and give its token.

    Argon2 takes its time on purpose, so it works outside of any transaction. Meanwhile the passphrase stays what it
    was: whatever changes one ends the ticket, and the ticket is asked for again.
    """
    typed = _normal(passphrase)
    async with db.read() as conn:
        holder = await _holder(conn, db.keys, ticket, now=now)
    if holder.chooses:
        _check_choice(typed, code=holder.member.code)
    proved = None if holder.is_locked(now) else await asyncio.to_thread(_proved, typed, holder.proof.passphrase)
    async with db.write() as conn:
        holder = await _holder(conn, db.keys, ticket, now=now)
        # Guesses sent side by side were all hashed before the first was counted: the lock is what decides.
        if proved is not None and not holder.is_locked(now):
            return await _open_session(db, conn, holder, proved, now=now)
        why = await _refuse(conn, holder, now=now)
    raise SignInError(why)


def _normal(passphrase: str) -> str:
    """The same letters whatever keyboard they come from: some send é as one character, some as two."""
    return unicodedata.normalize("NFKC", passphrase)


def _check_choice(passphrase: str, *, code: str) -> None:
    """Refuse a passphrase that is guessed first."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SignInError("too-short")
    written = "".join(passphrase.casefold().split())
    if len(set(written)) <= 1 or written.isdigit():
        raise SignInError("too-common")
    if len(code) >= _TELLING_CODE and code.casefold() in written:
        raise SignInError("too-common")


def _proved(passphrase: str, kept: str | None) -> str | None:
    """The passphrase as it is to be kept from now on; None where it is the wrong one."""
    if kept is None:
        return _HASHER.hash(passphrase)
    try:
        _HASHER.verify(kept, passphrase)
    except VerifyMismatchError:
        return None
    return _HASHER.hash(passphrase) if _HASHER.check_needs_rehash(kept) else kept


async def _open_session(db: Database, conn: Connection, holder: _Holder, proved: str, *, now: datetime) -> str:
    """Spend the ticket and begin a session; the wrong tries before it are forgotten."""
    token, staff_id = secrets.token_urlsafe(_TOKEN_BYTES), holder.member.id
    actor, details = Actor("staff", staff_id), {"link": holder.link.id}
    if holder.chooses:
        await write_audit(conn, Audit(now, actor, "choose passphrase", details=details))
    audit = await write_audit(conn, Audit(now, actor, "sign in", details=details))
    if not await sign_ins.use_ticket(conn, holder.link.id, at=now, audit=audit):
        raise SignInError("used")
    await people.keep_passphrase(conn, staff_id, proved, audit=audit)
    await sign_ins.add_session(conn, db.keys, staff_id=staff_id, token=token, at=now, audit=audit)
    return token


async def _refuse(conn: Connection, holder: _Holder, *, now: datetime) -> str:
    """Note a failed try and give why; a wrong passphrase is counted, and one too many locks the account."""
    why = "locked" if holder.is_locked(now) else "wrong"
    audit = await _note_failure(conn, holder.link, why, now=now)
    return why if why == "locked" else await _count_wrong(conn, holder.member, audit, now=now)


async def _count_wrong(conn: Connection, member: StaffMember, audit: AuditId, *, now: datetime) -> str:
    if await people.count_wrong_try(conn, member.id, audit=audit) < WRONG_TRIES:
        return "wrong"
    until = now + LOCKED_FOR
    details = {"code": member.code, "until": until.isoformat()}
    audit = await write_audit(conn, Audit(now, SYSTEM, "lock sign-in", details=details))
    await people.lock_staff(conn, member.id, until=until, audit=audit)
    return "locked"


async def change_passphrase(
    db: Database, *, member: StaffMember, session_id: int, passphrase: str, chosen: str, now: datetime
) -> None:
    """Choose another passphrase, knowing the one that holds; every other session and link ends."""
    typed = _normal(chosen)
    _check_choice(typed, code=member.code)
    async with db.read() as conn:
        proof = await people.proof_of(conn, member.id)
    proved = await asyncio.to_thread(_proved, _normal(passphrase), proof.passphrase)
    kept = await asyncio.to_thread(_HASHER.hash, typed) if proved is not None else None
    async with db.write() as conn:
        now_held = await people.proof_of(conn, member.id)
        if _is_locked(now_held, now):
            raise SignInError("locked")
        actor = Actor("staff", member.id)
        if kept is not None and now_held.passphrase == proof.passphrase:
            audit = await write_audit(conn, Audit(now, actor, "change passphrase"))
            await people.keep_passphrase(conn, member.id, kept, audit=audit)
            await sign_ins.shut_out(conn, member.id, at=now, audit=audit, but=session_id)
            return
        line = Audit(now, actor, "sign in failed", details={"why": "wrong"})
        why = await _count_wrong(conn, member, await write_audit(conn, line), now=now)
    raise SignInError(why)


async def session_of(db: Database, *, token: str, now: datetime) -> Session | None:
    """Who is signed in with this token; None where it was too long ago, or the member is disabled."""
    async with db.read() as conn:
        kept = await sign_ins.session_by_token(conn, db.keys, token)
        member = await people.staff_by_id(conn, kept.staff_id) if kept and _holds(kept, now) else None
        if kept is None or member is None or member.disabled_at is not None:
            return None
        return Session(kept.id, member, await actor_in(conn, member), now - kept.seen_at >= _SEEN_EVERY)


async def mark_session(db: Database, *, session_id: int, now: datetime) -> None:
    """Note that a session is in use; apart from `session_of`, so that who reads need not wait for who writes."""
    async with db.write() as conn:
        await sign_ins.see_session(conn, session_id, at=now)


def _holds(kept: KeptSession, now: datetime) -> bool:
    return kept.ended_at is None and now - kept.seen_at < IDLE and now - kept.began_at < LONGEST


async def sign_out(db: Database, *, token: str, now: datetime) -> None:
    """End a session; one that has ended already stays as it is."""
    async with db.write() as conn:
        kept = await sign_ins.session_by_token(conn, db.keys, token)
        if kept is None or kept.ended_at is not None:
            return
        line = Audit(now, Actor("staff", kept.staff_id), "sign out", details={"session": kept.id})
        await sign_ins.end_session(conn, kept.id, at=now, audit=await write_audit(conn, line))


async def reset_passphrase(db: Database, *, code: str, actor: Actor, reason: str, now: datetime) -> None:
    """Forget a member's passphrase: they choose a new one with their next link; sessions and links end."""
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        proof = await people.proof_of(conn, member.id)
        if proof.passphrase is None and not await sign_ins.has_way_in(conn, member.id, at=now):
            return
        line = Audit(now, actor, "reset passphrase", details={"code": member.code}, reason=reason)
        audit = await write_audit(conn, line)
        await people.keep_passphrase(conn, member.id, None, audit=audit)
        await sign_ins.shut_out(conn, member.id, at=now, audit=audit)
        await tell_of_way_in(conn, member, "reset", actor=actor, audit=audit, now=now)


async def forget_old_ways(db: Database, *, now: datetime) -> None:
    """Remove links and sessions that have been over for a while."""
    async with db.write() as conn:
        await sign_ins.forget_old(conn, before=now - _FORGET_AFTER)
