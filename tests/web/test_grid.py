"""The grid: dates above and in every cell, phases as most patients have them, and a way from a cell to its day."""

import re
from datetime import timedelta

import pytest

from diary import SYSTEM
from diary.enrolment import move_phase
from tests.cast import START, T0, Stage, cairo
from tests.web.desk import words_of
from web.grid import SPAN

CELL = re.compile(r'<td class="?([a-z -]+)"?>(?:<a tabindex=-1 href=(\S+) title="([^"]+)"></a>)?')


@pytest.fixture
async def nour(stage: Stage, desk):
    """A coordinator on the third evening of a patient with something of everything."""
    await stage.lived()
    desk.now = cairo("2026-11-26 21:00")
    return await desk.member("nour")


async def grid(member, question=""):
    return (await member.client.get(f"/grid{question}")).text


async def test_a_cell_says_its_date_and_state_and_leads_to_that_day(nour):
    page = await grid(nour)
    cells = CELL.findall(page)
    assert len(cells) == SPAN
    assert cells[-3:] == [
        ("c-p new", "/patients/P-001#day-2026-11-24", "Tue 24 Nov: partly missed"),
        ("c-p", "/patients/P-001#day-2026-11-25", "Wed 25 Nov: partly missed"),
        ("c-o", "/patients/P-001#day-2026-11-26", "Thu 26 Nov: open"),
    ]
    day = cells[-1][1].partition("#")[2]
    assert (await nour.client.get("/patients/P-001")).text.count(f'id="{day}"') == 1


async def test_by_dates_the_head_has_months_and_days_and_marks_today(nour):
    page = await grid(nour)
    head = words_of(page.partition("<thead>")[2].partition("</thead>")[0])
    assert "October 2026" in head
    assert "November 2026" in head
    today = re.search(r'<th scope="col" aria-current="date">(.*?)</th>', page)[1]
    assert words_of(today) == "T 26"
    assert "Fri 16 Oct to Thu 26 Nov" in words_of(page)


async def test_by_days_of_the_trial_everybody_is_at_the_same_stage_and_a_cell_still_has_its_date(stage, nour):
    await stage.joined("P-002", chat=1002, start=START + timedelta(days=3))
    page = await grid(nour, "?by=days&day=1")
    head = words_of(page.partition("<thead>")[2].partition("</thead>")[0])
    assert head.startswith("Code Infusion weeks (days 1–14) Capsule weeks (days 15–42) 1 2 3 4")
    assert head.endswith("40 41 42")
    titles = [title for _, _, title in CELL.findall(page)]
    assert len(titles) == 2 * SPAN
    assert titles[0] == "Tue 24 Nov: partly missed"
    assert titles[SPAN] == "Fri 27 Nov: coming"
    assert "from Fri 27 Nov" in words_of(page)


async def test_a_whole_trial_is_in_sight_at_once_with_a_word_for_each_day(stage, nour):
    page = await grid(nour, "?by=days")
    head, _, body = page.partition("<tbody>")
    assert words_of(head).endswith("Week 24 Week 25 Week 26")
    assert "Follow-up (days 43–182)" in words_of(head)
    cells = re.findall(r'<td class="?c-(.)(?: new")?>([^<]*)', body)
    assert len(cells) == 182
    assert body.count(" new") == 2  # the capsules and the follow-up
    assert [cells[day] for day in (0, 2, 3)] == [("p", "partly missed"), ("o", "open"), ("c", "coming")]
    assert ("n", "") in cells


async def test_every_stretch_of_the_trial_can_be_reached_and_names_its_phases(nour):
    page = await grid(nour, "?by=days&day=43")
    ways = re.findall(r'class="button" href="/grid\?by=days&amp;day=(\d+)"( aria-current="page")?', page)
    assert ways == [("1", ""), ("43", ' aria-current="page"'), ("85", ""), ("127", ""), ("169", "")]
    phases = re.findall(r'colspan="(\d+)" scope="colgroup"><span>(.*?)</span>', page)
    assert phases == [("42", "Follow-up (days 43–182)")]
    assert len(CELL.findall(await grid(nour, "?by=days&day=182"))) == 14


async def test_phases_in_the_head_are_those_of_most_patients(stage, nour):
    for number in (2, 3):
        await stage.joined(f"P-00{number}", chat=1000 + number)
    await move_phase(
        stage.db, code="P-001", phase="oral", start=START + timedelta(days=20), actor=SYSTEM, reason="r", now=T0
    )
    page = await grid(nour, "?by=days&day=1")
    assert re.findall(r'colspan="(\d+)" scope="colgroup"><span>', page) == ["14", "28"]
    begins = [place % SPAN + 1 for place, (css, _, _) in enumerate(CELL.findall(page)) if "new" in css]
    assert begins == [21, 15, 15]


@pytest.mark.parametrize("until", ["2026-11-26", "2999-01-01", "soon", ""])
async def test_no_date_to_come_is_shown_and_earlier_ones_are_where_somebody_took_part(nour, desk, until):
    assert "to Thu 26 Nov" in words_of(await grid(nour, f"?until={until}"))
    assert ">Earlier<" not in await grid(nour, f"?until={until}")


async def test_earlier_weeks_lead_back_to_later_ones(nour, desk):
    desk.now = cairo("2027-02-01 12:00")
    nour = await desk.signed_in("nour")
    earlier = re.search(r'href="(/grid\?until=[0-9-]+)">Earlier<', await grid(nour))[1]
    page = (await nour.client.get(earlier)).text
    assert "to Mon 21 Dec" in words_of(page)
    later = re.search(r'href="(/grid\?until=[0-9-]+)">Later<', page)[1]
    assert "to Mon 1 Feb" in words_of((await nour.client.get(later)).text)


@pytest.mark.parametrize("until", ["0001-01-01", "-1", "9" * 40])
async def test_an_address_with_no_such_days_is_no_fault(nour, until):
    for question in (f"?until={until}", f"?by=days&day={until}"):
        assert (await nour.client.get(f"/grid{question}")).status_code == 200
