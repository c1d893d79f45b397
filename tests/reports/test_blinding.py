import pytest

from protocol.errors import DaybookError
from protocol.load import load_protocol, read_protocol
from reports.blinding import could_carry_an_arm, refuse_arms
from reports.tables import TABLES


@pytest.mark.parametrize(
    "name",
    ["arm", "study_arm", "ACTARMCD", "treatment", "treatment-group", "group_code", "kit-number", "randomisation-no",
     "allocation", "placebo", "trt_id"],
)  # fmt: skip
def test_a_name_that_could_carry_an_arm_is_known(name):
    assert could_carry_an_arm(name)


@pytest.mark.parametrize(
    "name",
    ["pain", "flexion", "alarm", "warm-up", "army", "treatment-satisfaction", "site", "group-exercise", "code"],
)
def test_a_name_that_only_looks_like_it_is_left_alone(name):
    assert not could_carry_an_arm(name)


def test_the_bundled_trial_has_no_such_column():
    refuse_arms(load_protocol("magnesium-clbp").protocol, TABLES)


def test_a_measure_called_treatment_group_is_refused_with_what_to_do():
    text = load_protocol("magnesium-clbp").text.replace("lateral-flexion", "treatment-group")
    with pytest.raises(DaybookError, match='would tell "treatment-group", which could carry a treatment arm'):
        refuse_arms(read_protocol("changed", text).protocol, TABLES)
