"""Verbs about free text: nothing a patient writes is lost, and a side effect reaches staff at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from diary.alerts import raise_alert
from diary.answers import Arrival
from diary.calling import TOLD
from protocol.calendar import zone_of
from storage import entries, patients, people
from storage.audit import Actor, Audit
from storage.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Kept:
    """A text that is kept, by id."""

    note_id: int


async def keep_note(
    db: Database,
    *,
    patient_id: int,
    kind: str,
    text: str,
    arrival: Arrival,
    key: str,
    slot_id: int | None = None,
    now: datetime,
) -> Kept:
    """Keep what a patient wrote; `key` names the message it came in, so that a replay keeps one.

    Kinds: `note` and `side-effect` reach staff at once, `unread` is what could not be understood.
    """
    async with db.write() as conn:
        note_id = await _add(
            conn,
            patient_id=patient_id,
            kind=kind,
            text=text,
            arrival=arrival,
            key=key,
            slot_id=slot_id,
            now=now,
        )
        if kind != "unread":
            await raise_alert(
                conn,
                patient_id=patient_id,
                rule=kind,
                key=f"note:{note_id}",
                details={"note": note_id},
                now=now,
            )
        return Kept(note_id)


async def pass_note_on(
    db: Database, *, patient_id: int, note_id: int, side_effect: bool = False, now: datetime
) -> bool:
    """Give a kept text to the study team after all; False where it was given before."""
    kind = "side-effect" if side_effect else "note"
    async with db.write() as conn:
        details = {"note": note_id, "side_effect": side_effect}
        audit = Audit(now, Actor("patient", patient_id), "pass note on", patient_id, details)
        passed = await entries.pass_note_on(conn, note_id, patient_id, kind=kind, at=now, audit=audit)
        if passed:
            await raise_alert(
                conn,
                patient_id=patient_id,
                rule=kind,
                key=f"note:{note_id}",
                details={"note": note_id},
                now=now,
            )
        return passed


async def _add(
    conn: Connection,
    *,
    patient_id: int,
    kind: str,
    text: str,
    arrival: Arrival,
    key: str,
    slot_id: int | None,
    now: datetime,
) -> int:
    zone = await patients.zone_of_patient(conn, patient_id)
    local = arrival.given_at.astimezone(zone_of(zone))
    audit = Audit(now, Actor("patient", patient_id), "keep note", patient_id, {"kind": kind})
    return await entries.add_note(
        conn,
        {
            "patient_id": patient_id,
            "slot_id": slot_id,
            "kind": kind,
            "text": text,
            "said_at": arrival.said_at,
            "received_at": arrival.received_at,
            "recorded_at": now,
            "local_date": local.date(),
            "zone": zone,
            "utc_offset_minutes": int((local.utcoffset() or timedelta()).total_seconds() // 60),
            "arrival": key,
            "passed_on_at": None if kind == "unread" else now,
            "passed_on_as": None if kind == "unread" else kind,
        },
        audit=audit,
    )


async def team_can_be_told(db: Database, *, patient_id: int) -> bool:
    """Whether what a patient passes on reaches anybody of the site's team now; it is kept for them anyhow."""
    async with db.read() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        return await people.team_can_be_told(conn, patient.site_id, TOLD)


async def text_of_note(db: Database, note_id: int) -> str:
    """What a kept note says."""
    async with db.read() as conn:
        return (await entries.note_text(conn, note_id))[2]
