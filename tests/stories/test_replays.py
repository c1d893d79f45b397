"""Crashes, repeated updates and strange ones: whatever comes again or out of order is recorded once."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from diary import Database, Keys
from rehearsal import faults
from storage import tables
from storage.sealing import new_secret_key
from tests.cast import cairo
from tests.conftest import KEY
from tests.stories.scenes import (
    EVENING,
    asked,
    entries_of,
    receipts,
    serving,
)
from tests.stories.test_answering import PAIN, holding, notes
from tests.stories.test_bad_input import waiting
from tests.world import World

pytestmark = pytest.mark.usefixtures("short_pauses")


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
        await world.nurse()
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


async def test_a_crash_after_the_consent_and_before_the_thanks_asks_on_after_the_restart(stopped: World):
    world = stopped
    async with serving(world):
        amina = await world.newcomer()
        await world.tap(amina, "English")
        world.telegram.faults.always(faults.slow(30), method="editMessageReplyMarkup")
        amina.tap("I agree")
        await world.telegram.until(lambda: world.telegram.calls("editMessageReplyMarkup"))
    world.telegram.faults.clear()

    async with serving(world):
        await world.telegram.until(lambda: "Is it 10:00 where you are?" in amina.last.text)
        await world.settle()
        async with world.db.read() as conn:
            decided = (await conn.execute(select(tables.consents.c.decision))).scalars().all()
        assert decided == ["agreed"]
        assert [m.labels for m in amina.screen() if "under a code" in m.text] == [()]
        assert len([m for m in amina.screen() if "Thank you" in m.text]) == 1


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
