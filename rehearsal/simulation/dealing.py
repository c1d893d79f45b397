"""Joining, settings, offers, pausing and leaving, as a virtual patient deals with them."""

from functools import partial
from typing import TYPE_CHECKING, Final

from bot.zones import offset_minutes
from rehearsal.chats import Message
from rehearsal.simulation.screen import Button
from rehearsal.simulation.temperament import Kind

if TYPE_CHECKING:
    from rehearsal.simulation.patient import VirtualPatient

_HESITATES_DAYS: Final = (1, 5)
_PAUSED_DAYS: Final = (2, 9)
_COMES_BACK: Final = 0.5


def language_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Choose the language one speaks."""
    patient.soon(message, next(button for button in buttons if button.arguments[0] == patient.language))


def consent_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Read what is kept, and agree; or not now, and perhaps later."""
    agrees, not_now = buttons
    if patient.who.temperament.hesitates and not patient.has_hesitated:
        patient.has_hesitated = True
        patient.soon(message, not_now, (60, 300))
        if patient.draws.random() < _COMES_BACK:
            patient.in_days(patient.draws.randint(*_HESITATES_DAYS), partial(patient.start, None))
    else:
        patient.later((60, 240), partial(_agree, patient, message.id, agrees.data))


async def _agree(patient: "VirtualPatient", message_id: int, data: str) -> None:
    patient.agree()
    await patient.tap(message_id, data)


def zone_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Say whether that is the time here."""
    here, elsewhere = buttons
    patient.soon(message, here if patient.going_to == patient.zone else elsewhere)


def clock_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Choose what the clock on the wall shows."""
    wanted = offset_minutes(patient.going_to, patient.now)
    clocks = [button for button in buttons if button.act == "zo"]
    patient.soon(message, min(clocks, key=lambda button: abs(button.number(1) - wanted)))


def place_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Choose the place, or one with the same clock."""
    places = {".".join(button.arguments[1:]): button for button in buttons if button.act == "zc"}
    place = patient.going_to if patient.going_to in places else next(iter(places))
    patient.later((5, 30), partial(_arrive, patient, message.id, places[place].data, place))


async def _arrive(patient: "VirtualPatient", message_id: int, data: str, place: str) -> None:
    if patient.stage.up:
        patient.zone = patient.going_to = place
        await patient.tap(message_id, data)


def settings_shown(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Go for the zone, or for a time of day where one may be moved."""
    act = "wz" if patient.wants in (Kind.TRAVEL, Kind.RETURN) else "wt"
    patient.soon(message, next((button for button in buttons if button.act == act), buttons[-1]))


def time_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Choose the evening's time."""
    place = patient.draws.randrange(len(buttons)) if patient.wants is Kind.TIME else patient.who.evening
    patient.soon(message, buttons[place % len(buttons)])


def note_offered(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Say what is to become of a text that was not understood; some say nothing."""
    if patient.draws.random() < 0.9:  # noqa: PLR2004 - most do
        patient.soon(message, buttons[patient.draws.choices((0, 1, 2), (5, 1, 4))[0]])


def status_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Mean it: pause, or leave."""
    if buttons[0].act == "q":
        patient.later((5, 60), partial(_leave, patient, message.id, buttons[0].data))
    else:
        patient.soon(message, buttons[0])


async def _leave(patient: "VirtualPatient", message_id: int, data: str) -> None:
    await patient.tap(message_id, data)
    if patient.stage.up:
        patient.pages.left_at = patient.now


def paused(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Start again after some days."""
    patient.in_days(patient.draws.randint(*_PAUSED_DAYS), partial(patient.tap, message.id, buttons[0].data))
