"""`daybook demo`: the real bot, schedules and storage against a stand-in Telegram, with a clock to move."""

import asyncio
import signal
import tempfile
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from cli.wiring import clock as real_clock
from diary import SYSTEM, Database, Keys, new_secret_key
from diary.enrolment import add_patient, list_patients
from diary.joining import who_is
from diary.protocols import adopt_protocol
from diary.service import last_beat, next_message_at
from diary.team import add_site, add_staff, list_sites
from protocol.calendar import instant, zone_of
from protocol.errors import SettingsError
from protocol.load import ProtocolFile, load_protocol
from protocol.values import parse_wall
from rehearsal.accounts import Account
from rehearsal.clock import Clock
from rehearsal.people import Person
from rehearsal.phone import Phone, PhonePage
from rehearsal.server import Server
from rehearsal.telegram import Telegram
from rehearsal.travel import TimeControls

_SITE: Final = "demo"
_NURSE: Final = "nurse"
# A newcomer meets the diary in the afternoon, with the evening's question a step away.
_AFTERNOON: Final = parse_wall("17:30")
_KEY_FILE: Final = "demo.key"


def demo(
    *,
    port: Annotated[int, typer.Option(help="Port of the page; 0 takes a free one.")] = 8765,
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
        await Stand(db, file, Clock(await _beginning(db, file))).run(port, stop)


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

    def __init__(self, db: Database, file: ProtocolFile, clock: Clock) -> None:
        self.db = db
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
        nurse = self.telegram.person("Nour", language_code="en")
        patients = await self._patients()
        async with AsyncExitStack() as stack:
            page = self._page(nurse, patients)
            server = await stack.enter_async_context(Server(self.telegram, port=port, routes=page.routes()))
            bot = build_bot(self.account.token, server.url, pacer=Pacer(per_bot=None, per_chat=None))
            self.service = Service(self.db, bot, self.clock, watches_outages=False)
            running = asyncio.create_task(self.service.run(stop))
            await self._nurse_joins(nurse)
            print(f"Open {server.url}/ in a browser. Ctrl-C ends the demo.", flush=True)
            await running

    def _page(self, nurse: Person, patients: list[Phone]) -> PhonePage:
        return PhonePage(
            self.telegram,
            phones=[patients[-1], Phone(nurse, self.account, "Study nurse")],
            clock=self.clock,
            controls=TimeControls(next_event=self._next_event, moved=self._moved),
            zone=self.file.protocol.trial.timezone,
            new_patient=self._another,
        )

    async def _next_event(self) -> datetime | None:
        return await next_message_at(self.db, now=self.clock())

    async def _moved(self, _now: datetime) -> None:
        await self.service.hold_rules()
        await self.service.tick()
        await self.telegram.quiet(idle=lambda: self.service.idle)

    async def _patients(self) -> list[Phone]:
        """The phones of a kept demo's patients, in the order they came; a fresh demo begins with one."""
        phones = [await self._phone(patient.code, joined=True) for patient in await list_patients(self.db)]
        return phones or [await self._another()]

    async def _another(self) -> Phone:
        code = f"P-{len(await list_patients(self.db)) + 1:03}"
        return await self._phone(code, joined=False)

    async def _phone(self, code: str, *, joined: bool) -> Phone:
        person = self.telegram.person(code, language_code="en")
        if joined:
            return Phone(person, self.account, f"Patient {code}")
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
        link = f"https://t.me/{self.account.profile.username}?start={invite.token}"
        return Phone(person, self.account, f"Patient {code}", invite=link)

    async def _nurse_joins(self, nurse: Person) -> None:
        """The nurse opens her own invite, as a staff member does."""
        if await who_is(self.db, bot_id=self.account.profile.id, chat_id=nurse.id):
            return
        invite = await add_staff(
            self.db, code=_NURSE, role="coordinator", sites=[_SITE], language="en", actor=SYSTEM, now=self.clock()
        )
        nurse.press_start(self.account, invite.token)
