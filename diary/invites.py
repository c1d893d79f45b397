"""Invites: a way into the chat for one person, once, by a link or by a short code."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage import contacts
from storage.audit import AuditId
from storage.database import Connection, Database

INVITE_LASTS = timedelta(hours=72)
# Letters and digits that are not taken for one another when read aloud or from a card.
_CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 8


@dataclass(frozen=True, slots=True)
class IssuedInvite:
    """A fresh way in: the token goes into a link, the code is short enough to type."""

    code: str
    token: str
    typed_code: str
    expires_at: datetime


async def issue_invite(
    db: Database,
    conn: Connection,
    *,
    code: str,
    patient_id: int | None = None,
    staff_id: int | None = None,
    now: datetime,
    audit: AuditId,
) -> IssuedInvite:
    """Make a 128-bit token and eight plain characters for a person; earlier invites stop working."""
    typed_code = "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))
    invite = IssuedInvite(code, secrets.token_urlsafe(16), typed_code, now + INVITE_LASTS)
    await contacts.revoke_invites(conn, at=now, patient_id=patient_id, staff_id=staff_id, audit=audit)
    await contacts.add_invite(
        conn,
        db.keys,
        token=invite.token,
        code=invite.typed_code,
        expires_at=invite.expires_at,
        patient_id=patient_id,
        staff_id=staff_id,
        audit=audit,
    )
    return invite
