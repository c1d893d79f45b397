"""A folder with a diary that is set up, the command line called as a user would, and a Telegram that answers."""

import asyncio
import json
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from cli.settings import load_settings
from cli.wiring import clock, opened
from diary import Database
from diary.protocols import adopt_protocol
from protocol.load import load_protocol
from rehearsal.server import Server
from rehearsal.telegram import TOKEN, Telegram
from tests.cast import T0, Stage
from tests.conftest import KEY

NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Said:
    """What a call of `daybook` answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refuses(self, *words: str, code: int = 1) -> None:
        """One plain sentence on standard error with these words, this exit code, no traceback."""
        assert self.code == code, self
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err


@dataclass(slots=True)
class Shell:
    """A user's folder and the command line in it, at a time of its own."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    now: datetime = T0

    def __call__(self, *arguments: object) -> Said:
        code = run([str(argument) for argument in arguments])
        caught = self.capture.readouterr()
        return Said(code, caught.out, caught.err)

    def behind(self, does: Callable[[Stage], Awaitable[Any]]) -> Any:
        """Do something with the database of this folder, as the service would."""

        async def go() -> Any:
            async with opened(load_settings()) as db:
                protocol_id = await adopt_protocol(db, load_protocol("magnesium-clbp"), now=T0)
                return await does(Stage(db, protocol_id))

        return asyncio.run(go())


def refuse_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite open and then refuse, as it does in a folder that cannot be written, which root cannot make."""
    really_open = Database.open

    async def open_for_reading(db: Database, **named: bool) -> None:
        await really_open(db, **named)
        raw: Any = await db._writer.get_raw_connection()
        await raw.driver_connection.execute("PRAGMA query_only = ON")

    monkeypatch.setattr(Database, "open", open_for_reading)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """An empty folder, and no setting but that Telegram is not there."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DAYBOOK_TELEGRAM_API", NOBODY)
    shell = Shell(folder, capsys)
    monkeypatch.setattr("cli.wiring.clock", lambda: shell.now)
    return shell


@pytest.fixture
def shell(empty: Shell, template: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A folder with a key, a database, the protocol and the site `main` in Cairo."""
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", KEY)
    (empty.folder / "data").mkdir()
    shutil.copy(template, empty.folder / "data" / "daybook.db")
    empty.behind(lambda stage: stage.set_up())
    return empty


@pytest.fixture(scope="session")
def telegram_api() -> Iterator[str]:
    """The address of a stand-in Telegram that knows TOKEN as @daybook_rehearsal_bot."""
    listening, ended = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        telegram = Telegram(clock)
        telegram.bot()
        async with Server(telegram) as server:
            found.update(url=server.url, stop=asyncio.Event(), loop=asyncio.get_running_loop())
            listening.set()
            await found["stop"].wait()
        ended.set()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    assert listening.wait(10)
    yield found["url"]
    found["loop"].call_soon_threadsafe(found["stop"].set)
    assert ended.wait(10)


@pytest.fixture
def online(shell: Shell, telegram_api: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The same folder with a bot's token and a Telegram that answers."""
    monkeypatch.setenv("DAYBOOK_TELEGRAM_API", telegram_api)
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", TOKEN)
    return shell
