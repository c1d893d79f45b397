"""The trial's tables from an export and a small list, worked by hand; and lists that are refused."""

import json
from datetime import timedelta

import pytest
from scipy import stats

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status, stop_use
from diary.protocols import adopt_protocol
from diary.visits import record_visit
from protocol.errors import DaybookError, WrongCallError
from protocol.load import load_protocol, read_protocol
from reports.analysis import joined
from reports.comparison import Difference, Mean
from reports.definitions import Share
from reports.export import export_bundle
from reports.exported import Exported
from reports.findings import sections
from reports.randomisation import Allocation
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import TAKEN, not_taken, say, scored
from tests.reports.paper_of import near, row

PROTOCOL = load_protocol("magnesium-clbp").protocol
LATE = cairo("2027-06-15 12:00")
# before -> month 6, by subject; A stays as it was, B falls by 37.5, 50 and 50 %.
PAIN = {
    "P-001": ("A", 7, 7), "P-002": ("A", 8, 8), "P-003": ("A", 6, 6),
    "P-004": ("B", 8, 5), "P-005": ("B", 8, 4), "P-006": ("B", 6, 3),
}  # fmt: skip
ARMS = {code: arm for code, (arm, _, _) in PAIN.items()} | {"P-007": "B"}
AFTER = "Month 6"


@pytest.fixture
async def lived(stage: Stage):
    """Six patients with two visits each, one more who left early, one who never agreed."""
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
    await stage.add("P-008")
    return stage


@pytest.fixture
async def small(lived: Stage, tmp_path):
    """What is exported of them."""
    return await exported(lived, tmp_path / "export")


async def exported(stage, folder, now=LATE):
    await export_bundle(stage.db, folder, formats=["csv"], now=now)
    return folder


async def visit(stage, nour, code, name, day, *, corrects=None, **measured):
    saved = await record_visit(
        stage.db, code=code, visit=name, held_on=day, measured=measured, supersedes=corrects,
        reason="slip" if corrects else None, actor=nour, now=cairo(f"{day} 12:00"), meant=("below", "nearer"),
    )  # fmt: skip
    assert saved.id is not None
    return saved.id


def tables(folder, arms=None, **named):
    export = Exported.open(folder)
    found = sections(export, joined(export, Allocation(ARMS if arms is None else arms, 3), **named))
    return {section.title: section for section in found}


async def test_pain_at_six_months_is_what_it_is_by_hand(small):
    pain = tables(small)["Pain, NRS"]
    # A 7, 8, 6: mean 7, SD 1. B 5, 4, 3: mean 4, SD 1. Error sqrt(1/3 + 1/3) = 0.8165, t = -3.674, df = 4;
    # t of 97.5 % at 4 is 2.776: half 2.267; p = 0.0213.
    found = row(pain, AFTER)
    assert (found["A"], found["B"]) == (Mean(3, 7, 1), Mean(3, 4, 1))
    assert found["B - A"] == Difference(-3, near(-5.267), near(-0.733), near(0.0213, 4))
    # Adjusted: the slope within arms is (2 + 2) / (2 + 2.667) = 0.857; before A 7, B 7.333: -3 - 0.857 x 0.333.
    assert found["B - A, adjusted"].value == near(-3 - (2 + 2) / (2 + 8 / 3) * (22 / 3 - 7))
    # Before: A 7, 8, 6; B 8, 8, 6, 9, mean 7.75. Nothing is tested.
    found = row(pain, "Baseline")
    assert found["B"] == Mean(4, 7.75, near(1.258))
    assert (found["B - A"], found["B - A, adjusted"]) == (Difference(0.75, None, None, None), None)
    assert row(pain, "Week 2")["A"] == Mean(0, None, None)


async def test_a_corrected_value_counts_once_and_as_it_holds(lived, tmp_path):
    nour = await lived.actor("lina", chat=3_003)
    wrong = await visit(lived, nour, "P-001", "week-2", START + timedelta(days=14), nrs=1)
    await visit(lived, nour, "P-001", "week-2", START + timedelta(days=14), corrects=wrong, nrs=7)
    found = row(tables(await exported(lived, tmp_path / "export"))["Pain, NRS"], "Week 2")
    assert found["A"] == Mean(1, 7, None)


async def test_equal_changes_of_numbers_with_decimals_are_no_certainty(small):
    # 22.2 -> 34.7 in everybody: binary numbers alone would make a spread, and a p value, of that.
    found = tables(small)["Change from before treatment to the last visit"]
    assert row(found, "Lumbar flexion, deg", AFTER, "A")["Change"] == Difference(near(12.5, 6), None, None, None)


async def test_change_within_an_arm_is_of_those_with_both_values(small):
    change = tables(small)["Change from before treatment to the last visit"]
    # B: -3, -4, -3: mean -3.333, error 0.333, t = 10; 4.303 x 0.333 = 1.434; p = 0.0099. The leaver has no second
    # value.
    found = row(change, "Pain, NRS", AFTER, "B")
    assert found["Before"] == Mean(3, near(7.333), near(1.155))
    assert found["Change"] == Difference(near(-3.333), near(-4.768), near(-1.899), near(0.0099, 4))


async def test_the_tables_are_what_scipy_says_of_the_same_values(small):
    found = tables(small)
    first = [after for arm, _, after in PAIN.values() if arm == "A"]
    other = [after for arm, _, after in PAIN.values() if arm == "B"]
    said = stats.ttest_ind(other, first, equal_var=False)
    shown = row(found["Pain, NRS"], AFTER)["B - A"]
    assert (shown.p, (shown.low, shown.high)) == (near(said.pvalue, 9), near(tuple(said.confidence_interval()), 9))
    # Analysis of covariance another way: what the regression on the value before leaves of arm and outcome.
    before = [early for _, early, _ in PAIN.values()]
    after = [late for _, _, late in PAIN.values()]
    other_arm = [float(arm == "B") for arm, _, _ in PAIN.values()]
    rest = [[y - (line.intercept + line.slope * x) for x, y in zip(before, values, strict=True)]
            for values in (after, other_arm) for line in [stats.linregress(before, values)]]  # fmt: skip
    line = stats.linregress(rest[1], rest[0])
    adjusted = row(found["Pain, NRS"], AFTER)["B - A, adjusted"]
    error = line.stderr * (4 / 3) ** 0.5  # three degrees of freedom where the line of the rest thinks four
    assert adjusted.value == near(line.slope, 9)
    assert adjusted.p == near(2 * stats.t.sf(abs(line.slope / error), 3), 9)
    assert adjusted.high == near(line.slope + stats.t.ppf(0.975, 3) * error, 9)
    fell = row(found["Responders"], AFTER, "at least 50 %")["B - A"]
    assert fell.p == near(stats.fisher_exact([[2, 1], [0, 3]]).pvalue, 9)


async def test_responders_are_what_they_are_by_hand(small):
    found = tables(small)["Responders"]
    shown = row(found, AFTER, "at least 30 %")
    assert (shown["A"], shown["B"]) == (Share(0, 3), Share(3, 3))
    # Newcombe: Wilson of 3/3 is 0.4385 to 1, of 0/3 0 to 0.5615: 1 - sqrt(2 x 0.5615^2) = 0.206.
    assert shown["B - A"] == Difference(100, near(20.6, 1), near(100), near(0.1))
    assert row(found, AFTER, "at least 50 %")["B"] == Share(2, 3)


async def test_what_is_missing_is_counted_by_its_reason(small):
    found = tables(small)
    visits = found["Visits held and missing, by reason"]
    assert row(visits, AFTER, "withdrawn before")["B"] == Share(1, 4)
    assert row(visits, AFTER, "held")["A"] == Share(3, 3)
    assert row(visits, AFTER, "held, Lateral flexion not measured")["A"] == Share(3, 3)
    assert row(visits, "Week 2", "not held")["B"] == Share(3, 4)
    slots = found["Diary entries and missing ones, by reason"]
    # Each has 14 infusions, 56 capsules and 74 ratings; the leaver's from the third day on are cancelled.
    assert row(slots, "infusion", "on time")["B"] == Share(2, 56)
    assert row(slots, "infusion", "cancelled: withdrawn")["B"] == Share(12, 56)
    assert row(slots, "capsule", "cancelled: withdrawn")["B"] == Share(56, 224)


async def test_adherence_has_its_numerators_and_the_mean_of_patients(small):
    # Infusions of the leaver: 2 answered of 2, 1 taken; the other three of B missed all 14 each.
    adherence = tables(small)["Adherence"]
    answered, taken = row(adherence, "infusion", "answered"), row(adherence, "infusion", "said to be taken")
    assert (answered["B"], answered["B, by patient"]) == (Share(2, 44), Mean(4, 25, 50))
    assert (taken["B"], taken["B, by patient"]) == (Share(1, 44), Mean(4, 12.5, 25))


async def test_patients_are_counted_by_arm(small):
    found = tables(small, {**ARMS, "P-008": "A"})["Patients"]
    counts = {line[0]: line[1:] for line in found.rows}
    assert counts == {
        "randomised": (4, 4),
        "diary no longer used": (0, 0),
        "in these tables": (4, 4),
        "of these: never agreed to take part": (1, 0),
        "of these: withdrawn": (0, 1),
        "of these: still taking part": (0, 0),
        "of these: completed": (3, 3),
    }
    assert "Kits not handed out: 3." in found.note


async def test_whoever_stopped_the_use_of_the_diary_is_counted_and_left_out(lived, tmp_path):
    await stop_use(lived.db, code="P-007", actor=SYSTEM, reason="asked", now=cairo("2026-11-27 08:00"))
    found = tables(await exported(lived, tmp_path / "export"))
    assert row(found["Patients"], "diary no longer used")["B"] == 1
    assert row(found["Patients"], "randomised")["B"] == 4
    assert row(found["Pain, NRS"], "Baseline")["B"].n == 3


async def test_the_arm_to_compare_with_can_be_named(small):
    pain = tables(small, reference="B")["Pain, NRS"]
    assert pain.head[:4] == ("Visit", "B", "A", "A - B")
    assert row(pain, AFTER)["A - B"].value == 3
    with pytest.raises(WrongCallError, match="--reference C is no arm of the list; name one of A, B"):
        tables(small, reference="C")


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        ({**ARMS, "P-099": "A"}, "The allocation list has P-099, unknown to the export; nothing was analysed"),
        ({code: arm for code, arm in ARMS.items() if code != "P-007"}, "lacks P-007, who took part"),
    ],
)
async def test_a_list_that_does_not_fit_the_export_is_refused(small, arms, says):
    with pytest.raises(DaybookError, match=says):
        tables(small, arms)


async def test_a_trial_in_which_nobody_takes_part_yet_is_refused(stage, tmp_path):
    for code in ("P-001", "P-002"):
        await stage.add(code)
    folder = await exported(stage, tmp_path / "export")
    with pytest.raises(DaybookError, match="Nobody on the list has agreed to take part yet"):
        tables(folder, {"P-001": "A", "P-002": "B"})


async def test_an_arm_with_nobody_in_it_is_refused(lived, tmp_path):
    await stop_use(lived.db, code="P-007", actor=SYSTEM, reason="asked", now=cairo("2026-11-27 08:00"))
    folder = await exported(lived, tmp_path / "export")
    with pytest.raises(DaybookError, match="Nobody of arm C has a diary that may be used"):
        tables(folder, {**ARMS, "P-007": "C"})


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
        ("cut_off", "yesterday", "not an export"),
        ("files", [{"name": "subjects.csv"}], "not an export"),
        ("files", [], r"has no protocol\.toml"),
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
    (small / "manifest.json").write_text("[]")
    with pytest.raises(DaybookError, match="not an export"):
        tables(small)
    (small / "manifest.json").unlink()
    with pytest.raises(DaybookError, match=r"has no manifest\.json"):
        tables(small)


async def amended(stage, *, change):
    """A second version of the protocol, and one patient more who follows it."""
    text = load_protocol("magnesium-clbp").text.replace('version = "1"', 'version = "2"').replace(*change)
    stage.protocol_id = await adopt_protocol(stage.db, read_protocol("two", text), now=T0)
    await stage.joined("P-009", chat=2_009)


async def test_versions_of_the_protocol_that_ask_and_measure_the_same_are_analysed_together(lived, tmp_path):
    await amended(lived, change=("Did you have today's infusion", "Have you had today's infusion"))
    found = tables(await exported(lived, tmp_path / "export"), {**ARMS, "P-009": "A"})
    assert row(found["Patients"], "randomised")["A"] == 4
    assert row(found["Pain, NRS"], AFTER)["A"].n == 3


async def test_versions_of_the_protocol_with_other_visits_are_refused(lived, tmp_path):
    await amended(lived, change=("day = 91", "day = 98"))
    folder = await exported(lived, tmp_path / "export")
    with pytest.raises(DaybookError, match=r"several versions of the protocol \(1, 2\) that differ in visits, so"):
        tables(folder, {**ARMS, "P-009": "A"})
