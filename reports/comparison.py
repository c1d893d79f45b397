"""The statistics of a two-sample comparison, by scipy; each says by what it is tested.

Means: Welch's t test, which supposes no equal variances. Adjusted for the value before treatment: analysis of
covariance, by least squares. Change within an arm: paired t test. Shares: Fisher's exact test, with Newcombe's
hybrid score interval for the difference (Stat Med 1998;17:873, method 10).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any, Final

from protocol.errors import DaybookError
from reports.definitions import Share

LEVEL: Final = 0.95
Z: Final = 1.959963984540054  # the standard normal's quantile of 97.5 %
# Far below what a measure's decimal places can tell, and far above what binary numbers add to equal differences.
_NO_SPREAD: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Mean:
    """A sample's size, mean and standard deviation (n - 1); None where there are too few values."""

    n: int
    mean: float | None
    sd: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its interval of 95 % and p value; None where the samples do not allow them."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None

    @property
    def untested(self) -> "Difference":
        """The difference alone, where a test would answer no question."""
        return Difference(self.value, None, None, None)

    @property
    def in_points(self) -> "Difference":
        """A difference of shares in percentage points."""
        value, low, high = (None if one is None else 100 * one for one in (self.value, self.low, self.high))
        return Difference(value, low, high, self.p)


NOTHING: Final = Difference(None, None, None, None)


def mean_of(values: Sequence[float]) -> Mean:
    """Describe a sample."""
    return Mean(len(values), fmean(values) if values else None, stdev(values) if len(values) > 1 else None)


def interval_of_mean(values: Sequence[float]) -> tuple[float, float] | None:
    """The mean's interval of 95 % by Student's t; None for fewer than two values."""
    if len(values) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    half = _stats().t.ppf((1 + LEVEL) / 2, len(values) - 1) * stdev(values) / sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def welch(first: Sequence[float], other: Sequence[float]) -> Difference:
    """Mean of the other sample less that of the first, by Welch's t test."""
    if not first or not other:
        return NOTHING
    value = fmean(other) - fmean(first)
    if min(len(first), len(other)) < 2 or stdev(first) + stdev(other) < _NO_SPREAD:  # noqa: PLR2004 - as above
        return Difference(value, None, None, None)
    found = _stats().ttest_ind(other, first, equal_var=False)
    low, high = found.confidence_interval(LEVEL)
    return Difference(value, float(low), float(high), float(found.pvalue))


def within(before: Sequence[float], after: Sequence[float]) -> Difference:
    """Mean change of pairs, by the paired t test."""
    changes = [late - early for early, late in zip(before, after, strict=True)]
    if not changes:
        return NOTHING
    if len(changes) < 2 or stdev(changes) < _NO_SPREAD:  # noqa: PLR2004 - as above
        return Difference(fmean(changes), None, None, None)
    found = _stats().ttest_rel(after, before)
    low, high = found.confidence_interval(LEVEL)
    return Difference(fmean(changes), float(low), float(high), float(found.pvalue))


def adjusted(first: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> Difference:
    """Difference at equal values before treatment; pairs of before and after, by analysis of covariance."""
    import numpy as np  # noqa: PLC0415 - slow to import

    pairs = [*first, *other]
    free = len(pairs) - 3  # constant, slope, arm
    design = np.array([[1.0, before, place >= len(first)] for place, (before, _) in enumerate(pairs)], dtype=float)
    if free < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return NOTHING
    after = np.array([late for _, late in pairs])
    fit, *_ = np.linalg.lstsq(design, after, rcond=None)
    residual = sqrt(float(((after - design @ fit) ** 2).sum()) / free)
    t, value = _stats().t, float(fit[2])
    if residual < _NO_SPREAD:
        return Difference(value, None, None, None)
    error = residual * sqrt(np.linalg.inv(design.T @ design)[2, 2])
    half = t.ppf((1 + LEVEL) / 2, free) * error
    return Difference(value, float(value - half), float(value + half), float(2 * t.sf(abs(value) / error, free)))


def shares(first: Share, other: Share) -> Difference:
    """The other's share less the first's, by Fisher's exact test, with Newcombe's interval."""
    if first.rate is None or other.rate is None:
        return NOTHING
    value = other.rate - first.rate
    (low_1, high_1), (low_2, high_2) = wilson(first), wilson(other)
    low = value - sqrt((other.rate - low_2) ** 2 + (high_1 - first.rate) ** 2)
    high = value + sqrt((high_2 - other.rate) ** 2 + (first.rate - low_1) ** 2)
    table = [[share.numerator, share.denominator - share.numerator] for share in (other, first)]
    return Difference(value, low, high, float(_stats().fisher_exact(table).pvalue))


def wilson(share: Share) -> tuple[float, float]:
    """Wilson's score interval of 95 % of a share."""
    n, rate = share.denominator, share.numerator / share.denominator
    middle = rate + Z**2 / (2 * n)
    half = Z * sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return (middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n)


def _stats() -> Any:
    try:
        from scipy import stats  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise DaybookError(
            "The analysis needs the library scipy, which is not installed here; install it with "
            "`pip install scipy`."
        ) from None
    return stats
