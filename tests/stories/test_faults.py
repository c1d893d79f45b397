"""What goes wrong between the diary, Telegram and the disk, and what patients may never notice of it."""

import asyncio
import json
import sqlite3
import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from diary import SYSTEM, Database, Keys, PatientStatus
from diary import alerts as alert_verbs
from diary.enrolment import change_status, invite_patient, patient_id_of
from rehearsal import faults
from rehearsal.clock import Clock
from rehearsal.inprocess import InProcessRequest
from rehearsal.telegram import Telegram
from storage import sends, tables
from storage import slots as ledger
from storage.sealing import new_secret_key
from tests.cast import T0, Stage, cairo
from tests.conftest import KEY
from tests.stories.test_answering import PAIN, holding, notes
from tests.stories.test_bad_input import waiting
from tests.world import World

EVENING = cairo("2026-11-24 20:00")  # Amina's first rating; its ladder: 20:45 and 21:30
MINUTE = timedelta(minutes=1)

REFUSED_FOR_GOOD = {
    "blocked": faults.blocked,
    "deactivated": faults.deactivated,
    "never started": faults.never_started,
    "chat not found": lambda: faults.bad("chat not found"),
}
REFUSED_THIS_ONCE = {
    "bad request": lambda: faults.bad("something else"),
    "migrated": lambda: faults.migrated(-100_5),
    "too large": faults.too_large,
}
CERTAINLY_NOT_SENT = {
    "flood": faults.flood,
    "flood without a time": lambda: faults.flood(None),
    "unauthorized": faults.unauthorized,
    "two pollers": faults.two_pollers,
    "unreachable": faults.unreachable,
}
NOBODY_KNOWS = {
    "broken": faults.broken,
    "broken after all was done": lambda: faults.broken(carried_out=True),
    "bad gateway": faults.bad_gateway,
    "bad gateway after all was done": lambda: faults.bad_gateway(carried_out=True),
    "captive portal": faults.captive_portal,
    "captive portal after all was done": lambda: faults.captive_portal(carried_out=True),
    "no result": faults.no_result,
    "dropped": faults.dropped,
    "dropped before": lambda: faults.dropped(carried_out=False),
    "silent": faults.silent,
    "silent before": lambda: faults.silent(carried_out=False),
}
SLOW = {"slow": lambda: faults.slow(0.02)}
EVERY_KIND = REFUSED_FOR_GOOD | REFUSED_THIS_ONCE | CERTAINLY_NOT_SENT | NOBODY_KNOWS | SLOW


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Real time stands for nothing here."""
    monkeypatch.setattr("bot.application._PAUSES", (0.001, 0.001))
    monkeypatch.setattr("bot.application._TELEGRAM_PAUSES", (0.001,) * 12)
    monkeypatch.setattr("bot.application._DATABASE_PAUSES", (0.02,))
    for place in ("bot.limiter.wait_of", "bot.application.wait_of"):
        monkeypatch.setattr(place, lambda _exc: timedelta(milliseconds=5))
    monkeypatch.setattr("bot.limiter.FLOOD_MARGIN_SECONDS", 0.0)
    monkeypatch.setattr("bot.service._FINISH_SECONDS", 0.05)


async def entries_of(world: World):
    async with world.db.read() as conn:
        e = tables.entries
        return [(row.answer, row.score, row.kind) for row in await conn.execute(select(e).order_by(e.c.id))]


async def outcomes(world: World):
    async with world.db.read() as conn:
        s = tables.sends
        return [row.outcome for row in await conn.execute(select(s.c.outcome).order_by(s.c.id))]


def questions(person, *, until=None):
    return [m for m in person.screen() if PAIN in m.text and not m.mine and (until is None or m.at < until)]


def receipts(person, text="✓ 7 recorded"):
    return [m for m in person.screen() if m.text.startswith(text)]


async def only_pain(world: World):
    """Let the infusion's messages go, so that what is seen is the rating's."""
    async with world.db.write() as conn:
        s = tables.slots
        await conn.execute(
            update(s).where(s.c.item == "infusion").values(next_nudge_at=None, excused_because="test")
        )


async def asked(world: World):
    """Amina in front of her first rating."""
    amina = await world.patient()
    await only_pain(world)
    await world.go_to(EVENING)
    return amina


@asynccontextmanager
async def serving(world: World, db: Database | None = None, *, watches_outages: bool = False):
    """The service, started on this world's Telegram; `world.service` is the one that runs."""
    bot = build_bot(
        world.account.token,
        "http://telegram.invalid",
        pacer=Pacer(per_bot=None, per_chat=None),
        request=InProcessRequest(world.telegram),
    )
    world.service = Service(
        db or world.db,
        bot,
        world.clock,
        fresh_client=lambda: InProcessRequest(world.telegram),
        watches_outages=watches_outages,
    )
    stop = asyncio.Event()
    polls = len(world.telegram.calls("getUpdates"))
    running = asyncio.create_task(world.service.run(stop, heartbeat=False))
    try:
        await world.telegram.until(lambda: len(world.telegram.calls("getUpdates")) > polls)
        yield
    finally:
        stop.set()
        await running


@pytest.fixture
async def stopped(stage: Stage):
    """A world in which no service runs yet."""
    clock = Clock(T0)
    telegram = Telegram(clock)
    yield World(stage, clock, telegram, telegram.bot(), None)
    await telegram.close()


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_question_that_meets_a_fault_is_never_doubled_and_its_answer_counts_once(world: World, kind):
    amina = await world.patient()
    await only_pain(world)
    world.telegram.faults.next(EVERY_KIND[kind](), method="sendMessage", chat_id=amina.id)
    await world.go_to(EVENING + 44 * MINUTE)

    first = questions(amina)
    assert len(first) <= 1
    if kind in CERTAINLY_NOT_SENT:
        assert len(first) == 1
    await world.go_to(EVENING + 46 * MINUTE)
    later = 0 if kind in REFUSED_FOR_GOOD else 1  # the next step of the ladder
    assert len(questions(amina)) == len(first) + later
    if kind in NOBODY_KNOWS:
        assert (await outcomes(world))[0] == "unknown"

    await world.type(amina, "7")
    assert await entries_of(world) == [("score", 7, "on time")]
    assert amina.last.text.startswith("✓ 7 recorded")
    assert await waiting(world) == (0, 0)
    await world.go_to(EVENING + 120 * MINUTE)
    assert len(questions(amina)) == len(first) + later


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_receipt_that_meets_a_fault_is_shown_in_the_end(world: World, kind):
    amina = await asked(world)
    world.telegram.faults.next(EVERY_KIND[kind](), method="editMessageText")
    await world.tap(amina, "7")

    assert await entries_of(world) == [("score", 7, "on time")]
    assert await waiting(world) == (0, 0)
    if kind not in REFUSED_FOR_GOOD:
        assert len(receipts(amina)) == 1
    assert not amina.sees("Sorry")


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_a_tap_that_cannot_be_answered_is_recorded_and_shown_all_the_same(world: World, kind):
    amina = await asked(world)
    world.telegram.faults.always(EVERY_KIND[kind](), method="answerCallbackQuery")
    await world.tap(amina, "7")

    assert await entries_of(world) == [("score", 7, "on time")]
    assert len(receipts(amina)) == 1
    assert await waiting(world) == (0, 0)
    assert not amina.sees("Sorry")


@pytest.mark.parametrize("kind", [*CERTAINLY_NOT_SENT, *NOBODY_KNOWS])
async def test_an_old_keyboard_that_cannot_be_taken_away_makes_no_second_receipt(world: World, kind):
    amina = await asked(world)
    world.telegram.faults.always(EVERY_KIND[kind](), method="editMessageReplyMarkup")
    await world.type(amina, "7")

    assert len(receipts(amina)) == 1
    assert await waiting(world) == (0, 0)


async def test_a_receipt_waits_for_telegram_and_nobody_is_told_that_something_went_wrong(world: World):
    amina = await asked(world)
    world.telegram.faults.next(*[faults.unreachable()] * 10, method="editMessageText")
    await world.tap(amina, "7")

    assert await entries_of(world) == [("score", 7, "on time")]
    assert len(receipts(amina)) == 1
    assert await waiting(world) == (0, 0)
    assert not amina.sees("Sorry")


async def test_the_typed_reason_and_the_side_effect_survive_a_failed_reply(world: World):
    amina = await world.patient()
    await world.type(amina, "/sideeffect")
    world.telegram.faults.next(faults.unreachable(), method="sendMessage", chat_id=amina.id)
    await world.type(amina, "a rash on both arms")

    assert ("side-effect", "a rash on both arms") in await notes(world)
    assert "The study team has been told" in amina.last.text
    await world.type(amina, "and a cough")
    assert "The study team has been told" not in amina.last.text  # one announcement, one side effect


async def test_a_crash_after_the_record_and_before_the_receipt_records_once(stopped: World):
    world = stopped
    async with serving(world):
        amina = await asked(world)
        world.telegram.faults.always(faults.slow(30), method="editMessageText")
        world.telegram.faults.always(faults.unreachable(), method="answerCallbackQuery")
        amina.tap("7")
        await world.telegram.until(lambda: world.telegram.calls("editMessageText"))
        assert receipts(amina) == []
    world.telegram.faults.clear()

    async with serving(world):
        await world.telegram.until(lambda: receipts(amina))
        await world.settle()
        assert await entries_of(world) == [("score", 7, "on time")]
        assert [toast.text for toast in amina.toasts()] == ["Already recorded: 7"]
        assert len(receipts(amina)) == 1
        assert await waiting(world) == (0, 0)


async def test_a_crash_between_a_side_effect_and_its_reply_keeps_it_a_side_effect(stopped: World):
    world = stopped
    async with serving(world):
        amina = await world.patient()
        await world.type(amina, "/sideeffect")
        world.telegram.faults.always(faults.slow(30), method="sendMessage", chat_id=amina.id)
        before = len(world.telegram.calls("sendMessage"))
        amina.type("a rash on both arms")
        await world.telegram.until(lambda: len(world.telegram.calls("sendMessage")) > before)
    world.telegram.faults.clear()

    async with serving(world):
        await world.telegram.until(lambda: "The study team has been told" in amina.last.text)
        await world.settle()
        assert [kind for kind, _ in await notes(world)] == ["side-effect"]


async def test_every_update_delivered_again_changes_nothing(world: World):
    amina = await asked(world)
    await world.tap(amina, "7")
    await world.type(amina, "/note", "slept badly", "my pillow is too soft")
    held, kept, shown = await entries_of(world), await notes(world), len(amina.screen())
    for count in (1, 2, 5, 9):
        world.account.updates.again(count)
        await world.settle()

    assert (await entries_of(world), await notes(world), len(amina.screen())) == (held, kept, shown)


async def test_a_tap_that_the_phone_sends_again_counts_once(world: World):
    amina = await asked(world)
    question = amina.last
    await world.tap(amina, "7")
    data = next(
        b["callback_data"]
        for row in json.loads(json.dumps(world.telegram.calls("sendMessage")[-1].parameters["reply_markup"]))[
            "inline_keyboard"
        ]
        for b in row
        if b["text"] == "7"
    )
    for seconds in (15, 30, 60):
        world.clock.move_to(EVENING + timedelta(seconds=seconds))
        amina.forge_tap(data, message=question)
        await world.settle()

    assert await entries_of(world) == [("score", 7, "on time")]
    assert len(receipts(amina)) == 1


async def test_two_different_taps_in_flight_record_the_first_and_offer_the_second(world: World):
    amina = await asked(world)
    question = amina.last
    amina.tap("7", message=question)
    amina.tap("3", message=question)
    await world.settle()

    assert await entries_of(world) == [("score", 7, "on time")]
    assert amina.last.labels == ("Change to 3", "Leave it")


async def test_a_text_and_a_tap_at_once_record_the_first_and_offer_the_second(world: World):
    amina = await asked(world)
    question = amina.last
    amina.type("4")
    amina.tap("7", message=question)
    await world.settle()

    assert await entries_of(world) == [("score", 4, "on time")]
    assert any(m.labels == ("Change to 7", "Leave it") for m in amina.screen())


async def test_numbers_that_start_anew_below_the_old_ones_lose_nothing(world: World):
    amina = await asked(world)
    world.account.updates.next_id = 17
    await world.type(amina, "6")

    assert await entries_of(world) == [("score", 6, "on time")]
    world.account.updates.next_id = 100_001  # a number that was there before, with another content
    await world.type(amina, "hello")
    assert ("unread", "hello") in await notes(world)


async def test_the_same_number_with_other_content_is_another_update(world: World):
    amina = await asked(world)
    number = world.account.updates.next_id
    for number_now, text in ((number, "first words"), (17, "in between"), (number, "other words")):
        world.account.updates.next_id = number_now
        message = {
            "message_id": 900,
            "date": int(world.clock().timestamp()),
            "chat": {"id": amina.id, "type": "private", "first_name": "A"},
            "from": {"id": amina.id, "is_bot": False, "first_name": "A"},
            "text": text,
        }
        world.account.updates.poison(json.dumps({"update_id": number_now, "message": message}))
        await world.settle()

    assert [text for _, text in await notes(world)] == ["first words", "in between", "other words"]


async def test_an_edit_of_yesterdays_answer_is_not_todays(world: World):
    amina = await asked(world)
    said = amina.type("7")
    await world.settle()
    await world.go_to(EVENING + timedelta(days=1, minutes=5))
    amina.edit(said, "8")
    await world.settle()

    assert set(await holding(world)) == {"pain 2026-11-24 0"}
    assert amina.last.labels == ("Change to 8", "Leave it")
    assert "Tue 24 Nov" in amina.last.text


@pytest.mark.parametrize(
    "text", ["a\x00b", "half \ud83d an emoji", "\ud800", "x" * 4096, "\u202eabc\u202c", "\u2067txt\u2069 note"]
)
async def test_strange_characters_are_kept_and_answered(world: World, text):
    amina = await world.patient()
    message = {
        "message_id": 900,
        "date": int(world.clock().timestamp()),
        "chat": {"id": amina.id, "type": "private", "first_name": "A"},
        "from": {"id": amina.id, "is_bot": False, "first_name": "A"},
        "text": text,
    }
    before = len(amina.screen())
    number = world.account.updates.next_id
    world.account.updates.poison(json.dumps({"update_id": number, "message": message}))
    await world.settle()

    kept = text.encode("utf-8", "replace").decode()
    assert await notes(world) == [("unread", kept)]
    assert len(amina.screen()) == before + 1
    assert await waiting(world) == (0, 0)


async def test_a_button_of_the_old_key_works_after_rotation_and_the_chat_is_still_known(stopped: World):
    world = stopped
    async with serving(world):
        amina = await asked(world)
    rotated = Database(str(world.db.url.set(drivername="sqlite")), Keys([new_secret_key(), KEY]))
    await rotated.open()
    async with serving(world, rotated):
        await world.tap(amina, "7")
        assert await entries_of(world) == [("score", 7, "on time")]
        assert len(receipts(amina)) == 1
        await world.tap(amina, "Change")
        assert "Leave it" in amina.last.labels
        await world.go_to(cairo("2026-11-25 20:00"))
        assert amina.last.text.startswith(PAIN)
    await rotated.close()


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
    amina.last  # the question is there
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
