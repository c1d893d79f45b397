"""One patient's whole diary: every entry, send, note and consent, one statement a table."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import BindParameter, and_, bindparam, select

from storage import tables
from storage.database import Connection
from storage.records import Entry, Record, columns_of

_e, _d, _n, _c = tables.entries, tables.sends, tables.notes, tables.consents
_audit, _staff = tables.audit, tables.staff


@dataclass(frozen=True, slots=True)
class EntryBy:
    """An entry and who recorded it: the code of a staff member, or "patient"."""

    entry: Entry
    by: str


@dataclass(frozen=True, slots=True)
class Send(Record):
    """One try to send a message for a slot; nudge 0 is the first prompt."""

    id: int
    slot_id: int
    nudge: int
    planned_for: datetime
    claimed_at: datetime
    finished_at: datetime | None
    outcome: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class Note(Record):
    """A text a patient wrote."""

    id: int
    slot_id: int | None
    kind: str
    text: str
    said_at: datetime | None
    received_at: datetime
    recorded_at: datetime
    local_date: date
    zone: str
    utc_offset_minutes: int
    passed_on_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consent(Record):
    """What a patient was asked to agree to, and the answer."""

    id: int
    decision: str
    language: str
    text_sha256: str
    protocol_id: int
    decided_at: datetime


_PATIENT: BindParameter[int] = bindparam("patient_id")
_ENTRIES = (
    select(*columns_of(Entry, _e), _audit.c.actor, _staff.c.code.label("staff"))
    .join(_audit, _audit.c.id == _e.c.audit_id)
    .outerjoin(_staff, and_(_audit.c.actor == "staff", _staff.c.id == _audit.c.actor_id))
    .where(_e.c.patient_id == _PATIENT)
    .order_by(_e.c.id)
)
_SENDS = select(*columns_of(Send, _d)).where(_d.c.patient_id == _PATIENT).order_by(_d.c.claimed_at, _d.c.id)
_NOTES = select(*columns_of(Note, _n)).where(_n.c.patient_id == _PATIENT).order_by(_n.c.recorded_at, _n.c.id)
_CONSENTS = select(*columns_of(Consent, _c)).where(_c.c.patient_id == _PATIENT).order_by(_c.c.id)


async def entries_of(conn: Connection, patient_id: int) -> list[EntryBy]:
    """Every entry, superseded ones too, in the order in which they were recorded."""
    rows = await conn.execute(_ENTRIES, {"patient_id": patient_id})
    return [EntryBy(Entry.of(row), row.staff or row.actor) for row in rows]


async def sends_of(conn: Connection, patient_id: int) -> list[Send]:
    """Every try to send a message for a slot, the oldest first."""
    return [Send.of(row) for row in await conn.execute(_SENDS, {"patient_id": patient_id})]


async def notes_of(conn: Connection, patient_id: int) -> list[Note]:
    """Every text the patient wrote, the oldest first."""
    return [Note.of(row) for row in await conn.execute(_NOTES, {"patient_id": patient_id})]


async def consents_of(conn: Connection, patient_id: int) -> list[Consent]:
    """Every answer to what the study keeps, the oldest first."""
    return [Consent.of(row) for row in await conn.execute(_CONSENTS, {"patient_id": patient_id})]
