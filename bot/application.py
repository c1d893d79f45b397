"""The chat as a whole: which update goes where, and how a kept update is handled to its end."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, TypeAlias

import orjson
import structlog
from telegram import ChatMember, Update, User
from telegram.error import RetryAfter, TelegramError
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CallbackContext,
    CallbackQueryHandler,
    ChatMemberHandler,
    CommandHandler,
    ExtBot,
    MessageHandler,
    filters,
)

from bot import patient, staff
from bot.buttons import Buttons
from bot.limiter import Asking, Lane, Pacer
from bot.outcomes import classify, wait_of
from bot.request import LeanRequest, loads_leniently
from bot.turn import Screen, Turn
from bot.words import Words, languages, words_in
from diary import Database
from diary.alerts import note_reachable, note_unreachable
from diary.arrivals import Waiting, finish, may_pass, set_aside
from diary.joining import Person, who_is
from schedules.sending import UNREACHABLE, Clock, Refusal, Refused

log = structlog.get_logger(__name__)

Act: TypeAlias = Callable[[Turn], Awaitable[None]]
_App: TypeAlias = Application[Any, Any, Any, Any, Any, Any]
# Between tries the lane of this one patient waits, nobody else's: what fails again is a fault of ours.
_PAUSES = (1.0, 5.0)
# Telegram's troubles pass. The record is made by then, and a receipt after five minutes is better than none.
_TELEGRAM_PAUSES = (1.0, 5.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
_LONGEST_FLOOD = 600.0
# While the database takes nothing, nothing else can be done: its troubles are waited out, however long.
_DATABASE_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class _Handling:
    """What belongs to the update being handled, beside the update itself."""

    inbox_id: int
    received_at: datetime
    failures: list[BaseException] = field(default_factory=list)


_HANDLING: ContextVar[_Handling] = ContextVar("handling")


def build_bot(token: str, api: str, *, pacer: Pacer | None = None, request: Any = None) -> ExtBot[Lane | Asking]:
    """A bot on our own client and pacer; `api` is the Bot API's base address."""
    base = api.rstrip("/")
    return ExtBot(
        token,
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=request or LeanRequest(),
        get_updates_request=LeanRequest() if request is None else request,
        rate_limiter=pacer or Pacer(),
    )


class Chat:
    """One bot's conversations, on the verbs of the diary."""

    def __init__(self, db: Database, bot: ExtBot[Any], clock: Clock, pages_url: str | None = None) -> None:
        self.db = db
        self.bot = bot
        self.clock = clock
        self.pages_url = pages_url
        self.application: _App = ApplicationBuilder().bot(bot).updater(None).build()
        self._register()

    def _register(self) -> None:
        add = self.application.add_handler
        private = filters.ChatType.PRIVATE
        written = filters.UpdateType.MESSAGE & private
        # Order matters: the first that fits handles the update.
        add(ChatMemberHandler(self._membership, ChatMemberHandler.MY_CHAT_MEMBER))
        add(MessageHandler(~private, self._leave))
        add(CallbackQueryHandler(self._turned(tapped)))
        add(MessageHandler(filters.UpdateType.EDITED_MESSAGE & private, self._turned(patient.edited)))
        add(MessageHandler(filters.FORWARDED | filters.VIA_BOT, self._turned(patient.second_hand)))
        add(CommandHandler("start", self._turned(patient.started), written))
        add(MessageHandler(written & filters.COMMAND, self._turned(commanded)))
        add(MessageHandler(written & filters.TEXT, self._turned(texted)))
        add(MessageHandler(written, self._turned(patient.not_text)))
        self.application.add_error_handler(_note_failure)

    async def work(self, waiting: Waiting) -> None:
        """Handle a kept update to its end: tried again after a failure, at last set aside; it never raises."""
        try:
            update = Update.de_json(_lightened(_readable(waiting.body)), self.bot)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, reading it again will not help
            await self._set_aside(waiting, error)
            return
        for tries in count():
            failure = await self._failure(update, waiting)
            if failure is None:
                return
            pause = _pause_after(failure, tries)
            if pause is None:
                await self._set_aside(waiting, failure)
                if not isinstance(failure, TelegramError):
                    await self._apologise(waiting)
                return
            await asyncio.sleep(pause)

    async def _failure(self, update: Update, waiting: Waiting) -> Exception | None:
        """Handle an update and let it leave the inbox; say what went wrong, or None."""
        try:
            await self._handle(update, waiting)
        except Exception as error:  # noqa: BLE001 - one update must not stop the rest
            log.warning("update_failed", inbox=waiting.inbox_id, error=type(error).__name__, where=_where(error))
            return error
        await _until_taken(lambda: finish(self.db, waiting.inbox_id, now=self.clock()))
        return None

    async def _set_aside(self, waiting: Waiting, error: Exception) -> None:
        name = type(error).__name__
        log.error("update_quarantined", inbox=waiting.inbox_id, error=name, where=_where(error))
        await _until_taken(lambda: set_aside(self.db, waiting.inbox_id, because=name))

    async def _handle(self, update: Update, waiting: Waiting) -> None:
        handling = _Handling(waiting.inbox_id, waiting.received_at)
        token = _HANDLING.set(handling)
        try:
            await self.application.process_update(update)
        finally:
            _HANDLING.reset(token)
        for failure in handling.failures:
            if not await self._settled_by_absence(update, failure):
                raise failure

    async def _settled_by_absence(self, update: Update, failure: BaseException) -> bool:
        """Somebody who blocked the bot, or is gone, gets no reply, and what was to be recorded has been."""
        verdict = classify(failure) if isinstance(failure, TelegramError) else None
        reachable = UNREACHABLE.get(verdict.reason) if isinstance(verdict, Refused) else None
        if reachable is None:
            return False
        chat = update.effective_chat
        person = await who_is(self.db, bot_id=self.bot.id, chat_id=chat.id) if chat else None
        if person is not None:
            contact_id = person.contact.id
            await note_unreachable(self.db, contact_id=contact_id, reachable=reachable, now=self.clock())
        return True

    async def _apologise(self, waiting: Waiting) -> None:
        """Tell the writer that the message is kept and could not be handled."""
        chat_id = lane_of(waiting.body)
        if not isinstance(chat_id, int):
            return
        try:
            person = await who_is(self.db, bot_id=self.bot.id, chat_id=chat_id)
            words = words_in(_language_of(person))
            await self.bot.send_message(chat_id, words("sorry"), rate_limit_args=Lane.REPLY)
        except Exception as error:  # noqa: BLE001 - an apology that fails changes nothing
            log.warning("apology_failed", error=type(error).__name__)

    def _turned(self, act: Act) -> Callable[[Update, Any], Coroutine[Any, Any, None]]:
        """Make a handler of the library out of an act on a turn."""

        async def handler(update: Update, _context: object) -> None:
            turn = await self._turn(update)
            if turn is not None:
                await act(turn)

        return handler

    async def _turn(self, update: Update) -> Turn | None:
        user = update.effective_user
        chat = update.effective_chat
        chat_id = chat.id if chat is not None else user.id if user is not None else None
        if chat_id is None:
            return None
        now = self.clock()
        person = await who_is(self.db, bot_id=self.bot.id, chat_id=chat_id)
        if person is not None and person.contact.reachable != "yes":
            await note_reachable(self.db, contact_id=person.contact.id, now=now)
        return Turn(
            update=update,
            bot=self.bot,
            db=self.db,
            buttons=Buttons(self.db.keys, self.bot.id),
            chat_id=chat_id,
            words=_words_for(person, user),
            inbox_id=_HANDLING.get().inbox_id,
            received_at=_HANDLING.get().received_at,
            now=now,
            person=person,
            pages_url=self.pages_url,
        )

    async def _membership(self, update: Update, _context: object) -> None:
        """Somebody blocked or unblocked the bot, or put it into a group."""
        member = update.my_chat_member
        assert member is not None  # what this handler is for
        if member.chat.type != "private":
            if member.new_chat_member.status not in (ChatMember.LEFT, ChatMember.BANNED):
                await self._leave(update, _context)
            return
        person = await who_is(self.db, bot_id=self.bot.id, chat_id=member.chat.id)
        if person is None:
            return
        if member.new_chat_member.status == ChatMember.BANNED:
            contact_id = person.contact.id
            await note_unreachable(self.db, contact_id=contact_id, reachable="blocked", now=self.clock())
        else:
            await note_reachable(self.db, contact_id=person.contact.id, now=self.clock())

    async def _leave(self, update: Update, _context: object) -> None:
        """The diary never runs in groups: others would read along."""
        chat = update.effective_chat
        if chat is None or chat.type == "private":
            return
        await self._say_why_it_leaves(chat.id, update.effective_user)
        try:
            await self.bot.leave_chat(chat.id)
        except TelegramError as error:
            log.info("group_not_left", error=type(error).__name__)

    async def _say_why_it_leaves(self, group_id: int, user: User | None) -> None:
        """Say in the language of whoever brought the bot here what it is for; it names no study and nobody."""
        person = await who_is(self.db, bot_id=self.bot.id, chat_id=user.id) if user else None
        words = _words_for(person, user)
        try:
            await self.bot.send_message(group_id, words("group.private-only"), rate_limit_args=Lane.NOTICE)
        except TelegramError as error:
            log.info("group_not_told", error=type(error).__name__)


async def tapped(turn: Turn) -> None:
    """A button was pressed."""
    query = turn.update.callback_query
    press = turn.buttons.read(turn.chat_id, query.data or "") if query else None
    if press is None or turn.person is None:
        await turn.toast(turn.words("button.foreign"), alert=True)
    elif turn.person.staff is not None:
        await staff.tapped(turn, turn.person.staff, press)
    elif turn.person.patient is not None:
        await patient.tapped(turn, turn.person.patient, press)


async def commanded(turn: Turn) -> None:
    """A command other than /start."""
    name, _, rest = turn.text.partition(" ")
    name = name.removeprefix("/").partition("@")[0].lower()
    if turn.person is None:
        await turn.say(Screen(turn.words("start.no-invite")))
    elif turn.person.staff is not None:
        await staff.commanded(turn, turn.person.staff, name, rest.strip())
    elif turn.person.patient is not None:
        await patient.commanded(turn, turn.person.patient, name, rest.strip())


async def texted(turn: Turn) -> None:
    """A plain text."""
    if turn.person is None:
        await patient.stranger_wrote(turn)
    elif turn.person.staff is not None:
        await turn.say(Screen(turn.words("staff.help")))
    elif turn.person.patient is not None:
        await patient.wrote(turn, turn.person.patient)


def lane_of(body: bytes) -> int | str:
    """Whose lane an update belongs to: the chat's, so that one patient's updates stay in order."""
    try:
        raw = _readable(body)
        for part in ("message", "edited_message", "my_chat_member"):
            if part in raw:
                return int(raw[part]["chat"]["id"])
        return int(raw["callback_query"]["from"]["id"])
    except (ValueError, TypeError, KeyError, orjson.JSONDecodeError):
        return "unreadable"


def _readable(body: bytes) -> Any:
    """Read an update; half an emoji, legal in JSON's letter but in no database, becomes a question mark."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.loads(json.dumps(loads_leniently(body), ensure_ascii=False).encode("utf-8", "replace"))


def _lightened(update: Any) -> Any:
    """An update without all of a message that was tapped but where it is: nothing else of it is looked at.

    To make objects of it takes longer than all the rest of the update. Telegram itself hands old messages out so,
    with a date of 0.
    """
    with suppress(KeyError, TypeError):  # no tap, or one the library will find fault with
        query = update["callback_query"]
        tapped = query["message"]
        query["message"] = {"message_id": tapped["message_id"], "chat": tapped["chat"], "date": 0}
    return update


async def _until_taken(write: Callable[[], Awaitable[None]]) -> None:
    """Write, again and again where the database does not take it now."""
    for tries in count():
        try:
            await write()
        except Exception as error:
            if not may_pass(error):
                raise
            await asyncio.sleep(_database_pause(tries))
        else:
            return


def _database_pause(tries: int) -> float:
    return _DATABASE_PAUSES[min(tries, len(_DATABASE_PAUSES) - 1)]


def _pause_after(failure: Exception, tries: int) -> float | None:
    """How long to wait before an update is tried again that failed so often; None where there is no use."""
    if may_pass(failure):
        return _database_pause(tries)
    verdict = classify(failure) if isinstance(failure, TelegramError) else Refused(Refusal.BAD_REQUEST)
    passes = not isinstance(verdict, Refused) or verdict.reason is Refusal.TOKEN
    pauses = _TELEGRAM_PAUSES if passes else _PAUSES
    if tries >= len(pauses):
        return None
    asked_for = wait_of(failure).total_seconds() if isinstance(failure, RetryAfter) else 0.0
    return max(pauses[tries], min(asked_for, _LONGEST_FLOOD))


async def _note_failure(_update: object, context: CallbackContext[Any, Any, Any, Any]) -> None:
    """Hand a handler's failure to whoever decides what becomes of the update."""
    if context.error is not None:
        _HANDLING.get().failures.append(context.error)


def _words_for(person: Person | None, user: User | None) -> Words:
    """The words somebody is spoken to in: their own choice, else what their Telegram says."""
    spoken = _language_of(person) if person else user.language_code if user else None
    return words_in(spoken if spoken in languages() else "en")


def _language_of(person: Person | None) -> str:
    if person is None:
        return "en"
    owner = person.patient or person.staff
    return owner.language if owner else "en"


def _where(error: BaseException) -> str:
    """The place in the code a failure came from: enough to mend it, and nothing a patient wrote."""
    place = error.__traceback__
    if place is None:
        return ""
    while place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename.rpartition('/')[2]}:{place.tb_lineno}"
