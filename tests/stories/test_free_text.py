"""What becomes of words that answer nothing: under a picture, forwarded, before joining, after leaving."""

from datetime import timedelta

import pytest

from tests.cast import cairo
from tests.stories.test_answering import holding, notes
from tests.world import World

EMERGENCY = "call your local emergency number"


@pytest.mark.parametrize("caption", ["my arm is red", "7"])
async def test_words_under_a_picture_are_offered_like_any_text_and_answer_nothing(world: World, caption):
    nour, amina = await world.nurse(), await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    amina.send_photo(caption=caption)
    await world.settle()

    assert "picture or file is not kept, but your words are" in amina.last.text
    assert await notes(world) == [("unread", f"[photo] {caption}")]
    assert await holding(world) == {}
    await world.tap(amina, "It is about feeling unwell")
    await world.tick()
    assert f"“[photo] {caption}”" in nour.last.text


async def test_a_picture_with_words_is_the_side_effect_that_was_asked_for(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.type(amina, "/sideeffect")
    amina.send_photo(caption="a rash")
    await world.settle()
    await world.tick()

    assert amina.sees("The picture or file is not kept, only your words.")
    assert "The study team has been told" in amina.last.text
    assert "a rash" in nour.last.text
    assert await notes(world) == [("side-effect", "[photo] a rash")]


async def test_new_words_under_an_old_picture_are_offered_and_answer_nothing(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    sent = amina.send_photo(caption="my arm")
    await world.settle()
    amina.edit(sent, "7")
    await world.settle()

    assert ("unread", "[photo] 7") in await notes(world)
    assert await holding(world) == {}


@pytest.mark.parametrize(
    ("send", "kept"),
    [
        (lambda amina: amina.send_photo(), "[photo]"),
        (lambda amina: amina.send_voice(), "[voice message]"),
        (lambda amina: amina.send_document(), "[file]"),
        (lambda amina: amina.send_location(), "[location]"),
        (lambda amina: amina.send_sticker(), "[sticker]"),
        (lambda amina: amina.forward("take two"), "[forwarded] take two"),
    ],
)
async def test_what_came_is_named_in_plain_words(world: World, send, kept):
    amina = await world.patient()
    send(amina)
    await world.settle()

    assert await notes(world) == [("unread", kept)]


WAYS = {
    "text": lambda amina: amina.type("my arm is red"),
    "number": lambda amina: amina.type("7"),
    "picture": lambda amina: amina.send_photo(caption="my arm is red"),
    "voice": lambda amina: amina.send_voice(),
    "forwarded": lambda amina: amina.forward("my arm is red"),
    "edited": lambda amina: amina.edit(next(m for m in amina.chat().visible() if m.sender.id == amina.id), "no"),
    "command": lambda amina: amina.type("/note my arm is red"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_who_has_not_agreed_is_asked_to_and_nothing_is_kept(world: World, way):
    amina = await world.newcomer()
    await world.tap(amina, "English")
    before = len(amina.screen())
    WAYS[way](amina)
    await world.settle()

    assert "Do you agree?" in amina.last.text
    assert len(amina.screen()) == before + (1 if way == "edited" else 2)
    assert await notes(world) == []


@pytest.mark.parametrize("way", WAYS)
async def test_who_has_left_is_told_whom_to_call_and_nothing_is_kept(world: World, way):
    amina = await world.patient()
    await world.type(amina, "/sideeffect", "/stop")
    await world.tap(amina, "Leave for good")
    WAYS[way](amina)
    await world.settle()

    assert "what you write here is not kept" in amina.last.text
    assert "call your study team" in amina.last.text
    assert EMERGENCY in amina.last.text
    assert await notes(world) == []


async def test_a_button_from_before_leaving_says_whom_to_call(world: World):
    amina = await world.patient()
    await world.type(amina, "my arm is red", "/stop")
    await world.tap(amina, "Leave for good")
    world.clock.move_to(world.clock() + timedelta(minutes=1))
    await world.tap(amina, "Yes, pass it on")

    assert amina.sees(EMERGENCY)
    assert [kind for kind, _ in await notes(world)] == ["unread"]
