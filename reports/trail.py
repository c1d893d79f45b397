"""The audit trail as staff read it: who did what to whom, when and why."""

from diary.roles import patient_called
from storage import people
from storage.audit import TrailLine, trail_lines
from storage.database import Database


async def trail(
    db: Database,
    scope: frozenset[int] | None,
    *,
    code: str | None = None,
    staff: str | None = None,
    verb: str | None = None,
    before_id: int | None = None,
    limit: int = 100,
) -> list[TrailLine]:
    """Lines before `before_id`, the newest first: about patients of these sites alone, or of all sites everything.

    `code` of a patient elsewhere is an UnknownCodeError; a `staff` code nobody has did nothing.
    """
    async with db.read() as conn:
        patient = None if code is None else await patient_called(conn, code, scope)
        member = None if staff is None else await people.staff_by_code(conn, staff)
        if staff is not None and member is None:
            return []
        return await trail_lines(
            conn,
            site_ids=scope,
            patient_id=patient.id if patient else None,
            staff_id=member.id if member else None,
            verb=verb,
            before_id=before_id,
            limit=limit,
        )
