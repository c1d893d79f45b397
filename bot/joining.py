"""Coming in: an invite, a language, consent, the zone and the evening time; and the same choices later."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from bot.buttons import Press
from bot.commands import show_commands
from bot.turn import Rows, Screen, Turn
from bot.words import languages, words_in
from bot.zones import offsets, places_at
from diary import Actor, Patient, PatientStatus
from diary.answers import next_slot
from diary.joining import choose_language, choose_time, choose_zone, join, record_consent, zone_in_use
from diary.protocols import protocol_in_use
from protocol.calendar import zone_of
from protocol.errors import InviteError, WrongCallError
from protocol.model import Item, Protocol

_TIME_STEP = timedelta(minutes=30)


async def start(turn: Turn, token: str) -> None:
    """Answer /start: bind the chat where a token comes with it, else say where things stand."""
    if not token and turn.person is None:
        await turn.say(Screen(turn.words("start.no-invite")))
        return
    if not token and turn.person is not None:
        await _welcome(turn, turn.person.patient)
        return
    try:
        person = await join(turn.db, bot_id=turn.bot.id, chat_id=turn.chat_id, token=token, now=turn.now)
    except InviteError as error:
        await turn.say(Screen(turn.words(f"invite.{error.why}")))
        return
    if person.staff is not None:
        words = words_in(person.staff.language)
        await turn.say(Screen(words("staff.welcome", code=person.staff.code)))
        await show_commands(turn.bot, turn.chat_id, words, staff=True)
        return
    await _welcome(turn, person.patient)


async def _welcome(turn: Turn, patient: Patient | None) -> None:
    if patient is None:
        await turn.say(Screen(turn.words("staff.help")))
    elif patient.status is PatientStatus.INVITED:
        protocol = await protocol_in_use(turn.db, patient.protocol_id)
        spoken = [language for language in protocol.trial.languages if language in languages()]
        if len(spoken) > 1:
            await turn.say(_language_screen(turn, spoken, act="g"))
        else:
            await turn.say(await consent_screen(turn, patient))
    else:
        await turn.say(await _where_things_stand(turn, patient))


async def _where_things_stand(turn: Turn, patient: Patient) -> Screen:
    words = words_in(patient.language)
    if patient.status is PatientStatus.WITHDRAWN:
        return await left_screen(turn, patient)
    if patient.status is PatientStatus.PAUSED:
        return Screen(words("status.paused"), ((((words("button.resume")), turn.data("v")),),))
    return Screen("\n".join([words("status.active"), await next_reminder(turn, patient)]))


def _language_screen(turn: Turn, spoken: list[str], *, act: str) -> Screen:
    """Ask in each language at once, for nobody knows yet which one is read."""
    text = "\n".join(words_in(language)("language.ask") for language in spoken)
    row = tuple((words_in(language)("language.name"), turn.data(act, language)) for language in spoken)
    return Screen(text, (row,))


async def consent_screen(turn: Turn, patient: Patient) -> Screen:
    """What the study keeps and who sees it, to agree to or not."""
    words = words_in(patient.language)
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    text = "\n\n".join([consent_text(protocol, patient.language), words("consent.ask")])
    return Screen(text, (((words("consent.agree"), turn.data("ok")), (words("consent.not-now"), turn.data("no"))),))


def consent_text(protocol: Protocol, language: str) -> str:
    """The words a patient agrees to; their fingerprint is kept with the answer."""
    trial = protocol.trial
    return f"{trial.consent.in_language(language)}\n\n{trial.emergency.in_language(language)}"


async def left_screen(turn: Turn, patient: Patient) -> Screen:
    """For whoever has left: nothing is kept any more, and whom to call."""
    return Screen("\n\n".join([words_in(patient.language)("status.left"), await emergency(turn, patient)]))


async def emergency(turn: Turn, patient: Patient) -> str:
    """What to do when it cannot wait: the protocol's sentence, in the patient's language."""
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    return protocol.trial.emergency.in_language(patient.language)


async def ask_language(turn: Turn, patient: Patient) -> None:
    """Answer /language."""
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    spoken = [language for language in protocol.trial.languages if language in languages()]
    await turn.say(_language_screen(turn, spoken, act="G"))


async def language_chosen(turn: Turn, patient: Patient, press: Press) -> None:
    """Speak the chosen language from now on; a newcomer is asked to agree next."""
    language = press.arguments[0]
    await choose_language(turn.db, patient_id=patient.id, language=language, now=turn.now)
    words = words_in(language)
    await show_commands(turn.bot, turn.chat_id, words, staff=False)
    if patient.status is PatientStatus.INVITED:
        await turn.show(await consent_screen(turn, replace(patient, language=language)))
    else:
        await turn.show(Screen(words("language.chosen")))


async def consent_given(turn: Turn, patient: Patient, _press: Press) -> None:
    """Keep *I agree* and go on to the clock on the patient's wall; what was agreed to can be read again."""
    patient = await _decide(turn, patient, agreed=True)
    words = words_in(patient.language)
    await turn.settle()
    await turn.say(Screen(words("consent.thanks")))
    await turn.say(await _zone_screen(turn, patient, newcomer=True))


async def consent_withheld(turn: Turn, patient: Patient, _press: Press) -> None:
    """Keep *Not now*; nothing will be sent."""
    patient = await _decide(turn, patient, agreed=False)
    await turn.show(Screen(words_in(patient.language)("consent.not-now-said")))


async def _decide(turn: Turn, patient: Patient, *, agreed: bool) -> Patient:
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    return await record_consent(
        turn.db,
        patient_id=patient.id,
        agreed=agreed,
        language=patient.language,
        text=consent_text(protocol, patient.language),
        now=turn.now,
    )


async def _zone_screen(turn: Turn, patient: Patient, *, newcomer: bool) -> Screen:
    words = words_in(patient.language)
    zone = await zone_in_use(turn.db, patient.id)
    time_there = words.time(turn.now.astimezone(zone_of(zone)))
    flow = "n" if newcomer else "s"
    return Screen(
        words("zone.ask", time=time_there),
        (((words("button.yes"), turn.data("z", flow)), (words("button.no"), turn.data("zn", flow))),),
    )


async def zone_confirmed(turn: Turn, patient: Patient, press: Press) -> None:
    """The clinic's zone, or the one known, is right."""
    await _after_zone(turn, patient, newcomer=press.arguments[0] == "n")


async def zone_denied(turn: Turn, patient: Patient, press: Press) -> None:
    """Ask which time the patient's clock shows."""
    words = words_in(patient.language)
    times = [
        (words.time(turn.now + timedelta(minutes=minutes)), turn.data("zo", press.arguments[0], minutes))
        for minutes in offsets(turn.now)
    ]
    back = ((words("button.back"), turn.data("wz", press.arguments[0])),)
    await turn.show(Screen(words("zone.which-time"), (*_in_rows(times, 4), back)))


async def offset_chosen(turn: Turn, patient: Patient, press: Press) -> None:
    """Ask which place: clocks that agree today may part at the next clock change."""
    words = words_in(patient.language)
    flow, minutes = press.arguments[0], press.number(1)
    places = [(words.place(zone), turn.data("zc", flow, zone)) for zone in places_at(minutes, turn.now)]
    back = ((words("button.back"), turn.data("zn", flow)),)
    await turn.show(Screen(words("zone.which-place"), (*_in_rows(places, 2), back)))


async def place_chosen(turn: Turn, patient: Patient, press: Press) -> None:
    """Live in this place's zone from now on."""
    flow, zone = press.arguments[0], ".".join(press.arguments[1:])
    await choose_zone(turn.db, patient_id=patient.id, zone=zone, actor=Actor("patient", patient.id), now=turn.now)
    await _after_zone(turn, patient, newcomer=flow == "n")


async def _after_zone(turn: Turn, patient: Patient, *, newcomer: bool) -> None:
    words = words_in(patient.language)
    zone = await zone_in_use(turn.db, patient.id)
    settled = words("zone.settled", place=words.place(zone), time=words.time(turn.now.astimezone(zone_of(zone))))
    if not newcomer:
        await turn.show(Screen("\n".join([settled, await next_reminder(turn, patient)])))
        return
    await turn.show(Screen(settled))
    await _ask_times(turn, patient, turn.say)


async def ask_settings(turn: Turn, patient: Patient) -> None:
    """Answer /time: the times that may be moved, and the zone."""
    words = words_in(patient.language)
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    rows = [
        ((words("time.of", item=item.name.in_language(patient.language)), turn.data("wt", item.id)),)
        for item in protocol.movable_items().values()
    ]
    rows.append(((words("time.zone"), turn.data("wz")),))
    await turn.say(Screen(words("time.what"), tuple(rows)))


async def zone_asked(turn: Turn, patient: Patient, press: Press) -> None:
    """Ask for the zone again: from /time, or back from the list of clocks."""
    await turn.show(await _zone_screen(turn, patient, newcomer="n" in press.arguments))


async def time_asked(turn: Turn, patient: Patient, press: Press) -> None:
    """Ask for one item's time."""
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    await turn.show(_time_screen(turn, patient, protocol.movable_items()[press.arguments[0]]))


async def _ask_times(turn: Turn, patient: Patient, answer: Callable[[Screen], Awaitable[object]]) -> None:
    """Ask a newcomer for the first time that may be moved, or be done."""
    protocol = await protocol_in_use(turn.db, patient.protocol_id)
    items = list(protocol.movable_items().values())
    if items:
        await answer(_time_screen(turn, patient, items[0]))
    else:
        await answer(await _ready(turn, patient))


def _time_screen(turn: Turn, patient: Patient, item: Item) -> Screen:
    words = words_in(patient.language)
    assert item.patient_may_choose is not None  # movable items have a range
    times = [
        (words.time(at), turn.data("w", item.id, f"{at:%H%M}")) for at in _times_between(*item.patient_may_choose)
    ]
    text = words("time.ask", item=item.name.in_language(patient.language))
    return Screen(text, _in_rows(times, 3))


def _times_between(earliest: time, latest: time) -> list[time]:
    day = date(2000, 1, 1)
    at, end = datetime.combine(day, earliest), datetime.combine(day, latest)
    found = []
    while at <= end:
        found.append(at.time())
        at += _TIME_STEP
    return found


async def time_chosen(turn: Turn, patient: Patient, press: Press) -> None:
    """Move an item to the chosen time of day."""
    item, text = press.arguments
    at = time(int(text[:2]), int(text[2:]))
    try:
        await choose_time(
            turn.db, patient_id=patient.id, item=item, at=at, actor=Actor("patient", patient.id), now=turn.now
        )
    except WrongCallError:  # a button of an earlier version of the protocol
        await turn.toast(turn.words("button.stale"), alert=True)
        return
    await turn.show(await _ready(turn, patient))


async def _ready(turn: Turn, patient: Patient) -> Screen:
    words = words_in(patient.language)
    return Screen("\n".join([words("join.ready"), await next_reminder(turn, patient), words("join.help")]))


async def next_reminder(turn: Turn, patient: Patient) -> str:
    """When the patient will hear from us next, in words."""
    words = words_in(patient.language)
    slot = await next_slot(turn.db, patient_id=patient.id, now=turn.now)
    if slot is None:
        return words("next.none")
    return words("next.at", moment=words.moment(slot.due_at, now=turn.now, zone=slot.zone))


def _in_rows(buttons: list[tuple[str, str]], width: int) -> Rows:
    return tuple(tuple(buttons[start : start + width]) for start in range(0, len(buttons), width))
