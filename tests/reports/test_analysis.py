"""The trial's tables: from a small list worked by hand, and from values with the published means."""

import json
from datetime import date, timedelta
from statistics import NormalDist, fmean, stdev

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status
from diary.visits import record_visit
from protocol.errors import DaybookError
from protocol.load import load_protocol
from reports import analysis
from reports.analysis import Trial, joined, sections
from reports.course import course_of, saved
from reports.export import export_bundle
from reports.exported import Exported
from reports.paper import as_csv, as_page, as_text
from reports.randomisation import Allocation
from tests.cast import START, Stage, cairo
from tests.reports.diary_of import TAKEN, not_taken, say, scored

PROTOCOL = load_protocol("magnesium-clbp").protocol
LATE = cairo("2027-06-15 12:00")
# before -> month 6, by subject; A stays as it was, B falls by 37.5, 50 and 50 %.
PAIN = {
    "P-001": ("A", 7, 7), "P-002": ("A", 8, 8), "P-003": ("A", 6, 6),
    "P-004": ("B", 8, 5), "P-005": ("B", 8, 4), "P-006": ("B", 6, 3),
}  # fmt: skip
ARMS = {code: arm for code, (arm, _, _) in PAIN.items()}


@pytest.fixture
async def small(stage: Stage, tmp_path):
    """Six patients with two visits each, one more who left early, exported."""
    nour = await stage.actor()
    for number, (code, (_, before, after)) in enumerate(PAIN.items()):
        await stage.joined(code, chat=1_001 + number)
        await visit(stage, nour, code, "baseline", START, lanss=14, nrs=before, flexion=22.2)
        await visit(stage, nour, code, "month-6", START + timedelta(days=182), nrs=after, flexion=34.7)
    gone = await stage.joined("P-007", chat=2_001)
    await visit(stage, nour, "P-007", "baseline", START, lanss=14, nrs=9)
    await say(stage, gone.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    await say(stage, gone.id, "infusion 2026-11-25", not_taken("unwell"), "2026-11-25 09:30")
    await say(stage, gone.id, "pain 2026-11-24", scored(9), "2026-11-24 20:05")
    await change_status(
        stage.db, patient_id=gone.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="moved",
        now=cairo("2026-11-26 08:00"),
    )  # fmt: skip
    await export_bundle(stage.db, tmp_path / "export", formats=["csv"], now=LATE)
    return tmp_path / "export"


async def visit(stage, nour, code, name, day, **measured):
    now = cairo(f"{day} 12:00")
    await record_visit(
        stage.db, code=code, visit=name, held_on=day, measured=measured, supersedes=None, reason=None, actor=nour,
        now=now, meant=("below", "before", "early", "late", "missing", "far", "low"),
    )  # fmt: skip


def tables(folder, arms=None):
    export = Exported.open(folder)
    found = sections(export, joined(export, Allocation({**ARMS, "P-007": "B"} if arms is None else arms, 3)))
    return {section.title: section for section in found}


def row(section, *begins):
    [found] = [line for line in section.rows if line[: len(begins)] == begins]
    return dict(zip(section.head, found, strict=True))


async def test_pain_at_six_months_is_what_it_is_by_hand(small):
    pain = tables(small)["Pain, NRS"]
    # A 7, 8, 6; B 5, 4, 3. Welch: -3 (-5.3 to -0.7), p 0.021 (tests/reports/test_comparison.py has the sums).
    found = row(pain, "Month 6")
    assert found["A: mean (SD), n"] == "7.0 (1.0), 3"
    assert found["B: mean (SD), n"] == "4.0 (1.0), 3"
    assert (found["B - A: difference (95 % CI)"], found["p"]) == ("-3.0 (-5.3 to -0.7)", "0.021")
    # Before: A 7, 8, 6; B 8, 8, 6, 9. Nothing is tested.
    found = row(pain, "Baseline")
    assert (found["B: mean (SD), n"], found["p"]) == ("7.8 (1.3), 4", "")
    assert found["B - A: difference (95 % CI)"] == "0.8"
    assert row(pain, "Week 2")["A: mean (SD), n"] == "- (-), 0"


async def test_responders_are_what_they_are_by_hand(small):
    responders = tables(small)["Responders"]
    found = row(responders, "Month 6", "at least 30 %")
    assert (found["A: n/N (%)"], found["B: n/N (%)"]) == ("0/3 (0.0 %)", "3/3 (100.0 %)")
    assert (found["B - A: points (95 % CI)"], found["p"]) == ("100.0 (20.6 to 100.0)", "0.100")
    assert row(responders, "Month 6", "at least 50 %")["B: n/N (%)"] == "2/3 (66.7 %)"


async def test_change_within_an_arm_is_of_those_with_both_values(small):
    change = tables(small)["Change from before treatment to the last visit"]
    # B: -3, -4, -3: mean -3.333, error 0.333; 4.303 x 0.333 = 1.434. The leaver has no second value.
    found = row(change, "Pain, NRS", "Month 6", "B")
    assert (found["before: mean (SD), n"], found["change (95 % CI)"]) == ("7.3 (1.2), 3", "-3.3 (-4.8 to -1.9)")
    assert found["p"] == "0.010"


async def test_what_is_missing_is_counted_by_its_reason(small):
    found = tables(small)
    visits = found["Visits held and missing, by reason"]
    assert row(visits, "Month 6", "withdrawn before")["B"] == "1/4 (25.0 %)"
    assert row(visits, "Month 6", "held, not all measured")["A"] == "3/3 (100.0 %)"
    assert row(visits, "Week 2", "not held")["B"] == "3/4 (75.0 %)"
    slots = found["Diary entries and missing ones, by reason"]
    assert row(slots, "on time")["B"] == "3/576 (0.5 %)"
    assert any(line[0].startswith("cancelled: ") for line in slots.rows)


async def test_adherence_has_its_numerators_and_the_mean_of_patients(small):
    # Infusions of the leaver: 2 answered of 2, 1 taken; the other three of B missed all 14 each.
    adherence = tables(small)["Adherence"]
    head = "B: n/N (%), mean of patients (SD), n"
    assert row(adherence, "infusion", "answered")[head] == "2/44 (4.5 %); 25.0 (50.0), 4"
    assert row(adherence, "infusion", "said to be taken")[head] == "1/44 (2.3 %); 12.5 (25.0), 4"


async def test_patients_are_counted_by_arm(small):
    patients = tables(small)["Patients"]
    assert row(patients, "Randomised") == {"": "Randomised", "A": "3", "B": "4"}
    assert row(patients, "Withdrawn")["B"] == "1"
    assert "Kits not handed out: 3." in patients.note


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        ({**ARMS, "P-007": "B", "P-099": "A"}, "The allocation list has P-099 that the export does not know"),
        (ARMS, "The export has P-007 who are not on the allocation list"),
    ],
)
async def test_a_list_that_does_not_fit_the_export_is_refused(small, arms, says):
    with pytest.raises(DaybookError, match=says):
        tables(small, arms)


async def test_a_file_that_was_changed_since_is_refused(small):
    path = small / "visits.csv"
    path.write_bytes(path.read_bytes().replace(b",7,yes", b",1,yes"))
    with pytest.raises(DaybookError, match=r"visits\.csv is not as it was exported"):
        tables(small)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("version", 2, "not an export that this version of Daybook reads"),
        ("format", "other", "not an export"),
        ("protocol_version", "9", "says it is of magnesium-clbp version 9"),
    ],
)
async def test_an_export_of_another_kind_is_refused(small, key, value, says):
    manifest = json.loads((small / "manifest.json").read_text())
    (small / "manifest.json").write_text(json.dumps({**manifest, key: value}))
    with pytest.raises(DaybookError, match=says):
        tables(small)


async def test_an_export_without_csv_or_without_a_manifest_is_refused(stage, small, tmp_path):
    await export_bundle(stage.db, tmp_path / "other", formats=["parquet"], now=LATE)
    with pytest.raises(DaybookError, match="format csv"):
        tables(tmp_path / "other")
    (small / "manifest.json").unlink()
    with pytest.raises(DaybookError, match=r"has no manifest\.json"):
        tables(small)


def sample(mean, sd, n=40):
    """Values with just this mean and standard deviation."""
    values = [NormalDist().inv_cdf((place + 0.5) / n) for place in range(n)]
    centre, width = fmean(values), stdev(values)
    return [mean + sd * (value - centre) / width for value in values]


def published() -> Trial:
    """The seed trial as its abstract tells it (Yousef, Anaesthesia 2013;68:260); places between are made up."""
    told = {
        "Mg": {"baseline": (7.5, 2.2), "month-6": (4.7, 1.8)},
        "placebo": {"baseline": (7.4, 2.2), "month-6": (7.2, 2.0)},
    }
    flexion = {"Mg": {"baseline": (22.2, 8.4), "month-6": (34.7, 11.5)}, "placebo": {"baseline": (22.0, 8.0)}}
    arms = {arm: [{"subject": f"{arm}-{number}", "joined_utc": "x", "withdrawn_utc": ""} for number in range(40)]
            for arm in told}  # fmt: skip
    values = {
        (who["subject"], visit, measure): value
        for measure, by_arm in (("nrs", told), ("flexion", flexion))
        for arm, visits in by_arm.items()
        for visit, (mean, sd) in visits.items()
        for who, value in zip(arms[arm], sample(mean, sd), strict=True)
    }
    return Trial(PROTOCOL, date(2027, 6, 1), arms, {}, 0, values, frozenset())


def test_the_published_figures_come_out_as_they_are_printed():
    pain = analysis._means(published(), PROTOCOL.measure_of("nrs"))
    assert row(pain, "Baseline")["Mg: mean (SD), n"] == "7.5 (2.2), 40"
    assert row(pain, "Month 6")["Mg: mean (SD), n"] == "4.7 (1.8), 40"
    assert row(pain, "Month 6")["placebo: mean (SD), n"] == "7.2 (2.0), 40"
    # 2.5 / sqrt(1.8^2/40 + 2^2/40) = 2.5 / 0.4254 = 5.88
    assert row(pain, "Month 6")["p"] == "<0.001"
    flexion = analysis._means(published(), PROTOCOL.measure_of("flexion"))
    assert row(flexion, "Month 6")["Mg: mean (SD), n"] == "34.7 (11.5), 40"


def test_the_figure_is_the_same_each_time_and_has_a_point_for_each_visit():
    drawn = course_of(published(), PROTOCOL.measure_of("nrs"))
    [axes] = drawn.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        v.name.in_language("en") for v in PROTOCOL.visit
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Mg (n = 40)", "placebo (n = 40)"]
    again = course_of(published(), PROTOCOL.measure_of("nrs"))
    assert saved(drawn, "svg") == saved(again, "svg")


async def test_text_csv_and_page_have_every_cell(small):
    found = list(tables(small).values())
    text, page, lines = as_text("A trial", found), as_page("A <trial>", "about", found), as_csv(found)
    for section in found:
        for line in section.rows:
            assert all(cell in text for cell in line)
            assert all(cell.replace("<", "&lt;") in page for cell in line)
    assert "A &lt;trial&gt;" in page
    assert "<script" not in page
    assert lines.count("\r\n") == 1 + sum(len(one.rows) * len(one.head) for one in found)
