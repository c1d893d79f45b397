"""Each definition with an example worked by hand; the sums stand beside it."""

from datetime import UTC, datetime, timedelta

import pytest

from reports.definitions import (
    Dose,
    Dosing,
    Figures,
    Latency,
    Rating,
    Response,
    Share,
    days_covered,
    differ,
    dosing,
    just_before,
    latency,
    reduction,
    response,
    together,
    week_of,
    weekly_means,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def minutes(number):
    return timedelta(minutes=number)


def test_expected_is_what_has_run_its_course():
    # 2 on time, 1 late, 1 missed: 3 of 4 answered. What is excused or open is in neither part.
    figures = Figures(on_time=2, late=1, missed=1, excused=5, open=3, doses=4, taken=2, not_taken=1)
    assert (figures.answered, figures.expected, figures.rate) == (3, 4, 0.75)
    assert figures.said == Share(2, 4)


def test_nothing_expected_has_no_rate():
    assert Figures(excused=3, open=1).rate is None
    assert Share(0, 0).rate is None


def test_the_sum_of_groups_weighs_every_slot_alike():
    class Row:
        def __init__(self, figures):
            self.figures = figures

    # 1 of 1 and 1 of 3 are 2 of 4, not the mean of 100 % and 33 %.
    assert together([Row(Figures(on_time=1)), Row(Figures(on_time=1, missed=2))]).rate == 0.5


@pytest.mark.parametrize(
    ("gone", "expected", "says"),
    [(44, 56, Dosing.TOO_FEW), (45, 56, Dosing.AS_PLANNED), (67, 56, Dosing.AS_PLANNED), (68, 56, Dosing.TOO_MANY)],
)
def test_a_count_of_doses_is_judged_at_80_and_120_per_cent(gone, expected, says):
    # 0.8 x 56 = 44.8 and 1.2 x 56 = 67.2.
    assert dosing(Share(gone, expected)) is says


def test_both_bounds_of_a_count_belong_to_the_higher_band():
    assert dosing(Share(4, 5)) is Dosing.AS_PLANNED
    assert dosing(Share(6, 5)) is Dosing.TOO_MANY
    assert dosing(Share(3, 0)) is None


def test_said_and_counted_differ_when_they_are_more_than_twenty_points_apart():
    assert not differ(Share(8, 10), Share(10, 10))
    assert differ(Share(79, 100), Share(100, 100))
    assert not differ(Share(0, 0), Share(5, 10))


def test_a_day_is_covered_when_every_dose_of_it_was_taken():
    # Day 0: both taken. Day 1: one of two. Day 2: none. 1 of 3 days.
    doses = [Dose(0, True), Dose(0, True), Dose(1, True), Dose(1, False), Dose(2, False)]
    assert days_covered(doses) == Share(1, 3)


def test_a_double_dose_covers_no_other_day():
    assert days_covered([Dose(0, True), Dose(0, True), Dose(0, True), Dose(1, False)]) == Share(1, 2)
    assert days_covered([]).rate is None


@pytest.mark.parametrize(("day", "week"), [(-8, -1), (-7, 0), (-1, 0), (0, 1), (6, 1), (7, 2), (181, 26)])
def test_week_1_is_the_first_seven_days(day, week):
    assert week_of(day) == week


def rated(*scores, first=0):
    return [Rating(first + day, score) for day, score in enumerate(scores)]


def test_a_week_with_four_days_of_seven_has_a_mean():
    [week] = weekly_means(rated(4, None, 6, None, 5, 7, None), at_least=4)
    assert (week.week, week.mean, week.days) == (1, (4 + 6 + 5 + 7) / 4, Share(4, 7))


def test_a_week_with_three_days_of_seven_has_none_but_tells_its_days():
    [week] = weekly_means(rated(4, None, 6, None, 5, None, None), at_least=4)
    assert (week.mean, week.days) == (None, Share(3, 7))


def test_how_many_days_a_mean_needs_is_a_setting():
    assert weekly_means(rated(4, None, 6, None, 5, None, None), at_least=3)[0].mean == 5


def test_a_week_in_which_one_rating_is_asked_needs_that_one():
    assert [week.mean for week in weekly_means([Rating(7, 3.0), Rating(14, None)], at_least=4)] == [3.0, None]


def test_two_ratings_of_a_day_weigh_as_one_day():
    # Day 0: 2 and 4 are 3. Days 1 to 3: 5 each. (3 + 5 + 5 + 5) / 4 = 4.5; by ratings it would be 21 / 5 = 4.2.
    ratings = [Rating(0, 2), Rating(0, 4), Rating(1, 5), Rating(2, 5), Rating(3, 5)]
    assert weekly_means(ratings, at_least=4)[0].mean == 4.5


def test_a_day_of_which_one_rating_was_missed_is_a_rated_day():
    assert weekly_means([Rating(0, 2), Rating(0, None)], at_least=4)[0].days == Share(1, 1)


@pytest.mark.parametrize(
    ("baseline", "later", "fell", "band"),
    [
        (10, 7, 30, Response.MODERATE),  # the bound belongs to the higher band
        (10, 5, 50, Response.SUBSTANTIAL),
        (8, 6, 25, Response.NONE),
        (7, 4.9, 30, Response.MODERATE),
        (6, 7, -100 / 6, Response.NONE),
        (4, 0, 100, Response.SUBSTANTIAL),
        (0, 0, None, None),  # no pain cannot fall
    ],
)
def test_response_is_judged_at_30_and_50_per_cent_of_the_baseline(baseline, later, fell, band):
    assert reduction(baseline, later) == (fell if fell is None else pytest.approx(fell))
    assert response(baseline, later) is band


def test_answers_within_two_hours_before_a_visit_are_in_the_parking_lot():
    began = [NOON, NOON + timedelta(days=7)]
    said = [
        NOON - minutes(121),
        NOON - minutes(120),  # the bound is in
        NOON - minutes(1),
        NOON,  # the visit has begun
        NOON + timedelta(days=7) - minutes(30),
    ]
    assert just_before(said, began) == Share(3, 5)
    assert just_before(said, []) == Share(0, 5)


def test_latency_is_told_by_its_quartiles_and_by_how_many_are_known():
    # 1, 3, 5, 9 minutes: median (3 + 5) / 2 = 4; lower 1 + 0.75 x 2 = 2.5; upper 5 + 0.25 x 4 = 6.
    answers = [(NOON, NOON + minutes(number)) for number in (9, 1, 5, 3)]
    early = [(NOON, NOON - minutes(4)), (None, NOON)]
    assert latency([*answers, *early]) == Latency(minutes(2.5), minutes(4), minutes(6), Share(4, 6))


def test_latency_of_one_answer_and_of_none():
    assert latency([(NOON, NOON + minutes(2))]) == Latency(minutes(2), minutes(2), minutes(2), Share(1, 1))
    assert latency([]) == Latency(None, None, None, Share(0, 0))
