"""The whole diary against the stand-in Telegram, without sockets, on a clock that only moves when told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from diary import SYSTEM, Database
from diary.service import next_message_at
from diary.team import add_staff
from rehearsal.accounts import Account
from rehearsal.clock import Clock
from rehearsal.inprocess import InProcessRequest
from rehearsal.people import Person
from rehearsal.telegram import Telegram
from tests.cast import T0, Stage


@dataclass(slots=True)
class World:
    """A running service, its Telegram, and short ways to live through time."""

    stage: Stage
    clock: Clock
    telegram: Telegram
    account: Account
    service: Service

    @property
    def db(self) -> Database:
        """The diary's database."""
        return self.stage.db

    async def settle(self) -> None:
        """Wait until nothing is in hand on either side."""
        await self.telegram.quiet(idle=lambda: self.service.idle, settle_seconds=0.001)

    async def tick(self) -> None:
        """Send what is due now."""
        await self.service.hold_rules()
        await self.service.tick()
        await self.settle()

    async def go_to(self, moment: datetime) -> None:
        """Live on to a moment, stopping at every message on the way."""
        while (at := await next_message_at(self.db, now=self.clock())) is not None and at < moment:
            self.clock.move_to(at)
            await self.tick()
        self.clock.move_to(moment)
        await self.tick()

    async def tap(self, person: Person, *labels: str) -> None:
        """Tap buttons one after the other, waiting for the answer each time."""
        for label in labels:
            person.tap(label)
            await self.settle()

    async def type(self, person: Person, *texts: str) -> None:
        """Write texts one after the other, waiting for the answer each time."""
        for text in texts:
            person.type(text)
            await self.settle()

    async def newcomer(self, code: str = "P-001", *, language: str = "en", **how: object) -> Person:
        """Somebody who opened the invite's link and sees the first question."""
        token = await self.stage.add(code, language=language, **how)  # type: ignore[arg-type]
        person = self.telegram.person(code, language_code=language)
        person.press_start(self.account, token)
        await self.settle()
        return person

    async def patient(self, code: str = "P-001", *, evening: str = "20:00", **how: object) -> Person:
        """Somebody who has joined, in English, in Cairo."""
        person = await self.newcomer(code, **how)  # type: ignore[arg-type]
        await self.tap(person, "English", "I agree", "Yes", evening)
        return person

    async def nurse(
        self, code: str = "nour", *, role: str = "coordinator", site: str = "main", language: str = "en"
    ) -> Person:
        """A staff member of a site who has joined the chat by her own invite."""
        invite = await add_staff(
            self.db, code=code, role=role, sites=[site], language=language, actor=SYSTEM, now=self.clock()
        )
        person = self.telegram.person(code, language_code=language)
        person.press_start(self.account, invite.token)
        await self.settle()
        await self.tick()  # a morning's digest comes now, and is not in the way later
        return person


@asynccontextmanager
async def living(stage: Stage, *, start: datetime = T0) -> AsyncIterator[World]:
    """Run the service on this stage."""
    clock = Clock(start)
    telegram = Telegram(clock)
    account = telegram.bot()
    request = InProcessRequest(telegram)
    bot = build_bot(
        account.token, "http://telegram.invalid", pacer=Pacer(per_bot=None, per_chat=None), request=request
    )
    service = Service(stage.db, bot, clock, fresh_client=lambda: InProcessRequest(telegram), watches_outages=False)
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop, heartbeat=False))
    world = World(stage, clock, telegram, account, service)
    try:
        await telegram.until(lambda: telegram.calls("getUpdates"))
        yield world
    finally:
        stop.set()
        await running
        await telegram.close()
