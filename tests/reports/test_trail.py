import ast
from pathlib import Path

import pytest

from diary.alerts import see_alert
from protocol.errors import UnknownCodeError
from reports.trail import VERBS, told, trail
from storage import audit
from tests.cast import T0, Stage


@pytest.fixture(params=["few", "many"])
def sites(request, monkeypatch):
    """A site's lines are found in one of two ways, by how many patients it has."""
    if request.param == "many":
        monkeypatch.setattr(audit, "_FEW_PATIENTS", 0)


async def test_the_newest_line_comes_first_with_codes_in_place_of_ids(stage: Stage, amina):
    alert_id = await stage.alert(amina)
    actor = await stage.actor()
    await see_alert(stage.db, alert_id=alert_id, actor=actor, now=T0)

    seen, *older = await trail(stage.db, None)
    assert (seen.actor, seen.actor_code, seen.verb, seen.code) == ("staff", "nour", "see alert", "P-001")
    assert (seen.at, seen.details, seen.reason) == (T0, {"alert": alert_id}, None)
    assert [line.id for line in older] == sorted((line.id for line in older), reverse=True)
    assert {line.actor for line in older if line.actor_code} == {"staff"}


async def test_who_knows_every_site_sees_lines_without_a_patient_and_nobody_else_does(
    stage: Stage, elsewhere, sites
):
    everything = await trail(stage.db, None)
    assert any(line.code is None for line in everything)
    assert {line.code for line in await trail(stage.db, elsewhere)} == {"P-900"}


async def test_a_site_never_sees_a_line_about_a_patient_of_another(stage: Stage, amina, elsewhere, sites):
    coast = await trail(stage.db, elsewhere)
    assert coast == [line for line in await trail(stage.db, None, limit=1000) if line.code == "P-900"]
    assert await trail(stage.db, frozenset()) == []
    for code in ("P-001", "P-404"):
        with pytest.raises(UnknownCodeError):
            await trail(stage.db, elsewhere, code=code)


async def test_the_trail_is_narrowed_by_patient_staff_and_verb(stage: Stage, amina, elsewhere):
    actor = await stage.actor()
    await see_alert(stage.db, alert_id=await stage.alert(amina), actor=actor, now=T0)

    assert {line.code for line in await trail(stage.db, None, code="P-900")} == {"P-900"}
    assert [line.verb for line in await trail(stage.db, None, staff="nour", verb="see alert")] == ["see alert"]
    assert {line.verb for line in await trail(stage.db, None, verb="raise alert")} == {"raise alert"}
    assert await trail(stage.db, elsewhere, staff="nour") == []
    assert await trail(stage.db, None, staff="nobody") == []
    assert await trail(stage.db, None, verb="nothing") == []


async def test_a_patient_with_the_number_of_a_staff_member_is_not_taken_for_one(stage: Stage, amina):
    assert await stage.nurse() == amina.id
    assert "record answer" in {line.verb for line in await trail(stage.db, None, code="P-001")}
    assert "record answer" not in {line.verb for line in await trail(stage.db, None, staff="nour")}


async def test_pages_of_the_trail_meet_without_a_gap(stage: Stage, amina, elsewhere, sites):
    for scope in (None, elsewhere):
        whole = await trail(stage.db, scope, limit=1000)
        paged, before = [], None
        while page := await trail(stage.db, scope, before_id=before, limit=3):
            paged += page
            before = page[-1].id
        assert paged == whole
        assert len(whole) > 3 or scope


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"verb": "erase"}, "audit_verb_id_ix"),
        ({"staff_id": 1}, "audit_of_staff"),
        ({"patient_id": 1}, "audit_patient_id_ix"),
        ({}, "SCAN audit"),  # from its end, for as many as are wanted
    ],
)
async def test_each_way_to_narrow_the_trail_has_its_index(stage: Stage, asked, index):
    wanted = {"site_ids": None, "patient_id": None, "staff_id": None, "verb": None, "before_id": None, "limit": 9}
    async with stage.db.read() as conn:
        plans = []

        async def explained(query):
            sql = str(query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True}))
            plans.extend(row[3] for row in await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))
            return []

        class Watched:
            execute = staticmethod(explained)

        await audit.trail_lines(Watched(), **{**wanted, **asked})
    assert any(index in step for step in plans)
    assert not any("B-TREE" in step for step in plans)


def test_the_verbs_are_those_that_are_written():
    house, written = Path(__file__).parents[2], set()
    for path in [path for room in ("diary", "schedules", "bot", "cli") for path in (house / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Audit":
                verb = node.args[2]
                ways = [verb.body, verb.orelse] if isinstance(verb, ast.IfExp) else [verb]
                written |= {ast.literal_eval(way) for way in ways}
    assert list(VERBS) == sorted(written)


async def test_what_a_number_stands_for_comes_with_the_line(stage: Stage, amina):
    alert = await stage.alert(amina)
    lines = await told(stage.db, await trail(stage.db, None, limit=1000))
    answered = [one for one in lines if one.line.verb == "record answer"]
    assert {one.question.id for one in answered} == {one.line.details["slot"] for one in answered}
    assert {one.protocol.trial.id for one in answered} == {"magnesium-clbp"}
    actor = await stage.actor()
    await see_alert(stage.db, alert_id=alert, actor=actor, now=T0)
    [seen] = await told(stage.db, await trail(stage.db, None, verb="see alert"))
    assert (seen.rule, seen.question) == ("side-effect", None)
