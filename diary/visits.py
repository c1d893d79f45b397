"""The verb of a clinic day: what was measured there, typed in by staff within the protocol's ranges."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from diary.doubts import Doubt, below, nearer
from diary.enrolment import status_changed
from diary.protocols import protocol_of
from diary.roles import Act, patient_for
from protocol.calendar import instant, zone_of
from protocol.errors import ConflictError, UnknownCodeError, WrongCallError
from protocol.lifecycle import PatientStatus
from protocol.model import Measure, Protocol, Visit
from storage import patients, people, visits
from storage.audit import Actor, Audit
from storage.database import Connection, Database
from storage.records import Patient
from storage.visits import VisitRow

_EARLIEST = timedelta(days=365)  # before a patient was added: a screening takes time


@dataclass(frozen=True, slots=True)
class RecordedVisit:
    """The form that holds now, whether it was there already, and why the enrolment stops where it does.

    With `doubts` nothing was saved: each of them is first to be said to be meant.
    """

    id: int | None
    already: bool = False
    stopped_because: str | None = None
    doubts: tuple[Doubt, ...] = ()


async def record_visit(
    db: Database,
    *,
    code: str,
    visit: str,
    held_on: date,
    began: time | None = None,
    measured: Mapping[str, float],
    supersedes: int | None,
    reason: str | None,
    actor: Actor,
    now: datetime,
    meant: Collection[str] = (),
) -> RecordedVisit:
    """Save a visit's form, or correct the one that was seen (`supersedes`), for a reason.

    `began` is what the clock on the clinic's wall showed. The same form sent twice is one act; ConflictError where
    another was saved since `supersedes` was seen. What is grave or unlikely (diary/doubts.py) is saved once its key
    is among those `meant`.
    """
    async with db.write() as conn:
        patient = await patient_for(conn, code, actor, Act.ENTER_VISIT)
        protocol = await protocol_of(db, conn, patient.protocol_id)
        planned = _visit(protocol, visit)
        _check_measures(protocol, planned, measured)
        await _check_day(conn, patient, held_on, now)
        began_at = await _began_at(conn, patient, held_on, began, now)
        low = below(protocol, planned, measured)
        because = str(low) if low else None
        taken = {name: measured[name] for name in planned.measures if name in measured}
        history = [row for row in await visits.visits_of_patient(conn, patient.id) if row.visit == visit]
        held = history[-1] if history else None
        same = [row for row in history if _said(row) == (held_on, began_at, taken)]
        sent_before = any(row is held or row.supersedes == supersedes for row in same)
        if held is not None and sent_before:
            return RecordedVisit(held.id, already=True, stopped_because=because)
        _check_correction(history, supersedes, reason)
        starts = (await patients.enrolment_of(conn, patient)).phase_starts
        found = (low, nearer(protocol, starts, planned, held_on))
        if doubts := tuple(doubt for doubt in found if doubt is not None and doubt.key not in meant):
            return RecordedVisit(None, doubts=doubts)
        values = {
            "patient_id": patient.id,
            "protocol_id": patient.protocol_id,
            "visit": visit,
            "held_on": held_on,
            "began_at": began_at,
            "measured": taken,
        }
        row_id = await _save(conn, values, held, actor=actor, reason=reason, now=now)
        if because is not None and patient.status is not PatientStatus.WITHDRAWN:
            await status_changed(
                db, conn, patient, status=PatientStatus.WITHDRAWN, actor=actor, reason=because, now=now
            )
        return RecordedVisit(row_id, stopped_because=because)


def _check_correction(history: Sequence[VisitRow], supersedes: int | None, reason: str | None) -> None:
    """A correction names the newest form and says why; a first form does neither."""
    if supersedes is None:
        if history:
            raise ConflictError
        if reason is not None:
            says = "A correction names the record it supersedes; a first record does neither."
            raise WrongCallError(says, "superseding")
        return
    if not (reason or "").strip():
        raise WrongCallError("A correction says why; write a few words.", "reason")
    if supersedes not in {row.id for row in history}:
        raise UnknownCodeError("There is no such record of this visit.")
    if history[-1].id != supersedes:
        raise ConflictError


async def _save(
    conn: Connection,
    values: Mapping[str, Any],
    held: VisitRow | None,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> int:
    details = {"visit": values["visit"], **_told(values["held_on"], values["began_at"], values["measured"])}
    if held is not None:
        details["old"] = _told(*_said(held))
    line = Audit(now, actor, "correct visit" if held else "record visit", values["patient_id"], details, reason)
    supersedes = {"supersedes": held.id if held else None, "change_reason": reason}
    return await visits.add_visit(conn, {**values, **supersedes, "recorded_at": now}, audit=line)


def _said(row: VisitRow) -> tuple[date, datetime | None, dict[str, float]]:
    return row.held_on, row.began_at, row.measured


def _told(held_on: date, began_at: datetime | None, measured: Mapping[str, float]) -> dict[str, Any]:
    """A form for the trail."""
    began = {"began": began_at.isoformat()} if began_at else {}
    return {"held_on": held_on.isoformat(), **began, "measured": measured}


def _visit(protocol: Protocol, visit: str) -> Visit:
    found = protocol.visit_of(visit)
    if found is None:
        raise UnknownCodeError(f"The protocol has no visit {visit}.")
    return found


def _check_measures(protocol: Protocol, planned: Visit, measured: Mapping[str, float]) -> None:
    at = planned.name.in_language("en")
    if not measured:
        raise WrongCallError(
            "A visit has something that was measured; write at least one value.", "nothing-measured"
        )
    for name, value in measured.items():
        if name not in planned.measures:
            says = f"{name} is not measured at {at}."
            raise WrongCallError(says, "not-measured", measure=name, visit=planned.name)
        _check_value(protocol.measure_of(name), value)
    for measure in map(protocol.measure_of, planned.measures):
        if measure.id not in measured and measure.require and measure.require.at == planned.id:
            says = f"{measure.name.in_language('en')} must be measured at {at}."
            raise WrongCallError(says, "must-be-measured", measure=measure.name, visit=planned.name)


def _check_value(measure: Measure, value: float) -> None:
    least, most = measure.range
    fits = least <= value <= most and round(value, measure.decimals) == value
    if not fits:
        name, unit = measure.name.in_language("en"), f" {measure.unit}" if measure.unit else ""
        says = f"{name} lies from {least:g} to {most:g}{unit}, {_places(measure.decimals)}."
        between = {"measure": measure.name, "least": least, "most": most}
        if measure.decimals:
            raise WrongCallError(says, "measure-range", **between, decimals=measure.decimals)
        raise WrongCallError(says, "measure-whole", **between)


def _places(decimals: int) -> str:
    words = {0: "whole numbers only", 1: "at most one decimal place"}
    return words.get(decimals, f"at most {decimals} decimal places")


async def _check_day(conn: Connection, patient: Patient, held_on: date, now: datetime) -> None:
    zone = zone_of(await patients.zone_of_patient(conn, patient.id))
    if held_on > now.astimezone(zone).date():
        says = f"{held_on} is still to come where the patient lives; check the day."
        raise WrongCallError(says, "day-to-come", day=held_on)
    if held_on < patient.added_at.astimezone(zone).date() - _EARLIEST:
        says = f"{held_on} lies more than a year before {patient.code} was added; check the day."
        raise WrongCallError(says, "day-too-early", day=held_on, code=patient.code)


async def _began_at(
    conn: Connection, patient: Patient, held_on: date, began: time | None, now: datetime
) -> datetime | None:
    if began is None:
        return None
    began_at = instant(held_on, began, (await people.site_by_id(conn, patient.site_id)).timezone)
    if began_at > now:
        says = f"{began:%H:%M} on {held_on} is still to come at the clinic; check the time."
        raise WrongCallError(says, "time-to-come", day=held_on, at=began)
    return began_at
