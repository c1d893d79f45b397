from protocol.codes import Codes, codes_of
from protocol.load import load_protocol, read_protocol

TRIAL = load_protocol("magnesium-clbp").protocol
WEEK = load_protocol("postop-week").text


def week(old: str, new: str) -> Codes:
    assert old in WEEK
    return codes_of(read_protocol("week", WEEK.replace(old, new)).protocol)


def test_the_codes_of_the_trial_are_those_it_names_and_those_its_ids_give():
    assert codes_of(TRIAL).items == {"infusion": "INFUSION", "pain": "PAIN", "capsule": "CAPSULE"}
    assert codes_of(TRIAL).measures == {
        "lanss": "LANSS",
        "nrs": "NRS",
        "flexion": "FLEXION",
        "extension": "EXTENSN",
        "lateral-flexion": "LATFLEX",
        "capsules-returned": "RETAMT",
    }


def test_the_trial_says_where_each_measure_belongs_and_who_gives_each_dose():
    assert {measure.id: measure.domain for measure in TRIAL.measure} == {
        "lanss": "QS",
        "nrs": "QS",
        "flexion": "MK",
        "extension": "MK",
        "lateral-flexion": "MK",
        "capsules-returned": "DA",
    }
    assert TRIAL.item("iv", "infusion").given == "clinic"
    assert TRIAL.item("oral", "capsule").given == "self"


def test_a_long_id_is_cut_and_numbered_and_hyphens_go():
    assert week('"tablet"', '"evening-tablet"').items == {"pain": "PAIN", "evening-tablet": "EVENING1"}
    assert week('"tablet"', '"a-b-c"').items["a-b-c"] == "ABC"


def test_two_that_would_be_the_same_get_a_number_each():
    renamed = WEEK.replace('"tablet"', '"evening-tablet-one"').replace('"wound"', '"evening-tablet-two"')
    codes = codes_of(read_protocol("week", renamed).protocol)
    assert (codes.items["evening-tablet-one"], codes.measures["evening-tablet-two"]) == ("EVENING1", "EVENING2")


def test_a_measure_called_like_an_item_has_a_code_of_its_own():
    codes = week('"wound"', '"pain"')
    assert (codes.items["pain"], codes.measures["pain"]) == ("PAIN", "PAIN1")


def test_a_written_code_keeps_others_from_having_it():
    codes = week('id = "wound"\n', 'id = "wound"\ncode = "PAIN"\n')
    assert (codes.items["pain"], codes.measures["wound"]) == ("PAIN1", "PAIN")
