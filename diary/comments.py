"""Comments of staff about a patient: a monitor's question, a coordinator's answer; patients see none."""

from datetime import datetime
from typing import Final

from diary.roles import Act, patient_called, patient_for
from protocol.errors import ConflictError, NotAllowedError, WrongCallError
from storage import comments
from storage.audit import Actor, Audit, write_audit
from storage.comments import Comment
from storage.database import Database

LONGEST: Final = 4000  # characters


async def add_comment(db: Database, *, code: str, text: str, form: str, actor: Actor, now: datetime) -> None:
    """Write about a patient; `form` names the form it was written in, so that one sent twice is one.

    Other words in the same form are no comment, nor are they lost: a ConflictError says so.
    """
    if not 1 <= len(text) <= LONGEST:
        raise WrongCallError(f"A comment has from 1 to {LONGEST} characters.", "comment-length", most=LONGEST)
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.COMMENT)
        if actor.id is None:
            raise NotAllowedError("A comment needs somebody who wrote it; sign in to the pages.", "comment-author")
        key = f"{patient.id}/{actor.id}/{form}"
        if (written := await comments.text_of_form(conn, key)) is not None:
            if written == text:
                return
            raise ConflictError("This form was sent already, with other words; send these once more.", "form-used")
        audit = await write_audit(conn, Audit(now, actor, "comment", patient.id))
        await comments.add_comment(
            conn, patient_id=patient.id, staff_id=actor.id, text=text, form=key, at=now, audit=audit
        )


async def comments_of(db: Database, code: str, scope: frozenset[int] | None) -> list[Comment]:
    """The comments about a patient of the asker's sites, the oldest first."""
    async with db.read() as conn:
        return await comments.comments_of(conn, (await patient_called(conn, code, scope)).id)
