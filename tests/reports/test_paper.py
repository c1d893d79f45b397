"""The tables as text, CSV, JSON and a page, and the figures."""

import csv
import io
import json
import re
from datetime import date
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from matplotlib import colors
from playwright.async_api import async_playwright

from reports.analysis import Person, followed, named
from reports.comparison import NOTHING, Difference, Mean
from reports.course import KINDS, course_of, saved
from reports.definitions import Share
from reports.findings import changes, means, responders
from reports.missing import missing_visits, patients
from reports.paper import Section, as_csv, as_page, as_text, as_values, shown
from tests.reports.test_findings import PROTOCOL, made, published, sample

CHROMIUM = Path("/usr/bin/chromium")
PAIN = PROTOCOL.measure_of("nrs")


def all_sections():
    trial = published()
    every = [means(trial, measure) for measure in followed(PROTOCOL)]
    return [patients(trial), *every, changes(trial), *responders(trial), missing_visits(trial)]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Mean(40, 7.46, 2.25), "7.5 (2.2), 40"),
        (Mean(1, 7, None), "7.0 (-), 1"),
        (Mean(0, None, None), "-, 0"),
        (Share(3, 7), "3/7 (42.9 %)"),
        (Share(0, 0), "0/0"),
        (Difference(-3, -5.27, -0.73, 0.0213), "-3.0 (-5.3 to -0.7); p = 0.021"),
        (Difference(-0.04, -0.04, 1, 0.00099), "0.0 (0.0 to 1.0); p < 0.001"),
        (Difference(0.75, None, None, None), "0.8"),
        (NOTHING, "-"),
        (None, ""),
        (12, "12"),
    ],
)
def test_a_cell_reads_as_a_journal_prints_it(cell, text):
    assert shown(cell) == text


def test_text_and_page_have_every_cell():
    found = all_sections()
    text, page = as_text("A trial", "about", found), as_page("A <trial>", "about", found, {})
    for section in found:
        for cell in (shown(cell) for row in section.rows for cell in row):
            assert cell in text
            assert cell.replace("<", "&lt;") in page.replace("\N{MINUS SIGN}", "-")
    assert "A &lt;trial&gt;" in page
    assert "<script" not in page
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)  # it asks no network for anything


def test_the_csv_has_every_figure_unrounded():
    lines = list(csv.DictReader(io.StringIO(as_csv([means(published(), PAIN)]), newline="")))
    at = {(line["row"], line["column"], line["figure"]): line["value"] for line in lines}
    assert {line["table"] for line in lines} == {"Pain, NRS"}
    assert float(at["Month 6", "Mg", "mean"]) == pytest.approx(4.7)
    assert at["Month 6", "placebo", "n"] == "40"
    # The p value that is "< 0.001" in print: t = -2.5 / 0.4254 = -5.876 at 77.15 degrees of freedom.
    assert float(at["Month 6", "Mg - placebo", "p"]) == pytest.approx(1.02e-7, rel=0.05)
    assert at["Baseline", "Mg - placebo", "p"] == ""


def test_a_name_that_a_spreadsheet_could_run_is_guarded():
    section = Section("=1+1", "", ("Visit", "A"), [("@visit", 1)])
    assert as_csv([section]).splitlines()[1] == "'=1+1,'@visit,A,count,1"


def test_for_programs_cells_are_figures_and_labels_text():
    [told] = json.loads(json.dumps(as_values([means(published(), PAIN)])))
    first = told["rows"][0]
    assert (told["title"], first["Visit"]) == ("Pain, NRS", "Baseline")
    assert first["Mg"] == {"n": 40, "mean": pytest.approx(7.5), "sd": pytest.approx(2.2)}
    assert first["Mg - placebo, adjusted"] is None


def test_each_figure_is_the_same_each_time_in_each_form():
    for kind in KINDS:
        once, again = (saved(course_of(published(), PAIN), kind) for _ in range(2))
        assert once == again


def test_the_figure_has_a_mark_for_each_mean_and_the_numbers_below():
    axes, below = course_of(published(), PAIN).axes
    names = [visit.name.in_language("en") for visit in PROTOCOL.visit]
    assert [text.get_text() for text in axes.get_xticklabels()] == names
    assert axes.get_ylim() == (0, 10)  # all of the scale
    drawn = {bar.get_label(): list(bar.lines[0].get_ydata()) for bar in axes.containers}
    assert drawn == {"placebo": pytest.approx([7.4, 7.2]), "Mg": pytest.approx([7.5, 4.7])}
    # 95 % interval of Mg at 6 months: 4.7 - 2.0227 x 1.8 / sqrt(40).
    [bars] = axes.containers[1].lines[2]
    assert bars.get_segments()[1][0][1] == pytest.approx(4.7 - 0.5757, abs=1e-3)
    assert [text.get_text() for text in below.texts] == ["Number of patients", *["40", "0", "0", "0", "40"] * 2]


def test_arms_are_told_apart_without_colour():
    trial = made(
        {(f"{arm}{n}", "baseline", "nrs"): value for arm in "ABCD" for n, value in enumerate(sample(5, 1, 4))},
        **{arm: people(arm) for arm in "ABCD"},
    )
    lines = [bar.lines[0] for bar in course_of(trial, PAIN).axes[0].containers]
    assert len({line.get_marker() for line in lines}) == 4
    assert len({line.get_linestyle() for line in lines}) == 4
    greys = [colors.rgb_to_hsv(colors.to_rgb(line.get_color()))[2] for line in lines]
    assert max(greys) < 0.9  # none is too pale to print


def people(arm):
    return [Person(f"{arm}{n}", date(2026, 11, 24)) for n in range(4)]


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there to open the page with")
async def test_the_page_fits_its_screen_and_axe_finds_nothing(tmp_path):
    trial = published()
    drawings = {named(measure): saved(course_of(trial, measure), "svg") for measure in followed(PROTOCOL)}
    path = tmp_path / "tables.html"
    path.write_text(as_page("A trial", "about", all_sections(), drawings), encoding="utf-8")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        await page.goto(path.as_uri())
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        assert await page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        seen = await Axe().run(page)
        await browser.close()
    assert [violation["id"] for violation in seen.response["violations"]] == []
