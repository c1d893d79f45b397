"""FHIR: what it says of the study: its questionnaires, their words in every language, its codes and units."""

import json

import pytest

from diary import SYSTEM
from diary.enrolment import add_patient
from diary.protocols import adopt_protocol
from protocol.load import load_protocol, read_protocol
from protocol.model import Measure
from reports.formats.fhir_study import Study
from tests.cast import START, T0, Stage
from tests.reports.fhir_of import exported, hard_trial

TRIAL = load_protocol("magnesium-clbp")
PROTOCOL = TRIAL.protocol
URN = "urn:daybook:magnesium-clbp:"


@pytest.fixture
async def trial(stage: Stage) -> Stage:
    await hard_trial(stage)
    return stage


async def test_questions_stand_in_every_language_with_their_ends_and_the_code_of_the_protocol(trial, tmp_path):
    [one] = (await exported(trial, tmp_path / "out"))["Questionnaire"]
    pain, scale = PROTOCOL.item("iv", "pain"), PROTOCOL.trial.nrs
    assert (one["url"], one["version"], one["status"], one["language"]) == (
        f"{URN}questionnaire:pain",
        "1",
        "active",
        "en",
    )
    assert in_languages(one, "title") == pain.name.root
    [question] = one["item"]
    assert in_languages(question, "text") == pain.prompt.root
    assert (question["linkId"], question["type"], question["required"]) == ("pain", "integer", True)
    assert [(end["url"].rpartition("/")[2], end["valueInteger"]) for end in question["extension"]] == [
        ("minValue", 0), ("maxValue", 10),
    ]  # fmt: skip
    assert question["code"] == [
        {"system": "http://loinc.org", "code": "72514-3"}, {"system": f"{URN}item", "code": "pain"},
    ]  # fmt: skip
    lower, upper = question["item"]
    assert [in_languages(end, "text") for end in (lower, upper)] == [scale.low.root, scale.high.root]
    assert [end["type"] for end in (lower, upper)] == ["display", "display"]


def in_languages(resource, element):
    """The words of an element by language: its own, which is English here, and its translations."""
    words = {"en": resource[element]}
    for translation in resource[f"_{element}"]["extension"]:
        language, content = (part for part in translation["extension"])
        words[language["valueCode"]] = content["valueString"]
    return words


def study(*changes):
    text = TRIAL.text
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return Study((read_protocol("changed", text).protocol,))


def test_a_phase_that_asks_in_other_words_has_a_questionnaire_of_its_own():
    text = TRIAL.text
    before, after = text.split('id = "follow-up"')
    text = (
        before + 'id = "follow-up"' + after.replace("How strong is your pain now?", "How was your pain this week?")
    )
    changed = Study((read_protocol("changed", text).protocol,))
    asked = [one for one in changed.resources() if one["resourceType"] == "Questionnaire"]
    assert [(one["url"], one["item"][0]["text"]) for one in asked] == [
        (f"{URN}questionnaire:pain", "How strong is your pain now?"),
        (f"{URN}questionnaire:pain.follow-up", "How was your pain this week?"),
    ]
    names = {
        phase: changed.asked["magnesium-clbp", "1", phase, "pain"].questionnaire for phase in ("oral", "follow-up")
    }
    assert names == {"oral": f"{URN}questionnaire:pain|1", "follow-up": f"{URN}questionnaire:pain.follow-up|1"}


def test_a_protocol_without_a_code_of_loinc_gets_none():
    without = study(('loinc = "72514-3"', ""))
    [_, questionnaire] = without.resources()
    assert questionnaire["item"][0]["code"] == [{"system": f"{URN}item", "code": "pain"}]
    assert "loinc" not in json.dumps(questionnaire)
    nrs = study().measured["magnesium-clbp", "1", "nrs"].code["coding"]
    assert nrs == [{"system": "http://loinc.org", "code": "72514-3"}, {"system": f"{URN}measure", "code": "nrs"}]


def test_a_version_with_a_blank_in_its_name_has_a_canonical_name_without_one():
    asked = study(('version = "1"', 'version = "1 b|c"')).asked["magnesium-clbp", "1 b|c", "iv", "pain"]
    assert asked.questionnaire == f"{URN}questionnaire:pain|1%20b%7Cc"


@pytest.mark.parametrize(
    ("measure", "unit"),
    [
        ({"unit": "deg"}, {"unit": "deg", "system": "http://unitsofmeasure.org", "code": "deg"}),
        ({"unit": "mmHg"}, {"unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}),
        ({"unit": "steps to the door"}, {"unit": "steps to the door"}),
        ({}, {"unit": "score", "system": "http://unitsofmeasure.org", "code": "{score}"}),
        ({"domain": "FT"}, {"system": "http://unitsofmeasure.org", "code": "1"}),
        (
            {"counts": {"item": "capsule", "dispensed": 56}},
            {"unit": "capsule", "system": "http://unitsofmeasure.org", "code": "{capsule}"},
        ),
    ],
)
def test_a_unit_is_ucum_only_where_that_is_known(measure, unit):
    one = Measure.model_validate({"id": "nrs", "name": {"en": "NRS"}, "range": [0, 10], **measure})
    changed = PROTOCOL.model_copy(update={"measure": [one]})
    assert Study((changed,)).measured["magnesium-clbp", "1", "nrs"].unit == unit


async def test_an_earlier_version_keeps_its_questionnaire_and_its_words(trial, tmp_path):
    text = TRIAL.text.replace('version = "1"', 'version = "2"').replace("your pain now?", "the pain?")
    newer = await adopt_protocol(trial.db, read_protocol("two", text), now=T0)
    where = {"site": "main", "timezone": None, "language": "en", "actor": SYSTEM, "now": T0}
    await add_patient(trial.db, code="P-004", start=START, protocol_id=newer, **where)
    found = await exported(trial, tmp_path / "out")
    assert [(one["version"], one["item"][0]["text"]) for one in found["Questionnaire"]] == [
        ("2", "How strong is the pain?"), ("1", "How strong is your pain now?"),
    ]  # fmt: skip
    assert {one["questionnaire"] for one in found["QuestionnaireResponse"]} == {f"{URN}questionnaire:pain|1"}
