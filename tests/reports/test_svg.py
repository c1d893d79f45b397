import re
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status
from protocol.calendar import visit_dates
from reports.record import record
from reports.svg import PainLabels, _in_rows, _Label, pain_svg, sparkline_svg
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import correct, say, scored

FRIDAY = cairo("2026-11-27 10:00")
LABELS = PainLabels("Pain of P-001", "7 on 24 Nov, 5 on 26 Nov", "today")


@dataclass(frozen=True)
class Due:
    visit: str
    planned: date
    held_on: date | None = None


def drawn(svg: str):
    return ET.fromstring(re.sub(r' xmlns="[^"]*"', "", svg))


def of_class(svg: str, css: str):
    return drawn(svg).findall(f".//*[@class='{css}']")


def words(svg: str, css: str):
    return [text.text for text in drawn(svg).findall(f".//text[@class='{css}']")]


async def chart(stage: Stage, now=FRIDAY, *, language="en", labels=LABELS, visits=None):
    found = await record(stage.db, "P-001", None, now)
    if visits is None:
        visits = [Due(visit.visit, visit.on) for visit in visit_dates(found.protocol, found.phase_starts)]
    return pain_svg(found, visits=visits, labels=labels, language=language)


async def test_who_cannot_see_the_chart_is_told_its_title_and_description(stage: Stage, amina):
    root = drawn(await chart(stage))
    assert root.get("role") == "img"
    told = [root.find(f".//*[@id='{part}']").text for part in root.get("aria-labelledby").split()]
    assert told == ["Pain of P-001", "7 on 24 Nov, 5 on 26 Nov"]


async def test_nothing_in_it_is_forbidden_by_a_strict_policy(stage: Stage, amina):
    for svg in (await chart(stage), sparkline_svg([1, None], low=0, high=10, label="pain")):
        assert not re.search(r"style|<script|on\w+=|href|url\(", svg)


async def test_every_word_from_outside_is_escaped(stage: Stage, amina):
    bad = "<script>\"&'"
    svg = await chart(stage, labels=PainLabels(bad, bad, bad), visits=[Due(bad, START)])
    assert "<script" not in svg
    assert words(svg, "today") == words(svg, "visit") == [bad]
    small = sparkline_svg([1], low=0, high=10, label=bad)
    assert "<script" not in small
    assert drawn(small).get("aria-label") == bad


async def test_phases_are_named_bands_and_visits_named_lines(stage: Stage, amina):
    svg = await chart(stage)
    assert words(svg, "phase") == [
        "Infusion weeks",
        "Follow-up",
        "Capsule weeks",
    ]  # the last one in a row of its own
    assert sorted(words(svg, "visit")) == ["Baseline", "Month 3", "Month 6", "Week 2", "Week 6"]
    bands = of_class(svg, "band")
    widths = [float(band.get("width")) for band in bands]
    assert widths == pytest.approx([896 * days / 183 for days in (14, 28, 140)], abs=0.1)
    assert float(bands[1].get("x")) == pytest.approx(float(bands[0].get("x")) + widths[0], abs=0.1)


async def test_a_visit_that_took_place_stands_on_the_day_it_did(stage: Stage, amina):
    planned, held = [await chart(stage, visits=[Due("week-2", START, on)]) for on in (None, date(2026, 12, 10))]
    at = [float(of_class(svg, "visit")[0].get("x1")) for svg in (planned, held)]
    assert at[1] - at[0] == pytest.approx(896 * 16 / 182, abs=0.1)


async def test_points_are_the_scores_that_hold_and_late_ones_are_hollow(stage: Stage, amina):
    await correct(stage, amina.id, "pain 2026-11-26", scored(2), "2026-11-26 23:30")
    svg = await chart(stage)
    [on_time], [late] = of_class(svg, "on-time"), of_class(svg, "late")
    assert (on_time.find("title").text, late.find("title").text) == ("24 Nov: 7", "26 Nov: 2")
    assert on_time.get("fill") != late.get("fill")
    assert float(late.get("cy")) - float(on_time.get("cy")) == pytest.approx(210 * 5 / 10)


async def test_no_line_crosses_a_day_that_was_missed(stage: Stage, amina):
    runs = [line.get("points").split() for line in of_class(await chart(stage), "line")]
    assert [len(run) for run in runs] == [1, 1]
    await say(stage, amina.id, "pain 2026-11-27", scored(4), "2026-11-27 20:10")
    runs = [line.get("points").split() for line in of_class(await chart(stage, cairo("2026-11-27 21:00")), "line")]
    assert [len(run) for run in runs] == [1, 2]


async def test_no_line_crosses_a_pause(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "pain 2026-11-24", scored(3), "2026-11-24 20:10")
    for status, wall in ((PatientStatus.PAUSED, "2026-11-25 08:00"), (PatientStatus.ACTIVE, "2026-11-26 08:00")):
        await change_status(
            stage.db, patient_id=amina.id, status=status, actor=SYSTEM, reason="rests", now=cairo(wall)
        )
    await say(stage, amina.id, "pain 2026-11-26", scored(4), "2026-11-26 20:10")
    assert len(of_class(await chart(stage), "line")) == 2


async def test_today_is_marked_where_the_trial_is_and_not_outside_it(stage: Stage, amina):
    assert words(await chart(stage), "today") == ["today"]
    assert words(await chart(stage, cairo("2026-11-23 23:00")), "today") == []
    assert words(await chart(stage, cairo("2027-08-01 12:00")), "today") == []


async def test_a_language_from_the_right_is_mirrored_with_its_own_digits(stage: Stage, amina):
    english, arabic = await chart(stage), await chart(stage, language="ar")
    assert drawn(arabic).get("direction") == "rtl"
    left, right = (float(of_class(svg, "on-time")[0].get("cx")) for svg in (english, arabic))
    assert right == pytest.approx(960 - left, abs=0.1)
    assert words(arabic, "score") == ["٠", "٢", "٤", "٦", "٨", "١٠"]
    assert words(arabic, "phase")[0] == "أسابيع المحلول الوريدي"
    for one, other in zip(of_class(english, "band"), of_class(arabic, "band"), strict=True):
        ends = float(one.get("x")) + float(one.get("width"))
        assert float(other.get("x")) == pytest.approx(960 - ends, abs=0.1)


def test_labels_that_would_run_into_one_another_stand_in_rows():
    labels = [_Label(x, "Week 2", anchor) for x in (0, 30, 60, 90) for anchor in ("start", "middle")]
    rows = _in_rows(labels)
    assert sorted(label.x for row in rows for label in row) == sorted(label.x for label in labels)
    assert all(one.ends[1] <= other.ends[0] for row in rows for one, other in pairwise(row))
    assert len(_in_rows([_Label(0, "Week 2"), _Label(500, "Month 3")])) == 1


async def test_a_chart_without_any_score_has_its_phases_all_the_same(stage: Stage):
    await stage.add()
    svg = await chart(stage, T0, visits=[])
    assert (len(of_class(svg, "band")), of_class(svg, "line"), of_class(svg, "on-time")) == (3, [], [])


async def test_a_trial_of_a_few_days_names_each_of_them(stage: Stage, amina):
    found = await record(stage.db, "P-001", None, FRIDAY)
    short = replace(found, phases=(replace(found.phases[0], last=date(2026, 11, 29)),))
    svg = pain_svg(short, labels=LABELS, language="en")
    assert words(svg, "day") == ["24 Nov", "25 Nov", "26 Nov", "27 Nov", "28 Nov", "29 Nov"]


def test_a_small_line_joins_days_that_follow_one_another_and_marks_the_last():
    svg = sparkline_svg([0, 10, None, 5], low=0, high=10, label="0 10 – 5")
    assert len(of_class(svg, "line")) == 1
    [now] = of_class(svg, "now")
    assert (now.get("cx"), now.get("cy")) == ("98", "14")
    assert [dot.get("cy") for dot in of_class(svg, "then")] == ["25", "3"]


def test_a_small_line_runs_from_the_right_where_it_is_asked_to():
    [now] = of_class(sparkline_svg([0, 10, None, 5], low=0, high=10, label="x", rtl=True), "now")
    assert now.get("cx") == "14"


def test_a_small_line_of_nothing_is_a_ground_line():
    for pains in ((), (None, None)):
        svg = sparkline_svg(pains, low=0, high=10, label="none")
        assert (len(of_class(svg, "rule")), of_class(svg, "now"), of_class(svg, "then")) == (1, [], [])
