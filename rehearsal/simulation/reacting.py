"""What a virtual patient does about a screen, told by what its first button would do."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from rehearsal.chats import Message
from rehearsal.simulation import answering, dealing
from rehearsal.simulation.screen import Button

if TYPE_CHECKING:
    from rehearsal.simulation.patient import VirtualPatient

Reaction: TypeAlias = Callable[["VirtualPatient", Message, list[Button]], None]

# By the letters of bot/patient.py; a person reads the words instead.
_REACTIONS: Final[Mapping[str, Reaction]] = {
    "g": dealing.language_asked,
    "G": dealing.language_asked,
    "ok": dealing.consent_asked,
    "z": dealing.zone_asked,
    "zo": dealing.clock_asked,
    "zc": dealing.place_asked,
    "wt": dealing.settings_shown,
    "wz": dealing.settings_shown,
    "w": dealing.time_asked,
    "p": dealing.note_offered,
    "u": dealing.status_asked,
    "q": dealing.status_asked,
    "v": dealing.paused,
    "s": answering.asked,
    "t": answering.asked,
    "o": answering.several_open,
    "r": answering.reason_asked,
    "dr": answering.reason_asked,
    "k": answering.same_dose_asked,
    "c": answering.receipt_or_list,
    "d": answering.change_asked,
    "dt": answering.change_asked,
    "e": answering.change_reason_asked,
}


def react(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Do what this patient does about a screen with these buttons; about a plain one there is nothing to do."""
    if buttons and (reaction := _REACTIONS.get(buttons[0].act)) is not None:
        reaction(patient, message, buttons)
