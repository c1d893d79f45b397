"""Two things at once, a locked database, a full disk: nothing is lost, and nobody who left hears anything."""

import asyncio
import re
import sqlite3
import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select, update

from diary import SYSTEM, Database, PatientStatus
from diary import alerts as alert_verbs
from diary.enrolment import change_status, invite_patient, patient_id_of
from schedules.heartbeat import Heartbeat, Job
from storage import sends, tables
from storage import slots as ledger
from tests.cast import cairo
from tests.stories.scenes import (
    EVENING,
    MINUTE,
    asked,
    entries_of,
    only_pain,
    questions,
    receipts,
)
from tests.stories.test_answering import PAIN, notes
from tests.stories.test_bad_input import waiting
from tests.world import World

pytestmark = pytest.mark.usefixtures("short_pauses")


async def test_an_answer_between_claim_and_send_stops_what_follows(world: World):
    amina = await asked(world)
    world.clock.move_to(EVENING + 45 * MINUTE)
    async with world.db.read() as conn:
        due = await ledger.due_nudges(conn, now=world.clock(), limit=25)
    await world.tap(amina, "7")
    async with world.db.write() as conn:
        assert [await sends.claim_nudge(conn, n, then_at=None, now=world.clock()) for n in due] == [None]
    await world.go_to(EVENING + 120 * MINUTE)
    assert len(receipts(amina)) == 1
    assert questions(amina) == []


async def test_who_leaves_between_reading_and_claiming_hears_nothing(world: World):
    amina = await asked(world)
    world.clock.move_to(EVENING + 45 * MINUTE)
    async with world.db.write() as conn:
        patient_id = (await conn.execute(select(tables.patients.c.id))).scalar_one()
        await sends.add_notice(
            conn,
            patient_id=patient_id,
            kind="reask",
            key="outage:1",
            details={},
            at=world.clock(),
            expires_at=world.clock() + 60 * MINUTE,
        )
    async with world.db.read() as conn:
        nudges = await ledger.due_nudges(conn, now=world.clock(), limit=25)
        due = await sends.due_notices(conn, now=world.clock(), limit=25)
    assert (len(nudges), len(due)) == (1, 1)
    await withdraw(world)
    async with world.db.write() as conn:
        assert await sends.claim_nudge(conn, nudges[0], then_at=None, now=world.clock()) is None
        assert not await sends.claim_notice(conn, due[0], now=world.clock())
    before = len(amina.screen())
    await world.go_to(world.clock() + timedelta(days=2))
    assert len(amina.screen()) == before


async def withdraw(world: World, code: str = "P-001", status: PatientStatus = PatientStatus.WITHDRAWN):
    await change_status(
        world.db,
        patient_id=await patient_id_of(world.db, code),
        status=status,
        actor=SYSTEM,
        reason="test",
        now=world.clock(),
    )


async def test_a_chat_that_was_replaced_between_reading_and_claiming_hears_nothing(world: World):
    await asked(world)
    world.clock.move_to(EVENING + 45 * MINUTE)
    async with world.db.read() as conn:
        due = await ledger.due_nudges(conn, now=world.clock(), limit=25)
    invite = await invite_patient(world.db, code="P-001", actor=SYSTEM, now=world.clock())
    new = world.telegram.person("Amina again", language_code="en")
    new.press_start(world.account, invite.token)
    await world.settle()
    async with world.db.write() as conn:
        s = tables.slots
        await conn.execute(update(s).where(s.c.id == due[0].slot_id).values(next_nudge_at=due[0].next_nudge_at))
        assert await sends.claim_nudge(conn, due[0], then_at=None, now=world.clock()) is None


class Lock:
    """Another process that writes into the same file."""

    def __init__(self, db: Database, seconds: float) -> None:
        self.held, self._seconds, self._path = threading.Event(), seconds, db.url.database
        self.release = threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        self.held.set()
        self.release.wait(self._seconds)
        connection.execute("ROLLBACK")
        connection.close()

    async def __aenter__(self):
        self._thread.start()
        await asyncio.to_thread(self.held.wait)
        return self

    async def __aexit__(self, *_):
        self.release.set()
        await asyncio.to_thread(self._thread.join)


async def test_another_writer_for_a_while_loses_nothing(world: World):
    amina = await asked(world)
    async with Lock(world.db, 1.0):
        amina.tap("7")
        await asyncio.sleep(0.3)
        assert receipts(amina) == []
    await world.settle()

    assert await entries_of(world) == [("score", 7, "on time")]
    assert len(receipts(amina)) == 1
    assert await waiting(world) == (0, 0)


async def test_another_writer_for_longer_than_anybody_waits_loses_nothing_either(world: World, monkeypatch):
    amina = await asked(world)
    await writer_waits(world, milliseconds=20)
    locked = Lock(world.db, 5.0)
    original = world.service.chat._handle

    async def locked_meanwhile(*args):
        if not locked.held.is_set():
            await locked.__aenter__()
            asyncio.get_running_loop().call_later(0.5, locked.release.set)
        await original(*args)

    monkeypatch.setattr(world.service.chat, "_handle", locked_meanwhile)
    amina.tap("7")
    await world.telegram.until(lambda: receipts(amina))
    await world.settle()
    await locked.__aexit__()

    assert await entries_of(world) == [("score", 7, "on time")]
    assert await waiting(world) == (0, 0)
    assert not amina.sees("Sorry")


async def writer_waits(world: World, *, milliseconds: int):
    async with world.db.write() as conn:
        await conn.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")


async def full_disk(world: World, *, full: bool):
    async with world.db.write() as conn:
        pages = (await conn.exec_driver_sql("PRAGMA page_count")).scalar_one()
        limit = pages if full else 1_000_000
        await conn.exec_driver_sql(f"PRAGMA max_page_count = {limit}")


async def test_a_full_disk_confirms_nothing_and_all_is_well_when_there_is_space(world: World):
    amina = await asked(world)
    assert amina.last.text.startswith(PAIN)
    await full_disk(world, full=True)
    for _ in range(40):  # fill what is free within the last pages
        amina.type("x" * 4000)
    await world.telegram.until(lambda: len(world.account.updates.pending()) > 0 and world.service._seen is not None)
    amina.tap("7")
    await asyncio.sleep(0.2)
    assert world.account.updates.pending()
    await full_disk(world, full=False)
    await world.telegram.until(lambda: not world.account.updates.pending(), seconds=20)
    await world.telegram.quiet(idle=lambda: world.service.idle, seconds=20)

    assert await entries_of(world) == [("score", 7, "on time")]
    assert len(await notes(world)) == 40
    assert await waiting(world) == (0, 0)


async def test_one_patients_broken_rules_stop_nobodys_messages(world: World, monkeypatch):
    nour = await world.nurse()
    amina = await world.patient()
    real = alert_verbs.evaluate_rules

    async def broken(db, *, patient_id, now):
        if patient_id == 1:
            raise KeyError("a rule nobody knows")
        return await real(db, patient_id=patient_id, now=now)

    monkeypatch.setattr("diary.alerts.evaluate_rules", broken)
    world.clock.move_to(world.clock() + timedelta(hours=2))
    await world.type(amina, "/sideeffect dizzy")
    await world.tick()

    assert nour.sees("dizzy")


async def test_a_side_effect_does_not_queue_behind_the_reminders(world: World, monkeypatch):
    nour = await world.nurse()
    people = [await world.patient(f"P-{n:03}") for n in range(1, 61)]
    await only_pain(world)
    world.clock.move_to(EVENING)
    await world.type(people[0], "/sideeffect dizzy")
    before = len(world.telegram.sent)
    await world.tick()

    order = [c.chat_id for c in world.telegram.sent[before:] if c.method == "sendMessage"]
    assert order.index(nour.id) <= 30


async def test_the_heartbeat_goes_on_when_the_machines_clock_is_set_back(monkeypatch):
    back = timedelta()

    class Clockwork(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - back  # noqa: TID251 - it stands for the machine

    for module in ("apscheduler.schedulers.base", "apscheduler.triggers.interval"):
        monkeypatch.setattr(f"{module}.datetime", Clockwork)
    beats = asyncio.Semaphore(0)

    async def beat():
        beats.release()

    heartbeat = Heartbeat([Job("beat", timedelta(milliseconds=5), beat)])
    heartbeat.start()
    async with asyncio.timeout(5):
        await beats.acquire()
        back = timedelta(hours=2)
        for _ in range(5):
            await beats.acquire()
    heartbeat.stop()


async def test_what_runs_when_the_heartbeat_stops_is_left_to_finish():
    began, ended = asyncio.Event(), asyncio.Event()

    async def send():
        began.set()
        await asyncio.sleep(0.01)
        ended.set()

    heartbeat = Heartbeat([Job("send", timedelta(milliseconds=5), send)])
    heartbeat.start()
    async with asyncio.timeout(5):
        await began.wait()
        heartbeat.stop()
        await ended.wait()


async def test_no_table_that_grows_is_read_whole_for_an_answer_a_message_or_a_rule(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-12-08 09:00"))
    told: list[tuple[str, object]] = []

    def note(_conn, _cursor, statement, parameters, _context, _many):
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
            told.append((statement, parameters))

    engines = [world.db._write_engine.sync_engine, world.db._read_engine.sync_engine]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    await world.tap(amina, "Taken")
    await world.type(amina, "/note slept well", "7")
    await world.go_to(cairo("2026-12-08 21:00"))
    await alert_verbs.evaluate_rules(world.db, patient_id=1, now=world.clock())
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)

    whole = set()
    connection = sqlite3.connect(world.db.url.database)
    for statement, parameters in told:
        for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
            if re.match(r"SCAN (slots|sends|entries|notes|inbox|audit|notices|contacts)\b(?! USING COV)", row[3]):
                whole.add(statement)
    connection.close()
    assert told
    assert whole == set()
