"""A sample of the experiments within one process, and each of their mutants caught by name."""

import pytest

from tests.evidence import inside

SEED = 20_261_125
SAMPLE = {inside.forged_taps: 3000, inside.clock_changes: 60, inside.whole_trials: 1}
CAUGHT_BY = {
    "signatures are not looked at": inside.forged_taps,
    "signatures forget the chat": inside.forged_taps,
    "a wall time is taken as it is": inside.clock_changes,
    "a question is sent twice": inside.whole_trials,
    "nights are as good as days": inside.whole_trials,
}


@pytest.mark.parametrize("experiment", SAMPLE, ids=lambda experiment: experiment.__name__)
def test_nothing_fails_in_a_sample_of(experiment):
    assert list(experiment(SAMPLE[experiment], SEED)) == []


@pytest.mark.parametrize("mutant", inside.MUTANTS)
def test_it_is_caught_when(mutant):
    experiment = CAUGHT_BY[mutant]
    with inside.MUTANTS[mutant]():
        assert list(experiment(SAMPLE[experiment], SEED))
