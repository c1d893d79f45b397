import json

import pytest

from rehearsal import faults
from storage import inbox
from tests.cast import cairo
from tests.stories.test_answering import holding, notes
from tests.world import World


async def waiting(world: World):
    async with world.db.read() as conn:
        return await inbox.count_inbox(conn)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "ok",
        "🙂",
        "=1+1",
        "a" * 4096,
        "مرحبا، أشعر بتحسن",
        "/nonsense",
        "7" * 50,
        "\u202e7",
        "DROP TABLE entries;",
    ],
)
async def test_whatever_is_typed_gets_one_answer_and_is_not_an_entry(world: World, text):
    amina = await world.patient()
    before = len(amina.screen())
    await world.type(amina, text)

    assert len(amina.screen()) == before + 2
    assert await holding(world) == {}
    assert await waiting(world) == (0, 0)


async def test_a_text_that_is_not_understood_is_kept_and_passed_on_when_wanted(world: World):
    nour = await world.nurse()
    amina = await world.patient()
    await world.type(amina, "my pillow is too soft")
    assert ("unread", "my pillow is too soft") in await notes(world)
    await world.tap(amina, "Yes, pass it on")
    await world.tick()

    assert nour.sees("my pillow is too soft")
    assert nour.sees("P-001")


async def test_pictures_voices_places_and_forwards_are_refused_kindly(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    for send in (
        lambda: amina.send_photo(caption="7"),
        amina.send_voice,
        amina.send_sticker,
        amina.send_location,
        lambda: amina.send_document("x.pdf", b"x"),
        lambda: amina.forward("7"),
    ):
        send()
        await world.settle()
        assert "words" in amina.last.text

    assert await holding(world) == {}
    assert await waiting(world) == (0, 0)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "This bot only works in a private chat."), ("ar", "لا يعمل هذا البوت إلا في محادثة خاصة.")],
)
async def test_the_bot_says_one_sentence_in_a_group_and_leaves(world: World, language, said):
    stranger = world.telegram.person("Salma", language_code=language)
    group = stranger.add_bot_to_group()
    stranger.type("hello all", group=group)
    await world.settle()

    assert [message.text for message in group.visible() if message.sender.is_bot] == [said]
    assert world.telegram.calls("leaveChat")[0].ok
    assert group.left


async def test_a_patient_who_brings_the_bot_into_a_group_is_not_given_away(world: World):
    amina = await world.patient()
    group = amina.add_bot_to_group()
    await world.settle()

    assert [m.text for m in group.visible() if m.sender.is_bot] == ["This bot only works in a private chat."]


async def test_the_bot_leaves_a_group_that_it_may_not_write_to(world: World):
    amina = await world.patient()
    world.telegram.faults.always(faults.blocked(), method="sendMessage")
    group = amina.add_bot_to_group()
    await world.settle()

    assert group.left


async def test_a_poison_update_is_set_aside_and_stops_nobody(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    for raw in (
        {"update_id": 1, "message": {"message_id": "x"}},
        {"update_id": 2, "message": [1, 2]},
        {"update_id": 3, "brand_new_thing": {"a": 1}},
        {"update_id": 4, "callback_query": {"id": "1", "from": {"id": amina.id}, "data": None}},
    ):
        world.account.updates.poison(json.dumps(raw))
    await world.tap(amina, "7")

    assert amina.last.text.startswith("✓ 7 recorded")


async def test_somebody_who_blocks_is_shown_and_gets_the_current_question_on_return(world: World):
    nour = await world.nurse()
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 09:00"))
    await world.tap(amina, "Taken")
    amina.block()
    await world.settle()
    await world.go_to(cairo("2026-11-24 20:30"))
    assert nour.sees("P-001 cannot be reached")
    await world.type(nour, "/silent")
    assert "P-001: has blocked the bot" in nour.last.text
    seen = len(amina.screen())
    amina.unblock()
    await world.settle()
    await world.tick()

    assert [m.text.startswith("How strong") for m in amina.screen()[seen:]] == [True]


async def test_a_side_effect_reaches_the_team_at_once_and_is_taken_by_one(world: World):
    nour = await world.nurse()
    amina = await world.patient()
    await world.type(amina, "/sideeffect", "a rash on both arms")
    assert "The study team has been told" in amina.last.text
    await world.tick()

    assert "P-001 reports something unusual" in nour.last.text
    assert "a rash on both arms" in nour.last.text
    await world.tap(nour, "Seen")
    assert "Seen by nour." in nour.last.text
    assert "a rash on both arms" in nour.last.text
    await world.tap(nour, "Done")
    assert "Done, nour." in nour.last.text
    await world.type(nour, "/alerts")
    assert nour.last.text == "No open alerts."
