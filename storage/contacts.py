"""Who is behind a chat: the only table that knows, sealed; and the invites that lead there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Contact, Invite, columns_of
from storage.sealing import Keys
from storage.writing import insert_row

_c = tables.contacts
_CONTACT = select(*columns_of(Contact, _c))
_BY_CHAT = _CONTACT.where(
    _c.c.bot_id == bindparam("bot_id"), _c.c.chat_hash.in_(bindparam("hashes", expanding=True))
)
_BY_ID = _CONTACT.where(_c.c.id == bindparam("contact_id"))
_BY_PATIENT = _CONTACT.where(_c.c.patient_id == bindparam("patient_id"))
_INVITE = columns_of(Invite, tables.invites)


def _chat(bot_id: int, chat_id: int) -> str:
    return f"{bot_id}:{chat_id}"


def open_chat(keys: Keys, sealed: bytes, *, patient_id: int | None, staff_id: int | None) -> int:
    """The chat id of a contact."""
    return int(keys.open(sealed, context=_context(patient_id, staff_id))["chat"])


def _context(patient_id: int | None, staff_id: int | None) -> str:
    return f"contact:patient:{patient_id}" if patient_id is not None else f"contact:staff:{staff_id}"


async def add_contact(
    conn: Connection,
    keys: Keys,
    *,
    bot_id: int,
    chat_id: int,
    patient_id: int | None = None,
    staff_id: int | None = None,
    audit: AuditId,
) -> int:
    """Bind a chat to its one owner, in place of the owner's earlier chat, and give the contact's id."""
    owner = tables.contacts.c.patient_id == patient_id if patient_id else tables.contacts.c.staff_id == staff_id
    await conn.execute(delete(tables.contacts).where(owner))
    return await insert_row(
        conn,
        tables.contacts,
        {
            "patient_id": patient_id,
            "staff_id": staff_id,
            "bot_id": bot_id,
            "chat_hash": keys.lookups("chat", _chat(bot_id, chat_id))[0],
            "sealed": keys.seal({"chat": chat_id}, context=_context(patient_id, staff_id)),
            "reachable": "yes",
            "audit_id": audit,
        },
    )


async def contact_by_chat(conn: Connection, keys: Keys, *, bot_id: int, chat_id: int) -> Contact | None:
    """Find whose chat this is."""
    hashes = keys.lookups("chat", _chat(bot_id, chat_id))
    return await _contact(conn, _BY_CHAT, bot_id=bot_id, hashes=hashes)


async def contact_by_id(conn: Connection, contact_id: int) -> Contact | None:
    """Find a contact."""
    return await _contact(conn, _BY_ID, contact_id=contact_id)


async def contact_of_patient(conn: Connection, patient_id: int) -> Contact | None:
    """Find a patient's chat."""
    return await _contact(conn, _BY_PATIENT, patient_id=patient_id)


async def has_chat(conn: Connection, staff_id: int) -> bool:
    """Tell whether a staff member has joined by a chat."""
    t = tables.contacts
    return (await conn.execute(select(t.c.id).where(t.c.staff_id == staff_id))).first() is not None


async def _contact(conn: Connection, question: Any, **which: Any) -> Contact | None:
    found = (await conn.execute(question, which)).one_or_none()
    return Contact.of(found) if found else None


async def set_reachable(conn: Connection, contact_id: int, reachable: str, *, audit: AuditId) -> None:
    """Note that a chat can or cannot be written to."""
    await conn.execute(
        update(tables.contacts)
        .where(tables.contacts.c.id == contact_id)
        .values(reachable=reachable, audit_id=audit)
    )


async def set_awaiting(conn: Connection, contact_id: int, awaiting: dict[str, Any] | None) -> None:
    """Remember what the next text in this chat will mean; no clinical fact, hence no audit entry."""
    await conn.execute(update(tables.contacts).where(tables.contacts.c.id == contact_id).values(awaiting=awaiting))


async def forget_contact(conn: Connection, patient_id: int, *, audit: AuditId) -> None:  # noqa: ARG001 - says why
    """Erase the chat of a patient; the coded diary stays."""
    await conn.execute(delete(tables.contacts).where(tables.contacts.c.patient_id == patient_id))


async def add_invite(
    conn: Connection,
    keys: Keys,
    *,
    token: str,
    code: str,
    expires_at: datetime,
    patient_id: int | None = None,
    staff_id: int | None = None,
    audit: AuditId,
) -> int:
    """Keep an invite's hashes; any earlier open invite of the same person is revoked by `revoke_invites`."""
    return await insert_row(
        conn,
        tables.invites,
        {
            "patient_id": patient_id,
            "staff_id": staff_id,
            "token_hash": keys.lookups("invite", token)[0],
            "code_hash": keys.lookups("invite", code)[0],
            "expires_at": expires_at,
            "audit_id": audit,
        },
    )


async def revoke_invites(
    conn: Connection, *, at: datetime, patient_id: int | None = None, staff_id: int | None = None, audit: AuditId
) -> None:
    """Make a person's open invites useless."""
    owner = tables.invites.c.patient_id == patient_id if patient_id else tables.invites.c.staff_id == staff_id
    await conn.execute(
        update(tables.invites)
        .where(owner, tables.invites.c.used_at.is_(None), tables.invites.c.revoked_at.is_(None))
        .values(revoked_at=at, audit_id=audit)
    )


async def invite_by_token(conn: Connection, keys: Keys, token: str) -> Invite | None:
    """Find an invite by its link token or its short code."""
    hashes: Sequence[bytes] = keys.lookups("invite", token)
    query = select(*_INVITE).where(tables.invites.c.token_hash.in_(hashes) | tables.invites.c.code_hash.in_(hashes))
    found = (await conn.execute(query)).one_or_none()
    return Invite.of(found) if found else None


async def use_invite(conn: Connection, invite_id: int, *, at: datetime, audit: AuditId) -> bool:
    """Spend an invite; False where somebody else was first."""
    done = await conn.execute(
        update(tables.invites)
        .where(tables.invites.c.id == invite_id, tables.invites.c.used_at.is_(None))
        .values(used_at=at, audit_id=audit)
    )
    return done.rowcount == 1
