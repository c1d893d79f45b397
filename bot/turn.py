"""One update being handled: who writes, in which words to answer, and the ways to answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from telegram import Message, Update
from telegram.error import TelegramError
from telegram.ext import ExtBot

from bot.buttons import Buttons
from bot.limiter import Lane
from bot.outcomes import is_cannot_edit, is_not_modified, is_query_too_old
from bot.words import Words
from diary import Database
from diary.answers import Arrival
from diary.joining import Person
from reports.marks import Picture
from reports.png import png

log = structlog.get_logger(__name__)

Rows = tuple[tuple[tuple[str, str], ...], ...]
_LONGEST_TEXT = 4096
# Of a patient's words in a message to staff, beside which other lines must fit; the whole note is in the record.
LONGEST_QUOTE = 3000
# As plain JSON, like the buttons: to make the library's objects of them takes longer than to send them.
NO_PREVIEW: Final[Any] = {"is_disabled": True}


@dataclass(frozen=True, slots=True)
class Screen:
    """What a message shows: a text and rows of buttons (label, data)."""

    text: str
    rows: Rows = ()

    def markup(self) -> Any:
        """The buttons as Telegram takes them, None where there are none."""
        rows = [[{"text": label, "callback_data": data} for label, data in row] for row in self.rows]
        return {"inline_keyboard": rows} if rows else None


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, with a sign where it was cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(frozen=True, slots=True)
class Turn:
    """An update with everything that answering it takes."""

    update: Update
    bot: ExtBot[Any]
    db: Database
    buttons: Buttons
    chat_id: int
    words: Words
    inbox_id: int
    received_at: datetime
    now: datetime
    person: Person | None
    pages_url: str | None = None

    @property
    def message(self) -> Message | None:
        """The message that was written, or edited; None for taps."""
        return self.update.message or self.update.edited_message

    @property
    def text(self) -> str:
        """What was written."""
        return (self.message.text or self.message.caption or "") if self.message else ""

    @property
    def arrival(self) -> Arrival:
        """How and when an answer in this update came; a tap carries no time of its own."""
        if self.message is None:
            return Arrival("button", self.received_at, key=self.key)
        said_at = self.message.edit_date or self.message.date
        return Arrival("text", self.received_at, said_at.astimezone(UTC), self.key)

    @property
    def meant_at(self) -> datetime:
        """When a text first stood in the chat: an edit is still about what was asked then."""
        return min(self.message.date.astimezone(UTC), self.received_at) if self.message else self.received_at

    @property
    def key(self) -> str:
        """A name for this arrival, the same when it is replayed; it tells nothing about the chat."""
        return f"{self.bot.id}:{self.update.update_id}:{self.inbox_id}"

    def data(self, act: str, *arguments: int | str) -> str:
        """Data for a button in this chat."""
        return self.buttons.data(self.chat_id, act, *arguments)

    async def say(self, screen: Screen) -> None:
        """Answer with a message of its own."""
        await self.bot.send_message(
            self.chat_id,
            shortened(screen.text, _LONGEST_TEXT),
            reply_markup=screen.markup(),
            link_preview_options=NO_PREVIEW,
            rate_limit_args=Lane.REPLY,
        )

    async def send_picture(self, draw: Callable[[], Picture], *, name: str, caption: str | None = None) -> None:
        """Send a picture; it is composed and painted in a thread, as that takes tenths of a second."""
        painted = await asyncio.to_thread(lambda: png(draw()))
        filename, lane = f"{name}.png", Lane.REPLY
        await self.bot.send_photo(self.chat_id, painted, caption=caption, filename=filename, rate_limit_args=lane)

    async def show(self, screen: Screen, *, toast: str | None = None) -> None:
        """Answer a tap in place: the message that was tapped changes; a text gets a message of its own."""
        query = self.update.callback_query
        if query is None or query.message is None:
            await self.say(screen)
            return
        await asyncio.gather(self.toast(toast), self.change(query.message.message_id, screen))

    async def change(self, message_id: int, screen: Screen) -> None:
        """Change a message of ours; one that cannot be changed any more is followed by a new one."""
        try:
            await self.bot.edit_message_text(
                shortened(screen.text, _LONGEST_TEXT),
                chat_id=self.chat_id,
                message_id=message_id,
                reply_markup=screen.markup(),
                link_preview_options=NO_PREVIEW,
                rate_limit_args=Lane.REPLY,
            )
        except TelegramError as error:
            if is_cannot_edit(error):
                await self.say(screen)
            elif not is_not_modified(error):
                raise

    async def settle(self) -> None:
        """Answer a tap by taking the buttons off: the message that was tapped keeps its words."""
        query = self.update.callback_query
        if query is not None and query.message is not None:
            await asyncio.gather(self.toast(), self._take_buttons_off(query.message.message_id, Lane.REPLY))

    async def disarm(self, message_ids: Sequence[int]) -> None:
        """Take the buttons off messages that asked before; one that was tapped shows the receipt already."""
        query = self.update.callback_query
        shown = query.message.message_id if query and query.message else None
        for message_id in (asked for asked in message_ids if asked != shown):
            await self._take_buttons_off(message_id, Lane.NOTICE)

    async def _take_buttons_off(self, message_id: int, lane: Lane) -> None:
        """A button that stays does no harm, while a failure would handle the update, and answer it, again."""
        try:
            await self.bot.edit_message_reply_markup(
                chat_id=self.chat_id, message_id=message_id, rate_limit_args=lane
            )
        except TelegramError as error:
            if not (is_cannot_edit(error) or is_not_modified(error)):
                log.info("buttons_left", error=type(error).__name__)

    async def toast(self, text: str | None = None, *, alert: bool = False) -> None:
        """Answer a tap, so that the phone stops waiting; a failure is no harm, since the entry is kept."""
        query = self.update.callback_query
        if query is None:
            return
        try:
            await self.bot.answer_callback_query(query.id, text=text, show_alert=alert)
        except TelegramError as error:
            if not is_query_too_old(error):
                log.info("tap_not_answered", error=type(error).__name__)
