"""Invites: a way into the chat for one person, once, by a link or by a short code."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocol.errors import ConflictError
from storage import contacts
from storage.audit import AuditId
from storage.database import Connection, Database
from storage.sealing import Keys

INVITE_LASTS = timedelta(hours=72)
# Letters and digits that are not taken for one another when read aloud or from a card.
_CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 8
_TOKEN_BYTES, _DRAWN_BYTES = 16, 32


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
    form: str | None = None,
    now: datetime,
    audit: AuditId,
) -> IssuedInvite:
    """Make a 128-bit token and eight plain characters for a person; earlier invites stop working."""
    token, typed_code = _ways_in(db.keys, patient_id, staff_id, form)
    invite = IssuedInvite(code, token, typed_code, now + INVITE_LASTS)
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


async def invite_of_form(
    db: Database,
    conn: Connection,
    *,
    code: str,
    patient_id: int | None = None,
    staff_id: int | None = None,
    form: str | None,
    now: datetime,
) -> IssuedInvite | None:
    """The invite that a form has made already, while it is good; so a form sent twice makes no card void."""
    if not form:
        return None
    token, typed_code = _ways_in(db.keys, patient_id, staff_id, form)
    made = await contacts.invite_by_token(conn, db.keys, token)
    if made is None:
        return None
    if made.used_at is not None or made.revoked_at is not None or made.expires_at <= now:
        says = f"The invite for {code} is used, too old, or replaced by a newer one; make a new one."
        raise ConflictError(says, "invite-over", code=code)
    return IssuedInvite(code, token, typed_code, made.expires_at)


def _ways_in(keys: Keys, patient_id: int | None, staff_id: int | None, form: str | None) -> tuple[str, str]:
    """A token and a short code, by chance or from the form that asks for them.

    Of an invite only hashes are kept, so it cannot be read again. From the form's id and the deployment's key it
    can be made again, without a secret being stored; who holds an id and not the key can make nothing of it.
    """
    if form:
        drawn = keys.lookups("invite of form", f"{patient_id}:{staff_id}:{form}")[0]
    else:
        drawn = secrets.token_bytes(_DRAWN_BYTES)
    token = base64.urlsafe_b64encode(drawn[:_TOKEN_BYTES]).decode().rstrip("=")
    left, typed_code = int.from_bytes(drawn[_TOKEN_BYTES:]), ""
    for _ in range(_CODE_LENGTH):
        left, letter = divmod(left, len(_CODE_ALPHABET))
        typed_code += _CODE_ALPHABET[letter]
    return token, typed_code
