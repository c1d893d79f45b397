"""FHIR: what R4 (4.0.1) requires of resources, of what they are called, and of how they point to each other."""

import copy
import json
import re
from importlib import import_module

import pytest

from protocol.typed import code_of
from reports.export import export_bundle
from reports.formats.fhir import TYPES
from reports.formats.fhir_study import id_of
from tests.cast import Stage
from tests.reports.bundle_of import FRIDAY
from tests.reports.fhir_of import (
    CODES,
    EXTENSIONS,
    REQUIRED,
    STANDARD,
    TARGETS,
    elements,
    exported,
    faults,
    hard_trial,
    whole,
)

# R4, "Data Types": id, dateTime and instant.
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
DAY = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
INSTANT = re.compile(rf"{DAY}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))")
TIMES = {
    "authored": INSTANT, "dateAsserted": INSTANT, "recordedDate": INSTANT, "recorded": INSTANT,
    "issued": INSTANT, "time": INSTANT, "timestamp": INSTANT, "start": INSTANT, "end": INSTANT,
    "effectiveDateTime": re.compile(DAY),
}  # fmt: skip


@pytest.fixture
async def trial(stage: Stage) -> Stage:
    await hard_trial(stage)
    return stage


@pytest.fixture
async def found(trial, tmp_path):
    return await exported(trial, tmp_path / "out")


@pytest.fixture
def bundle(found, tmp_path):
    return json.loads((tmp_path / "out" / "fhir" / "bundle.json").read_text(encoding="utf-8"))


async def test_the_trial_has_a_resource_of_every_type_there_is(found):
    assert [kind for kind in TYPES if not found[kind]] == []
    assert set(TYPES) == set(REQUIRED) - {"Bundle"}


async def test_every_code_element_and_target_is_as_r4_requires(found, bundle):
    assert [fault for resource in whole(found) for fault in faults(resource)] == []
    assert faults({**bundle, "entry": []}) == []


async def test_every_row_of_the_tables_is_looked_at(found, bundle):
    paths = {path for resource in whole(found) for path, _ in elements(resource, resource["resourceType"])}
    assert (set(CODES) | set(TARGETS)) - {"Bundle.type"} <= paths
    used = {
        value["url"].removeprefix(STANDARD)
        for resource in whole(found)
        for _, value in elements(resource, resource["resourceType"])
        if isinstance(value, dict) and str(value.get("url", "")).startswith("http")
    }
    assert used == set(EXTENSIONS) - {"data-absent-reason"}  # which stands where words are withheld
    assert bundle["type"] in CODES["Bundle.type"]


@pytest.mark.parametrize("path", [path for path in CODES if path != "Bundle.type"])
async def test_a_code_that_r4_does_not_know_is_found(found, path):
    kind, *names = path.split(".")
    broken = copy.deepcopy(next(one for one in found[kind] if path in dict(elements(one, kind))))
    place = broken
    for name in names[:-1]:
        place = place[name][0] if isinstance(place[name], list) else place[name]
    place[names[-1]] = "nonsense"
    assert f"{path} cannot be nonsense" in faults(broken)


@pytest.mark.parametrize("path", TARGETS)
async def test_a_reference_to_another_type_is_found(found, path):
    kind, *names = path.split(".")
    broken = copy.deepcopy(next(one for one in found[kind] if path in dict(elements(one, kind))))
    place = broken
    for name in names[:-1]:
        place = place[name][0] if isinstance(place[name], list) else place[name]
    wrong = {"reference": "Bundle/x"}
    place[names[-1]] = [wrong] if isinstance(place[names[-1]], list) else wrong
    assert any(fault.startswith(f"{path} cannot point to") for fault in faults(broken))


@pytest.mark.parametrize("kind", TYPES)
async def test_the_models_of_r4b_take_every_resource_and_give_it_back(found, kind):
    model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
    for resource in found[kind]:
        read = model.model_validate(resource)
        assert without_fractions(json.loads(read.model_dump_json(by_alias=True))) == without_fractions(resource)


def without_fractions(resource):
    """As text, with instants to the second: the models write no milliseconds where there are none."""
    text = json.dumps(resource, sort_keys=True)
    return re.sub(r"(T\d\d:\d\d:\d\d)\.000", r"\1", text)


async def test_the_models_of_r4b_take_the_whole_bundle(bundle):
    model = import_module("fhir.resources.R4B.bundle").Bundle
    assert len(model.model_validate(bundle).entry) == len(bundle["entry"])


async def test_every_id_is_legal_and_there_once_in_its_type(found):
    for kind, resources in found.items():
        ids = [resource["id"] for resource in resources]
        assert len({one.lower() for one in ids}) == len(ids), kind
        assert all(ID.fullmatch(one) for one in ids), kind
    assert {"P-001", "P-002", "P-003", "P-900"} < {patient["id"] for patient in found["Patient"]}


@pytest.mark.parametrize("code", ["P-001", "a.b-C", "9", "P_001", "_".join("abcdefghijklmnop"), "A" + 31 * "_"])
def test_every_code_there_can_be_is_a_legal_id_of_its_own(code):
    assert code_of(code) == code
    assert ID.fullmatch(id_of(code))
    assert (id_of(code) == code) == ("_" not in code)
    assert id_of(code) != id_of(code.replace("_", "-")) or "_" not in code


async def test_every_reference_leads_to_a_resource_of_the_export_or_is_a_name_alone(found):
    there = {f"{resource['resourceType']}/{resource['id']}" for resource in whole(found)}
    pointed = set()
    for resource in whole(found):
        for path, value in elements(resource, resource["resourceType"]):
            if path in TARGETS:
                assert ("reference" in value) != ("type" in value), path
                pointed.add(value.get("reference"))
    assert pointed - {None} <= there
    asked = {f"{one['url']}|{one['version']}" for one in found["Questionnaire"]}
    assert {one["questionnaire"] for one in found["QuestionnaireResponse"]} <= asked


async def test_every_answer_answers_a_question_of_its_questionnaire_within_its_ends(found):
    [questionnaire] = found["Questionnaire"]
    [question] = questionnaire["item"]
    least, most = (one["valueInteger"] for one in question["extension"])
    for response in found["QuestionnaireResponse"]:
        [item] = response["item"]
        assert item["linkId"] == question["linkId"]
        assert least <= item["answer"][0]["valueInteger"] <= most
    links = [item["linkId"] for item in (question, *question["item"])]
    assert len(set(links)) == len(links)  # que-2
    assert all("code" not in item and "required" not in item for item in question["item"])  # que-3, que-6
    assert re.fullmatch("[A-Z][A-Za-z0-9_]{0,254}", questionnaire["name"])  # que-0


async def test_times_are_instants_with_their_offset_and_days_are_days(found, bundle):
    seen = set()
    for resource in (*whole(found), {**bundle, "entry": []}):
        for path, value in elements(resource, resource["resourceType"]):
            name = path.rpartition(".")[2]
            if name in TIMES:
                seen.add(name)
                assert TIMES[name].fullmatch(value), path
    assert seen == set(TIMES)


async def test_no_text_is_empty_and_nothing_is_null(found, bundle):
    for resource in (*whole(found), bundle):
        for path, value in elements(resource, resource["resourceType"]):
            assert value not in ("", None, [], {}), path


async def test_the_bundle_has_the_same_resources_each_under_an_address_of_its_own(found, bundle):
    assert (bundle["type"], bundle["timestamp"]) == ("collection", "2026-11-27T08:00:00.000Z")
    assert not {"total", "link"} & set(bundle)  # bdl-1
    inside = [entry["resource"] for entry in bundle["entry"]]
    assert all(set(entry) == {"fullUrl", "resource"} for entry in bundle["entry"])  # bdl-2, bdl-3, bdl-4
    by_type = {kind: [one for one in inside if one["resourceType"] == kind] for kind in TYPES}
    assert by_type == found
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)  # bdl-7
    for entry in bundle["entry"]:
        resource = entry["resource"]
        base = entry["fullUrl"].removesuffix(f"/{resource['resourceType']}/{resource['id']}")
        assert base == "https://daybook.invalid/magnesium-clbp"
        # R4, "Resolving references in Bundles": a relative one is read against the address of who has it.
        for path, value in elements(resource, resource["resourceType"]):
            if path in TARGETS and "reference" in value:
                assert f"{base}/{value['reference']}" in urls


async def test_a_line_of_a_file_is_a_resource_and_the_manifest_counts_them(trial, tmp_path):
    written = await export_bundle(trial.db, tmp_path / "out", formats=["fhir"], now=FRIDAY)
    counted = {file.name: file.rows for file in written if file.name.startswith("fhir/")}
    lines = {}
    for kind in TYPES:
        data = (tmp_path / "out" / "fhir" / f"{kind}.ndjson").read_bytes()
        assert data.endswith(b"}\n")
        lines[f"fhir/{kind}.ndjson"] = data.count(b"\n")
        assert all(json.loads(line)["resourceType"] == kind for line in data.splitlines())
    assert counted == {**lines, "fhir/bundle.json": sum(lines.values())}


async def test_a_type_without_a_resource_has_an_empty_file_and_the_bundle_is_whole(stage: Stage, tmp_path):
    await stage.add()
    found = await exported(stage, tmp_path / "out")
    assert {kind: len(of_it) for kind, of_it in found.items() if of_it} == {
        "ResearchStudy": 1, "Questionnaire": 1, "Organization": 1, "Patient": 1, "ResearchSubject": 1,
    }  # fmt: skip
    bundle = json.loads((tmp_path / "out" / "fhir" / "bundle.json").read_text(encoding="utf-8"))
    assert [entry["resource"] for entry in bundle["entry"]] == whole(found)
