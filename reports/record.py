"""Everything about one patient: what the patient's page shows, read in one view of the database."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import TypeVar

from diary.protocols import protocol_of
from diary.roles import patient_called
from protocol.calendar import PhaseDates, ZoneSince, phase_dates, zone_of
from protocol.model import Protocol
from protocol.values import Text
from reports.patient import DiaryLine, History, Overview, Stretch, history_between, overview_of
from reports.today import OpenAlert, with_owners
from storage import alerts, diaries, patients
from storage import slots as ledger
from storage.audit import TrailLine, trail_of_patient
from storage.database import Connection, Database
from storage.diaries import Consent, EntryBy, Note, Send
from storage.records import Patient, Slot

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Line:
    """A slot with all its entries, the one that holds last, and every message that was to go out for it."""

    slot: Slot
    entries: tuple[EntryBy, ...]
    sends: tuple[Send, ...]


@dataclass(frozen=True, slots=True)
class PainPoint:
    """A score that holds, at the due time on the patient's wall; `kind` is how its first answer came."""

    at: datetime
    score: int
    kind: str


@dataclass(frozen=True, slots=True)
class Record:
    """One patient's diary, whole; `now` is the instant its states are as of."""

    patient: Patient
    site: str
    zone: str
    zones: tuple[ZoneSince, ...]
    chosen_times: Mapping[str, time]
    phase_starts: Mapping[str, date]
    phases: tuple[PhaseDates, ...]
    phase_names: Mapping[str, Text]
    item_names: Mapping[str, Text]
    protocol: Protocol
    overview: Overview
    lines: tuple[Line, ...]
    notes: tuple[Note, ...]
    consents: tuple[Consent, ...]
    alerts: tuple[OpenAlert, ...]
    trail: tuple[TrailLine, ...]
    now: datetime


async def record(db: Database, code: str, scope: frozenset[int] | None, now: datetime) -> Record:
    """All about a patient of the asker's sites; anybody else is an UnknownCodeError, known elsewhere or not."""
    async with db.read() as conn:
        patient = await patient_called(conn, code, scope)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        enrolment = await patients.enrolment_of(conn, patient)
        overview = await overview_of(db, conn, patient, now)
        return Record(
            patient=patient,
            site=overview.site,
            zone=overview.zone,
            zones=enrolment.zones,
            chosen_times=enrolment.chosen_times,
            phase_starts=enrolment.phase_starts,
            phases=phase_dates(protocol, enrolment.phase_starts),
            phase_names={phase.id: phase.name for phase in protocol.phase},
            item_names={item.id: item.name for _, item in protocol.items()},
            protocol=protocol,
            overview=overview,
            lines=await _lines(conn, patient.id, now),
            notes=tuple(await diaries.notes_of(conn, patient.id)),
            consents=tuple(await diaries.consents_of(conn, patient.id)),
            alerts=await with_owners(conn, await alerts.alerts_of_patient(conn, patient.id)),
            trail=tuple(await trail_of_patient(conn, patient.id)),
            now=now,
        )


def pain_series(record: Record) -> list[PainPoint]:
    """The scores that hold, in the order in which they were due; what was corrected is not among them."""
    rated = [(line.slot, line.entries[-1].entry.score) for line in record.lines if line.entries]
    return [PainPoint(slot.due_local, score, slot.answered_as or "") for slot, score in rated if score is not None]


def whole_history(record: Record, visits: Iterable[Stretch] = ()) -> History:
    """The patient's trial from its first day to the last of it or of its visits."""
    days = tuple(visits)
    lines = [DiaryLine(line.slot, line.entries[-1].entry if line.entries else None) for line in record.lines]
    history = history_between(
        min(phase.first for phase in record.phases),
        max([phase.last for phase in record.phases] + [day.last for day in days]),
        record.now.astimezone(zone_of(record.zone)).date(),
        lines,
        record.protocol,
        record.phase_starts,
    )
    return replace(history, visits=days)


async def _lines(conn: Connection, patient_id: int, now: datetime) -> tuple[Line, ...]:
    entries = _by_slot(await diaries.entries_of(conn, patient_id), lambda one: one.entry.slot_id)
    sends = _by_slot(await diaries.sends_of(conn, patient_id), lambda send: send.slot_id)
    return tuple(
        Line(slot, tuple(entries.get(slot.id, ())), tuple(sends.get(slot.id, ())))
        for slot in await ledger.slots_of_patient(conn, patient_id, now=now)
    )


def _by_slot(parts: Iterable[Part], slot_of: Callable[[Part], int]) -> dict[int, list[Part]]:
    found: dict[int, list[Part]] = {}
    for part in parts:
        found.setdefault(slot_of(part), []).append(part)
    return found
