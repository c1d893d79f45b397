"""Entries, which only grow, and notes."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, literal_column, select, update

from storage import tables
from storage.audit import Audit, Grown, RowTold, grow, write_audit, write_audit_of
from storage.chain import as_kept, columns_as_kept
from storage.database import Connection
from storage.records import Entry, columns_of

_e, _n = tables.entries, tables.notes
_ENTRY = columns_of(Entry, _e)
_BY_ID = select(*_ENTRY).where(_e.c.id == bindparam("entry_id"))
_SUCCESSOR = select(*_ENTRY).where(_e.c.supersedes == bindparam("entry_id"))
_BY_ARRIVAL = select(*_ENTRY).where(_e.c.arrival == bindparam("arrival"))
# Written out, since SQLite takes a partial index only for a condition it can read.
_SAID = _e.c.source.in_([literal_column(f"'{source}'") for source in tables.OWN_SOURCES])
# The slot's own id goes first: there is no index by answer, and without it every slot there is would be read.
_HOLDS = and_(tables.slots.c.id == _e.c.slot_id, tables.slots.c.answered_by == _e.c.id)
_LAST_TAKEN = (
    select(*_ENTRY)
    .join(tables.slots, _HOLDS)
    .where(_e.c.patient_id == bindparam("patient_id"), tables.slots.c.item == bindparam("item"))
    .where(_e.c.answer == "taken", _SAID)
    .order_by(_e.c.received_at.desc())
    .limit(1)
)


async def add_entry(conn: Connection, values: Mapping[str, Any], *, audit: Audit) -> Grown:
    """Add an entry; the slot has no first answer yet, or the entry no successor."""
    return await grow(conn, _e, values, audit=audit)


async def entry_by_id(conn: Connection, entry_id: int) -> Entry:
    """The entry of this id."""
    return Entry.of((await conn.execute(_BY_ID, {"entry_id": entry_id})).one())


async def entry_of_slot(conn: Connection, slot_id: int, entry_id: int) -> Entry | None:
    """An entry of this slot, in force or superseded; None where the id is another slot's or nobody's."""
    found = (await conn.execute(_BY_ID.where(_e.c.slot_id == slot_id), {"entry_id": entry_id})).one_or_none()
    return Entry.of(found) if found else None


async def successor_of(conn: Connection, entry_id: int) -> Entry | None:
    """The entry that supersedes this one."""
    found = (await conn.execute(_SUCCESSOR, {"entry_id": entry_id})).one_or_none()
    return Entry.of(found) if found else None


async def entry_by_arrival(conn: Connection, arrival: str) -> Entry | None:
    """The entry that an update made when it was handled before."""
    found = (await conn.execute(_BY_ARRIVAL, {"arrival": arrival})).one_or_none()
    return Entry.of(found) if found else None


async def current_entries(conn: Connection, patient_id: int) -> dict[int, Entry]:
    """The entry that holds now for each answered slot of a patient, by slot id."""
    query = select(*_ENTRY).join(tables.slots, _HOLDS).where(_e.c.patient_id == patient_id)
    return {row.slot_id: Entry.of(row) for row in await conn.execute(query)}


async def last_taken(conn: Connection, patient_id: int, item: str) -> Entry | None:
    """The latest dose of an item the patient says was taken; when one told to staff was taken nobody knows."""
    found = (await conn.execute(_LAST_TAKEN, {"patient_id": patient_id, "item": item})).one_or_none()
    return Entry.of(found) if found else None


def last_said_at() -> ColumnElement[Any]:
    """When the patient of the row last answered anything; what staff recorded is not the patient's answer."""
    mine = _e.c.patient_id == tables.patients.c.id
    return select(func.max(_e.c.received_at)).where(mine, _SAID).scalar_subquery()


async def last_entry_at(conn: Connection, patient_id: int) -> datetime | None:
    """When the patient last answered anything; what staff recorded is not the patient's answer."""
    query = select(func.max(_e.c.received_at)).where(_e.c.patient_id == patient_id, _SAID)
    at: datetime | None = (await conn.execute(query)).scalar_one()
    return at


async def add_note(conn: Connection, values: Mapping[str, Any], *, audit: Audit) -> int:
    """Keep a text and give its id; the same arrival twice is one note."""
    same: int | None = (await conn.execute(_NOTE_OF, {"arrival": values["arrival"]})).scalar_one_or_none()
    if same is None:
        return (await grow(conn, _n, values, audit=audit)).row_id
    await write_audit(conn, audit)
    return same


async def pass_note_on(
    conn: Connection, note_id: int, patient_id: int, *, kind: str, at: datetime, audit: Audit
) -> bool:
    """Mark a note as given to the study team as this; False where it was already, or is another patient's."""
    asked = {"note_id": note_id, "patient_id": patient_id}
    note = (await conn.execute(_NOT_PASSED_ON, asked)).mappings().one_or_none()
    if note is None:
        await write_audit(conn, audit)
        return False
    passed = {"passed_on_at": at, "passed_on_as": kind}
    told = RowTold(_n.name, note_id, {**note, **as_kept(_n, passed, conn.dialect)})
    line = await write_audit_of(conn, audit, told)
    await conn.execute(update(_n).where(_n.c.id == note_id).values(**passed, audit_id=line))
    return True


_NOTE_OF = select(_n.c.id).where(_n.c.arrival == bindparam("arrival"))
_NOT_PASSED_ON = select(*columns_as_kept(_n)).where(
    _n.c.id == bindparam("note_id"), _n.c.patient_id == bindparam("patient_id"), _n.c.passed_on_at.is_(None)
)
_NOTE = select(_n.c.patient_id, _n.c.kind, _n.c.text).where(_n.c.id == bindparam("note_id"))


async def note_text(conn: Connection, note_id: int) -> tuple[int, str, str]:
    """A note's patient, kind and text."""
    row = (await conn.execute(_NOTE, {"note_id": note_id})).one()
    return row.patient_id, row.kind, row.text


async def note_texts(conn: Connection, note_ids: Collection[int]) -> dict[int, str]:
    """What these notes say, by id."""
    query = select(_n.c.id, _n.c.text).where(_n.c.id.in_(note_ids))
    return {row.id: row.text for row in await conn.execute(query)} if note_ids else {}
