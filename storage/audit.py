"""The audit trail: who did what to whom, when and why; every clinical row points at its line here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NewType

from storage import tables
from storage.database import Connection
from storage.writing import insert_row

AuditId = NewType("AuditId", int)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something; the id is a patient's or a staff member's.

    Of staff, `role` and `sites` say what they may do (diary/roles.py): without a role nothing; None is every site.
    """

    kind: Literal["patient", "staff", "system"]
    id: int | None = None
    role: str | None = None
    sites: frozenset[int] | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Audit:
    """One line of the trail; `details` holds old and new values, never a chat id."""

    at: datetime
    actor: Actor
    verb: str
    patient_id: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


async def write_audit(conn: Connection, audit: Audit) -> AuditId:
    """Add a line and give its id, which every writing function asks for."""
    added = await insert_row(
        conn,
        tables.audit,
        {
            "at": audit.at,
            "actor": audit.actor.kind,
            "actor_id": audit.actor.id,
            "verb": audit.verb,
            "patient_id": audit.patient_id,
            "details": dict(audit.details),
            "reason": audit.reason,
        },
    )
    return AuditId(added)
