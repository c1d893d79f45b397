"""Questions about one patient: what the chat shows to the patient, and what it shows to staff."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from diary.protocols import protocol_of
from diary.roles import patient_called
from protocol.calendar import phase_dates, zone_of
from protocol.lifecycle import PatientStatus
from protocol.model import Protocol
from protocol.values import Text
from reports.adherence import figures_of
from reports.definitions import Figures
from storage import alerts, contacts, entries, patients, people
from storage import slots as ledger
from storage.alerts import Alert
from storage.counts import slot_counts
from storage.database import Connection, Database
from storage.records import Entry, Patient, Slot
from storage.states import SlotState

_DAY = timedelta(days=1)
_LAST_ENTRIES = 5


@dataclass(frozen=True, slots=True)
class DiaryLine:
    """A slot with its state, and the entry that holds for it now."""

    slot: Slot
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days with a name, both ends in: a phase, or a visit, which is one day."""

    name: Text
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class History:
    """A stretch of a patient's local days, both ends in, with what was asked and said on them."""

    first_day: date
    last_day: date
    today: date
    lines: tuple[DiaryLine, ...]
    scale: tuple[int, int]
    items: Mapping[str, Text]
    phases: tuple[Stretch, ...]
    visits: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialDay:
    """Where a patient is; days count from 1, and `phase` is None before the first phase and after the last."""

    day: int
    days: int
    phase: str | None
    phase_day: int | None
    phase_days: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What staff need to know of one patient."""

    patient_id: int
    code: str
    site: str
    status: PatientStatus
    language: str
    zone: str
    reachable: str | None
    trial_day: TrialDay
    figures: Figures
    last_answer_at: datetime | None
    last_entries: tuple[DiaryLine, ...]
    next_due: Slot | None
    open_alerts: tuple[Alert, ...]


async def today(db: Database, patient_id: int, now: datetime) -> list[DiaryLine]:
    """The slots of the patient's local today, and those of other days that are open now; none that is cancelled."""
    async with db.read() as conn:
        day = await _local_day(conn, patient_id, now)
        of_today = await ledger.slots_of_patient(conn, patient_id, now=now, from_date=day, to_date=day)
        still_open = await ledger.slots_of_patient(conn, patient_id, now=now, states=(SlotState.OPEN,))
        found = {slot.id: slot for slot in (*of_today, *still_open) if slot.state != SlotState.CANCELLED}
        return await _lines(conn, patient_id, sorted(found.values(), key=lambda slot: (slot.due_at, slot.id)))


async def history(db: Database, patient_id: int, now: datetime, days: int) -> History:
    """The last `days` local days, today included; none of the slots that are cancelled."""
    async with db.read() as conn:
        last = await _local_day(conn, patient_id, now)
        first = last - (days - 1) * _DAY
        found = await ledger.slots_of_patient(conn, patient_id, now=now, from_date=first, to_date=last)
        lines = await _lines(conn, patient_id, found)
        patient = await patients.patient_by_id(conn, patient_id)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        starts = (await patients.enrolment_of(conn, patient)).phase_starts
        return history_between(first, last, last, lines, protocol, starts)


def history_between(  # noqa: PLR0917 - the parts of a history
    first: date,
    last: date,
    today: date,
    lines: Iterable[DiaryLine],
    protocol: Protocol,
    starts: Mapping[str, date],
) -> History:
    """What a patient was asked and said between two days, with the names that the protocol gives."""
    names = {phase.id: phase.name for phase in protocol.phase}
    return History(
        first_day=first,
        last_day=last,
        today=today,
        lines=tuple(line for line in lines if line.slot.state != SlotState.CANCELLED),
        scale=(protocol.trial.nrs.min, protocol.trial.nrs.max),
        items={item.id: item.name for _, item in protocol.items()},
        phases=tuple(Stretch(names[one.phase], one.first, one.last) for one in phase_dates(protocol, starts)),
    )


async def next_due(db: Database, patient_id: int, now: datetime) -> Slot | None:
    """The first slot that the patient is still to be asked for."""
    async with db.read() as conn:
        return await ledger.next_slot(conn, patient_id, now=now)


async def last_answers(
    db: Database, patient_id: int, now: datetime, within: timedelta | None = None
) -> list[DiaryLine]:
    """What the patient answered of late, the newest first: what `/change` may offer.

    `within` is counted from when the answer that holds was recorded; None is the protocol's time for corrections.
    """
    async with db.read() as conn:
        if within is None:
            patient = await patients.patient_by_id(conn, patient_id)
            within = (await protocol_of(db, conn, patient.protocol_id)).trial.correction
        lines = await _answered(conn, patient_id, now)
    return [line for line in lines if line.entry is not None and line.entry.recorded_at >= now - within]


async def overview(db: Database, code: str, scope: frozenset[int] | None, now: datetime) -> Overview:
    """All about a patient of the asker's sites; anybody else is an UnknownCodeError, known elsewhere or not."""
    async with db.read() as conn:
        return await overview_of(db, conn, await patient_called(conn, code, scope), now)


async def overview_of(db: Database, conn: Connection, patient: Patient, now: datetime) -> Overview:
    """The same of a patient who was found already."""
    contact = await contacts.contact_of_patient(conn, patient.id)
    counted = await slot_counts(conn, by="patient", now=now, patient_id=patient.id)
    zone = await patients.zone_of_patient(conn, patient.id)
    answered = await _answered(conn, patient.id, now)
    called_for = await alerts.alerts_of_patient(conn, patient.id)
    return Overview(
        patient_id=patient.id,
        code=patient.code,
        site=(await people.site_by_id(conn, patient.site_id)).code,
        status=patient.status,
        language=patient.language,
        zone=zone,
        reachable=contact.reachable if contact else None,
        trial_day=await _trial_day(db, conn, patient, now.astimezone(zone_of(zone)).date()),
        figures=figures_of(counted[0]) if counted else Figures(),
        last_answer_at=await entries.last_entry_at(conn, patient.id),
        last_entries=tuple(answered[:_LAST_ENTRIES]),
        next_due=await ledger.next_slot(conn, patient.id, now=now),
        open_alerts=tuple(alert for alert in called_for if alert.done_at is None),
    )


async def _trial_day(db: Database, conn: Connection, patient: Patient, day: date) -> TrialDay:
    protocol = await protocol_of(db, conn, patient.protocol_id)
    return trial_day(protocol, (await patients.enrolment_of(conn, patient)).phase_starts, day)


def trial_day(protocol: Protocol, starts: Mapping[str, date], day: date) -> TrialDay:
    """Where a patient with these phase starts is on a local day."""
    begun = [phase for phase in protocol.phase if starts[phase.id] <= day]
    today_is = (day - min(starts.values())).days + 1
    if not begun or (phase_day := (day - starts[begun[-1].id]).days + 1) > begun[-1].days:
        return TrialDay(today_is, protocol.days, None, None, None)
    return TrialDay(today_is, protocol.days, begun[-1].id, phase_day, begun[-1].days)


async def _local_day(conn: Connection, patient_id: int, now: datetime) -> date:
    return now.astimezone(zone_of(await patients.zone_of_patient(conn, patient_id))).date()


async def _lines(conn: Connection, patient_id: int, slots: list[Slot]) -> list[DiaryLine]:
    held = await entries.current_entries(conn, patient_id)
    return [DiaryLine(slot, held.get(slot.id)) for slot in slots]


async def _answered(conn: Connection, patient_id: int, now: datetime) -> list[DiaryLine]:
    """Every answered slot, the one recorded last first."""
    slots = await ledger.slots_of_patient(conn, patient_id, now=now, states=(SlotState.ON_TIME, SlotState.LATE))
    lines = [line for line in await _lines(conn, patient_id, slots) if line.entry is not None]
    return sorted(
        lines, key=lambda line: (line.entry.recorded_at, line.entry.id) if line.entry else (), reverse=True
    )
