"""What a patient does in the chat, beside answering: commands, notes, side effects, pause, stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from telegram import Message
from telegram.constants import MessageType
from telegram.helpers import effective_message_type

from bot import answering, joining, looking_back
from bot.buttons import Press
from bot.turn import Screen, Turn
from diary import Actor, Patient, PatientStatus
from diary.enrolment import change_status
from diary.joining import remember
from diary.notes import keep_note, pass_note_on, team_can_be_told
from diary.protocols import protocol_in_use
from protocol.answers import looks_like_a_score
from protocol.errors import NotAllowedError, UnknownCodeError, WrongCallError

PressAct: TypeAlias = Callable[[Turn, Patient, Press], Awaitable[None]]
_LONGEST_REASON: Final = 500
# Tomorrow's "7" is a rating, whatever was announced today.
_AWAITED_FOR: Final = timedelta(hours=1)
_CODE_LENGTHS: Final = range(8, 12)
# Where the Bot API's own word is not what people say.
_IN_WORDS: Final = {"voice": "voice message", "video_note": "video message", "document": "file"}


async def started(turn: Turn) -> None:
    """/start, with an invite's token or without."""
    await joining.start(turn, turn.text.partition(" ")[2].strip())


async def stranger_wrote(turn: Turn) -> None:
    """Somebody unknown wrote: perhaps the short code of an invite, since an open chat gets no new /start."""
    code = turn.text.strip().upper().replace(" ", "").replace("-", "")
    if len(code) in _CODE_LENGTHS and code.isalnum():
        await joining.start(turn, code)
    else:
        await turn.say(Screen(turn.words("start.no-invite")))


async def tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """A button of ours, pressed in this patient's own chat."""
    act = _ACTS.get(press.act)
    if act is None:
        await turn.toast(turn.words("button.stale"), alert=True)
    elif patient.status is PatientStatus.WITHDRAWN:
        await turn.show(await joining.left_screen(turn, patient))
    elif patient.status is PatientStatus.INVITED and press.act not in _BEFORE_JOINING:
        await turn.show(await joining.consent_screen(turn, patient))
    else:
        try:
            await act(turn, patient, press)
        except (UnknownCodeError, NotAllowedError, KeyError, IndexError, ValueError):
            # The button was ours once: its slot is planned away, its version gone, or its owner.
            await turn.toast(turn.words("button.stale"), alert=True)


async def commanded(turn: Turn, patient: Patient, name: str, rest: str) -> None:
    """A command; before joining and after leaving only the ones that fit."""
    command = _COMMANDS.get(name)
    if name in ("help", "privacy") and command is not None:
        await command(turn, patient, rest)
    elif await _kept_out(turn, patient):
        return
    elif command is None:
        await turn.say(Screen(turn.words("command.unknown")))
    else:
        await command(turn, patient, rest)


async def wrote(turn: Turn, patient: Patient) -> None:
    """A plain text: what was asked for in words, a score, or something to offer to the study team."""
    if await _kept_out(turn, patient):
        return
    if not await _taken_as_awaited(turn, patient):
        await _number_or_note(turn, patient)


async def _kept_out(turn: Turn, patient: Patient) -> bool:
    """Answer somebody who does not take part; what they write is not kept, since nobody would be told of it."""
    if patient.status is PatientStatus.INVITED:
        await turn.say(await joining.consent_screen(turn, patient))
    elif patient.status is PatientStatus.WITHDRAWN:
        await turn.say(await joining.left_screen(turn, patient))
    else:
        return False
    return True


async def _taken_as_awaited(turn: Turn, patient: Patient) -> bool:
    """Take a text as what was asked for in words; False where nothing was, or only about what is no more."""
    awaiting = await _still_awaited(turn, patient)
    if awaiting is None or turn.person is None:
        return False
    try:
        await _awaited(turn, patient, awaiting)
    except (UnknownCodeError, WrongCallError, KeyError, IndexError, ValueError):
        awaiting = None  # the slot was planned away
    # Forgotten last: were the reply to fail, a second try would take a side effect for small talk.
    await remember(turn.db, turn.person.contact.id, None)
    return awaiting is not None


async def _still_awaited(turn: Turn, patient: Patient) -> Mapping[str, object] | None:
    """What the next text was announced to be, unless that is long ago or the text plainly answers a question."""
    awaiting = turn.person.contact.awaiting if turn.person else None
    if awaiting is None or turn.now - datetime.fromisoformat(str(awaiting["at"])) > _AWAITED_FOR:
        return None
    if awaiting["for"] == "note" and await answering.answers_an_open_rating(turn, patient):
        return None
    return awaiting


async def _number_or_note(turn: Turn, patient: Patient) -> None:
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    if looks_like_a_score(turn.text):
        await answering.number_written(turn, patient, protocol)
    elif not await answering.dose_written(turn, patient):
        await _offer(turn, patient, "note.offer")


async def _offer(turn: Turn, patient: Patient, key: str) -> None:
    """Keep a text that was not understood, and offer to pass it on."""
    note_id = await _keep(turn, patient, "unread")
    words = turn.words
    rows = (
        ((words("note.pass-on"), turn.data("p", note_id)),),
        ((words("note.is-side-effect"), turn.data("ps", note_id)),),
        ((words("note.leave"), turn.data("px", note_id)),),
    )
    await turn.say(Screen(words(key), rows))


async def _awaited(turn: Turn, patient: Patient, awaiting: Mapping[str, object]) -> None:
    """The text that was asked for: a note, a side effect, or the reason of a change."""
    match awaiting.get("for"):
        case "change-reason":
            reason = turn.text.strip()[:_LONGEST_REASON] or "other"
            slot, value = int(str(awaiting["slot"])), str(awaiting["value"])
            await answering.correct(turn, patient, slot, value, reason)
        case "side-effect":
            await _keep(turn, patient, "side-effect")
            await turn.say(await _passed_on(turn, patient, "side-effect"))
        case _:
            slot_id = awaiting.get("slot")
            await _keep(turn, patient, "note", slot_id=int(str(slot_id)) if slot_id is not None else None)
            await turn.say(await _passed_on(turn, patient, "note"))


async def _keep(turn: Turn, patient: Patient, kind: str, *, text: str = "", slot_id: int | None = None) -> int:
    kept = await keep_note(
        turn.db,
        patient_id=patient.id,
        kind=kind,
        text=text or _to_keep(turn.message, turn.text),
        arrival=turn.arrival,
        key=turn.key,
        slot_id=slot_id,
        now=turn.now,
    )
    return kept.note_id


async def _passed_on(turn: Turn, patient: Patient, kind: str) -> Screen:
    """The receipt for what goes to the study team; where nobody there has a chat yet, it does not say they know."""
    if not await team_can_be_told(turn.db, patient_id=patient.id):
        return await _with_emergency(turn, patient, "note.nobody-told")
    if kind == "side-effect":
        return await _with_emergency(turn, patient, "side-effect.kept")
    return Screen(turn.words("note.kept"))


async def _with_emergency(turn: Turn, patient: Patient, key: str) -> Screen:
    return Screen("\n\n".join([turn.words(key), await joining.emergency(turn, patient)]))


def _to_keep(message: Message | None, words: str) -> str:
    """What is kept of a message: the words, behind what a reader must know of them and what came with them."""
    kind = effective_message_type(message) if message else None
    marks = [] if kind in (None, MessageType.TEXT) else [_IN_WORDS.get(kind, kind.replace("_", " "))]
    if message and message.forward_origin:
        marks.insert(0, "forwarded")
    return " ".join([*(f"[{mark}]" for mark in marks), words]).strip()


async def edited(turn: Turn) -> None:
    """A message was edited: a wish to change what it said, never a silent change."""
    patient = turn.person.patient if turn.person else None
    if patient is None or not turn.text or await _kept_out(turn, patient):
        return  # without words it is somebody on the way, whose place Telegram tells again and again
    if turn.message and turn.message.text:
        await _number_or_note(turn, patient)
    else:
        await _offer(turn, patient, "not-text.offer")


async def second_hand(turn: Turn) -> None:
    """A forwarded message is somebody else's word, or an old one: kept, never taken as an answer."""
    patient = turn.person.patient if turn.person else None
    if patient is not None and await _kept_out(turn, patient):
        return
    if patient is not None and turn.text:
        await _keep(turn, patient, "unread")
    await turn.say(Screen(turn.words("not-text.forwarded")))


async def not_text(turn: Turn) -> None:
    """A photo, a voice, a place: said kindly that only words and buttons are understood."""
    patient = turn.person.patient if turn.person else None
    if patient is None:
        await turn.say(Screen(turn.words("not-text.other")))
    elif await _kept_out(turn, patient):
        return
    elif turn.text:
        await _caption_written(turn, patient)
    else:
        await _keep(turn, patient, "unread")
        await turn.say(Screen(turn.words("not-text.other")))


async def _caption_written(turn: Turn, patient: Patient) -> None:
    """The words under a picture are the patient's own; a number among them may be about the picture."""
    if await _still_awaited(turn, patient):
        await turn.say(Screen(turn.words("not-text.words-kept")))
    if not await _taken_as_awaited(turn, patient):
        await _offer(turn, patient, "not-text.offer")


async def _note_asked(turn: Turn, patient: Patient, rest: str) -> None:
    await _text_asked(turn, patient, rest, kind="note")


async def _side_effect_asked(turn: Turn, patient: Patient, rest: str) -> None:
    await _text_asked(turn, patient, rest, kind="side-effect")


async def _text_asked(turn: Turn, patient: Patient, rest: str, *, kind: str) -> None:
    """Take the text that came with the command, or ask for it."""
    if rest:
        await _keep(turn, patient, kind, text=rest)
        await turn.say(await _passed_on(turn, patient, kind))
    elif turn.person is not None:
        await remember(turn.db, turn.person.contact.id, {"for": kind, "at": turn.now.isoformat()})
        await turn.say(Screen(turn.words(f"{kind}.ask")))


async def _note_tapped(turn: Turn, _patient: Patient, press: Press) -> None:
    """*Add a note* under a receipt; the receipt stays as it is."""
    if turn.person is not None:
        awaiting: dict[str, object] = {"for": "note", "at": turn.now.isoformat(), "slot": press.number(0)}
        await remember(turn.db, turn.person.contact.id, awaiting)
    await asyncio.gather(turn.toast(), turn.say(Screen(turn.words("note.ask"))))


async def _pass_on_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    as_side_effect = press.act == "ps"
    await pass_note_on(
        turn.db, patient_id=patient.id, note_id=press.number(0), side_effect=as_side_effect, now=turn.now
    )
    await turn.show(await _passed_on(turn, patient, "side-effect" if as_side_effect else "note"))


async def _left_tapped(turn: Turn, _patient: Patient, _press: Press) -> None:
    await turn.show(Screen(turn.words("note.left")))


async def _pause_asked(turn: Turn, patient: Patient, _rest: str) -> None:
    words = turn.words
    if patient.status is PatientStatus.PAUSED:
        await turn.say(Screen(words("status.paused"), (((words("button.resume"), turn.data("v")),),)))
        return
    rows = (((words("pause.yes"), turn.data("u")), (words("button.no"), turn.data("ux"))),)
    await turn.say(Screen(words("pause.ask"), rows))


async def _stop_asked(turn: Turn, _patient: Patient, _rest: str) -> None:
    words = turn.words
    rows = (
        ((words("stop.yes"), turn.data("q")),),
        ((words("stop.pause"), turn.data("u")),),
        ((words("button.no"), turn.data("ux")),),
    )
    await turn.say(Screen(words("stop.ask"), rows))


async def _status_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    status, said = {
        "u": (PatientStatus.PAUSED, "pause.done"),
        "v": (PatientStatus.ACTIVE, "pause.resumed"),
        "q": (PatientStatus.WITHDRAWN, "stop.done"),
    }[press.act]
    actor = Actor("patient", patient.id)
    await change_status(
        turn.db, patient_id=patient.id, status=status, actor=actor, reason="asked for in the chat", now=turn.now
    )
    lines = [turn.words(said)]
    if press.act == "v":
        lines.append(await joining.next_reminder(turn, patient))
    rows = (((turn.words("button.resume"), turn.data("v")),),) if press.act == "u" else ()
    await turn.show(Screen("\n".join(lines), rows))


async def _nothing_changed(turn: Turn, _patient: Patient, _press: Press) -> None:
    await turn.show(Screen(turn.words("nothing-changed")))


async def _help(turn: Turn, patient: Patient, _rest: str) -> None:
    await turn.say(await _with_emergency(turn, patient, "help"))


async def _privacy(turn: Turn, patient: Patient, _rest: str) -> None:
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    await turn.say(Screen(protocol.trial.privacy.in_language(patient.language)))


async def _language(turn: Turn, patient: Patient, _rest: str) -> None:
    await joining.ask_language(turn, patient)


async def _settings(turn: Turn, patient: Patient, _rest: str) -> None:
    await joining.ask_settings(turn, patient)


_COMMANDS: Final[Mapping[str, Callable[[Turn, Patient, str], Awaitable[None]]]] = {
    "today": looking_back.today,
    "history": looking_back.history,
    "change": looking_back.ask_change,
    "note": _note_asked,
    "sideeffect": _side_effect_asked,
    "time": _settings,
    "language": _language,
    "pause": _pause_asked,
    "resume": _pause_asked,
    "stop": _stop_asked,
    "privacy": _privacy,
    "help": _help,
}

_BEFORE_JOINING: Final = frozenset({"g", "ok", "no"})

# One letter or two for each act: callback data has 64 bytes in all.
_ACTS: Final[Mapping[str, PressAct]] = {
    "g": joining.language_chosen,
    "G": joining.language_chosen,
    "ok": joining.consent_given,
    "no": joining.consent_withheld,
    "z": joining.zone_confirmed,
    "zn": joining.zone_denied,
    "zo": joining.offset_chosen,
    "zc": joining.place_chosen,
    "wz": joining.zone_asked,
    "wt": joining.time_asked,
    "w": joining.time_chosen,
    "s": answering.score_tapped,
    "t": answering.taken_tapped,
    "n": answering.not_taken_tapped,
    "r": answering.skip_reason_tapped,
    "y": answering.another_dose_tapped,
    "k": answering.same_dose_tapped,
    "l": answering.later_tapped,
    "o": answering.question_tapped,
    "c": answering.change_tapped,
    "d": answering.new_value_tapped,
    "dt": answering.new_value_tapped,
    "dn": answering.new_value_tapped,
    "dr": answering.new_value_tapped,
    "e": answering.change_reason_tapped,
    "x": answering.leave_tapped,
    "a": _note_tapped,
    "p": _pass_on_tapped,
    "ps": _pass_on_tapped,
    "px": _left_tapped,
    "u": _status_tapped,
    "v": _status_tapped,
    "q": _status_tapped,
    "ux": _nothing_changed,
}
