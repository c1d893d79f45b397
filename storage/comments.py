"""What staff write to one another about a patient; it only grows."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from storage import tables
from storage.audit import AuditId
from storage.database import Connection
from storage.records import Record
from storage.writing import insert_once

_c = tables.comments


@dataclass(frozen=True, slots=True)
class Comment(Record):
    """A comment with the code of its author."""

    id: int
    author: str
    text: str
    recorded_at: datetime


async def add_comment(
    conn: Connection,
    *,
    patient_id: int,
    staff_id: int,
    text: str,
    form: str,
    at: datetime,
    audit: AuditId,
) -> None:
    """Keep a comment; the same form twice is one."""
    values = {"patient_id": patient_id, "staff_id": staff_id, "text": text, "form": form, "recorded_at": at}
    await conn.execute(insert_once(conn, _c), {**values, "audit_id": audit})


async def text_of_form(conn: Connection, form: str) -> str | None:
    """What was written in a form, if anything was."""
    return (await conn.execute(select(_c.c.text).where(_c.c.form == form))).scalar_one_or_none()


async def comments_of(conn: Connection, patient_id: int) -> list[Comment]:
    """The comments about a patient, the oldest first."""
    query = (
        select(_c.c.id, tables.staff.c.code.label("author"), _c.c.text, _c.c.recorded_at)
        .join(tables.staff, tables.staff.c.id == _c.c.staff_id)
        .where(_c.c.patient_id == patient_id)
        .order_by(_c.c.id)
    )
    return [Comment.of(row) for row in await conn.execute(query)]
