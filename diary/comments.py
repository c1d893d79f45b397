"""Comments of staff about a patient: a monitor's question, a coordinator's answer; patients see none."""

from datetime import datetime
from typing import Final

from diary.roles import Act, patient_called, patient_for
from protocol.errors import NotAllowedError, WrongCallError
from storage import comments
from storage.audit import Actor, Audit, write_audit
from storage.comments import Comment
from storage.database import Database

LONGEST: Final = 4000  # characters


async def add_comment(db: Database, *, code: str, text: str, form: str, actor: Actor, now: datetime) -> None:
    """Write about a patient; `form` names the form it was written in, so that one sent twice is one."""
    if not 1 <= len(text) <= LONGEST:
        raise WrongCallError(f"A comment has from 1 to {LONGEST} characters.")
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.COMMENT)
        if actor.id is None:
            raise NotAllowedError("A comment needs somebody who wrote it; sign in to the pages.")
        if await comments.is_written(conn, form):
            return
        audit = await write_audit(conn, Audit(now, actor, "comment", patient.id))
        await comments.add_comment(
            conn, patient_id=patient.id, staff_id=actor.id, text=text, form=form, at=now, audit=audit
        )


async def comments_of(db: Database, code: str, scope: frozenset[int] | None) -> list[Comment]:
    """The comments about a patient of the asker's sites, the oldest first."""
    async with db.read() as conn:
        return await comments.comments_of(conn, (await patient_called(conn, code, scope)).id)
