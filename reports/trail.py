"""The audit trail as staff read it: who did what to whom, when and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from diary.protocols import protocol_of
from diary.roles import patient_called
from protocol.model import Protocol
from storage import alerts, people
from storage.audit import TrailLine, trail_lines
from storage.database import Connection, Database
from storage.slots import Question, questions

# Everything that is ever written into the trail; a test holds it equal to the code.
VERBS: Final = (
    "add patient", "add site", "add staff", "adopt protocol", "answer later", "back up", "change passphrase",
    "change staff", "change status", "chat reachable", "chat unreachable", "choose language", "choose passphrase",
    "choose time", "choose zone", "close alert", "comment", "consent", "correct answer", "correct visit",
    "disable staff", "enter answer", "erase identity", "export", "invite patient", "invite staff", "join",
    "keep note", "lock sign-in", "make sign-in link", "make token", "move phase", "pass note on", "raise alert",
    "readmit staff", "record answer", "record outage", "record visit", "remind of alert", "reset passphrase",
    "restore", "revoke token", "see alert", "sign in", "sign in failed", "sign out", "stop use", "use invite",
    "use sign-in link", "use token",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """A line with what its numbers stand for: a question, an alert's rule; and the protocol that names things."""

    line: TrailLine
    question: Question | None
    rule: str | None
    protocol: Protocol | None


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


async def told(db: Database, lines: Sequence[TrailLine]) -> list[Told]:
    """Lines of the trail, so that who reads them need not know a single number."""
    async with db.read() as conn:
        asked = await questions(conn, _named(lines, "slot"))
        rules = await alerts.rules_of(conn, _named(lines, "alert"))
        newest = max((await people.protocol_ids(conn)).values(), default=None)
        return [await _told(db, conn, line, asked, rules, newest) for line in lines]


async def _told(  # noqa: PLR0917 - what was read for all lines at once
    db: Database,
    conn: Connection,
    line: TrailLine,
    asked: dict[int, Question],
    rules: dict[int, str],
    newest: int | None,
) -> Told:
    question = asked.get(line.details.get("slot", 0))
    protocol_id = question.protocol_id if question else newest
    protocol = None if protocol_id is None else await protocol_of(db, conn, protocol_id)
    return Told(line, question, rules.get(line.details.get("alert", 0)), protocol)


def _named(lines: Sequence[TrailLine], what: str) -> set[int]:
    return {line.details[what] for line in lines if what in line.details}
