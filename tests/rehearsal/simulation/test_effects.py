"""What simulated patients feel is what the trial published."""

from random import Random
from statistics import fmean, stdev

import pytest

from protocol.load import load_protocol
from protocol.model import Scale
from rehearsal.simulation.effects import AS_PUBLISHED, MAGNESIUM, PLACEBO, Body, Course

PROTOCOL = load_protocol("magnesium-clbp").protocol
MANY = 4000


def measured(arm, measure, day):
    found = []
    for number in range(MANY):
        body = Body(AS_PUBLISHED, Random(number))
        body.arm = arm
        found.append(body.measurement(PROTOCOL, PROTOCOL.measure_of(measure), day))
    return found


@pytest.mark.parametrize(
    ("arm", "measure", "day", "mean", "spread"),
    [
        (MAGNESIUM, "nrs", 0, 7.5, 2.2),
        (PLACEBO, "nrs", 0, 7.4, 2.2),
        (MAGNESIUM, "nrs", 182, 4.7, 1.8),
        (PLACEBO, "nrs", 182, 7.2, 2.0),
        (MAGNESIUM, "flexion", 0, 22.2, 8.4),
        (MAGNESIUM, "flexion", 182, 34.7, 11.5),
        (MAGNESIUM, "extension", 182, 16.9, 3.5),
        (MAGNESIUM, "lateral-flexion", 182, 17.2, 4.4),
    ],
)
def test_means_and_spreads_are_the_published_ones(arm, measure, day, mean, spread):
    found = measured(arm, measure, day)
    # Whoever would say more than ten says ten, so the mean of a high score lies a little lower.
    assert fmean(found) == pytest.approx(mean, abs=0.3 if measure == "nrs" else 0.03 * mean + 0.1)
    assert stdev(found) == pytest.approx(spread, rel=0.2)


def test_at_two_weeks_the_groups_do_not_differ_and_at_six_they_do():
    apart = {
        day: fmean(measured(PLACEBO, "nrs", day)) - fmean(measured(MAGNESIUM, "nrs", day)) for day in (14, 42, 91)
    }
    assert apart[14] == pytest.approx(0, abs=0.1)
    assert apart[42] > 1
    assert apart[91] > apart[42]


def test_before_a_kit_is_handed_out_nobody_is_in_an_arm():
    body, other = Body(AS_PUBLISHED, Random(1)), Body(AS_PUBLISHED, Random(1))
    other.arm = PLACEBO
    scale = Scale()
    assert [body.rating(100, scale) for _ in range(50)] == [other.rating(0, scale) for _ in range(50)]


def test_between_known_days_a_course_goes_straight_and_beyond_them_it_stays():
    course = Course((10, 20), (4.0, 6.0), (1.0, 3.0))
    assert [course.at(day, 0) for day in (0, 10, 15, 20, 99)] == [4, 4, 5, 6, 6]
    assert course.at(15, 2) == 5 + 2 * 2
