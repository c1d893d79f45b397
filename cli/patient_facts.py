"""What `daybook patient list` and `show` tell: a patient's standing, plan and chat, read in one view."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from diary import Contact, Database, Patient, Site, Slot
from diary.protocols import protocol_of
from diary.roles import patient_called
from diary.team import list_sites
from protocol.errors import UnknownCodeError
from protocol.model import Protocol
from reports.patient import Overview, overview
from storage import contacts, patients
from storage import slots as ledger


@dataclass(frozen=True, slots=True)
class Listed:
    """A patient as a line of the list; `chat` is "yes", "no", "blocked" or "gone"."""

    patient: Patient
    site: str
    zone: str
    chat: str


@dataclass(frozen=True, slots=True)
class Card:
    """All that is known of one patient, by code; `coming` is every slot still to be asked for."""

    listed: Listed
    protocol: Protocol
    phase_starts: Mapping[str, date]
    chosen_times: Mapping[str, time]
    seen: Overview
    coming: tuple[Slot, ...]


async def everybody(db: Database, *, site: str | None) -> list[Listed]:
    """Every patient (of one site), by code."""
    sites = {one.id: one for one in await list_sites(db)}
    wanted = None if site is None else frozenset({(await site_called(db, site)).id})
    async with db.read() as conn:
        return [
            Listed(
                patient,
                sites[patient.site_id].code,
                await patients.zone_of_patient(conn, patient.id),
                _chat(await contacts.contact_of_patient(conn, patient.id)),
            )
            for patient in await patients.patients(conn, site_ids=wanted)
        ]


async def card_of(db: Database, code: str, *, now: datetime) -> Card:
    """One patient's card; UnknownCodeError where there is none."""
    seen = await overview(db, code, None, now)
    async with db.read() as conn:
        patient = await patient_called(conn, code)
        enrolment = await patients.enrolment_of(conn, patient)
        slots = await ledger.slots_of_patient(conn, patient.id, now=now)
        return Card(
            listed=Listed(patient, seen.site, seen.zone, seen.reachable or "no"),
            protocol=await protocol_of(db, conn, patient.protocol_id),
            phase_starts=enrolment.phase_starts,
            chosen_times=enrolment.chosen_times,
            seen=seen,
            coming=tuple(slot for slot in slots if _is_to_come(slot, now)),
        )


async def status_of(db: Database, code: str) -> Patient:
    """A patient with the present status; UnknownCodeError where there is none."""
    async with db.read() as conn:
        return await patient_called(conn, code)


async def zone_of_patient(db: Database, code: str) -> str:
    """The zone a patient lives in now; UnknownCodeError where there is no such patient."""
    async with db.read() as conn:
        return await patients.zone_of_patient(conn, (await patient_called(conn, code)).id)


async def site_called(db: Database, code: str | None) -> Site:
    """The site of this code, or the only one there is."""
    there_are = await list_sites(db)
    if code is None and len(there_are) == 1:
        return there_are[0]
    if not there_are:
        raise UnknownCodeError("There is no site yet; add one with `daybook site add`.")
    known = ", ".join(one.code for one in there_are)
    if code is None:
        raise UnknownCodeError(f"There are several sites ({known}); say which one with --site.")
    found = next((one for one in there_are if one.code.lower() == code.lower()), None)
    if found is None:
        raise UnknownCodeError(f"There is no site {code}; there are {known}.")
    return found


def _chat(contact: Contact | None) -> str:
    return contact.reachable if contact else "no"


def _is_to_come(slot: Slot, now: datetime) -> bool:
    """Still to be asked for: due later, not answered, not called off."""
    called_off = slot.cancelled_because is not None or slot.excused_because is not None
    return slot.due_at > now and slot.answered_by is None and not called_off
