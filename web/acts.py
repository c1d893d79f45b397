"""What staff do about a patient: each act a form of its own, with the reason it takes and the verb it calls."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time
from typing import Final

from starlette.responses import Response

from diary import PatientStatus, Slot
from diary.answers import TAKEN, Answer, Recorded, Verdict, correct_entry, enter_answer, not_taken, scored
from diary.enrolment import change_status, check_still_in, erase_patient, move_effect, move_phase, stop_use
from diary.joining import ZoneAndTimes, choose_zone_and_times
from diary.roles import Act
from diary.team import sites_of
from protocol.calendar import zone_of
from protocol.errors import UnknownCodeError
from reports.record import Line, Record, record
from web.asked import Asked
from web.forms import Form, Shown, ask_first, day_in, id_in, needed, strange_day, wall_in
from web.numbers import number_of
from web.pages import Page
from web.refusals import MeanwhileError, NotUnderstoodError
from web.words import day
from web.zones import zones_of

SOURCES: Final = ("phone", "paper", "visit")
_AT: Final = "/patients/{code}"


async def _patient(asked: Asked) -> Shown:
    """The patient of the address, with everything that is known."""
    found = await record(asked.db, asked.request.path_params["code"], asked.scope, asked.now)
    return {"record": found, "code": found.patient.code, "languages_of_trial": found.protocol.trial.languages}


def _back(asked: Asked, shown: Shown, done: str) -> Response:
    return asked.go(f"/patients/{shown['code']}", done=done)


async def _inside(asked: Asked) -> Shown:
    """The patient, for what makes sense only while they take part."""
    shown = await _patient(asked)
    check_still_in(shown["record"].patient)
    return shown


async def _move(asked: Asked, shown: Shown) -> Response:
    found: Record = shown["record"]
    phase, start, reason = needed(asked, "phase"), day_in(asked, "start"), needed(asked, "reason")
    seen = day_in(asked, was) if asked.typed(was := f"was-{phase}") else found.phase_starts.get(phase)
    # A move that is done already, or that somebody forestalled, has nothing to ask.
    if found.phase_starts.get(phase) == seen != start:
        ask_first(asked, await _effects(asked, found, phase, start), about=f"{phase} {start}")
    await move_phase(
        asked.db,
        code=shown["code"],
        phase=phase,
        start=start,
        actor=asked.actor,
        reason=reason,
        now=asked.now,
        seen=seen,
    )
    return _back(asked, shown, "moved")


async def _effects(asked: Asked, found: Record, phase: str, start: date) -> list[str]:
    """What a move would do to this phase, to those after it, and to how long each is."""
    words = asked.words
    names = {part.id: part.name.in_language(words.language) for part in found.protocol.phase}
    lengths = await move_effect(asked.db, code=found.patient.code, phase=phase, start=start, actor=asked.actor)
    shift, moved = start - found.phase_starts[phase], list(names)[list(names).index(phase) :]
    effects = strange_day(asked, start, zone=found.zone)
    for one in moved:
        held, then = found.phase_starts[one], found.phase_starts[one] + shift
        effects.append(words("sure.begins", phase=names[one], then=day(words, then), before=day(words, held)))
    for length in lengths:
        key = "sure.longer" if length.days_then > length.days_now else "sure.shorter"
        effects.append(words(key, phase=names[length.phase], before=length.days_now, then=length.days_then))
    return effects


async def _living(asked: Asked) -> Shown:
    """The patient, and the zones there are to live in."""
    return {**await _inside(asked), "zones": zones_of(await sites_of(asked.db, asked.scope))}


async def _times(asked: Asked, shown: Shown) -> Response:
    """Zone and times of day; only what differs is changed."""
    found: Record = shown["record"]
    items = [item for item in found.protocol.movable_items() if asked.typed(f"time-{item}")]
    known = [item for item in items if asked.typed(f"was-time-{item}")]
    await choose_zone_and_times(
        asked.db,
        patient_id=found.patient.id,
        wanted=ZoneAndTimes(needed(asked, "zone"), {item: wall_in(asked, f"time-{item}") for item in items}),
        seen=ZoneAndTimes(
            asked.typed("was-zone") or None,
            {item: _wall_or_none(asked, f"was-time-{item}") for item in known},
        ),
        actor=asked.actor,
        now=asked.now,
    )
    return _back(asked, shown, "times")


def _wall_or_none(asked: Asked, name: str) -> time | None:
    """A time of day, or the "-" of the form where none was chosen."""
    return None if asked.typed(name) == "-" else wall_in(asked, name)


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
    return Form(f"{_AT}/{name}", right, "act_reason.html", _with_act(name, inside=name != "withdraw"), do)


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


def _with_act(name: str, *, inside: bool = False) -> Callable[[Asked], Awaitable[Shown]]:
    """The patient, and which act it is, for the form that only asks why."""

    async def shown(asked: Asked) -> Shown:
        return {**await (_inside if inside else _patient)(asked), "act": name}

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
        score = number_of(given, digits=3)
        if score is None:
            raise NotUnderstoodError("problem.answer")
        return scored(score)
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
    except (ValueError, OverflowError):  # the year 1 has no yesterday
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
    _check(done)
    return _back(asked, shown, "entered")


def _check(done: Recorded) -> None:
    """Say why an answer was not recorded; the same one again is no fault."""
    if done.verdict is Verdict.DIFFERENT:
        raise MeanwhileError("problem.answered")
    if done.verdict not in (Verdict.RECORDED, Verdict.ALREADY):
        raise NotUnderstoodError(f"verdict.{done.verdict}")


async def _correct(asked: Asked, shown: Shown) -> Response:
    line: Line = shown["line"]
    done = await correct_entry(
        asked.db,
        code=shown["code"],
        slot_id=line.slot.id,
        entry_id=id_in(asked, "entry"),
        answer=_answer_in(asked, line.slot),
        reason=needed(asked, "reason"),
        actor=asked.actor,
        now=asked.now,
    )
    _check(done)
    return _back(asked, shown, "corrected")


FORMS: Final = (
    Form(f"{_AT}/move", Act.MOVE_PHASE, "act_move.html", _inside, _move),
    Form(f"{_AT}/times", Act.CHANGE_TIMES, "act_times.html", _living, _times),
    *(_status(status) for status in _STATUS_ACTS),
    Form(f"{_AT}/stop-use", Act.WITHDRAW, "act_reason.html", _with_act("stop-use"), _stop_use),
    Form(f"{_AT}/erase", Act.ERASE, "act_reason.html", _with_act("erase"), _erase),
    Form(f"{_AT}/slots/{{slot:id}}/enter", Act.ENTER_ANSWER, "act_enter.html", _slot, _enter),
    Form(f"{_AT}/slots/{{slot:id}}/correct", Act.CORRECT_ANSWER, "act_correct.html", _slot, _correct),
)
PAGES: Final[tuple[Page, ...]] = tuple(form.page() for form in FORMS)
