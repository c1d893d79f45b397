"""What virtual patients do by themselves: notes, side effects, journeys, pauses, blocking, leaving."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

from bot.zones import offset_minutes
from rehearsal.simulation import transcript as t
from rehearsal.simulation import words
from rehearsal.simulation.patient import VirtualPatient
from rehearsal.simulation.temperament import Kind

Doing: TypeAlias = Callable[[VirtualPatient], Awaitable[None]]

_ABROAD: Final = ("Europe/Berlin", "America/New_York", "Asia/Dubai", "Asia/Kolkata", "Europe/London")
_BLOCKED_DAYS: Final = (4, 25)
_LETS_IN_AGAIN: Final = 0.5


def plan_errands(patient: VirtualPatient) -> None:
    """Put everything on the agenda, at some hour of its day."""
    for errand in patient.who.errands:
        at = patient.some_hour(patient.who.start + timedelta(days=errand.day))
        patient.stage.agenda.put(at, partial(_run, patient, errand.kind))


async def _run(patient: VirtualPatient, kind: Kind) -> None:
    """Whoever does not take part, or has shut the bot out, does nothing any more."""
    if patient.takes_part and patient.pages.left_at is None and not patient.has_blocked:
        await _DOINGS[kind](patient)


async def _note(patient: VirtualPatient) -> None:
    await _write(patient, "/note", patient.draws.choice(words.NOTES[patient.language]))


async def _side_effect(patient: VirtualPatient) -> None:
    await _write(patient, "/sideeffect", patient.draws.choice(words.SIDE_EFFECTS[patient.language]))


async def _write(patient: VirtualPatient, command: str, text: str) -> None:
    """In one message, or the command first and the words when they are asked for."""
    if patient.draws.random() < 0.5:  # noqa: PLR2004 - as many as not
        await patient.type(f"{command} {text}", kept=True)
    else:
        await patient.type(command)
        patient.later((20, 90), partial(patient.type, text, kept=True))


async def _language(patient: VirtualPatient) -> None:
    spoken = [language for language in patient.protocol.trial.languages if language in words.NOTES]
    patient.language = next((one for one in spoken if one != patient.language), patient.language)
    await patient.type("/language")


async def _time(patient: VirtualPatient) -> None:
    patient.wants = Kind.TIME
    await patient.type("/time")


async def _travel(patient: VirtualPatient) -> None:
    """Go where the clock shows another time."""
    here = offset_minutes(patient.zone, patient.now)
    places = [zone for zone in _ABROAD if offset_minutes(zone, patient.now) != here]
    patient.wants, patient.going_to = Kind.TRAVEL, patient.draws.choice(places)
    await patient.type("/time")


async def _return(patient: VirtualPatient) -> None:
    patient.wants, patient.going_to = Kind.RETURN, patient.who.home
    await patient.type("/time")


async def _picture(patient: VirtualPatient) -> None:
    caption = words.CAPTION[patient.language] if patient.draws.random() < 0.5 else ""  # noqa: PLR2004
    patient.stage.says(patient, t.PICTURE, caption)
    patient.person.send_photo(caption=caption, bot=patient.stage.account)
    await patient.stage.settle()


async def _block(patient: VirtualPatient) -> None:
    patient.block()
    await patient.stage.settle()
    if patient.draws.random() < _LETS_IN_AGAIN:
        patient.in_days(patient.draws.randint(*_BLOCKED_DAYS), partial(_unblock, patient))


async def _unblock(patient: VirtualPatient) -> None:
    patient.unblock()
    await patient.stage.settle()


def _typing(command: str) -> Doing:
    async def do(patient: VirtualPatient) -> None:
        await patient.type(command)

    return do


_DOINGS: Final[Mapping[Kind, Doing]] = {
    Kind.NOTE: _note,
    Kind.SIDE_EFFECT: _side_effect,
    Kind.CHANGE: _typing("/change"),
    Kind.PAUSE: _typing("/pause"),
    Kind.LANGUAGE: _language,
    Kind.TIME: _time,
    Kind.TODAY: _typing("/today"),
    Kind.HELP: _typing("/help"),
    Kind.PRIVACY: _typing("/privacy"),
    Kind.PICTURE: _picture,
    Kind.TRAVEL: _travel,
    Kind.RETURN: _return,
    Kind.BLOCK: _block,
    Kind.LEAVE: _typing("/stop"),
}
