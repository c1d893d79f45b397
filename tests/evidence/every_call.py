"""One evening of one patient, again and again, and each time another call fails: of the database, of Telegram.

Whichever it is, the evening ends the same: the score and the note are kept once, the patient saw the receipt, no
question was asked twice under one number, and nothing waits in the inbox.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from diary import Database, Keys
from rehearsal import faults
from rehearsal.people import Person
from schedules.sending import PutBack
from storage.driver import DiaryConnection
from tests.cast import Stage, cairo
from tests.conftest import KEY
from tests.process.reckoning import asks
from tests.world import World, living

NOTE = "slept badly, and the left leg too"
_EVENING, _MINUTE = cairo("2026-11-24 20:00"), timedelta(minutes=1)
_PATIENCE = 120  # minutes in which the question must have come
_KINDS: Final[Mapping[str, Callable[[], faults.Fault]]] = {
    "no answer": faults.silent,
    "the line drops": faults.dropped,
    "the line drops before": lambda: faults.dropped(carried_out=False),
    "500": faults.broken,
    "502, carried out": lambda: faults.bad_gateway(carried_out=True),
    "429": faults.flood,
    "unreachable": faults.unreachable,
}
_PATCHES = {
    "bot.application._PAUSES": (0.001, 0.001),
    "bot.application._TELEGRAM_PAUSES": (0.001,) * 12,
    "bot.application._DATABASE_PAUSES": (0.002,),
    "bot.limiter.FLOOD_MARGIN_SECONDS": 0.0,
    "bot.limiter.wait_of": lambda _: timedelta(milliseconds=1),
    "bot.application.wait_of": lambda _: timedelta(milliseconds=1),
}


@contextmanager
def _failing_statement(number: int) -> Iterator[list[int]]:
    """Let the statement, or the commit, of this number fail; the list counts them."""
    count = [0]
    execute, commit = DiaryConnection.in_thread, DiaryConnection.commit

    def strike() -> None:
        count[0] += 1
        if count[0] == number:
            raise sqlite3.OperationalError("disk I/O error")

    async def in_thread(self: DiaryConnection, work: Any) -> Any:
        strike()
        return await execute(self, work)

    async def committed(self: DiaryConnection) -> None:
        strike()
        await commit(self)

    with patch.object(DiaryConnection, "in_thread", in_thread), patch.object(DiaryConnection, "commit", committed):
        yield count


async def failing_statements(template: Path, every: int) -> tuple[int, list[str]]:
    """Each statement of the evening fails once, or every tenth or so; how many that were, and what was amiss."""
    async with _one_patient(template) as (world, person):
        with _failing_statement(0) as count:
            await _evening(world, person)
        assert await _amiss(world, person) == []
    numbers = range(1, count[0] + 1, every)
    amiss = []
    for number in numbers:
        async with _one_patient(template) as (world, person):
            with _failing_statement(number):
                await _evening(world, person)
            amiss += [f"statement {number}: {one}" for one in await _amiss(world, person)]
    return len(numbers), amiss


async def failing_calls(template: Path, every: int) -> tuple[int, list[str]]:
    """The same with every call to Telegram, in each of the ways a call can fail."""
    async with _one_patient(template) as (world, person):
        before = len(_calls(world))
        await _evening(world, person)
        assert await _amiss(world, person) == []
        count = len(_calls(world)) - before
    cases = [(number, kind) for number in range(1, count + 1) for kind in _KINDS][::every]
    amiss = []
    for number, kind in cases:
        async with _one_patient(template) as (world, person):
            world.telegram.faults.when(_nth(number), _KINDS[kind]())
            await _evening(world, person)
            amiss += [f"call {number}, {kind}: {one}" for one in await _amiss(world, person)]
    return len(cases), amiss


def _nth(number: int) -> Callable[[faults.Call], bool]:
    """True for the call of this number from now on, polls not counted."""
    seen = 0

    def is_it(call: faults.Call) -> bool:
        nonlocal seen
        seen += call.method != "getUpdates"
        return call.method != "getUpdates" and seen == number

    return is_it


def _calls(world: World) -> list[faults.Call]:
    return [call for call in world.telegram.sent if call.method != "getUpdates"]


@asynccontextmanager
async def _one_patient(template: Path) -> AsyncIterator[tuple[World, Person]]:
    with tempfile.TemporaryDirectory(prefix="daybook-evidence-") as folder, ExitStack() as patches:
        for place, value in _PATCHES.items():
            patches.enter_context(patch(place, value))
        shutil.copy(template, Path(folder) / "daybook.db")
        db = Database(f"sqlite:///{folder}/daybook.db", Keys([KEY]))
        await db.open()
        try:
            stage = Stage(db)
            await stage.set_up()
            async with living(stage) as world:
                yield world, await world.patient()
        finally:
            await db.close()


async def _evening(world: World, person: Person) -> None:
    """Live through it, as patiently as somebody would."""
    world.clock.move_to(_EVENING)
    for _ in range(_PATIENCE):
        await _minute(world)
        if "7" in person.last.labels:
            break
    else:
        return  # and nothing will be kept
    await _minute(world)  # nobody answers at once
    await world.tap(person, "7")
    await world.type(person, NOTE)
    for _ in range(3):  # whatever was put off has its turn
        await _minute(world)


async def _minute(world: World) -> None:
    """What the heartbeat does, and a minute goes by; a part that fails is logged there, and has another turn."""
    for part in (world.service.hold_rules, world.service.tick):
        try:
            await part()
        except Exception:  # noqa: BLE001 - as the heartbeat does
            continue
    await world.settle()
    world.clock.move_to(world.clock() + _MINUTE)


async def _amiss(world: World, person: Person) -> list[str]:
    """What is not as it must be at the end."""
    return [*await _kept_amiss(world), *await _asked_amiss(world, person)]


async def _rows(world: World, sql: str) -> Sequence[Any]:
    async with world.db.read() as conn:
        return (await conn.exec_driver_sql(sql)).all()


async def _kept_amiss(world: World) -> list[str]:
    scores = [row[0] for row in await _rows(world, "SELECT score FROM entries")]
    notes = [row[0] for row in await _rows(world, "SELECT text FROM notes")]
    left = (await _rows(world, "SELECT count(*) FROM inbox WHERE done_at IS NULL"))[0][0]
    return [
        *([] if scores == [7] else [f"the scores kept are {scores}"]),
        *([] if notes == [NOTE] else [f"the notes kept are {notes}"]),
        *([] if left == 0 else [f"{left} updates wait or are in quarantine"]),
    ]


async def _asked_amiss(world: World, person: Person) -> list[str]:
    sent = await _rows(world, "SELECT slot_id, nudge FROM sends WHERE outcome IN ('sent', 'unknown', 'claimed')")
    twice = [place for place, times in Counter(map(tuple, sent)).items() if times > 1]
    arrived = [call for call in _calls(world) if call.carried_out and asks(call)]
    return [
        *([f"asked twice under one number: {twice}"] if twice else []),
        *([f"{len(arrived)} questions arrived, {len(sent)} are recorded"] if len(arrived) > len(sent) else []),
        *([] if person.sees("✓ 7") else ["the patient saw no receipt"]),
    ]


MUTANTS: Final[Mapping[str, Callable[[], AbstractContextManager[Any]]]] = {
    "an update that fails is set aside at once": lambda: patch("bot.application._pause_after", lambda *_: None),
    "a message of unknown fate is sent again": lambda: patch(
        "bot.sender.classify", lambda _: PutBack(timedelta(0), "again")
    ),
}
