"""A deployment as an administrator has it: a folder, a database, settings, and the real process in it.

Telegram is the stand-in, over HTTP in the test's own process. The clock is the real one on both sides, so the
trial is laid around the present: it is noon for the patients, and what they are asked for is due now.
"""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from cli.wiring import clock
from diary import SYSTEM, Database, Keys
from diary.enrolment import add_patient
from diary.joining import join, record_consent
from diary.protocols import adopt_protocol
from diary.service import beat
from diary.team import add_site
from protocol.load import load_protocol
from rehearsal.people import Person
from rehearsal.server import Server
from rehearsal.telegram import TOKEN, Telegram
from tests.conftest import KEY

DAYBOOK = Path(sys.executable).with_name("daybook")
BOT_ID = int(TOKEN.partition(":")[0])

_TRIAL = """
[trial]
id = "kept"
version = "1"
title = "One day with much to answer"
timezone = "{zone}"
languages = ["en"]
quiet_hours = ["02:00", "03:00"]
emergency = {{ en = "Call the emergency number." }}
consent = {{ en = "Agree?" }}
privacy = {{ en = "Kept under a code." }}
nrs = {{ min = 0, max = 10, low = {{ en = "none" }}, high = {{ en = "worst" }} }}

[[phase]]
id = "day"
name = {{ en = "The day" }}
days = 1
"""
_ITEM = """
  [[phase.item]]
  id = "{kind}-{number}"
  kind = "{kind}"
  name = {{ en = "{kind} {number}" }}
  prompt = {{ en = "How is it with {kind} {number}?" }}
  at = ["12:00"]
  on_time = "1h"
  late = "5h"
  nudge_after = ["1m", "2m"]
"""


@dataclass(slots=True)
class Process:
    """A running `daybook`, what it wrote, and ways to end it."""

    handle: asyncio.subprocess.Process
    log: Path

    def kill(self) -> None:
        """Let it vanish, as the machine's power or the kernel would."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, as a container does."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self.handle.returncode is None:
            self.handle.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether it is still there."""
        return self.handle.returncode is None

    async def ended(self, *, within: float = 10.0) -> int:
        """Wait for its end and give its exit code."""
        async with asyncio.timeout(within):
            return await self.handle.wait()

    @property
    def said(self) -> str:
        """All it wrote so far."""
        return self.log.read_text(encoding="utf-8")

    def events(self, name: str) -> list[dict[str, object]]:
        """The lines of its log with this event, where the log is JSON."""
        lines = [orjson.loads(line) for line in self.said.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    async def logged(self, event: str, *, times: int = 1, within: float = 20.0) -> dict[str, object]:
        """Wait until its log has this event, and give the line."""
        async with asyncio.timeout(within):
            while len(found := self.events(event)) < times:
                assert self.running, self.said
                await asyncio.sleep(0.01)
        return found[times - 1]


@dataclass(frozen=True, slots=True)
class Said:
    """What a short command answered."""

    code: int
    out: str
    err: str

    def refuses(self, *words: str, code: int = 1) -> None:
        """One plain sentence on standard error with these words, this exit code, no traceback."""
        assert self.code == code, self
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err


@dataclass(slots=True)
class Deployment:
    """A folder with a diary in it, and the stand-in Telegram it speaks to."""

    folder: Path
    telegram: Telegram
    api: str
    people: Sequence[Person] = ()
    processes: list[Process] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The database."""
        return self.folder / "daybook.db"

    @property
    def protocol(self) -> Path:
        """The protocol file."""
        return self.folder / "kept.toml"

    def environment(self, **changes: str | None) -> dict[str, str]:
        """The process's whole environment; a change to None takes a setting out."""
        settings: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DAYBOOK_BOT_TOKEN": TOKEN,
            "DAYBOOK_TELEGRAM_API": self.api,
            "DAYBOOK_DATABASE_URL": f"sqlite:///{self.file}",
            "DAYBOOK_SECRET_KEY": KEY,
            "DAYBOOK_PROTOCOL": str(self.protocol),
            "DAYBOOK_WEB_PORT": "0",
            "DAYBOOK_LOG_FORMAT": "json",
            **changes,
        }
        return {name: value for name, value in settings.items() if value is not None}

    async def start(self, *, program: Sequence[str] | None = None, **changes: str | None) -> Process:
        """Start `daybook serve`, or another program in its place, and give it back at once."""
        log = self.folder / f"serve-{len(self.processes)}.log"
        with log.open("wb") as out:
            handle = await asyncio.create_subprocess_exec(
                *(program or (str(DAYBOOK), "serve")),
                cwd=self.folder,
                env=self.environment(**changes),
                stdout=out,
                stderr=out,
            )
        self.processes.append(Process(handle, log))
        return self.processes[-1]

    async def listening(self, *, program: Sequence[str] | None = None, **changes: str | None) -> Process:
        """Start it and wait until it polls."""
        before = len(self.telegram.calls("getUpdates"))
        process = await self.start(program=program, **changes)
        await self.polls(process, after=before)
        return process

    async def polls(self, process: Process, *, after: int, within: float = 20.0) -> None:
        """Wait until it has asked for updates more often than this; say what it logged where it does not."""
        try:
            await self.until(
                lambda: len(self.telegram.calls("getUpdates")) > after or not process.running, within=within
            )
        except TimeoutError:
            raise AssertionError(f"it does not poll: {process.said}") from None
        assert process.running, process.said

    async def call(self, *arguments: str, **changes: str | None) -> Said:
        """Run a command to its end."""
        handle = await asyncio.create_subprocess_exec(
            DAYBOOK,
            *arguments,
            cwd=self.folder,
            env=self.environment(**changes),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await handle.communicate()
        return Said(handle.returncode or 0, out.decode(), err.decode())

    async def until(self, true: Callable[[], object], *, within: float = 20.0) -> None:
        """Wait until this becomes true; neither a database nor another process rings a bell."""
        async with asyncio.timeout(within):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Read the database with another hand than the diary's own."""
        with sqlite3.connect(self.file, timeout=10) as conn:
            rows = conn.execute(sql, values).fetchall()
        conn.close()
        return rows

    def count(self, sql: str, *values: object) -> int:
        """A single number from the database."""
        return int(str(self.ask(sql, *values)[0][0]))

    async def beaten_last(self, part: str, at: datetime) -> None:
        """Let a part of the service have been seen working at another time."""
        async with self._opened() as db:
            await beat(db, part, now=at)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Database]:
        db = Database(f"sqlite:///{self.file}", Keys([KEY]))
        await db.open()
        yield db
        await db.close()

    async def set_up(self, *, patients: int, ratings: int, doses: int = 0) -> None:
        """The trial, and patients who have joined and agreed yesterday."""
        now = clock()
        zone = _where_it_is_noon(now)
        self.protocol.write_text(trial_in(zone, ratings=ratings, doses=doses))
        self.people = [self.telegram.person(f"P-{number:03}") for number in range(patients)]
        async with self._opened() as db:
            await enrol(db, self.protocol, zone, self.people, now=now)

    def fall_due(self, chance: random.Random, *, earliest: float, latest: float) -> None:
        """Spread what is asked for over these seconds from now, each slot at a moment of its own."""
        now = clock()
        changes = []
        for (slot_id,) in self.ask("SELECT id FROM slots"):
            due = now + timedelta(seconds=chance.uniform(earliest, latest))
            until = [due + timedelta(hours=hours) for hours in (0, 0, 1, 5, 0)]
            changes.append((*(at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for at in until), slot_id))
        with sqlite3.connect(self.file) as conn:
            conn.executemany(
                "UPDATE slots SET opens_at = ?, due_at = ?, on_time_until = ?, closes_at = ?, next_nudge_at = ?"
                " WHERE id = ?",
                changes,
            )
        conn.close()


@asynccontextmanager
async def deployed(
    folder: Path, template: Path, *, patients: int = 0, ratings: int = 1, doses: int = 0
) -> AsyncIterator[Deployment]:
    """A deployment that is set up and not started; whatever still runs at the end is killed."""
    telegram = Telegram(clock)
    telegram.bot()
    async with Server(telegram) as server:
        deployment = Deployment(folder, telegram, server.url)
        shutil.copy(template, deployment.file)
        await deployment.set_up(patients=patients, ratings=ratings, doses=doses)
        try:
            yield deployment
        finally:
            await _end(deployment.processes)


def trial_in(zone: str, *, ratings: int, doses: int = 0) -> str:
    """A protocol of one day, on which all this is asked for at noon."""
    items = [("rating", number) for number in range(ratings)] + [("dose", number) for number in range(doses)]
    return _TRIAL.format(zone=zone) + "".join(_ITEM.format(kind=kind, number=number) for kind, number in items)


async def enrol(db: Database, protocol: Path, zone: str, people: Sequence[Person], *, now: datetime) -> None:
    """The trial, and these people as patients who joined and agreed yesterday, for today."""
    before = now - timedelta(days=1)
    await add_site(db, code="main", name="Main", timezone=zone, actor=SYSTEM, now=before)
    protocol_id = await adopt_protocol(db, load_protocol(str(protocol)), now=before)
    for person in people:
        invite = await add_patient(
            db,
            code=person.profile.first_name,
            start=now.astimezone(ZoneInfo(zone)).date(),
            site="main",
            protocol_id=protocol_id,
            timezone=None,
            language="en",
            actor=SYSTEM,
            now=before,
        )
        person.chat().started = True
        joined = await join(db, bot_id=BOT_ID, chat_id=person.id, token=invite.token, now=before)
        assert joined.patient is not None
        await record_consent(
            db, patient_id=joined.patient.id, agreed=True, language="en", text="Agree?", now=before
        )


async def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        process.kill()
        await process.ended()


def _where_it_is_noon(now: datetime) -> str:
    """A zone in which no test meets midnight or quiet hours, whenever it runs."""
    east = 12 - now.hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"
