"""The datasets: valid by Dataset-JSON 1.1, read by odmlib, and compared with the CSV value by value."""

import json
from collections import Counter
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator
from odmlib.dataset_json_1_1.model import Column, DatasetJSON, SourceSystem

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status
from protocol.load import load_protocol, read_protocol
from reports.blinding import could_carry_an_arm
from reports.export import export_bundle
from reports.formats.sdtm import _name
from reports.formats.sdtm_datasets import datasets_of
from tests.cast import Stage, cairo
from tests.reports.bundle_of import FRIDAY
from tests.reports.cdisc_of import SIDE_EFFECTS, cells, two_sites
from tests.reports.diary_of import TAKEN, say

SETTLED = {"on time", "late", "missed", "excused"}
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)?$"
TEXT = {"type": "string", "minLength": 1}
# The tables of the specification of Dataset-JSON 1.1, "Top-level Metadata Attributes" and "Column Metadata".
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "datasetJSONCreationDateTime", "datasetJSONVersion", "itemGroupOID", "records", "name", "label", "columns",
    ],
    "properties": {
        "datasetJSONCreationDateTime": {"type": "string", "pattern": TIME},
        "datasetJSONVersion": {"type": "string", "pattern": r"^1\.1(\.(0|([1-9][0-9]*)))?$"},
        "fileOID": TEXT,
        "dbLastModifiedDateTime": {"type": "string", "pattern": TIME},
        "originator": {"type": "string"},
        "sourceSystem": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "version"],
            "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
        },
        "studyOID": TEXT,
        "metaDataVersionOID": TEXT,
        "metaDataRef": {"type": "string"},
        "itemGroupOID": TEXT,
        "records": {"type": "integer", "minimum": 0},
        "name": TEXT,
        "label": {"type": "string"},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["itemOID", "name", "label", "dataType"],
                "properties": {
                    "itemOID": TEXT,
                    "name": TEXT,
                    "label": {"type": "string"},
                    "dataType": {
                        "enum": [
                            "string", "integer", "decimal", "float", "double", "boolean", "datetime", "date",
                            "time", "URI",
                        ]
                    },
                    "targetDataType": {"enum": ["integer", "decimal"]},
                    "length": {"type": "integer", "minimum": 1},
                    "displayFormat": {"type": "string"},
                    "keySequence": {"type": "integer", "minimum": 1},
                },
            },
        },
        "rows": {
            "type": "array",
            "items": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}},
        },
    },
}  # fmt: skip
ORDER = list(SCHEMA["properties"])
AS_JSON = {"string": str, "date": str, "datetime": str, "integer": int, "double": int | float}


@pytest.fixture
async def trial(stage: Stage) -> Stage:
    await two_sites(stage)
    return stage


async def exported(stage, out, *, now=FRIDAY, **extra):
    """Each dataset of an export by its name, as it is written."""
    await export_bundle(stage.db, out, formats=["csv", "dataset-json"], now=now, **extra)
    files = sorted((out / "dataset-json").iterdir())
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def records(dataset, *wanted):
    """The rows of a dataset by variable; without the domain's letters, and only these variables where named."""
    domain = dataset["name"]
    every = [name if name == "DOMAIN" else name.removeprefix(domain) for name in names(dataset)]
    rows = [dict(zip(every, row, strict=True)) for row in dataset["rows"]]
    return [{name: row[name] for name in wanted} for row in rows] if wanted else rows


def names(dataset):
    return [column["name"] for column in dataset["columns"]]


def settled(out, kind):
    return [row for row in cells(out, "slots") if row["item_kind"] == kind and row["state"] in SETTLED]


def first_given(out):
    return {
        row["slot"]: row["said_local"] or row["received_local"]
        for row in cells(out, "entries")
        if not row["supersedes"]
    }


def not_done(row):
    """What is said of a slot without an answer."""
    if row["answer"]:
        return {"STAT": None, "REASND": None}
    return {"STAT": "NOT DONE", "REASND": row["excused_because"] or "not answered"}


async def test_every_dataset_is_valid_and_in_the_recommended_order(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    assert list(found) == ["ae", "da", "dm", "ec", "ex", "mk", "qs", "sv"]
    for name, dataset in found.items():
        Draft202012Validator(SCHEMA).validate(dataset)
        assert [key for key in ORDER if key in dataset] == list(dataset)
        assert dataset["name"] == name.upper()
        assert dataset["records"] == len(dataset["rows"])
        assert dataset["datasetJSONCreationDateTime"] == "2026-11-27T08:00:00.000Z"
    counts = {name: dataset["records"] for name, dataset in found.items()}
    assert (counts["dm"], counts["sv"], counts["mk"], counts["da"]) == (4, 1, 3, 0)


@pytest.mark.parametrize("key", ["datasetJSONVersion", "records", "columns", "itemGroupOID"])
async def test_a_dataset_without_what_is_required_is_not(trial, tmp_path, key):
    dataset = (await exported(trial, tmp_path / "out"))["qs"]
    del dataset[key]
    assert not Draft202012Validator(SCHEMA).is_valid(dataset)


async def test_odmlib_reads_every_dataset(trial, tmp_path):
    for dataset in (await exported(trial, tmp_path / "out")).values():
        columns = [Column(**column) for column in dataset["columns"]]
        parts = {**dataset, "columns": columns, "sourceSystem": SourceSystem(**dataset["sourceSystem"])}
        read = DatasetJSON(**parts)
        assert read.to_dict() == {key: value for key, value in dataset.items() if key != "rows" or value}


async def test_every_cell_has_the_type_and_every_text_the_length_of_its_column(trial, tmp_path):
    for dataset in (await exported(trial, tmp_path / "out")).values():
        for place, column in enumerate(dataset["columns"]):
            cells = [row[place] for row in dataset["rows"] if row[place] is not None]
            assert all(isinstance(cell, AS_JSON[column["dataType"]]) for cell in cells), column
            if column["dataType"] == "string":
                assert column["length"] == max(map(len, cells), default=1)
        keys = [column["name"] for column in dataset["columns"] if "keySequence" in column]
        found = [tuple(dict(zip(names(dataset), row, strict=True))[key] for key in keys) for row in dataset["rows"]]
        assert len(set(found)) == len(found)


async def test_names_and_labels_are_as_long_as_sdtm_takes_and_none_could_carry_an_arm(trial, tmp_path):
    for dataset in (await exported(trial, tmp_path / "out")).values():
        for column in dataset["columns"]:
            assert len(column["name"]) <= 8
            assert len(column["label"]) <= 40
            assert not could_carry_an_arm(column["name"])
            assert "ARM" not in column["name"]
        for record in records(dataset):
            assert len(record.get("TESTCD", "")) <= 8
            assert len(record.get("TEST", "")) <= 40
            assert record["USUBJID"].startswith("magnesium-clbp-")


async def test_every_rating_is_a_record_of_qs_as_in_the_csv(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    given = first_given(tmp_path / "out")
    want = [
        {
            "USUBJID": f"magnesium-clbp-{row['site']}-{row['subject']}",
            "SPID": row["slot"],
            "TESTCD": "PAIN",
            "TEST": "pain rating",
            "CAT": "DIARY",
            "ORRES": row["score"] or None,
            "STRESC": row["score"] or None,
            "STRESN": int(row["score"]) if row["score"] else None,
            **not_done(row),
            "EPOCH": row["phase"].upper(),
            "DTC": given.get(row["slot"], row["local_date"]),
            "TPT": "20:00",
            "TPTNUM": 1,
        }
        for row in settled(tmp_path / "out", "rating")
    ]
    ratings = [row for row in records(found["qs"], *want[0]) if row["CAT"] == "DIARY"]
    assert ratings == want
    assert [row["ORRES"] for row in ratings if row["STAT"] is None] == ["7", "3", "0"]
    assert {row["REASND"] for row in ratings} == {None, "not answered", "not-joined"}


async def test_every_dose_asked_about_is_in_ec_and_those_said_to_be_taken_in_ex(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    given, asked = first_given(tmp_path / "out"), settled(tmp_path / "out", "dose")
    want = [
        {
            "SPID": row["slot"],
            "TRT": row["item"],
            "PRESP": "Y",
            "OCCUR": {"taken": "Y", "not-taken": "N"}.get(row["answer"]),
            "REASOC": row["skip_reason"] or None,
            **not_done(row),
            "EPOCH": row["phase"].upper(),
            "DTC": given.get(row["slot"]),
            "STDTC": row["local_date"],
            "ENDTC": row["local_date"],
            "TPT": row["due_local"][11:16],
            "TPTNUM": int(row["occurrence"]) + 1,
        }
        for row in asked
    ]
    assert records(found["ec"], *want[0]) == want
    taken = [record for record, row in zip(want, asked, strict=True) if row["answer"] == "taken"]
    kept = [name for name in want[0] if name not in {"PRESP", "OCCUR", "REASOC", "STAT", "REASND"}]
    assert records(found["ex"], *kept) == [{name: record[name] for name in kept} for record in taken]
    assert [record["SPID"] for record in taken] == [
        "P-001:infusion:2026-11-24:0", "P-001:infusion:2026-11-27:0", "P-900:capsule:2026-11-24:0",
    ]  # fmt: skip
    assert Counter(record["REASOC"] for record in want if record["OCCUR"] == "N") == {"unwell": 1, "none-left": 1}


async def test_what_a_visit_measured_stands_in_the_domain_of_each_measure(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    held = {row["measure"]: row for row in cells(tmp_path / "out", "visits") if row["holds"] == "yes"}
    at_visit = {"VISITNUM": 1, "VISIT": "Baseline", "VISITDY": 1, "EPOCH": "IV", "DTC": "2026-11-24", "DY": 1}

    def record(code, name, measure, unit):
        value = held[measure]["value"] if measure in held else None
        return {
            "TESTCD": code,
            "TEST": name,
            "ORRES": value,
            "ORRESU": unit if value else None,
            "STRESC": value,
            "STRESN": None if value is None else float(value),
            "STRESU": unit if value else None,
            "STAT": None if value else "NOT DONE",
            **at_visit,
        }

    scales = [record("LANSS", "LANSS score", "lanss", None), record("NRS", "Pain, NRS", "nrs", None)]
    motion = [
        record("FLEXION", "Lumbar flexion", "flexion", "deg"),
        record("EXTENSN", "Lumbar extension", "extension", "deg"),
        record("LATFLEX", "Lateral flexion", "lateral-flexion", "deg"),
    ]
    assert [row for row in records(found["qs"], *scales[0]) if row["VISITNUM"] == 1] == scales
    assert records(found["mk"], *motion[0]) == motion
    assert [row["ORRES"] for row in (*scales, *motion)] == ["15", "7", "22.2", None, None]
    [visit] = records(found["sv"])
    assert (visit["VISIT"], visit["OCCUR"], visit["STDTC"], visit["STDY"]) == ("Baseline", "Y", "2026-11-24", 1)


async def test_side_effects_are_told_in_the_words_of_the_patient_to_the_last_letter(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    reported = records(found["ae"], "TERM", "SPID", "DTC", "DY", "EPOCH")
    there = [row for row in cells(tmp_path / "out", "notes") if row["passed_on_as"] == "side-effect"]
    assert [row["TERM"] for row in reported] == [*SIDE_EFFECTS, "dizzy after all", "تعب"]
    assert [row["SPID"] for row in reported] == [f"note {row['note']}" for row in there]
    assert [row["DTC"] for row in reported] == [row["received_local"] for row in there]
    assert [(row["DY"], row["EPOCH"]) for row in reported[-2:]] == [(3, "IV"), (16, "ORAL")]


async def test_words_are_left_out_for_who_may_not_see_them_and_the_reports_stay(trial, tmp_path):
    found = await exported(trial, tmp_path / "out", free_text=False)
    assert [row["TERM"] for row in records(found["ae"])] == [None] * (len(SIDE_EFFECTS) + 2)
    assert "dizzy after all" not in (tmp_path / "out" / "dataset-json" / "ae.json").read_text(encoding="utf-8")


async def test_demographics_know_who_there_is_and_no_arm(trial, tmp_path):
    dm = (await exported(trial, tmp_path / "out"))["dm"]
    assert "without arms" in dm["label"]
    agreed = "2026-11-23T10:00:00.000+02:00"
    dates = ("RFSTDTC", "RFENDTC", "RFXSTDTC", "RFXENDTC", "RFICDTC", "RFPENDTC")
    told = {row["SUBJID"]: tuple(row[name] for name in dates) for row in records(dm)}
    assert told == {
        "P-001": ("2026-11-24", None, "2026-11-24", "2026-11-27", agreed, None),
        "P-002": (None, None, None, None, None, None),
        "P-003": ("2026-11-24", "2026-11-25", None, None, agreed, "2026-11-25"),
        "P-900": ("2026-11-10", None, "2026-11-24", "2026-11-24", agreed, None),
    }
    assert [(row["STUDYID"], row["DOMAIN"], row["USUBJID"], row["SITEID"]) for row in records(dm)] == [
        ("magnesium-clbp", "DM", f"magnesium-clbp-{row['site']}-{row['subject']}", row["site"])
        for row in cells(tmp_path / "out", "subjects")
    ]


async def test_whose_use_was_stopped_is_in_no_other_dataset(trial, tmp_path):
    for name, dataset in (await exported(trial, tmp_path / "out")).items():
        who = {row["USUBJID"] for row in records(dataset)}
        assert ("magnesium-clbp-main-P-003" in who) == (name == "dm")


async def test_one_site_has_its_own_patients_only(trial, tmp_path):
    found = await exported(trial, tmp_path / "out", site="coast")
    for dataset in found.values():
        assert {row["USUBJID"] for row in records(dataset)} <= {"magnesium-clbp-coast-P-900"}
    assert (found["dm"]["records"], found["ae"]["records"], found["sv"]["records"]) == (1, 1, 0)


async def test_days_are_counted_from_one_and_there_is_no_day_zero(stage: Stage, tmp_path):
    amina = await stage.joined()
    await stage.alert(amina, "before it began")
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    found = await exported(stage, tmp_path / "out", now=cairo("2026-11-26 08:00"))
    assert [(row["DTC"][:10], row["DY"], row["EPOCH"]) for row in records(found["ae"])] == [
        ("2026-11-23", -1, None)
    ]
    assert [row["STDY"] for row in records(found["ec"])] == [1, 2]


async def test_nobody_has_a_study_day_before_the_first_day_has_come(stage: Stage, tmp_path):
    amina = await stage.joined()
    await stage.alert(amina, "before it began")
    found = await exported(stage, tmp_path / "out", now=cairo("2026-11-23 23:00"))
    assert [row["DY"] for row in records(found["ae"])] == [None]
    assert [row["RFSTDTC"] for row in records(found["dm"])] == [None]


async def test_who_left_before_the_first_day_never_began(stage: Stage, tmp_path):
    amina = await stage.joined()
    now = cairo("2026-11-23 20:00")
    await change_status(
        stage.db, patient_id=amina.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="moved", now=now
    )
    [row] = records((await exported(stage, tmp_path / "out"))["dm"])
    assert (row["RFSTDTC"], row["RFENDTC"], row["RFPENDTC"]) == (None, None, "2026-11-23")


async def test_the_last_day_of_the_trial_ends_participation(stage: Stage, tmp_path):
    await stage.joined()
    last = cairo("2026-11-24 12:00") + timedelta(days=181)
    for now, ended in ((last, None), (last + timedelta(days=1), "2027-05-24")):
        [row] = records((await exported(stage, tmp_path / now.date().isoformat(), now=now))["dm"])
        assert (row["RFENDTC"], row["RFPENDTC"]) == (ended, ended)


def test_a_trial_has_the_datasets_its_protocol_has_something_for():
    text = load_protocol("postop-week").text
    every = [one.name for one in datasets_of(read_protocol("week", text).protocol)]
    assert every == ["DM", "SV", "EX", "EC", "AE", "QS"]
    lab = text.replace('id = "wound"', 'id = "wound"\ndomain = "LB"')
    assert [one.name for one in datasets_of(read_protocol("week", lab).protocol)][-2:] == ["LB", "QS"]


def test_a_name_that_is_too_long_gives_way_to_the_id():
    names = load_protocol("magnesium-clbp").protocol.measure_of("nrs").name
    assert _name(names, "nrs") == "Pain, NRS"
    longer = names.model_copy(update={"root": {"ar": "الألم", "en": "x" * 41}})
    assert _name(longer, "nrs") == "nrs"
