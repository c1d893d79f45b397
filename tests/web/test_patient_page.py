"""A patient's page: what somebody comes for stands first, and every picture has its figures."""

import re

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
    days = re.findall(r'class="time"[^>]*>(?:<span[^>]*></span>)?\u2066([^ ]*)', shown)
    assert (days[0], days[-1], len(days)) == ("2026-12-05", "2026-12-03", 6)
    assert [words_of(part).split(" Due ")[0] for part in folded if "<summary>" in part][:2] == [
        "to come: 120",
        "earlier: 18",
    ]


async def test_before_the_trial_the_days_to_come_are_not_folded(desk, amina):
    desk.now = cairo("2026-11-22 12:00")
    nour = await desk.member("nour")
    assert "<details open><summary>to come: " in await section(nour, "calendar")


@pytest.mark.parametrize(("now", "day"), [("2027-02-14 12:00", "2027-02-09"), ("2027-12-01 12:00", "2027-05-24")])
async def test_where_questions_are_far_apart_the_last_days_that_had_one_are_shown(desk, amina, now, day):
    desk.now = cairo(now)
    nour = await desk.member("nour")
    shown, *folded = (await section(nour, "calendar")).split("<details")
    assert shown.count("<tr id=") == 3
    assert shown.split("\u2066")[1].startswith(day)
    assert not any(part.startswith(" open") for part in folded)


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


async def test_who_was_invited_and_has_not_joined_has_no_day_of_a_phase(stage, desk):
    await stage.add("P-002")
    desk.now = cairo("2026-12-15 12:00")
    nour = await desk.member("nour")
    for path in ("/patients", "/patients/P-002"):
        page = await nour.sees(path)
        assert "invited has not joined yet" in page
        assert ", day 22" not in page


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-11-26 12:00", " 4 Pain of the last"),
        ("2026-11-27 12:00", " 4 Wed 25 Nov Pain"),
        ("2027-01-02 12:00", " 4 Wed 25 Nov 2026 Pain"),
    ],
)
async def test_pain_that_is_not_of_today_or_yesterday_stands_with_its_day(desk, amina, now, said):
    desk.now = cairo(now)
    nour = await desk.member("nour")
    assert said in await nour.sees("/patients")


async def test_a_form_offers_the_zones_there_are_those_of_the_sites_first(stage, desk, amina):
    root = await desk.member("root", "administrator", ())
    for path in ("/patients/new", "/patients/P-001/times", "/team/site"):
        page = (await root.client.get(path)).text
        assert 'list="zones"' in page
        offered = page[page.index('<datalist id="zones">') : page.index("</datalist>")].split("<option value=")[1:]
        assert offered[0].startswith('"Africa/Cairo"')
        assert any("Europe/Berlin" in zone for zone in offered)
        assert len(offered) == len(set(offered))


async def test_the_card_says_how_to_print_it_and_with_a_script_offers_a_button(stage, desk, amina):
    nour = await desk.member("nour")
    card = (await nour.sends("/patients/P-001/invite")).text
    assert "choose Print in the menu of your browser" in words_of(card)
    assert '<p class="no-print" data-print hidden>' in card
    assert '<script src="/static/print.js" defer></script>' in card
    assert "window.print" in (await nour.client.get("/static/print.js")).text
