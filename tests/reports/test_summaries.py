"""What the export sums up, held to small diaries worked by hand."""

import csv
from datetime import time, timedelta

from diary import SYSTEM
from diary.visits import record_visit
from reports.export import export_bundle
from reports.visits import counted
from tests.cast import START, Stage, cairo
from tests.reports.diary_of import TAKEN, say, scored

DAY_3 = START + timedelta(days=3)


async def visit(stage: Stage, name: str, measured, on, *, began: time | None = None, **changed):
    form = {"supersedes": None, "reason": None, "now": cairo(f"{on} 23:30")} | changed
    done = await record_visit(
        stage.db, code="P-001", visit=name, held_on=on, began=began, measured=measured, actor=SYSTEM,
        meant=[f"day:{on}"], **form,
    )  # fmt: skip
    assert done.id is not None
    return done.id


async def summed(stage: Stage, folder, name: str, *, now):
    await export_bundle(stage.db, folder, formats=["csv"], now=now)
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_answers_just_before_a_visit_are_counted_of_all_own_answers(stage: Stage, tmp_path):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    await say(stage, amina.id, "infusion 2026-11-25", TAKEN, "2026-11-25 11:59")  # another day
    await say(stage, amina.id, "infusion 2026-11-27", TAKEN, "2026-11-27 12:00")  # 2 h before it
    await say(stage, amina.id, "pain 2026-11-26", scored(5), "2026-11-27 11:30")  # 2 h 30 min before it
    first = await visit(stage, "week-2", {"nrs": 5}, DAY_3, began=time(13, 0))
    slip = {"supersedes": first, "reason": "an hour later"}
    await visit(stage, "week-2", {"nrs": 5}, DAY_3, began=time(14, 0), **slip)  # only what holds counts
    await visit(stage, "baseline", {"lanss": 14}, START)  # nobody wrote the time down
    by_item = {
        line["item"]: line
        for line in await summed(stage, tmp_path / "out", "adherence", now=cairo("2026-11-28 09:00"))
    }
    infusion, pain = by_item["infusion"], by_item["pain"]
    assert (infusion["before_visits"], infusion["own_answers"], infusion["visits_timed"]) == ("1", "3", "1")
    assert (pain["before_visits"], pain["own_answers"]) == ("0", "1")


async def test_where_no_visits_time_is_known_nothing_is_said_of_answers_before_it(stage: Stage, tmp_path):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    await visit(stage, "baseline", {"lanss": 14}, START)
    for line in await summed(stage, tmp_path / "out", "adherence", now=cairo("2026-11-25 09:00")):
        assert (line["visits_timed"], line["before_visits"]) == ("0", "")


async def test_counted_adherence_is_what_the_patients_page_says(stage: Stage, tmp_path):
    amina = await stage.joined()
    await say(stage, amina.id, "capsule 2026-12-08", TAKEN, "2026-12-08 09:30")
    on = cairo("2026-12-11 13:00").date()  # the fourth day of capsules, two a day
    await visit(stage, "week-6", {"capsules-returned": 50}, on)
    now = cairo("2027-01-06 12:00")
    [shown] = await counted(stage.db, "P-001", None, now)
    [line] = [
        one for one in await summed(stage, tmp_path / "out", "adherence", now=now) if one["item"] == "capsule"
    ]
    assert (line["counted_gone"], line["counted_doses"], line["counted_said"]) == ("6", "8", "1")
    assert (line["counted_visit"], line["counted_rate"]) == ("week-6", "0.75")
    assert (shown.counted.numerator, shown.counted.denominator, shown.said.numerator) == (6, 8, 1)


async def test_the_wide_table_has_a_column_for_each_measure_of_each_visit(stage: Stage, tmp_path):
    await stage.joined()
    first = await visit(stage, "baseline", {"lanss": 14, "nrs": 7}, START)
    await visit(stage, "baseline", {"lanss": 14, "nrs": 8}, START, supersedes=first, reason="misread")
    [line] = await summed(stage, tmp_path / "out", "wide", now=cairo("2026-11-25 09:00"))
    assert (line["baseline_lanss"], line["baseline_nrs"], line["baseline_flexion"]) == ("14", "8", "")
    assert {"month_6_nrs", "week_6_capsules_returned"} <= set(line)
    assert "week_2_lanss" not in line  # it is not measured there
