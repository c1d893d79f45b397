"""A patient's page: what somebody comes for stands first, and every picture has its figures."""

import pytest

from diary.answers import Arrival, not_taken, record_answer
from tests.cast import START, Stage, cairo
from tests.web.desk import words_of


@pytest.fixture
async def amina(stage: Stage):
    return await stage.lived()


async def section(member, name):
    page = (await member.client.get("/patients/P-001")).text
    begins = page.index(f'<section id="{name}"')
    return page[begins : page.index("</section>", begins)]


async def test_the_calendar_opens_at_today_and_folds_what_is_earlier_and_what_is_to_come(desk, amina):
    desk.now = cairo("2026-12-05 21:00")
    nour = await desk.member("nour")
    calendar = await section(nour, "calendar")
    shown, *folded = calendar.split("<details>")
    days = [line[:10] for line in shown.split("\u2066")[1:]]
    assert (days[0], days[-1], len(days)) == ("2026-12-05", "2026-12-03", 6)
    assert [words_of(part).split(" Due ")[0] for part in folded if "<summary>" in part][:2] == [
        "to come: 120",
        "earlier: 18",
    ]


@pytest.mark.parametrize(("now", "part"), [("2026-11-22 12:00", "to come"), ("2027-12-01 12:00", "earlier")])
async def test_before_and_after_the_trial_the_calendar_is_not_all_folded(desk, amina, now, part):
    desk.now = cairo(now)
    nour = await desk.member("nour")
    calendar = await section(nour, "calendar")
    assert f"<details open><summary>{part}: " in calendar


async def test_the_pain_line_has_a_table_of_its_figures(desk, amina):
    desk.now = cairo("2026-11-26 21:00")
    nour = await desk.member("nour")
    table = words_of(await section(nour, "summary"))
    assert table.endswith("as a table, scores: 2 Day Pain Status Tue 24 Nov 7 on time Wed 25 Nov 4 late")


async def test_doses_stand_by_item_with_those_not_taken_and_those_missed(stage, desk, amina):
    noon = cairo("2026-11-26 12:00")
    slot = await stage.slot_on(amina, "infusion", START.replace(day=26))
    tap = Arrival("button", noon)
    await record_answer(
        stage.db, patient_id=amina.id, slot_id=slot, answer=not_taken("unwell"), arrival=tap, now=noon
    )
    desk.now = cairo("2026-11-26 21:00")
    nour = await desk.member("nour")
    doses = words_of(await section(nour, "doses"))
    assert "infusion 0 % (0 of 3) 1 (I felt unwell: 1) 2 capsule –" in doses
    assert "infusion, not taken or missed: 3" in doses
    assert "2026-11-26 09:00\u2069 not taken (I felt unwell)" in doses
