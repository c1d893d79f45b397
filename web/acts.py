"""What staff do about a patient: each act a form of its own, with the reason it takes and the verb it calls."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from diary import PatientStatus, Slot
from diary.answers import TAKEN, Answer, Recorded, Verdict, correct_entry, enter_answer, not_taken, scored
from diary.enrolment import change_status, erase_patient, move_phase, stop_use
from diary.joining import choose_time, choose_zone
from diary.roles import Act
from diary.team import list_sites
from protocol.calendar import zone_of
from protocol.errors import ConflictError, UnknownCodeError, WrongCallError
from protocol.values import format_wall
from reports.record import Line, Record, record
from web.asked import Asked
from web.forms import Form, MeanwhileError, NotUnderstoodError, Shown, day_in, needed, wall_in
from web.pages import Page
from web.words import Words
from web.zones import zones_of

SOURCES: Final = ("phone", "paper", "visit")
_AT: Final = "/patients/{code}"


async def _patient(asked: Asked) -> Shown:
    """The patient of the address, with everything that is known."""
    found = await record(asked.db, asked.request.path_params["code"], asked.scope, asked.now)
    return {"record": found, "code": found.patient.code, "languages_of_trial": found.protocol.trial.languages}


def _back(asked: Asked, shown: Shown, done: str) -> Response:
    return asked.go(f"/patients/{shown['code']}", done=done)


def _unchanged(asked: Asked, name: str, now_is: str) -> None:
    """Refuse a change to something that is not any more what the form began with: somebody else was there."""
    if asked.typed(f"was-{name}") not in ("", now_is):
        raise ConflictError


async def _move(asked: Asked, shown: Shown) -> Response:
    found: Record = shown["record"]
    phase, start = needed(asked, "phase"), day_in(asked, "start")
    if phase not in found.phase_starts:
        raise UnknownCodeError(phase)
    if found.phase_starts[phase] != start:
        _unchanged(asked, phase, found.phase_starts[phase].isoformat())
        await move_phase(
            asked.db,
            code=shown["code"],
            phase=phase,
            start=start,
            actor=asked.actor,
            reason=needed(asked, "reason"),
            now=asked.now,
        )
    return _back(asked, shown, "moved")


async def _living(asked: Asked) -> Shown:
    """The patient, and the zones there are to live in."""
    return {**await _patient(asked), "zones": zones_of(await list_sites(asked.db))}


async def _times(asked: Asked, shown: Shown) -> Response:
    """Zone and times of day; only what differs is changed."""
    found: Record = shown["record"]
    patient_id, actor, now = found.patient.id, asked.actor, asked.now
    zone = needed(asked, "zone")
    if zone != found.zone:
        _unchanged(asked, "zone", found.zone)
        await choose_zone(asked.db, patient_id=patient_id, zone=zone, actor=actor, now=now)
    for item in found.protocol.movable_items():
        before = found.chosen_times.get(item)
        if asked.typed(f"time-{item}") and (at := wall_in(asked, f"time-{item}")) != before:
            _unchanged(asked, f"time-{item}", format_wall(before) if before else "-")
            await choose_time(asked.db, patient_id=patient_id, item=item, at=at, actor=actor, now=now)
    return _back(asked, shown, "times")


def _status(status: PatientStatus) -> Form:
    """The form that moves a patient to a status."""

    async def do(asked: Asked, shown: Shown) -> Response:
        await change_status(
            asked.db,
            patient_id=shown["record"].patient.id,
            status=status,
            actor=asked.actor,
            reason=needed(asked, "reason"),
            now=asked.now,
        )
        return _back(asked, shown, name)

    name = _STATUS_ACTS[status]
    right = Act.WITHDRAW if status is PatientStatus.WITHDRAWN else Act.CHANGE_STATUS
    return Form(f"{_AT}/{name}", right, "act_reason.html", _with_act(name), do)


_STATUS_ACTS: Final = {
    PatientStatus.PAUSED: "pause",
    PatientStatus.ACTIVE: "resume",
    PatientStatus.WITHDRAWN: "withdraw",
}


async def _stop_use(asked: Asked, shown: Shown) -> Response:
    reason = needed(asked, "reason")
    await stop_use(asked.db, code=shown["code"], actor=asked.actor, reason=reason, now=asked.now)
    return _back(asked, shown, "stop-use")


async def _erase(asked: Asked, shown: Shown) -> Response:
    """Forget who somebody is; the code must be typed, since there is no way back."""
    if needed(asked, "surely") != shown["code"]:
        raise NotUnderstoodError("problem.surely")
    reason = needed(asked, "reason")
    await erase_patient(asked.db, code=shown["code"], actor=asked.actor, reason=reason, now=asked.now)
    return _back(asked, shown, "erase")


def _with_act(name: str) -> Callable[[Asked], Awaitable[Shown]]:
    """The patient, and which act it is, for the form that only asks why."""

    async def shown(asked: Asked) -> Shown:
        return {**await _patient(asked), "act": name}

    return shown


async def _slot(asked: Asked) -> Shown:
    """The patient and one of their slots; another's is as unknown as none."""
    shown = await _patient(asked)
    number = asked.request.path_params["slot"]
    line = next((line for line in shown["record"].lines if line.slot.id == number), None)
    if line is None:
        raise UnknownCodeError("There is no such slot.")
    item = shown["record"].protocol.item(line.slot.phase, line.slot.item)
    return {**shown, "line": line, "item": item, "sources": SOURCES}


def _answer_in(asked: Asked, slot: Slot) -> Answer:
    """The answer that was chosen: a score, taken, or not taken with a reason."""
    given = needed(asked, "answer")
    if slot.kind == "rating":
        if not given.isascii() or not given.isdigit():
            raise NotUnderstoodError("problem.answer")
        return scored(int(given))
    if given == "taken":
        return TAKEN
    if given != "not-taken":
        raise NotUnderstoodError("problem.answer")
    return not_taken(asked.typed("skip_reason") or None)


def _said_at(asked: Asked, zone: str) -> datetime | None:
    """When the patient says it was, on the patient's wall; None where that was not asked."""
    text = asked.typed("said_at")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone_of(zone)).astimezone(UTC)
    except ValueError:
        raise NotUnderstoodError("problem.day") from None


async def _enter(asked: Asked, shown: Shown) -> Response:
    line: Line = shown["line"]
    source = needed(asked, "source")
    if source not in SOURCES:
        raise NotUnderstoodError("needed.source")
    done = await enter_answer(
        asked.db,
        code=shown["code"],
        slot_id=line.slot.id,
        answer=_answer_in(asked, line.slot),
        source=source,
        said_at=_said_at(asked, line.slot.zone),
        actor=asked.actor,
        now=asked.now,
    )
    _refused(asked.words, done)
    return _back(asked, shown, "entered")


def _refused(words: Words, done: Recorded) -> None:
    """Say why an answer was not recorded; the same one again is no fault."""
    if done.verdict is Verdict.DIFFERENT:
        raise MeanwhileError("problem.answered")
    if done.verdict not in (Verdict.RECORDED, Verdict.ALREADY):
        raise WrongCallError(words(f"verdict.{done.verdict}"))


async def _correct(asked: Asked, shown: Shown) -> Response:
    line: Line = shown["line"]
    seen = needed(asked, "entry")
    if not seen.isdigit():
        raise UnknownCodeError("There is no such entry.")
    done = await correct_entry(
        asked.db,
        code=shown["code"],
        slot_id=line.slot.id,
        entry_id=int(seen),
        answer=_answer_in(asked, line.slot),
        reason=needed(asked, "reason"),
        actor=asked.actor,
        now=asked.now,
    )
    _refused(asked.words, done)
    return _back(asked, shown, "corrected")


FORMS: Final = (
    Form(f"{_AT}/move", Act.MOVE_PHASE, "act_move.html", _patient, _move),
    Form(f"{_AT}/times", Act.CHANGE_TIMES, "act_times.html", _living, _times),
    *(_status(status) for status in _STATUS_ACTS),
    Form(f"{_AT}/stop-use", Act.WITHDRAW, "act_reason.html", _with_act("stop-use"), _stop_use),
    Form(f"{_AT}/erase", Act.ERASE, "act_reason.html", _with_act("erase"), _erase),
    Form(f"{_AT}/slots/{{slot:int}}/enter", Act.ENTER_ANSWER, "act_enter.html", _slot, _enter),
    Form(f"{_AT}/slots/{{slot:int}}/correct", Act.CORRECT_ANSWER, "act_correct.html", _slot, _correct),
)
PAGES: Final[tuple[Page, ...]] = tuple(form.page() for form in FORMS)
