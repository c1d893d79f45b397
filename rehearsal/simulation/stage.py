"""The running diary of a simulation: real bot, schedules and storage, a stand-in Telegram, no socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final, Protocol, cast

from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from diary import Database
from diary.service import next_message_at
from rehearsal.chats import Chat, Message
from rehearsal.clock import Clock
from rehearsal.faults import Call
from rehearsal.inprocess import API, InProcessRequest
from rehearsal.people import Person
from rehearsal.simulation import transcript as t
from rehearsal.simulation.agenda import Agenda
from rehearsal.simulation.transcript import Cause, Line, Transcript
from rehearsal.still import StillLoop, settle
from rehearsal.telegram import Telegram

_A_MOMENT: Final = timedelta(microseconds=1)
# Longer than a poll of the real service lasts, so that one that waits ends when the loop is told to let time pass.
_A_POLL_SECONDS: Final = 60.0
_NEVER: Final = 10.0**9
_SENDS = ("sendMessage", "sendPhoto", "sendDocument")


class Phone(Protocol):
    """Whoever has a phone in a simulation."""

    code: str
    staff: bool
    zone: str
    language: str
    person: Person
    read_up_to: int

    def sees(self, message: Message, *, cause: Cause) -> None:
        """A message came, or one of the screen changed."""

    def is_refused(self) -> None:
        """The bot tried to write, and the phone lets nothing in."""


class Stage:
    """The service with its Telegram, and what happens on the phones."""

    def __init__(self, db: Database, start: datetime) -> None:
        self.db = db
        self.clock = Clock(start)
        self.agenda = Agenda()
        self.transcript = Transcript()
        self.telegram = Telegram(self.clock)
        self.account = self.telegram.bot()
        self.phones: dict[int, Phone] = {}
        self.service: Service | None = None
        self._cause: Cause = "reply"
        self._ticked_at: datetime | None = None

    @property
    def up(self) -> bool:
        """Whether the service runs."""
        return self.service is not None

    def hand_out(self, phone: Phone) -> None:
        """Let what comes to this person's chat be seen."""
        self.phones[phone.person.id] = phone

    @asynccontextmanager
    async def serving(self, *, after_outage: bool = False) -> AsyncIterator[None]:
        """Run the service, as `daybook serve` does but for its heartbeat: time is moved by hand."""
        request = InProcessRequest(self.telegram)
        pacer = Pacer(per_bot=None, per_chat=None)
        service = Service(
            self.db,
            build_bot(self.account.token, API, pacer=pacer, request=request),
            self.clock,
            fresh_client=lambda: InProcessRequest(self.telegram),
            # A clock that leaps over a night would look like an outage each time; a real one is looked for where
            # there was one.
            watches_outages=after_outage,
            grace_seconds=_NEVER,
        )
        stop = asyncio.Event()
        running = asyncio.create_task(service.run(stop, heartbeat=False))
        await self.settle()
        self.service = service
        try:
            yield
        finally:
            if not running.done():
                # The poll that waits ends first, so that the service knows until when it listened.
                cast("StillLoop", asyncio.get_running_loop()).let_pass(_A_POLL_SECONDS)
                await self.settle()
            self.service = None
            stop.set()
            await running

    async def next_at(self) -> datetime | None:
        """When the service has something to say next; now, where something was done that it has not looked at."""
        now = self.clock()
        looked = self._ticked_at == now
        return await next_message_at(self.db, now=now if looked else now - _A_MOMENT)

    async def tick(self) -> None:
        """Send what is due."""
        assert self.service is not None
        self._cause = "by itself"
        await self.service.tick()
        await self.settle()
        self._cause = "reply"
        self._ticked_at = self.clock()

    async def look(self) -> None:
        """Hold the rules, remind the team, ask for digests."""
        assert self.service is not None
        await self.service.hold_rules()
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that can happen now, and let everybody look at their phones."""
        self._ticked_at = None
        await settle()
        calls, self.telegram.sent = self.telegram.sent, []
        for call in calls:
            self._heard(call)

    def says(self, phone: Phone, kind: str, text: str, message: int | None = None) -> None:
        """Write down what somebody does on a phone."""
        self._write(phone, kind, text, "", to_phone=False, message=message)

    def _write(
        self,
        phone: Phone,
        kind: str,
        text: str,
        cause: Cause,
        *,
        to_phone: bool,
        buttons: tuple[str, ...] = (),
        message: int | None = None,
    ) -> None:
        line = Line(
            at=self.clock(),
            code=phone.code,
            staff=phone.staff,
            zone=phone.zone,
            language=phone.language,
            to_phone=to_phone,
            kind=kind,
            cause=cause,
            text=text,
            buttons=buttons,
            message=message,
        )
        self.transcript.add(line)

    def _heard(self, call: Call) -> None:
        phone = self._phone_of(call)
        if phone is None:
            return
        if not call.ok:
            if call.method in _SENDS:
                self._write(phone, t.REFUSED, "", self._cause, to_phone=True)
                phone.is_refused()
        elif call.method in _SENDS:
            for message in self._new_messages(phone):
                self._write(
                    phone, t.MESSAGE, message.text, self._cause, to_phone=True,
                    buttons=labels(message), message=message.id,
                )  # fmt: skip
                phone.sees(message, cause=self._cause)
        elif call.method == "editMessageText":
            self._changed(phone, call, t.CHANGED)
        elif call.method == "editMessageReplyMarkup":
            self._changed(phone, call, t.BUTTONS_OFF)
        elif call.method == "answerCallbackQuery" and call.parameters.get("text"):
            self._write(phone, t.TOAST, str(call.parameters["text"]), "reply", to_phone=True)

    def _changed(self, phone: Phone, call: Call, kind: str) -> None:
        message = self._chat(phone).messages[int(call.parameters["message_id"])]
        text = str(call.parameters.get("text", ""))
        markup: Any = call.parameters.get("reply_markup")
        shown = tuple(button["text"] for row in markup["inline_keyboard"] for button in row) if markup else ()
        self._write(phone, kind, text, self._cause, to_phone=True, buttons=shown, message=message.id)
        if kind == t.CHANGED:
            phone.sees(message, cause=self._cause)

    def _phone_of(self, call: Call) -> Phone | None:
        if call.method == "answerCallbackQuery":
            tap = self.account.taps.get(str(call.parameters.get("callback_query_id")))
            return self.phones.get(tap.by.id) if tap else None
        chat_id = call.chat_id
        return self.phones.get(chat_id) if chat_id is not None else None

    def _new_messages(self, phone: Phone) -> list[Message]:
        """What came since this phone was last looked at, oldest first."""
        latest = reversed(self._chat(phone).messages.values())
        found = [one for one in takewhile(lambda one: one.id > phone.read_up_to, latest) if one.sender.is_bot]
        if found:
            phone.read_up_to = found[0].id
        return found[::-1]

    def _chat(self, phone: Phone) -> Chat:
        return self.account.chats[phone.person.id]


def labels(message: Message) -> tuple[str, ...]:
    """The labels of a message's buttons in reading order."""
    return tuple(str(button["text"]) for row in message.keyboard or () for button in row)
