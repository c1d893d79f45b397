"""Every command of staff in the chat, for every role, with a patient at the own site and one at another."""

import pytest

from bot import staff
from bot.staff import _COMMANDS
from bot.words import words_in
from diary import SYSTEM
from diary.roles import Role
from diary.team import add_site
from reports.heatmap import heatmap_picture
from tests.cast import T0, cairo
from tests.world import World

FOREIGN, OWN = "P-900", "P-001"
EVERYBODY = frozenset(Role)
SEES_PATIENTS = EVERYBODY - {Role.STATISTICIAN}
MAY = {
    "adherence": EVERYBODY,
    "silent": SEES_PATIENTS,
    f"patient {OWN}": SEES_PATIENTS,
    "alerts": SEES_PATIENTS,
    "digest": SEES_PATIENTS,
    "dashboard": EVERYBODY,
    "export": EVERYBODY - {Role.MONITOR},
}
NAMES_OWN = {"adherence", "silent", f"patient {OWN}", "alerts", "digest"}


def test_every_command_is_in_the_table():
    assert {command.split()[0] for command in MAY} == set(_COMMANDS)


@pytest.mark.parametrize("role", Role)
async def test_a_command_answers_a_role_as_the_table_says_and_names_nobody_of_another_site(
    world: World, role, monkeypatch
):
    await add_site(world.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    drawn = []
    monkeypatch.setattr(
        staff, "heatmap_picture", lambda grid, *a, **k: drawn.append(grid) or heatmap_picture(grid, *a, **k)
    )
    amina, basma = await world.patient(OWN), await world.patient(FOREIGN, site="north")
    member = await world.nurse("mina", role=role)
    await world.go_to(cairo("2026-11-28 08:30"))  # both are silent for three days
    for person in (amina, basma):
        await world.type(person, "/sideeffect", "dizzy")
        person.block()
    await world.go_to(cairo("2026-11-28 20:05"))  # and cannot be reached
    refused = {words_in("en")("staff.not-allowed"), words_in("en")("staff.no-export")}
    for command, roles in MAY.items():
        before = len(member.screen())
        await world.type(member, f"/{command}")
        told = "\n".join(message.text or "" for message in member.screen()[before:] if not message.mine)
        assert FOREIGN not in told, command
        assert (told in refused) == (role not in roles), (command, told)
        assert (OWN in told) == (role in roles & SEES_PATIENTS and command in NAMES_OWN), (command, told)
    assert [[row.code for row in grid.rows] for grid in drawn] == [[OWN]] * (role in SEES_PATIENTS)
    await world.type(member, f"/patient {FOREIGN}")
    assert member.last.text in {"There is no such patient.", *refused}
    assert not any(FOREIGN in (message.text or "") for message in member.screen() if not message.mine)
