"""What goes wrong between the diary and Telegram, and what patients may never notice of it."""

import pytest

from rehearsal import faults
from tests.stories.scenes import (
    CERTAINLY_NOT_SENT,
    EVENING,
    EVERY_KIND,
    MINUTE,
    NOBODY_KNOWS,
    REFUSED_FOR_GOOD,
    asked,
    entries_of,
    only_pain,
    outcomes,
    questions,
    receipts,
)
from tests.stories.test_answering import notes
from tests.stories.test_bad_input import waiting
from tests.world import World

pytestmark = pytest.mark.usefixtures("short_pauses")


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
    await world.nurse()
    amina = await world.patient()
    await world.type(amina, "/sideeffect")
    world.telegram.faults.next(faults.unreachable(), method="sendMessage", chat_id=amina.id)
    await world.type(amina, "a rash on both arms")

    assert ("side-effect", "a rash on both arms") in await notes(world)
    assert "The study team has been told" in amina.last.text
    await world.type(amina, "and a cough")
    assert "The study team has been told" not in amina.last.text  # one announcement, one side effect
