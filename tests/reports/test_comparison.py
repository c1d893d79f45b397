"""The statistics, each against numbers worked by hand; the sums stand beside them."""

from statistics import fmean

import pytest

from reports.comparison import NOTHING, adjusted, interval_of_mean, mean_of, shares, welch, wilson, within
from reports.definitions import Share


def near(value, places=3):
    return pytest.approx(value, abs=10**-places)


def test_mean_and_standard_deviation_are_of_a_sample():
    # 7, 8, 6: mean 7, squares (0 + 1 + 1) / 2 = 1.
    found = mean_of([7, 8, 6])
    assert (found.n, found.mean, found.sd) == (3, 7, 1)
    assert mean_of([5]).sd is None
    assert mean_of([]).mean is None


def test_welch_of_two_samples_of_three():
    # 4 - 7 = -3; error sqrt(1/3 + 1/3) = 0.8165; with 4 degrees of freedom t = -3.674, p = 0.0213, and the interval
    # is 2.776 x 0.8165 = 2.267 to either side.
    found = welch([7, 8, 6], [5, 4, 3])
    assert (found.value, found.low, found.high) == (-3, near(-5.267), near(-0.733))
    assert found.p == near(0.0213)


def test_welch_does_not_suppose_equal_variances():
    # Means 3 and 10; variances 2.5 and 250 of five each: error sqrt(0.5 + 50) = 7.106, t = 0.985;
    # df = 50.5^2 / (0.25/4 + 2500/4) = 4.08. Student's t would have 8.
    found = welch([1, 2, 3, 4, 5], [-10, 0, 10, 20, 30])
    assert found.value == 7
    assert (found.high - found.value) / 7.106 == near(2.757, 2)  # t of 97.5 % at 4.08


def test_a_sample_of_one_has_a_difference_and_no_test():
    found = welch([7], [5, 4])
    assert (found.value, found.p) == (-2.5, None)
    assert welch([], [5]) == NOTHING


def test_change_is_of_pairs():
    # Changes -2, -3, -4: mean -3, error 1/sqrt(3) = 0.577; t of 97.5 % at 2 is 4.303: half 2.484; p = 0.0351.
    found = within([7, 8, 9], [5, 5, 5])
    assert (found.value, found.low, found.high, found.p) == (-3, near(-5.484), near(-0.516), near(0.0351))


def test_the_adjusted_difference_takes_the_value_before_into_account():
    first = [(6.0, 6.2), (7.0, 6.9), (8.0, 8.1)]
    other = [(7.0, 4.1), (8.0, 4.9), (9.0, 6.2)]
    # The slope within arms, pooled: ((-1)(-0.867) + 0 + (1)(1.033) + (-1)(-0.967) + 0 + (1)(1.133)) / 4 = 1.0.
    slope = 1.0
    want = (fmean(late for _, late in other) - fmean(late for _, late in first)) - slope * (8 - 7)
    assert adjusted(first, other).value == near(want, 6)
    assert adjusted(first[:1], other[:1]) == NOTHING


def test_the_adjusted_difference_equals_the_plain_one_where_nothing_differed_before():
    first, other = [(6, 5.0), (8, 8.0)], [(6, 3.0), (8, 4.0)]
    assert adjusted(first, other).value == near(3.5 - 6.5, 6)


def test_wilson_of_none_and_of_all():
    # 0 of 3: high z^2/(3 + z^2) = 3.8415/6.8415 = 0.5615; 3 of 3 is its mirror.
    assert wilson(Share(0, 3)) == (near(0), near(0.5615))
    assert wilson(Share(3, 3)) == (near(0.4385), near(1))


def test_shares_are_compared_by_fisher_and_newcombe():
    # 3/3 against 0/3: p = 2 / C(6, 3) = 0.1; low 1 - sqrt(0.5615^2 + 0.5615^2) = 0.206.
    found = shares(Share(0, 3), Share(3, 3))
    assert (found.value, found.low, found.high, found.p) == (1, near(0.206), near(1), near(0.1))
    # Newcombe 1998, table II, (a) 56/70 - 48/80: 0.2000, 0.0524 to 0.3339.
    found = shares(Share(48, 80), Share(56, 70))
    assert (found.value, found.low, found.high) == (near(0.2), near(0.0524), near(0.3339))
    assert shares(Share(0, 0), Share(1, 2)) == NOTHING


def test_the_interval_of_a_mean():
    assert interval_of_mean([7, 8, 6]) == (near(4.516), near(9.484))  # 4.303 x 0.577 = 2.484
    assert interval_of_mean([7]) is None
