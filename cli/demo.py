"""`daybook demo`: the real bot, schedules and storage against a stand-in Telegram, with a clock to move."""

import asyncio
import signal
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Annotated, Final

import typer
from starlette.types import ASGIApp

from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from cli.wiring import clock as real_clock
from diary import SYSTEM, Database, Keys, Patient, PatientStatus, new_secret_key
from diary.enrolment import add_patient, invite_patient, list_patients
from diary.invites import IssuedInvite
from diary.joining import who_is
from diary.protocols import adopt_protocol
from diary.service import last_beat, next_message_at
from diary.team import add_site, add_staff, invite_staff, list_sites, list_staff
from protocol.calendar import instant, zone_of
from protocol.errors import SettingsError
from protocol.load import ProtocolFile, load_protocol
from protocol.values import parse_wall
from rehearsal import memory
from rehearsal.accounts import Account
from rehearsal.chats import Words
from rehearsal.clock import Clock
from rehearsal.people import Person
from rehearsal.phone import Link, Phone, PhonePage
from rehearsal.server import Server
from rehearsal.telegram import Telegram
from rehearsal.travel import TimeControls
from web import server as web
from web.app import web_app

_SITE: Final = "demo"
_NURSE: Final = "nurse"
# A newcomer meets the diary in the afternoon, with the evening's question a step away.
_AFTERNOON: Final = parse_wall("17:30")
_KEY_FILE: Final = "demo.key"
_PHONES_FILE: Final = "phones.json"


def demo(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")] = 8765,
    protocol: Annotated[str, typer.Option(help="A bundled protocol's name or a file.")] = "magnesium-clbp",
    keep: Annotated[Path | None, typer.Option(help="Keep the database in this folder and go on there.")] = None,
) -> None:
    """Try Daybook: no account, no token, no network. Prints one address to open in a browser."""
    file = load_protocol(protocol)
    with tempfile.TemporaryDirectory(prefix="daybook-demo-") as folder:
        asyncio.run(_run(file, _folder(keep) if keep else Path(folder), port))


def _folder(keep: Path) -> Path:
    try:
        keep.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=keep).close()
    except OSError as error:
        raise SettingsError(f"{keep} cannot be used as a folder ({error.strerror}); name another one.") from None
    return keep


async def _run(file: ProtocolFile, folder: Path, port: int) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        db = Database(f"sqlite:///{folder / 'daybook.db'}", Keys([_key(folder)]))
        await db.open(schema_checked=False)
        stack.push_async_callback(db.close)
        await db.migrate()
        await db.try_writing()
        await Stand(db, file, Clock(await _beginning(db, file)), folder).run(port, stop)


def _key(folder: Path) -> str:
    """The folder's key, so that a kept demo can be opened again."""
    path = folder / _KEY_FILE
    if not path.exists():
        path.write_text(new_secret_key(), encoding="utf-8")
        path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()


async def _beginning(db: Database, file: ProtocolFile) -> datetime:
    """This afternoon where the trial is, or, in a kept demo, after all that has happened there."""
    zone = file.protocol.trial.timezone
    today = real_clock().astimezone(zone_of(zone)).date()
    afternoon = instant(today, _AFTERNOON, zone)
    last = await last_beat(db, "serve")
    return max(afternoon, last) if last else afternoon


class Stand:
    """The demo on stage: a stand-in Telegram, the service, a nurse, and patients as they are asked for."""

    def __init__(self, db: Database, file: ProtocolFile, clock: Clock, folder: Path) -> None:
        self.db = db
        self.folder = folder
        self.file = file
        self.clock = clock
        self.telegram = Telegram(clock)
        self.account: Account = self.telegram.bot()
        self._protocol_id = 0

    async def run(self, port: int, stop: asyncio.Event) -> None:
        """Open the page and serve until told to stop."""
        self._protocol_id = await adopt_protocol(self.db, self.file, now=self.clock())
        if not await list_sites(self.db):
            zone = self.file.protocol.trial.timezone
            await add_site(self.db, code=_SITE, name="Demo clinic", timezone=zone, actor=SYSTEM, now=self.clock())
        if not memory.recall(self.telegram, self.folder / _PHONES_FILE):
            # No number of an earlier run may come again, and nobody wrote down where that one stopped.
            self.account.message_ids = count(int(real_clock().timestamp()))
            self.account.updates.next_id = int(real_clock().timestamp())
        nurse = await self._person("Nour")
        patients = await self._patients()
        async with AsyncExitStack() as stack:
            staff = await stack.enter_async_context(web.Server(self._staff_pages(), "127.0.0.1", 0))
            page = self._page(nurse, patients, Link("Staff pages", staff.url))
            server = await stack.enter_async_context(Server(self.telegram, port=port, routes=page.routes()))
            bot = build_bot(self.account.token, server.url, pacer=Pacer(per_bot=None, per_chat=None))
            self.service = Service(self.db, bot, self.clock, watches_outages=False, pages_url=staff.url)
            running = asyncio.create_task(self.service.run(stop))
            await self._nurse_joins(nurse)
            print(f"Open {server.url}/ in a browser. Ctrl-C ends the demo.", flush=True)
            print("The staff pages: send /dashboard on the nurse's phone and follow the link.", flush=True)
            await running
        memory.keep(self.telegram, self.folder / _PHONES_FILE)

    def _staff_pages(self) -> ASGIApp:
        """The pages on the clock that is moved; sessions last as long as they would without."""
        began, start = time.monotonic(), self.clock()

        def unmoved() -> datetime:
            return start + timedelta(seconds=time.monotonic() - began)

        return web_app(self.db, self.clock, sessions=unmoved)

    def _page(self, nurse: Person, patients: list[Phone], *links: Link) -> PhonePage:
        return PhonePage(
            self.telegram,
            phones=[patients[-1], Phone(nurse, self.account, "Study nurse")],
            clock=self.clock,
            controls=TimeControls(next_event=self._next_event, moved=self._moved),
            zone=self.file.protocol.trial.timezone,
            new_patient=self._another,
            earlier=patients[:-1],
            links=links,
        )

    async def _next_event(self) -> datetime | None:
        return await next_message_at(self.db, now=self.clock())

    async def _moved(self, _now: datetime) -> None:
        await self.service.hold_rules()
        await self.service.tick()
        await self.telegram.quiet(idle=lambda: self.service.idle)

    async def _patients(self) -> list[Phone]:
        """The phones of a kept demo's patients, in the order they came; a fresh demo begins with one."""
        phones = [await self._phone_again(patient) for patient in await list_patients(self.db)]
        return phones or [await self._another()]

    async def _phone_again(self, patient: Patient) -> Phone:
        """A kept demo's phone; who had not pressed START yet gets a fresh invite, as theirs may be over."""
        person = await self._person(patient.code)
        if await self._has_joined(person) or patient.status is PatientStatus.WITHDRAWN:
            return self._phone(person)
        invite = await invite_patient(self.db, code=patient.code, actor=SYSTEM, now=self.clock())
        return self._phone(person, invite.token)

    async def _person(self, name: str) -> Person:
        """Whoever was here before, with the chat as it was or at least open; else somebody new."""
        known = (person for person in self.telegram.people.values() if person.profile.first_name == name)
        person = next(known, None) or self.telegram.person(name, language_code="en")
        chat = person.chat(self.account)
        if not chat.started and await self._has_joined(person):
            chat.started = True
            self.account.add(chat, self.account.profile, Words("The rehearsal has not kept earlier messages."))
        return person

    async def _has_joined(self, person: Person) -> bool:
        return await who_is(self.db, bot_id=self.account.profile.id, chat_id=person.id) is not None

    async def _another(self) -> Phone:
        code = f"P-{len(await list_patients(self.db)) + 1:03}"
        zone = self.file.protocol.trial.timezone
        invite = await add_patient(
            self.db,
            code=code,
            start=self.clock().astimezone(zone_of(zone)).date(),
            site=_SITE,
            protocol_id=self._protocol_id,
            timezone=None,
            language=None,
            actor=SYSTEM,
            now=self.clock(),
        )
        return self._phone(await self._person(code), invite.token)

    def _phone(self, person: Person, token: str | None = None) -> Phone:
        link = f"https://t.me/{self.account.profile.username}?start={token}" if token else None
        return Phone(person, self.account, f"Patient {person.profile.first_name}", invite=link)

    async def _nurse_joins(self, nurse: Person) -> None:
        """The nurse opens her own invite, as a staff member does."""
        if await self._has_joined(nurse):
            return
        if any(member.code == _NURSE for member, _ in await list_staff(self.db)):
            invite = await invite_staff(self.db, code=_NURSE, actor=SYSTEM, now=self.clock())
        else:
            invite = await self._new_nurse()
        nurse.press_start(self.account, invite.token)

    async def _new_nurse(self) -> IssuedInvite:
        return await add_staff(
            self.db, code=_NURSE, role="coordinator", sites=[_SITE], language="en", actor=SYSTEM, now=self.clock()
        )
