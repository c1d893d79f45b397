"""A demo that is kept goes on where it was."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from cli.demo import Stand, _beginning, _key
from diary import Database, Keys
from protocol.load import load_protocol
from rehearsal.clock import Clock
from tests.cli.conftest import Shell, refuse_writing
from tests.conftest import KEY

FILE = load_protocol("magnesium-clbp")
JOINING = ("English", "I agree", "Yes", "20:00")


@asynccontextmanager
async def demo(folder):
    """A run of the demo in this folder, until its Ctrl-C."""
    db = Database(f"sqlite:///{folder / 'daybook.db'}", Keys([KEY]))
    await db.open(schema_checked=False)
    await db.migrate()
    stand = Stand(db, FILE, Clock(await _beginning(db, FILE)), folder)
    stop = asyncio.Event()
    running = asyncio.create_task(stand.run(0, stop))
    await stand.telegram.until(lambda: running.done() or greeted(stand), seconds=15)
    await settled(stand)
    yield stand
    stop.set()
    await running
    await db.close()


def greeted(stand):
    nurse = person(stand, "Nour")
    said = ("Welcome, nurse", "The rehearsal has not kept")
    return nurse is not None and hasattr(stand, "service") and any(nurse.sees(words) for words in said)


def person(stand, name):
    return next((each for each in stand.telegram.people.values() if each.profile.first_name == name), None)


async def settled(stand):
    await stand.telegram.quiet(idle=lambda: stand.service.idle, seconds=15)


async def join(stand, phone):
    phone.person.press_start(stand.account, phone.invite.partition("start=")[2])
    await settled(stand)
    for label in JOINING:
        phone.person.tap(label)
        await settled(stand)


async def to_the_evening(stand):
    """Let the clock go on until the rating is asked for."""
    for _ in range(4):
        stand.clock.move_to(await stand._next_event())
        await stand._moved(stand.clock())
        if person(stand, "P-001").last.text.startswith("How strong"):
            return


@pytest.fixture
async def kept(tmp_path):
    """A folder in which P-001 has joined, P-002 has not pressed START, and the demo was ended."""
    async with demo(tmp_path) as stand:
        first = (await stand._patients())[0]
        await join(stand, first)
        await stand._another()
    return tmp_path


async def test_a_kept_demo_goes_on_with_its_chats_and_asks_in_them(kept):
    async with demo(kept) as stand:
        amina = person(stand, "P-001")
        assert amina.sees("Thank you. You have agreed to take part.")
        await to_the_evening(stand)
        amina.tap("7")
        await settled(stand)

        assert amina.last.text.startswith("✓ 7 recorded")
        assert not person(stand, "Nour").sees("cannot be reached")


async def test_every_patient_of_a_kept_demo_has_a_phone_and_who_had_not_started_can(kept):
    async with demo(kept) as stand:
        phones = await stand._patients()
        page = await stand._page(person(stand, "Nour"), phones).state()
        assert page["phones"][0]["titles"] == ["Patient P-001", "Patient P-002"]
        assert (page["phones"][0]["shown"], [phone.invite is None for phone in phones]) == (1, [True, False])
        await join(stand, phones[1])

        assert "Your next reminder" in phones[1].person.last.text


async def test_a_demo_whose_end_was_not_orderly_opens_the_chats_of_who_had_joined(kept):
    (kept / "phones.json").unlink()
    async with demo(kept) as stand:
        amina = person(stand, "P-001")
        assert amina.screen()[0].text == "The rehearsal has not kept earlier messages."
        await to_the_evening(stand)

        assert amina.last.text.startswith("How strong")
        assert not person(stand, "Nour").sees("cannot be reached")


@pytest.mark.parametrize("port", ["99999", "65536", "-1"])
def test_a_port_that_cannot_be_is_refused(empty: Shell, port):
    empty("demo", "--port", port).refuses("--port", code=2)


def test_a_folder_that_takes_no_file_is_refused(empty: Shell):
    empty("demo", "--keep", "/proc").refuses("/proc cannot be used as a folder", "name another one", code=2)


def test_a_kept_database_that_cannot_be_written_is_refused(empty: Shell, monkeypatch):
    (empty.folder / "kept").mkdir()
    asyncio.run(_made(empty.folder / "kept"))
    refuse_writing(monkeypatch)
    empty("demo", "--keep", "kept", "--port", "0").refuses("readonly database", "the right to write")


async def _made(folder):
    db = Database(f"sqlite:///{folder / 'daybook.db'}", Keys([_key(folder)]))
    await db.open(schema_checked=False)
    await db.migrate()
    await db.close()
