"""Answering, as a virtual patient does it: at once, late, twice, in words, with nonsense before it, or not."""

from functools import partial
from typing import TYPE_CHECKING, Final

from bot.words import words_in
from rehearsal.chats import Message
from rehearsal.simulation import words
from rehearsal.simulation.book import Saying
from rehearsal.simulation.screen import Button, buttons_of

if TYPE_CHECKING:
    from rehearsal.simulation.patient import VirtualPatient

# Of questions and answers: how often one is put off, changed at once, or has a note added to it.
_PUTS_OFF, _CHANGES, _ADDS_NOTE = 0.03, 0.02, 0.02
_SAYS_IT_AFTER_NONSENSE, _ANOTHER_DOSE, _GIVES_A_REASON = 0.8, 0.85, 0.8
_TAKEN: Final = Saying("taken")


def asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """A question: notice it or not; who has one answer on its way needs no second."""
    slot_id = buttons[0].number(0)
    habits, first = patient.who.temperament, slot_id not in patient.noticed
    patient.questions[slot_id] = message.id
    if patient.noticed.get(slot_id) or slot_id in patient.pages.acknowledged:
        return
    silent = patient.silent_from is not None and patient.day >= patient.silent_from
    notices = patient.draws.random() < (0.0 if silent else habits.notices if first else habits.on_reminder)
    patient.noticed[slot_id] = notices
    later = next((button for button in buttons if button.act == "l"), None)
    if notices and later is not None and patient.draws.random() < _PUTS_OFF:
        patient.noticed[slot_id] = False
        patient.soon(message, later, (10, 120))
    elif notices:
        least, most = habits.minutes
        patient.later((60 * least, 60 * most), partial(_answer, patient, slot_id), awake=True)


def several_open(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """A list of what is open, of `/today` or after a break: begin with the first that has no answer on its way."""
    for button in buttons:
        slot_id = button.number(0)
        if not patient.noticed.get(slot_id) and slot_id not in patient.pages.acknowledged:
            patient.noticed.pop(slot_id, None)
            patient.soon(message, button, (5, 60))
            return


async def _answer(patient: "VirtualPatient", slot_id: int, *, plainly: bool = False) -> None:
    message = patient.person.chat(patient.stage.account).messages[patient.questions[slot_id]]
    buttons = {button.act: button for button in buttons_of(message)}
    if not patient.stage.up:
        patient.noticed[slot_id] = False  # no answer will come: whoever is asked again answers again
    if slot_id in patient.pages.acknowledged or not {"s", "t"} & set(buttons) or patient.has_blocked:
        patient.noticed[slot_id] = False
    elif "s" in buttons:
        await _rate(patient, slot_id, message, plainly=plainly)
    else:
        await _say_whether_taken(patient, slot_id, message, buttons)


async def _rate(patient: "VirtualPatient", slot_id: int, message: Message, *, plainly: bool) -> None:
    habits, scale, draws = patient.who.temperament, patient.protocol.trial.nrs, patient.draws
    score = patient.body.rating(patient.day, scale)
    if not plainly and draws.random() < habits.nonsense:
        await _talk_nonsense(patient, slot_id)
    elif draws.random() < habits.types:
        text = words.spelled(score, draws.choice(words.SPELLINGS), scale.max)
        await patient.type(text, saying=Saying("score", score))
    else:
        button = next(one for one in buttons_of(message) if one.act == "s" and one.number(1) == score)
        await patient.tap(message.id, button.data, saying=(slot_id, Saying("score", score)))


async def _talk_nonsense(patient: "VirtualPatient", slot_id: int) -> None:
    for piece in words.pieces(patient.draws.choice(words.NONSENSE)):
        await patient.type(piece, kept=True)
    if patient.draws.random() < _SAYS_IT_AFTER_NONSENSE:
        patient.later((30, 300), partial(_answer, patient, slot_id, plainly=True))
    else:
        patient.noticed[slot_id] = False


async def _say_whether_taken(
    patient: "VirtualPatient", slot_id: int, message: Message, buttons: dict[str, Button]
) -> None:
    habits, draws = patient.who.temperament, patient.draws
    item = (await patient.slot(slot_id)).item
    takes, fibs = draws.random() < habits.takes, draws.random() < habits.fibs
    patient.told[item] += 1
    patient.taken[item] += takes
    if not takes and not fibs:
        await patient.tap(message.id, buttons["n"].data, saying=(slot_id, Saying("not-taken")))
    elif draws.random() < habits.types / 4:
        await patient.type(words_in(patient.language)("button.taken"), saying=_TAKEN)
    else:
        await patient.tap(message.id, buttons["t"].data, saying=(slot_id, _TAKEN))


def reason_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Say why a dose was not taken, or rather not."""
    reasons = [button for button in buttons if button.act == buttons[0].act]
    gives = patient.draws.random() < _GIVES_A_REASON
    button = patient.draws.choice(reasons[:-1]) if gives and len(reasons) > 1 else reasons[-1]
    saying = Saying("not-taken", reason_place=None if button.arguments[1] == "-" else button.number(1))
    # For a change the reason of the change comes next, and only then it is said.
    patient.soon(message, button, saying=(button.number(0), saying) if button.act == "r" else None)


def same_dose_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Two doses soon after one another: mostly there were two."""
    same, another = buttons
    if patient.draws.random() < _ANOTHER_DOSE:
        patient.soon(message, another, saying=(another.number(0), _TAKEN))
    else:
        patient.noticed[same.number(0)] = True  # it counts once, so this one has no answer
        patient.soon(message, same)


def receipt_or_list(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """A receipt: now and then a second thought. A list of answers: change the newest."""
    if buttons[-1].act != "a":
        patient.soon(message, buttons[0], (5, 60))
        return
    second_thought = patient.draws.random()
    if second_thought < _CHANGES:
        patient.soon(message, buttons[0], (5, 90))
    elif second_thought < _CHANGES + _ADDS_NOTE:
        patient.later((5, 60), partial(_add_note, patient, message.id, buttons[-1].data))


async def _add_note(patient: "VirtualPatient", message_id: int, data: str) -> None:
    await patient.tap(message_id, data)
    text = patient.draws.choice(words.NOTES[patient.language])
    patient.later((20, 90), partial(patient.type, text, kept=True))


def change_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Choose another answer, or leave it."""
    leave = next(button for button in buttons if button.act == "x")
    others = [button for button in buttons if button is not leave]
    patient.soon(message, leave if patient.draws.random() < 0.1 else patient.draws.choice(others))  # noqa: PLR2004


def change_reason_asked(patient: "VirtualPatient", message: Message, buttons: list[Button]) -> None:
    """Say why an answer is changed, by a button or in words."""
    button = patient.draws.choice([one for one in buttons if one.act == "e"])
    slot_id, value, why = button.number(0), button.arguments[1], button.arguments[2]
    if why == "other":
        patient.later((5, 40), partial(_change_in_words, patient, message.id, button.data, _meant(value)))
    else:
        patient.soon(message, button, saying=(slot_id, _meant(value)))


async def _change_in_words(patient: "VirtualPatient", message_id: int, data: str, meant: Saying) -> None:
    await patient.tap(message_id, data)
    if patient.stage.up:
        patient.later((20, 90), partial(patient.type, words.REASONS[patient.language], saying=meant))


def _meant(value: str) -> Saying:
    if value == "t":
        return _TAKEN
    if value.startswith("n"):
        return Saying("not-taken", reason_place=None if value == "n-" else int(value[1:]))
    return Saying("score", int(value))
