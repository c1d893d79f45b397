"""What the table of evidence may claim."""

import pytest

from tests.evidence.table import Control, Row, printed

CAUGHT, MISSED = Control("no sync", 100, 7), Control("no sync", 100, 0)


def row(tried=300, failures=(), controls=(CAUGHT,)):
    return Row("nothing is lost", tried, "cuts", failures, controls)


@pytest.mark.parametrize(
    ("claimed", "holds"),
    [
        (row(), True),
        (row(failures=["one"]), False),
        (row(controls=[MISSED]), False),
        (row(controls=[CAUGHT, MISSED]), False),
        (row(controls=()), False),
        (row(tried=0), False),
    ],
)
def test_a_claim_holds_when_nothing_failed_and_every_mutant_was_caught(claimed, holds):
    assert claimed.holds is holds
    assert ("**no**" in printed([claimed])) is not holds


def test_the_bound_of_a_nought_is_that_of_an_exact_interval():
    assert row(tried=300).at_most == pytest.approx(0.00994, abs=1e-5)  # the rule of three says 1 %
    assert row(tried=1).at_most == pytest.approx(0.95)
    assert "0.99%" in printed([row()])
    assert "0.99%" not in printed([row(failures=["one"])])
