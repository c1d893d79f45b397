"""Tokens for machines: made for a member, shown once, good for what that member may read when they are used.

A token copies neither a role nor sites: it says only in whose name another program asks (docs/decisions/0013).
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from diary.roles import actor_in
from diary.signing_in import tell_of_way_in
from diary.team import member_for
from protocol.errors import AlreadyThereError, NotAllowedError, UnknownCodeError, WrongCallError
from storage import people, tokens
from storage.audit import Actor, Audit, write_audit
from storage.database import Database
from storage.records import StaffMember
from storage.tokens import KeptToken

USUAL_DAYS: Final = 90
MOST_DAYS: Final = 365
LONGEST_NAME: Final = 80  # characters
# What it begins with lets scanners and our own log find one that lies where it should not.
PREFIX: Final = "daybook_"

_TOKEN_BYTES = 32
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token, which nobody can be shown again."""

    code: str
    name: str
    expires_at: datetime
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever sends a token: in whose name, with the role and sites of this moment."""

    token_id: int
    actor: Actor
    unmarked: bool  # it is a while since `mark_token`


async def make_token(db: Database, *, code: str, name: str, days: int, actor: Actor, now: datetime) -> IssuedToken:
    """Make a token in a member's name, called by who is to use it; the member hears of it in the chat."""
    _check_wanted(name, days)
    made = IssuedToken(code, name, now + timedelta(days=days), PREFIX + secrets.token_urlsafe(_TOKEN_BYTES))
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        if member.disabled_at is not None:
            says = f"{member.code} is disabled and gets no token."
            raise NotAllowedError(says, "token-disabled", code=member.code)
        if any(one.name == name and one.holds(now) for one in await tokens.tokens_of(conn, member.id)):
            says = f"{member.code} has a token of that name already; revoke it first, or choose another name."
            raise AlreadyThereError(says, "token-there", code=member.code)
        details = {"code": member.code, "name": name, "until": made.expires_at.isoformat()}
        audit = await write_audit(conn, Audit(now, actor, "make token", details=details))
        await tokens.add_token(
            conn,
            db.keys,
            staff_id=member.id,
            name=name,
            token=made.token,
            at=now,
            expires_at=made.expires_at,
            audit=audit,
        )
        await tell_of_way_in(conn, member, "token", actor=actor, audit=audit, now=now)
    return IssuedToken(member.code, name, made.expires_at, made.token)


def _check_wanted(name: str, days: int) -> None:
    if not 1 <= days <= MOST_DAYS:
        raise WrongCallError(f"A token is good for 1 to {MOST_DAYS} days.", "token-days", most=MOST_DAYS)
    if len(name) > LONGEST_NAME:
        raise WrongCallError(f"A name has at most {LONGEST_NAME} characters.", "token-name", most=LONGEST_NAME)


async def list_tokens(db: Database, *, code: str, actor: Actor) -> list[KeptToken]:
    """A member's tokens, the newest first, for somebody who may change the member."""
    async with db.read() as conn:
        member = await member_for(conn, code, actor)
        return await tokens.tokens_of(conn, member.id)


async def revoke_token(
    db: Database, *, code: str, token_id: int, actor: Actor, now: datetime, reason: str | None = None
) -> None:
    """End a token at once and for good; one that has ended stays as it is."""
    async with db.write() as conn:
        member = await member_for(conn, code, actor)
        token = await tokens.token_by_id(conn, token_id)
        if token is None or token.staff_id != member.id:
            raise UnknownCodeError(
                f"{member.code} has no such token; `daybook staff tokens` shows those there are."
            )
        if not token.holds(now):
            return
        line = Audit(now, actor, "revoke token", details=_named(member, token), reason=reason)
        audit = await write_audit(conn, line)
        await tokens.revoke_tokens(conn, member.id, at=now, audit=audit, token_id=token.id)


def _named(member: StaffMember, token: KeptToken) -> dict[str, str]:
    return {"code": member.code, "name": token.name}


async def holder_of(db: Database, *, token: str, now: datetime) -> Holder | None:
    """Who asks with this token; None where it is unknown, has ended, or its member is shut out."""
    async with db.read() as conn:
        kept = await tokens.token_by_secret(conn, db.keys, token)
        member = await people.staff_by_id(conn, kept.staff_id) if kept and kept.holds(now) else None
        if kept is None or member is None or member.disabled_at is not None:
            return None
        unmarked = kept.used_at is None or now - kept.used_at >= _USED_EVERY
        return Holder(kept.id, await actor_in(conn, member), unmarked)


async def mark_token(db: Database, *, token_id: int, now: datetime) -> None:
    """Note that a token is in use; its first use on a day is a line of the trail, as an export is."""
    async with db.write() as conn:
        token = await tokens.token_by_id(conn, token_id)
        member = await people.staff_by_id(conn, token.staff_id) if token else None
        if token is None or member is None:
            return
        if token.used_at is None or token.used_at.date() < now.date():
            line = Audit(now, Actor("staff", member.id), "use token", details=_named(member, token))
            await write_audit(conn, line)
        await tokens.use_token(conn, token.id, at=now)
