"""What a patient tells the study team, and what the receipt says where nobody of it has a chat."""

import pytest

from diary import SYSTEM
from diary.team import add_site, disable_staff
from tests.cast import T0
from tests.stories.test_answering import notes
from tests.world import World

NOBODY = "nobody could be told right now"
EMERGENCY = "call your local emergency number"


@pytest.mark.parametrize("texts", [("/sideeffect", "a rash"), ("/sideeffect a rash",), ("/note", "a rash")])
async def test_a_patient_of_a_team_without_a_chat_is_told_so_and_whom_to_call(world: World, texts):
    amina = await world.patient()
    await world.type(amina, *texts)

    assert NOBODY in amina.last.text
    assert EMERGENCY in amina.last.text
    assert [text for _, text in await notes(world)] == ["a rash"]


async def test_a_text_that_is_passed_on_to_nobody_says_so_too(world: World):
    amina = await world.patient()
    await world.type(amina, "my arms itch")
    await world.tap(amina, "It is about feeling unwell")

    assert NOBODY in amina.last.text
    assert EMERGENCY in amina.last.text


async def test_a_nurse_who_blocked_the_bot_has_been_told_nothing(world: World):
    nour, amina = await world.nurse(), await world.patient()
    nour.block()
    await world.settle()
    await world.type(amina, "/sideeffect a rash")

    assert NOBODY in amina.last.text


async def test_a_monitor_and_another_sites_nurse_are_nobody_to_tell(world: World):
    await add_site(world.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    await world.nurse("omar", site="north")
    await world.nurse("mona", role="monitor")
    amina = await world.patient()
    await world.type(amina, "/sideeffect a rash")

    assert NOBODY in amina.last.text


async def test_who_joins_the_team_hears_every_open_alert_once(world: World):
    amina = await world.patient()
    await world.type(amina, "/sideeffect a rash", "/note slept badly")
    nour = await world.nurse()
    await world.tick()
    told = [m.text for m in nour.screen() if m.buttons]
    together = "\n".join(told)  # in either order: they go out side by side
    assert [together.count("a rash"), together.count("slept badly"), len(told)] == [1, 1, 2]
    await world.tap(nour, "Done")
    await world.type(amina, "/note better now")
    assert "has gone to the study team" in amina.last.text
    await world.tick()

    assert len([m for m in nour.screen() if "better now" in m.text]) == 1
    assert len([m for m in nour.screen() if "a rash" in m.text]) == 1


async def test_what_is_done_and_what_others_care_for_is_no_news_to_who_joins(world: World):
    await add_site(world.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    nour, amina = await world.nurse(), await world.patient()
    await world.type(amina, "/sideeffect a rash")
    await world.tick()
    await world.tap(nour, "Done")
    await world.type(amina, "/note slept badly")
    omar, mona = await world.nurse("omar", site="north"), await world.nurse("mona", role="monitor")
    salma = await world.nurse("salma")
    await world.tick()

    assert not omar.sees("P-001")
    assert not mona.sees("P-001")
    assert not salma.sees("a rash")
    assert salma.sees("slept badly")


async def test_a_disabled_nurse_is_nobody_to_tell(world: World):
    await world.nurse()
    amina = await world.patient()
    await disable_staff(world.db, code="nour", actor=SYSTEM, now=world.clock())
    await world.type(amina, "/sideeffect a rash")

    assert NOBODY in amina.last.text
