"""What a patient may look at: today's slots, the history as a picture, the answers that may still be changed."""

from dataclasses import replace
from typing import Final

from bot.answering import screens_for
from bot.screens import Asked
from bot.turn import Screen, Turn
from bot.words import Words, words_in
from diary import Patient, SlotState
from protocol.calendar import zone_of
from reports import patient as questions
from reports.history import history_picture

HISTORY_DAYS: Final = 28
_MOST_CHANGES: Final = 8
_LINES: Final = {
    SlotState.OPEN: "open",
    SlotState.COMING: "coming",
    SlotState.ON_TIME: "answered",
    SlotState.LATE: "answered",
    SlotState.MISSED: "missed",
    SlotState.EXCUSED: "excused",
}


async def today(turn: Turn, patient: Patient, _rest: str) -> None:
    """Answer /today: each slot with its state, and a button for each that is open."""
    words = words_in(patient.language)
    lines = await questions.today(turn.db, patient.id, turn.now)
    text, rows = [], []
    for line in lines:
        screens = await screens_for(turn, patient, line.slot.protocol_id)
        name = screens.name(Asked.of(line.slot))
        state = SlotState(line.slot.state)
        if state in _LINES:
            answer = screens.answer(line.entry) if line.entry else ""
            text.append(words(f"today.line.{_LINES[state]}", slot=name, answer=answer))
        if state is SlotState.OPEN:
            rows.append(((words("today.answer", slot=name), turn.data("o", line.slot.id)),))
    local = turn.now.astimezone(zone_of(lines[0].slot.zone)) if lines else turn.now
    title = words("today.title", date=words.date(local.date()))
    await turn.say(Screen("\n".join([title, *(text or [words("today.nothing")])]), tuple(rows)))


async def history(turn: Turn, patient: Patient, _rest: str) -> None:
    """Answer /history with a picture of the patient's own ratings and doses."""
    words = words_in(patient.language)
    past = await questions.history(turn.db, patient.id, turn.now, HISTORY_DAYS)
    if not past.lines:
        await turn.say(Screen(words("history.empty")))
        return
    await send_history(turn, words, past)


async def send_history(turn: Turn, words: Words, past: questions.History) -> None:
    """Send a patient's ratings and doses as a picture, to the patient or to who cares for them."""
    await turn.send_picture(
        lambda: history_picture(past, words.language),
        name="history",
        caption=words("history.caption", days=HISTORY_DAYS),
    )


async def ask_change(turn: Turn, patient: Patient, _rest: str) -> None:
    """Answer /change: the recent answers, each a button."""
    words = words_in(patient.language)
    lines = await questions.last_answers(turn.db, patient.id, turn.now)
    rows = []
    for line in lines[:_MOST_CHANGES]:
        if line.entry is None:
            continue
        screens = await screens_for(turn, patient, line.slot.protocol_id)
        answer = screens.answer(replace(line.entry, skip_reason=None))  # a button has room for one line
        label = f"{answer} · {screens.name(Asked.of(line.slot))}"
        rows.append(((label, turn.data("c", line.slot.id)),))
    if rows:
        await turn.say(Screen(words("change.which"), tuple(rows)))
    else:
        await turn.say(Screen(words("change.none")))
