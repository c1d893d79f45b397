"""The trial in pictures on the pages: the figures beside them, whose they are, and the files."""

import io
import re
from datetime import timedelta
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from reports.trial import trial
from tests.cast import START, cairo
from tests.reports.diary_of import say, scored
from tests.reports.gallery import gallery
from tests.web.desk import words_of

NOW = cairo("2026-12-09 21:00")


@pytest.fixture
async def grown(stage, desk, amina):
    """Two weeks on: two patients of the own site with a score most days, one of another site."""
    await desk.site("north")
    basma = await stage.joined("P-002", chat=1002, start=START + timedelta(days=1))
    await stage.joined("N-001", chat=1003, site="north")
    for day in range(12):
        on = START + timedelta(days=day + 1)
        await say(stage, amina.id, f"pain {on}", scored(7 - day // 3), f"{on} 20:05")
        if day % 3:
            await say(stage, basma.id, f"pain {on}", scored(5), f"{on} 23:30")
    desk.now = NOW


def tables(page: str) -> list[list[list[str]]]:
    """The cells of each table, row by row."""
    found = []
    for table in re.findall(r"(?s)<tbody>(.*?)</tbody>", page):
        rows = re.findall(r"(?s)<tr>(.*?)</tr>", table)
        found.append([[words_of(cell) for cell in re.findall(r"(?s)<t[hd].*?</t[hd]>", row)] for row in rows])
    return found


def pictures(page: str) -> list[ET.Element]:
    return [ET.fromstring(one) for one in re.findall(r"(?s)<svg[^>]*class=\"picture .*?</svg>", page)]


async def test_each_picture_stands_with_its_figures(stage, desk, grown):
    nour = await desk.member("nour", "coordinator", ("main", "north"))
    page = (await nour.client.get("/progress")).text
    told = await trial(stage.db, None, NOW)
    joined, weeks, course = tables(page)
    assert joined == [["Mon 23 Nov", "3", "3"]]
    assert [[row[0], *row[2:]] for row in weeks] == [
        [str(one.key["week"]), *(str(getattr(one.figures, n)) for n in ("on_time", "late", "missed"))]
        for one in told.weeks
    ]
    assert re.fullmatch(r"\d+ % \(\d+ of \d+\)", weeks[0][1])
    assert [[row[0], row[1], row[3]] for row in course] == [
        [
            str(one.week),
            f"{one.mean:.1f}" if one.mean is not None else "–",
            f"{one.patients.numerator} of {one.patients.denominator}",
        ]
        for one in told.courses[0].weeks
    ]
    low, high = told.courses[0].weeks[0].interval
    assert course[0][2] == f"{low:.1f} to {high:.1f}"
    assert len(pictures(page)) == 3


async def test_a_site_can_be_chosen_of_ones_own_and_no_other(desk, grown):
    root = await desk.member("root", "administrator", ("main", "north"))
    own = await desk.member("nour", "coordinator", ("main",))
    for member, site, added in ((root, "main", "2"), (root, "north", "1"), (root, "", "3"), (own, "", "2")):
        assert tables((await member.client.get(f"/progress?site={site}")).text)[0][0][1] == added
    for path in ("/progress", "/progress.png", "/heatmap", "/heatmap.png"):
        await own.sees(f"{path}?site=north", status=404)
        await own.sees(f"{path}?site=nowhere", status=404)


async def test_a_statistician_sees_the_trial_and_no_patient(desk, grown):
    stella = await desk.member("stella", "statistician")
    page = (await stella.client.get("/progress")).text
    assert (len(pictures(page)), "P-00" in page, "/heatmap" in page) == (3, False, False)
    assert (await stella.client.get("/progress.png")).status_code == 200
    await stella.sees("/heatmap", status=403)


async def test_patients_by_days_have_a_row_and_a_line_each(desk, grown):
    nour = await desk.member("nour")
    page = (await nour.client.get("/heatmap")).text
    [table], [picture] = tables(page), pictures(page)
    assert [row[0] for row in table] == ["P-001", "P-002"]
    codes = [
        text.text for text in picture.iter("{http://www.w3.org/2000/svg}text") if text.get("class") == "subject"
    ]
    assert codes == ["P-001", "P-002"]
    assert "N-001" not in page


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/progress.png", "trial-2026-12-09.png"),
        ("/heatmap.png", "days-2026-12-09-1.png"),
        ("/patients/P-001/history.png", "history-P-001.png"),
    ],
)
async def test_a_picture_can_be_saved(desk, grown, path, name):
    nour = await desk.member("nour")
    answer = await nour.client.get(path)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert Image.open(io.BytesIO(answer.content)).width in (1080, 2592)


async def test_the_links_to_the_files_lead_to_the_pictures_of_the_page(desk, grown):
    root = await desk.member("root", "administrator", ("main", "north"))
    for path in ("/progress?site=north", "/heatmap?site=north", "/heatmap?site=main&page=1", "/patients/P-001"):
        [link] = re.findall(r'href="([^"]+\.png[^"]*)"', (await root.client.get(path)).text)
        assert link.replace("&amp;", "&").replace(".png", "") == path.replace("P-001", "P-001/history")
        assert (await root.client.get(link.replace("&amp;", "&"))).status_code == 200


async def test_before_anybody_was_added_the_page_says_so(desk):
    root = await desk.member("root", "administrator")
    assert "Nothing to show yet." in await root.sees("/progress")
    assert "There is no patient here." in await root.sees("/heatmap")


def test_no_mark_of_a_picture_is_dressed_by_the_sheet_of_the_pages():
    sheet = (files("web") / "static" / "daybook.css").read_text(encoding="utf-8")
    dressed = set(re.findall(r"\.([a-z][\w-]*)", sheet))
    names = {mark.name for picture in gallery("en").values() for mark in picture.marks}
    assert len(names) > 20
    assert names & dressed == set()
