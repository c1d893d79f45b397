from datetime import timedelta

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status
from diary.visits import record_visit
from protocol.errors import UnknownCodeError
from reports.visits import counted, state_of_visit, visits_due, visits_of
from tests.cast import START, T0, Stage, cairo

NOON = cairo("2026-11-24 12:00")


async def record(stage, visit, measured, *, on=START, now=NOON, code="P-001", **changed):
    form = {"supersedes": None, "reason": None} | changed
    return await record_visit(
        stage.db, code=code, visit=visit, held_on=on, measured=measured, actor=SYSTEM, now=now, **form
    )


@pytest.mark.parametrize(
    ("days", "held", "state"),
    [(-1, False, "overdue"), (0, False, "due this week"), (6, False, "due this week"), (7, False, "to come"),
     (-30, True, "held"), (30, True, "held")],
)  # fmt: skip
def test_a_visits_state_is_that_of_the_patients_own_day(days, held, state):
    assert state_of_visit(START + timedelta(days=days), START, held=held) == state


async def test_each_visit_stands_with_its_day_its_values_and_everything_saved_before(stage: Stage):
    await stage.joined()
    first = await record(stage, "baseline", {"lanss": 14, "flexion": 22.5})
    await record(stage, "baseline", {"lanss": 15, "flexion": 22.5}, supersedes=first.id, reason="misread")
    found = {line.visit: line for line in await visits_of(stage.db, "P-001", None, NOON)}
    assert list(found) == ["baseline", "week-2", "week-6", "month-3", "month-6"]
    baseline = found["baseline"]
    assert (baseline.planned, baseline.held_on, baseline.state) == (START, START, "held")
    assert [(one.measure, one.shown, one.unit) for one in baseline.measured] == [
        ("lanss", "15", ""),
        ("flexion", "22.5", "deg"),
    ]
    assert [(saved.measured[0].names.in_language("en"), saved.measured[0].shown) for saved in baseline.history] == [
        ("LANSS score", "14"),
        ("LANSS score", "15"),
    ]
    assert [saved.change_reason for saved in baseline.history] == [None, "misread"]
    assert (baseline.today, baseline.history[0].below) == (START, None)
    assert (found["week-2"].planned, found["week-2"].row_id) == (START + timedelta(days=14), None)


async def test_what_is_due_is_of_ones_own_sites_and_of_who_is_in_the_study(stage: Stage):
    amina, basma = await stage.joined(), await stage.joined("P-002", chat=1002)
    due = [(one.code, one.visit, one.state) for one in await visits_due(stage.db, None, NOON)]
    assert due == [("P-001", "baseline", "due this week"), ("P-002", "baseline", "due this week")]
    await record(stage, "baseline", {"lanss": 14})
    await change_status(
        stage.db, patient_id=basma.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="r", now=NOON
    )
    assert await visits_due(stage.db, None, NOON) == ()
    later = cairo("2026-12-20 12:00")
    assert [(one.visit, one.state) for one in await visits_due(stage.db, None, later, within=28)] == [
        ("week-2", "overdue"),
        ("week-6", "to come"),
    ]
    assert await visits_due(stage.db, frozenset({amina.site_id + 1}), later, within=28) == ()


async def test_counted_adherence_stands_beside_said_with_both_denominators(stage: Stage):
    await stage.joined()
    before = await counted(stage.db, "P-001", None, NOON)
    assert [(one.item, one.said.rate, one.counted) for one in before] == [("capsule", None, None)]
    after_oral = cairo("2027-01-06 12:00")
    await record(stage, "week-6", {"capsules-returned": 40}, on=after_oral.date(), now=after_oral)
    [one] = await counted(stage.db, "P-001", None, after_oral)
    assert (one.said.numerator, one.said.denominator) == (0, 56)
    assert (one.counted.numerator, one.counted.denominator) == (16, 56)
    assert one.flagged  # nothing said, and 29 % gone from the box


async def test_a_difference_of_20_points_is_not_flagged_and_more_is(stage: Stage):
    await stage.joined()
    after_oral = cairo("2027-01-06 12:00")
    first = await record(stage, "week-6", {"capsules-returned": 45}, on=after_oral.date(), now=after_oral)
    [one] = await counted(stage.db, "P-001", None, after_oral)
    assert (one.counted.numerator, one.flagged) == (11, False)  # 19.6 points
    mend = {"supersedes": first.id, "reason": "counted again"}
    await record(stage, "week-6", {"capsules-returned": 44}, on=after_oral.date(), now=after_oral, **mend)
    [one] = await counted(stage.db, "P-001", None, after_oral)
    assert (one.counted.numerator, one.flagged) == (12, True)  # 21.4 points


async def test_counted_and_said_are_of_the_doses_up_to_the_visits_day(stage: Stage):
    await stage.joined()
    early = cairo("2026-12-11 13:00")  # the fourth day of capsules; the rest stays in the box
    form = {"on": early.date(), "now": early, "meant": ["day:2026-12-11"]}
    await record(stage, "week-6", {"capsules-returned": 50}, **form)
    for now in (cairo("2026-12-12 08:00"), cairo("2027-01-06 12:00")):
        [one] = await counted(stage.db, "P-001", None, now)
        assert (one.counted.numerator, one.counted.denominator) == (6, 8)
        assert (one.said.numerator, one.said.denominator, one.visit) == (0, 8, "week-6")
        assert one.until == early.date()


async def test_a_form_below_the_protocols_least_is_told_as_such(stage: Stage):
    await stage.joined()
    await record(stage, "baseline", {"lanss": 8}, meant=["lanss:8"])
    [saved] = (await visits_of(stage.db, "P-001", None, NOON))[0].history
    assert (saved.below.value, saved.below.least, saved.below.visit.id) == (8, 12, "baseline")


async def test_somebody_elses_patient_has_no_visits_to_look_at(stage: Stage):
    amina = await stage.joined()
    for question in (visits_of, counted):
        with pytest.raises(UnknownCodeError):
            await question(stage.db, "P-001", frozenset({amina.site_id + 1}), T0)
