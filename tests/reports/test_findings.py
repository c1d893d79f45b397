"""The trial's tables of values that were made for it: the published means, and patients as few as a case needs."""

from datetime import date, timedelta
from statistics import NormalDist, fmean, stdev

import pytest

from protocol.load import load_protocol
from reports.analysis import Person, Trial
from reports.comparison import Difference, Mean
from reports.definitions import Share
from reports.findings import means, responders
from reports.missing import missing_visits, patients
from tests.cast import START
from tests.reports.paper_of import near, row

PROTOCOL = load_protocol("magnesium-clbp").protocol
AFTER = "Month 6"


def sample(mean, sd, n=40):
    """Values with just this mean and standard deviation."""
    values = [NormalDist().inv_cdf((place + 0.5) / n) for place in range(n)]
    centre, width = fmean(values), stdev(values)
    return [mean + sd * (value - centre) / width for value in values]


def published() -> Trial:
    """The seed trial as its abstract tells it (Yousef, Anaesthesia 2013;68:260).

    The SDs of placebo, its movement, and its 7.2 at weeks between are not in it, and are made up.
    """
    told = {
        ("nrs", "Mg"): {"baseline": (7.5, 2.2), "month-6": (4.7, 1.8)},
        ("nrs", "placebo"): {"baseline": (7.4, 2.2), "month-6": (7.2, 2.0)},
        ("flexion", "Mg"): {"baseline": (22.2, 8.4), "month-6": (34.7, 11.5)},
        ("extension", "Mg"): {"baseline": (11.8, 3.4), "month-6": (16.9, 3.5)},
        ("lateral-flexion", "Mg"): {"baseline": (11.4, 3.6), "month-6": (17.2, 4.4)},
    }
    arms = {
        arm: tuple(Person(f"{arm}-{number}", date(2026, 1, 1)) for number in range(40)) for arm in ("placebo", "Mg")
    }
    values = {
        (person.code, visit, measure): value
        for (measure, arm), visits in told.items()
        for visit, (mean, sd) in visits.items()
        for person, value in zip(arms[arm], sample(mean, sd), strict=True)
    }
    return Trial(PROTOCOL, date(2027, 6, 1), arms, {}, 0, values, frozenset())


@pytest.mark.parametrize(
    ("measure", "before", "after"),
    [
        ("nrs", (7.5, 2.2), (4.7, 1.8)),
        ("flexion", (22.2, 8.4), (34.7, 11.5)),
        ("extension", (11.8, 3.4), (16.9, 3.5)),
        ("lateral-flexion", (11.4, 3.6), (17.2, 4.4)),
    ],
)
def test_the_published_figures_come_out_as_they_went_in(measure, before, after):
    found = means(published(), PROTOCOL.measure_of(measure))
    assert row(found, "Baseline")["Mg"] == Mean(40, near(before[0], 6), near(before[1], 6))
    assert row(found, AFTER)["Mg"] == Mean(40, near(after[0], 6), near(after[1], 6))


def test_the_published_difference_at_six_months_by_hand():
    # 4.7 - 7.2 = -2.5; error sqrt(1.8^2/40 + 2^2/40) = 0.4254; df = 0.181^2 / ((0.081^2 + 0.1^2) / 39) = 77.15;
    # t of 97.5 % there is 1.9912: half 0.8471.
    found = row(means(published(), PROTOCOL.measure_of("nrs")), AFTER)["Mg - placebo"]
    assert (found.value, found.low, found.high) == (near(-2.5), near(-3.347), near(-1.653))
    assert found.p < 1e-6


def made(values, *, forms=(), cut_off="2027-06-01", **persons):
    """A trial of these patients by arm, all begun on 2026-11-24."""
    arms = {arm: tuple(of_arm) for arm, of_arm in persons.items()}
    return Trial(PROTOCOL, date.fromisoformat(cut_off), arms, {}, 0, values, frozenset(forms))


def test_pain_of_nought_before_treatment_has_no_percentage_and_is_counted_apart():
    values = {("a", "baseline", "nrs"): 0, ("a", "month-6", "nrs"): 3, ("b", "baseline", "nrs"): 10,
              ("b", "month-6", "nrs"): 7}  # fmt: skip
    [found] = responders(made(values, A=[Person("a", START)], B=[Person("b", START)]))
    assert row(found, AFTER, "at least 30 %")["A"] == Share(0, 0)
    assert row(found, AFTER, "at least 30 %")["B"] == Share(1, 1)  # 30 % just so
    assert row(found, AFTER, "at least 30 %")["B - A"] == Difference(None, None, None, None)
    assert (row(found, "Baseline")["A"], row(found, "Baseline")["B"]) == (Share(1, 1), Share(0, 1))


def test_a_visit_is_not_missing_before_its_day_is_over():
    persons = {
        "A": [Person("a", START), Person("late", START + timedelta(days=1))],
        "B": [Person("left", START, left_on=START + timedelta(days=14)), Person("never", START, agreed=False)],
    }
    trial = made({}, cut_off="2026-12-08", **persons)  # day 14 of those who began on the 24th
    found = missing_visits(trial)
    assert row(found, "Week 2", "not due yet")["A"] == Share(2, 2)
    assert row(found, "Week 2", "withdrawn before")["B"] == Share(1, 2)
    assert row(found, "Week 2", "never agreed to take part")["B"] == Share(1, 2)
    trial = made({}, cut_off="2026-12-09", **persons)
    assert row(missing_visits(trial), "Week 2", "not held")["A"] == Share(1, 2)


def test_a_trial_is_completed_when_its_last_day_is_over():
    last = START + timedelta(days=PROTOCOL.days - 1)
    persons = {"A": [Person("a", START)], "B": [Person("b", START, left_on=last)]}
    still = patients(made({}, cut_off=last.isoformat(), **persons))
    assert row(still, "of these: still taking part")["A"] == 1
    over = patients(made({}, cut_off=(last + timedelta(days=1)).isoformat(), **persons))
    assert row(over, "of these: completed") == {"Number of patients": "of these: completed", "A": 1, "B": 0}
    assert row(over, "of these: withdrawn")["B"] == 1


def test_of_three_arms_each_is_compared_with_the_first():
    values = {(code, visit, "nrs"): value for code, value in (("a", 7), ("b", 5), ("c", 4))
              for visit in ("baseline", "month-6")}  # fmt: skip
    trial = made(values, A=[Person("a", START)], B=[Person("b", START)], C=[Person("c", START)])
    found = row(means(trial, PROTOCOL.measure_of("nrs")), AFTER)
    assert (found["B - A"].value, found["C - A"].value) == (-2, -3)
