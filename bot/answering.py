"""Answers about a slot, by tap or by text: record, ask again later, change with a reason."""

from bot.buttons import Press
from bot.screens import Asked, Screens
from bot.turn import Screen, Turn
from bot.words import words_in
from diary import Entry, Patient, Slot
from diary.answers import (
    TAKEN,
    Answer,
    Recorded,
    Verdict,
    answer_later,
    correct_answer,
    look_at,
    next_slot,
    not_taken,
    record_answer,
    scored,
    slot_for_text,
)
from diary.joining import remember
from diary.notes import keep_note
from diary.protocols import protocol_in_use
from protocol.answers import Score, Unclear, read_score
from protocol.model import Protocol


async def screens_for(turn: Turn, patient: Patient, protocol_id: int) -> Screens:
    """The screens of a patient under the protocol version that made a slot."""
    protocol = await protocol_in_use(turn.db, protocol_id)
    return Screens(words_in(patient.language), turn.buttons, turn.chat_id, protocol)


async def _looked_at(turn: Turn, patient: Patient, press: Press) -> tuple[Slot, Entry | None, Screens]:
    slot, held = await look_at(turn.db, patient_id=patient.id, slot_id=press.number(0), now=turn.now)
    return slot, held, await screens_for(turn, patient, slot.protocol_id)


async def score_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """A number under a rating."""
    await _record(turn, patient, press.number(0), scored(press.number(1)))


async def taken_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*Taken* under a dose."""
    await _record(turn, patient, press.number(0), TAKEN)


async def another_dose_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*Another one*: the dose is really a second one."""
    await _record(turn, patient, press.number(0), TAKEN, surely=True)


async def same_dose_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*The same one*: nothing is recorded twice, and the question stays."""
    slot, _, screens = await _looked_at(turn, patient, press)
    await turn.show(screens.question(Asked.of(slot)), toast=screens.words("same-dose.kept"))


async def not_taken_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*Not taken*: ask why where the protocol names reasons, and record then."""
    slot, held, screens = await _looked_at(turn, patient, press)
    if held is None and screens.item(Asked.of(slot)).skip_reasons:
        await turn.show(screens.skip_reasons(Asked.of(slot)))
    else:
        await _record(turn, patient, slot.id, not_taken(None))


async def skip_reason_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """A reason for a dose not taken."""
    slot, _, screens = await _looked_at(turn, patient, press)
    await _record(turn, patient, slot.id, not_taken(_reason_at(screens, slot, press.arguments[1])))


def _reason_at(screens: Screens, slot: Slot, place: str) -> str | None:
    return None if place == "-" else screens.item(Asked.of(slot)).skip_reasons[int(place)]


async def later_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*Later*: ask again in half an hour, where the window lasts so long."""
    slot, held, screens = await _looked_at(turn, patient, press)
    asked, words = Asked.of(slot), screens.words
    again_at = await answer_later(turn.db, patient_id=patient.id, slot_id=slot.id, now=turn.now)
    if held is not None:
        await turn.show(screens.recorded(asked, held))
    elif again_at is None:
        await turn.toast(words("later.too-late"), alert=True)
    else:
        question = screens.question(asked, later=False)
        said = words("later.again", moment=words.moment(again_at, now=turn.now, zone=slot.zone))
        await turn.show(Screen(f"{question.text}\n\n{said}", question.rows), toast=said)


async def question_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """Show a slot's question, from a list or back from a side step."""
    slot, held, screens = await _looked_at(turn, patient, press)
    if held is not None:
        await turn.show(screens.recorded(Asked.of(slot), held))
    else:
        await turn.show(screens.question(Asked.of(slot)))


async def _record(turn: Turn, patient: Patient, slot_id: int, answer: Answer, *, surely: bool = False) -> None:
    done = await record_answer(
        turn.db,
        patient_id=patient.id,
        slot_id=slot_id,
        answer=answer,
        arrival=turn.arrival,
        now=turn.now,
        surely=surely,
    )
    await _show_verdict(turn, patient, done, answer)


async def _show_verdict(turn: Turn, patient: Patient, done: Recorded, answer: Answer) -> None:
    screens = await screens_for(turn, patient, done.slot.protocol_id)
    asked, words = Asked.of(done.slot), screens.words
    match done.verdict, done.entry:
        case Verdict.RECORDED, Entry() as entry:
            receipt = screens.recorded(asked, entry)
            await turn.show(receipt, toast=words("toast.recorded", answer=screens.answer(entry)))
            await turn.disarm(done.asked_in)
        case Verdict.ALREADY, Entry() as entry:
            already = words("toast.already", answer=screens.answer(entry))
            await turn.show(screens.recorded(asked, entry), toast=already)
        case Verdict.DIFFERENT, Entry() as entry:
            if answer.score is not None:
                await turn.show(screens.offer_change(asked, entry, answer.score))
            else:
                await turn.show(screens.change(asked, entry))
        case Verdict.SAME_DOSE, _:
            await turn.show(screens.same_dose(asked))
        case verdict, _:
            await turn.show(await _not_open(turn, patient, done.slot, screens, verdict))


async def _not_open(turn: Turn, patient: Patient, slot: Slot, screens: Screens, verdict: Verdict) -> Screen:
    """Say what is the case with an old or early button, and when the next one is due."""
    words, asked = screens.words, Asked.of(slot)
    lines = [
        words(
            f"not-open.{verdict}",
            slot=screens.name(asked),
            opens=words.moment(slot.opens_at, now=turn.now, zone=slot.zone),
            closed=words.moment(slot.closes_at, now=turn.now, zone=slot.zone),
        )
    ]
    coming = await next_slot(turn.db, patient_id=patient.id, now=turn.now, item=slot.item)
    if coming is not None and verdict is not Verdict.NOT_YET:
        lines.append(words("not-open.next", moment=words.moment(coming.due_at, now=turn.now, zone=coming.zone)))
    return Screen("\n".join(lines))


async def change_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*Change* under a receipt."""
    slot, held, screens = await _looked_at(turn, patient, press)
    if held is None:
        await turn.show(screens.question(Asked.of(slot)))
    else:
        await turn.show(screens.change(Asked.of(slot), held))


async def new_value_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """A new answer for a recorded one; ask for the reason, or first why a dose was not taken."""
    slot, held, screens = await _looked_at(turn, patient, press)
    asked = Asked.of(slot)
    value = {"dt": "t", "dn": "n-"}.get(press.act) or ".".join(press.arguments[1:])
    if press.act == "dn" and screens.item(asked).skip_reasons:
        await turn.show(screens.skip_reasons(asked, act="dr"))
    elif press.act == "dr":
        await turn.show(screens.change_reason(asked, f"n{press.arguments[1]}"))
    elif held is not None and value == ("t" if held.answer == TAKEN.answer else str(held.score)):
        await turn.show(screens.recorded(asked, held))
    else:
        await turn.show(screens.change_reason(asked, value))


async def change_reason_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """Why an answer is changed; another reason is asked for in words."""
    slot, _, screens = await _looked_at(turn, patient, press)
    value, why = press.arguments[1], press.arguments[2]
    if why == "other" and turn.person is not None:
        awaiting: dict[str, object] = {
            "for": "change-reason",
            "at": turn.now.isoformat(),
            "slot": slot.id,
            "value": value,
        }
        await remember(turn.db, turn.person.contact.id, awaiting)
        await turn.show(Screen(screens.words("change.say-why")))
        return
    await correct(turn, patient, slot.id, value, why)


async def correct(turn: Turn, patient: Patient, slot_id: int, value: str, reason: str) -> None:
    """Carry a change out: the old answer stays in the record."""
    slot, held = await look_at(turn.db, patient_id=patient.id, slot_id=slot_id, now=turn.now)
    screens = await screens_for(turn, patient, slot.protocol_id)
    done = await correct_answer(
        turn.db,
        patient_id=patient.id,
        slot_id=slot_id,
        answer=_answer_of(screens, slot, value),
        reason=reason,
        arrival=turn.arrival,
        now=turn.now,
    )
    asked, words = Asked.of(slot), screens.words
    if done.verdict is Verdict.RECORDED and done.entry is not None:
        await turn.show(screens.recorded(asked, done.entry, was=held))
    elif done.verdict is Verdict.CLOSED:
        await turn.show(Screen(words("change.too-late")))
    elif done.entry is not None:
        await turn.show(screens.recorded(asked, done.entry))


def _answer_of(screens: Screens, slot: Slot, value: str) -> Answer:
    if value == "t":
        return TAKEN
    if value.startswith("n"):
        return not_taken(_reason_at(screens, slot, value[1:]))
    return scored(int(value))


async def leave_tapped(turn: Turn, patient: Patient, press: Press) -> None:
    """*Leave it*: what was recorded stays."""
    await question_tapped(turn, patient, press)


async def answers_an_open_rating(turn: Turn, patient: Patient) -> bool:
    """Tell whether a text is a score, and a rating waits for one."""
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    if not isinstance(read_score(turn.text, protocol.trial.nrs), Score):
        return False
    slot = await slot_for_text(
        turn.db, patient_id=patient.id, kind="rating", arrival=turn.arrival, given_at=turn.meant_at, now=turn.now
    )
    return slot is not None and slot.answered_by is None


async def number_written(turn: Turn, patient: Patient, protocol: Protocol) -> None:
    """A text that means a number: the score of the newest open rating, or one helpful line; kept either way."""
    words = words_in(patient.language)
    read = read_score(turn.text, protocol.trial.nrs)
    slot = await slot_for_text(
        turn.db, patient_id=patient.id, kind="rating", arrival=turn.arrival, given_at=turn.meant_at, now=turn.now
    )
    if isinstance(read, Score) and slot is not None:
        await _record(turn, patient, slot.id, scored(read.value))
        return
    await keep_note(
        turn.db,
        patient_id=patient.id,
        kind="unread",
        text=turn.text,
        arrival=turn.arrival,
        key=turn.key,
        slot_id=slot.id if slot else None,
        now=turn.now,
    )
    if isinstance(read, Unclear) and slot is not None:
        scale = protocol.trial.nrs
        await turn.say(Screen(words(f"unclear.{read}", min=scale.min, max=scale.max)))
        return
    lines = [words("unclear.nothing-open")]
    coming = await next_slot(turn.db, patient_id=patient.id, now=turn.now)
    if coming is not None:
        lines.append(words("next.at", moment=words.moment(coming.due_at, now=turn.now, zone=coming.zone)))
    await turn.say(Screen("\n".join(lines)))


async def dose_written(turn: Turn, patient: Patient) -> bool:
    """A dose's answer in words, as on its buttons; False where the text is not one."""
    words = words_in(patient.language)
    said = turn.text.strip().casefold().strip(" .!")
    known = {words("button.taken").casefold(): True, words("button.not-taken").casefold(): False}
    if said not in known:
        return False
    slot = await slot_for_text(
        turn.db, patient_id=patient.id, kind="dose", arrival=turn.arrival, given_at=turn.meant_at, now=turn.now
    )
    if slot is None:
        return False
    if known[said]:
        await _record(turn, patient, slot.id, TAKEN)
    else:
        await not_taken_tapped(turn, patient, Press("n", (str(slot.id),)))
    return True
