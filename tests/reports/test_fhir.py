"""FHIR: every value of the resources, compared with the CSV cell by cell and with the database."""

import json
import sqlite3
from contextlib import closing

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status, patient_id_of
from diary.joining import record_consent
from protocol.load import load_protocol
from reports.export import export_bundle
from reports.formats.fhir_resources import Resources
from reports.formats.fhir_study import Study
from tests.cast import T0, Stage, cairo
from tests.reports.bundle_of import FRIDAY
from tests.reports.cdisc_of import SIDE_EFFECTS, cells, reported
from tests.reports.diary_of import say, scored
from tests.reports.fhir_of import exported, faults, hard_trial, whole

PROTOCOL = load_protocol("magnesium-clbp").protocol
URN = "urn:daybook:magnesium-clbp:"
VOID = "entered-in-error"


@pytest.fixture
async def trial(stage: Stage) -> Stage:
    await hard_trial(stage)
    return stage


def patient(row):
    return {"reference": "Patient/" + row["subject"]}


def staff(code):
    return {"type": "Practitioner", "identifier": {"system": f"{URN}staff", "value": code}}


def said(row):
    return row["said_local"] or row["received_local"]


async def test_patients_are_codes_with_a_site_and_nothing_that_says_who_they_are(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    rows = cells(tmp_path / "out", "subjects")
    assert [row["subject"] for row in rows] == ["P-001", "P-002", "P-003", "P-900", "P_002"]
    for row, one in zip(rows, found["Patient"], strict=True):
        assert one == {
            "resourceType": "Patient",
            "id": one["id"],
            "identifier": [{"system": f"{URN}subject", "value": row["subject"]}],
            "active": row["use_stopped_utc"] == "",
            "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": row["language"]}]}}],
            "managingOrganization": {"reference": f"Organization/{row['site']}"},
        }
    assert [(one["id"], one["name"]) for one in found["Organization"]] == [("main", "main"), ("coast", "coast")]


async def test_where_patients_stand_with_the_study_is_told_in_the_words_of_fhir(trial, tmp_path):
    await trial.joined("P-005", chat=1005)
    why = {"actor": SYSTEM, "reason": "moved away", "now": cairo("2026-11-25 09:00")}
    for code, status in (("P-005", PatientStatus.PAUSED), ("P_002", PatientStatus.WITHDRAWN)):
        patient_id = await patient_id_of(trial.db, code)
        await change_status(trial.db, patient_id=patient_id, status=status, **why)
    found = await exported(trial, tmp_path / "out")
    rows = {row["subject"]: row for row in cells(tmp_path / "out", "subjects")}
    told = {one["identifier"][0]["value"]: one for one in found["ResearchSubject"]}
    assert {code: (rows[code]["status"], one["status"]) for code, one in told.items()} == {
        "P-001": ("active", "on-study"),
        "P-002": ("invited", "candidate"),
        "P-003": ("withdrawn", "off-study"),
        "P-005": ("paused", "on-study"),
        "P-900": ("active", "on-study"),
        "P_002": ("withdrawn", "withdrawn"),  # before having agreed
    }
    for code, one in told.items():
        ends = {"start": rows[code]["joined_local"], "end": rows[code]["withdrawn_local"]}
        agreed = {end: at for end, at in ends.items() if at} if ends["start"] else {}
        assert one.get("period", {}) == agreed
        assert one["study"] == {"reference": "ResearchStudy/magnesium-clbp"}
        assert one["individual"]["reference"].startswith("Patient/P")


async def test_every_rating_is_there_with_the_value_that_holds_and_the_one_before(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    rows = [row for row in cells(tmp_path / "out", "entries") if row["item_kind"] == "rating"]
    assert len(rows) == 6
    modes = {"button": "ELECTRONIC", "text": "ELECTRONIC", "phone": "VERBAL", "staff": None}
    for row, one in zip(rows, found["QuestionnaireResponse"], strict=True):
        held = "amended" if row["supersedes"] else "completed"
        assert one["id"] == f"entry-{row['entry']}"
        assert one["identifier"] == {"system": f"{URN}slot", "value": row["slot"]}
        assert one["status"] == (held if row["holds"] == "yes" else VOID)
        assert one["subject"] == patient(row)
        assert one["authored"] == said(row)
        assert one["author"] == (patient(row) if row["recorded_by"] == "patient" else staff(row["staff"]))
        assert one["source"] == (staff(row["staff"]) if row["source"] == "staff" else patient(row))
        assert one["questionnaire"] == f"{URN}questionnaire:{row['item']}|{row['protocol_version']}"
        assert one["item"] == [{"linkId": row["item"], "answer": [{"valueInteger": int(row["score"])}]}]
        assert mode_of(one) == modes[row["source"]]
    statuses = [
        (one["item"][0]["answer"][0]["valueInteger"], one["status"]) for one in found["QuestionnaireResponse"]
    ]
    assert statuses == [(7, "completed"), (6, VOID), (4, "amended"), (5, VOID), (3, "amended"), (0, "completed")]


def mode_of(response):
    if "extension" not in response:
        return None
    [mode] = response["extension"]
    return mode["valueCodeableConcept"]["coding"][0]["code"]


async def test_every_dose_is_there_given_by_the_clinic_or_taken_by_the_patient(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    rows = [row for row in cells(tmp_path / "out", "entries") if row["item_kind"] == "dose"]
    told = {one["id"]: one for one in (*found["MedicationAdministration"], *found["MedicationStatement"])}
    assert len(told) == len(rows) == 7
    for row in rows:
        one, holds = told.pop(f"entry-{row['entry']}"), row["holds"] == "yes"
        clinic = row["item"] == "infusion"
        taken = row["answer"] == "taken"
        assert one["resourceType"] == ("MedicationAdministration" if clinic else "MedicationStatement")
        assert one["identifier"] == [{"system": f"{URN}slot", "value": row["slot"]}]
        not_done = "not-done" if clinic else "not-taken"
        assert one["status"] == (VOID if not holds else "completed" if taken else not_done)
        assert one["subject"] == patient(row)
        assert one["effectiveDateTime"] == row["local_date"]
        assert one["medicationCodeableConcept"] == {
            "coding": [{"system": f"{URN}item", "code": row["item"]}],
            "text": PROTOCOL.item(row["phase"], row["item"]).name.in_language("en"),
        }
        assert one.get("statusReason", []) == reasons(row["skip_reason"])
        if not clinic:
            assert (one["dateAsserted"], one["informationSource"]) == (said(row), patient(row))
        if clinic or not holds:
            assert one["note"] == [{"authorReference": patient(row), "time": said(row), "text": row["answer"]}]
        else:
            assert "note" not in one
    assert told == {}


def reasons(skip_reason):
    if not skip_reason:
        return []
    words = PROTOCOL.reason_text(skip_reason, "en")
    return [{"coding": [{"system": f"{URN}reason", "code": skip_reason}], "text": words}]


async def test_every_value_of_a_visit_is_an_observation_with_its_unit(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    rows = cells(tmp_path / "out", "visits")
    assert len(rows) == 7
    for row, one in zip(rows, found["Observation"], strict=True):
        held = "amended" if row["supersedes"] else "final"
        assert one["id"] == f"form-{row['form']}-{row['measure']}"
        assert one["status"] == (held if row["holds"] == "yes" else VOID)
        assert one["subject"] == patient(row)
        assert one["effectiveDateTime"] == row["held_on"]
        assert one["issued"] == row["recorded_local"]
        assert one["performer"] == [staff(row["staff"])]
        visit = PROTOCOL.visit_of(row["visit"]).name.in_language("en")
        name = {"system": f"{URN}visit", "value": f"{row['subject']}:{row['visit']}"}
        assert one["encounter"] == {"type": "Encounter", "identifier": name, "display": visit}
        measure = PROTOCOL.measure_of(row["measure"])
        assert one["code"]["text"] == measure.name.in_language("en")
        assert {"system": f"{URN}measure", "code": row["measure"]} in one["code"]["coding"]
        assert f"{one['valueQuantity']['value']:.10g}" == row["value"]
        assert one["valueQuantity"]["unit"] == (measure.unit or "score")
    units = {one["code"]["text"]: one["valueQuantity"]["code"] for one in found["Observation"]}
    assert units == {
        "LANSS score": "{score}",
        "Pain, NRS": "{score}",
        "Lumbar flexion": "deg",
        "Lumbar extension": "deg",
    }


async def test_every_side_effect_is_there_word_by_word_and_no_other_note(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    rows = [row for row in cells(tmp_path / "out", "notes") if row["passed_on_as"] == "side-effect"]
    with closing(sqlite3.connect(tmp_path / "daybook.db")) as database:
        kept = database.execute(
            "SELECT id, text FROM notes WHERE passed_on_as = 'side-effect' ORDER BY id"
        ).fetchall()
    told = found["AdverseEvent"]
    assert sorted((int(one["id"].removeprefix("note-")), one["event"]["text"]) for one in told) == kept
    assert [one["event"]["text"] for one in told][: len(SIDE_EFFECTS)] == list(SIDE_EFFECTS)
    for row, one in zip(rows, told, strict=True):
        assert one == {
            "resourceType": "AdverseEvent",
            "id": f"note-{row['note']}",
            "identifier": {"system": f"{URN}note", "value": row["note"]},
            "actuality": "actual",
            "event": {"text": one["event"]["text"]},
            "subject": patient(row),
            "recordedDate": said(row),
            "recorder": patient(row),
            "study": [{"reference": "ResearchStudy/magnesium-clbp"}],
        }
    lines = (tmp_path / "out" / "fhir" / "AdverseEvent.ndjson").read_text(encoding="utf-8")
    assert r"nul \u0000, bell \u0007, escape \u001b" in lines
    assert "ألمٌ شديد" in lines
    assert max(len(one["event"]["text"]) for one in told) == 10_000


async def test_the_database_holds_the_same_answers(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    with closing(sqlite3.connect(tmp_path / "daybook.db")) as database:
        kept = database.execute(
            "SELECT e.id, e.answer, e.score FROM entries e JOIN patients p ON p.id = e.patient_id"
            " WHERE p.use_stopped_at IS NULL ORDER BY e.id"
        ).fetchall()
    told = []
    for one in (*found["QuestionnaireResponse"], *found["MedicationAdministration"], *found["MedicationStatement"]):
        number = int(one["id"].removeprefix("entry-"))
        if one["resourceType"] == "QuestionnaireResponse":
            told.append((number, "score", one["item"][0]["answer"][0]["valueInteger"]))
        elif "note" in one:
            told.append((number, one["note"][0]["text"], None))
        else:
            told.append((number, {"completed": "taken"}.get(one["status"], one["status"]), None))
    assert sorted(told) == kept


async def test_who_corrected_what_when_and_why_stands_beside_both_values(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    rows = [row for row in cells(tmp_path / "out", "entries") if row["supersedes"]]
    kinds = {one["id"]: one["resourceType"] for one in whole(found) if one["id"].startswith("entry-")
             and one["resourceType"] != "Provenance"}  # fmt: skip
    of_entries = [one for one in found["Provenance"] if one["id"].startswith("entry-")]
    assert len(of_entries) == len(rows) == 4
    for row, one in zip(rows, of_entries, strict=True):
        new, old = f"entry-{row['entry']}", f"entry-{row['supersedes']}"
        assert one == {
            "resourceType": "Provenance",
            "id": new,
            "target": [{"reference": f"{kinds[new]}/{new}"}],
            "recorded": row["recorded_local"],
            "reason": [{"text": row["change_reason"]}],
            "agent": [{"who": staff(row["staff"]) if row["staff"] else patient(row)}],
            "entity": [{"role": "revision", "what": {"reference": f"{kinds[old]}/{old}"}}],
        }
    [form] = [one for one in found["Provenance"] if one["id"].startswith("form-")]
    [row, *_] = [row for row in cells(tmp_path / "out", "visits") if row["supersedes"]]
    assert (form["recorded"], form["reason"]) == (row["recorded_local"], [{"text": row["change_reason"]}])
    assert [one["reference"] for one in form["target"]] == [
        f"Observation/form-{row['form']}-{measure}" for measure in ("flexion", "lanss", "nrs")
    ]
    assert [one["what"]["reference"] for one in form["entity"]] == [
        f"Observation/form-{row['supersedes']}-{measure}" for measure in ("extension", "flexion", "lanss", "nrs")
    ]


def test_a_form_that_was_emptied_or_filled_only_later_points_to_what_there_is():
    """The forms of today have a value at least; the lines of one without a value are in the export all the same."""
    forms = [{"lanss": 15}, {None: None}, {"nrs": 3}, {"nrs": 4}, {None: None}, {None: None}]
    resources, found = Resources(Study((PROTOCOL,))), []
    for number, measured in enumerate(forms, start=1):
        found += resources.of("visits", [
            {
                "study": "magnesium-clbp", "protocol_version": "1", "subject": "P-001", "form": number,
                "visit": "baseline", "held_on": "2026-11-24", "measure": measure, "value": value,
                "holds": "yes" if number == len(forms) else "no", "recorded_local": "2026-11-24T12:00:00.000+02:00",
                "staff": None, "supersedes": number - 1 or None, "change_reason": "misread",
            }
            for measure, value in measured.items()
        ])  # fmt: skip
    assert [fault for one in found for fault in faults(one)] == []
    corrections = [one for one in found if one["resourceType"] == "Provenance"]
    assert {
        one["id"]: (
            [to["reference"] for to in one["target"]],
            [of["what"]["reference"] for of in one.get("entity", [])],
        )
        for one in corrections
    } == {
        "form-2": (["Observation/form-1-lanss"], ["Observation/form-1-lanss"]),
        "form-3": (["Observation/form-3-nrs"], []),
        "form-4": (["Observation/form-4-nrs"], ["Observation/form-3-nrs"]),
        "form-5": (["Observation/form-4-nrs"], ["Observation/form-4-nrs"]),
    }
    assert {one["agent"][0]["who"]["display"] for one in corrections} == {"Daybook"}
    assert all("performer" not in one for one in found)  # typed in at the console


async def test_a_question_that_nobody_answered_is_no_resource(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    missed = [row["slot"] for row in cells(tmp_path / "out", "slots") if row["state"] == "missed"]
    assert missed
    text = (tmp_path / "out" / "fhir" / "bundle.json").read_text(encoding="utf-8")
    assert [slot for slot in missed if slot in text] == []
    entries = cells(tmp_path / "out", "entries")
    answers = ("QuestionnaireResponse", "MedicationAdministration", "MedicationStatement")
    assert sum(len(found[kind]) for kind in answers) == len(entries)


async def test_words_are_masked_for_who_may_not_see_them_and_the_events_stay(trial, tmp_path):
    seen = await exported(trial, tmp_path / "seen")
    found = await exported(trial, tmp_path / "out", free_text=False)
    masked = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
    assert len(found["AdverseEvent"]) == len(SIDE_EFFECTS) + 2
    assert all(one["event"] == {"_text": {"extension": [masked]}} for one in found["AdverseEvent"])
    without = [{**one, "event": None} for one in found["AdverseEvent"]]
    assert without == [{**one, "event": None} for one in seen["AdverseEvent"]]
    for path in (tmp_path / "out" / "fhir").iterdir():
        assert "dizzy after all" not in path.read_text(encoding="utf-8")


async def test_who_has_no_entry_and_whose_use_was_stopped_are_patients_and_no_more(trial, tmp_path):
    found = await exported(trial, tmp_path / "out")
    about = {
        code: {one["resourceType"] for one in whole(found) if f"Patient/{code}" in json.dumps(one)}
        for code in ("P-002", "P-003")
    }
    assert about == {"P-002": {"ResearchSubject"}, "P-003": {"ResearchSubject"}}
    assert {one["id"]: one["active"] for one in found["Patient"]}["P-003"] is False
    assert sum(not one["active"] for one in found["Patient"]) == 1


async def test_one_site_has_its_own_patients_and_itself_only(trial, tmp_path):
    found = await exported(trial, tmp_path / "out", site="coast")
    assert [one["id"] for one in found["Patient"]] == ["P-900"]
    assert [one["id"] for one in found["Organization"]] == ["coast"]
    assert len(found["AdverseEvent"]) == len(found["QuestionnaireResponse"]) == 1
    assert len(found["MedicationStatement"]) == 3
    assert found["MedicationAdministration"] == found["Observation"] == []
    text = (tmp_path / "out" / "fhir" / "bundle.json").read_text(encoding="utf-8")
    assert "P-001" not in text
    assert json.loads(text)["identifier"]["value"] == "coast.2026-11-27T08:00:00.000Z"


async def test_the_same_export_is_the_same_bytes(trial, tmp_path):
    first = await export_bundle(trial.db, tmp_path / "one", formats=["fhir"], now=FRIDAY)
    assert first == await export_bundle(trial.db, tmp_path / "two", formats=["fhir"], now=FRIDAY)
    assert sum(file.name.startswith("fhir/") for file in first) == 12


async def test_a_rating_given_elsewhere_has_the_offset_of_that_place(stage: Stage, tmp_path):
    await stage.add("P-007", timezone="America/St_Johns")
    far = await patient_id_of(stage.db, "P-007")
    await record_consent(stage.db, patient_id=far, agreed=True, language="en", text="text", now=T0)
    await say(stage, far, "pain 2026-11-24", scored(2), "2026-11-25 01:45")
    [one] = (await exported(stage, tmp_path / "out"))["QuestionnaireResponse"]
    assert one["authored"] == "2026-11-24T20:15:00.000-03:30"


async def test_no_chat_no_message_number_no_invite_and_no_name_is_in_any_file(stage: Stage, tmp_path):
    amina = await stage.joined(chat=987_654_321)
    await stage.nurse(chat=123_454_321)
    await reported(stage, amina.id, "unwell", key="987654321:70000002", at="2026-11-24 21:00")
    await exported(stage, tmp_path / "out")
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out" / "fhir").iterdir())
    assert b"unwell" in everything
    for hidden in (
        "987654321",
        "123454321",
        "70000002",
        stage.invites["P-001"],
        "Main clinic",
        "birthDate",
        "telecom",
    ):
        assert hidden.encode() not in everything
