"""The ODM file: valid by CDISC's schema, read back by odmlib, and compared with the CSV value by value."""

import json
import re
import sqlite3
from contextlib import closing
from importlib.resources import files

import pytest
from lxml import etree
from odmlib.loader import ODMLoader
from odmlib.odm_loader import XMLODMLoader

from diary import SYSTEM
from diary.enrolment import add_patient
from diary.protocols import adopt_protocol
from protocol.load import load_protocol, read_protocol
from reports.export import export_bundle
from reports.formats.markup import written
from tests.cast import START, T0, Stage
from tests.reports.bundle_of import FRIDAY
from tests.reports.cdisc_of import AS_XML, SHOWN, cells, two_sites

ODM = {"odm": "http://www.cdisc.org/ns/odm/v1.3"}
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
PROTOCOL = load_protocol("magnesium-clbp").protocol
SETTLED = {"on time", "late", "missed", "excused"}


@pytest.fixture
async def trial(stage: Stage) -> Stage:
    await two_sites(stage)
    return stage


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    folder = files("odmlib") / "schemas" / "odm" / "1.3.2"
    return etree.XMLSchema(etree.parse(str(folder / "ODM1-3-2.xsd")))


async def exported(stage, out, **extra):
    """The file of an export, and its path."""
    await export_bundle(stage.db, out, formats=["csv", "odm"], now=FRIDAY, **extra)
    path = out / "odm" / "daybook.xml"
    return etree.parse(path).getroot(), path


def groups_of(path):
    """Every item group as odmlib reads it: where it stands, and the value of each item."""
    loader = ODMLoader(XMLODMLoader(model_package="odm_1_3_2"))
    loader.open_odm_document(str(path))
    for clinical in loader.root().ClinicalData:
        for subject in clinical.SubjectData:
            for event in subject.StudyEventData:
                for form in event.FormData:
                    for group in form.ItemGroupData:
                        place = (subject.SubjectKey, event.StudyEventOID, form.FormOID, group.ItemGroupOID)
                        values = {item.ItemOID: item.Value for item in group.ItemData}
                        yield place, group.ItemGroupRepeatKey, values


def audits_of(root):
    """Who gave a value in place of another, when and why, by the value's item and its slot or visit."""
    found = {}
    for audit in root.iterfind(".//odm:AuditRecord", ODM):
        item = audit.getparent()
        first = item.getparent()[0]
        who = audit.find("odm:UserRef", ODM).get("UserOID")
        where = audit.find("odm:LocationRef", ODM).get("LocationOID")
        texts = [
            audit.findtext(f"odm:{name}", None, ODM) for name in ("DateTimeStamp", "ReasonForChange", "SourceID")
        ]
        found[first.get("Value"), item.get("ItemOID")] = (item.get("Value"), who, where, *texts)
    return found


async def test_the_file_is_valid_by_the_schema_of_the_standard(trial, schema, tmp_path):
    root, _ = await exported(trial, tmp_path / "out")
    schema.assertValid(root)
    assert root.get("ODMVersion") == "1.3.2"
    assert root.get("FileType") == "Snapshot"
    assert root.get("CreationDateTime") == root.get("AsOfDateTime") == "2026-11-27T08:00:00.000Z"


@pytest.mark.parametrize(
    "name",
    ["StudyName", "MetaDataVersion", "StudyEventDef", "ItemDef", "CodeListItem", "Location", "SubjectData",
     "SiteRef", "StudyEventData", "ItemGroupData", "ItemData", "AuditRecord", "ReasonForChange"],
)  # fmt: skip
async def test_a_file_in_which_an_element_has_another_name_is_not(trial, schema, tmp_path, name):
    _, path = await exported(trial, tmp_path / "out")
    text = path.read_text(encoding="utf-8")
    renamed = re.sub(rf"(</?){name}(?=[ />])", rf"\1{name}s", text)
    assert renamed != text
    assert not schema.validate(etree.fromstring(renamed.encode()))


async def test_every_name_that_is_used_is_defined_once_in_capitals(trial, tmp_path):
    root, _ = await exported(trial, tmp_path / "out")
    version = root.find("odm:Study/odm:MetaDataVersion", ODM)
    defined = [one.get("OID") for one in version.iterfind("*[@OID]")]
    assert len(set(defined)) == len(defined)
    units = [one.get("OID") for one in root.iterfind(".//odm:MeasurementUnit", ODM)]
    people = [one.get("OID") for one in root.iterfind("odm:AdminData/*", ODM)]
    for element in root.iter("{*}*"):
        for key, value in element.attrib.items():
            if key.endswith("OID") and key not in {"OID", "FileOID", "StudyOID", "MetaDataVersionOID"}:
                assert value in {*defined, *units, *people}, (element.tag, key, value)
    assert all(re.fullmatch("[A-Z][A-Z0-9_]*", name) for name in (*defined, *units))
    study, of_data = root.find("odm:Study", ODM), root.find("odm:ClinicalData", ODM)
    assert (of_data.get("StudyOID"), of_data.get("MetaDataVersionOID")) == (study.get("OID"), version.get("OID"))


async def test_every_slot_whose_time_has_come_is_there_as_in_the_csv_and_no_other(trial, tmp_path):
    _, path = await exported(trial, tmp_path / "out")
    answered = {
        row["slot"]: row["said_local"] or row["received_local"]
        for row in cells(tmp_path / "out", "entries")
        if not row["supersedes"]
    }
    told, repeats = {}, {}
    for (subject, event, form, group), repeat, values in groups_of(path):
        if group.startswith("IG_DIARY"):
            told[values.pop("I_SLOT")] = (subject, event, form, values)
            repeats.setdefault((subject, event, form), []).append(int(repeat))
    want = {}
    for row in cells(tmp_path / "out", "slots"):
        if row["state"] in SETTLED:
            phase, item = (row[name].upper().replace("-", "_") for name in ("phase", "item"))
            values = {
                "I_DUE": row["due_local"],
                "I_STATE": row["state"],
                "I_EXCUSED": row["excused_because"],
                "I_GIVEN": answered.get(row["slot"]),
                f"I_DIARY_{item}": row["score"] or row["answer"],
                f"I_REASON_{item}": row["skip_reason"],
            }
            said = {name: value for name, value in values.items() if value}
            want[row["slot"]] = (row["subject"], f"SE_DIARY_{phase}", f"F_DIARY_{item}", said)
    assert told == want
    assert sum("I_GIVEN" in values for *_, values in told.values()) == len(answered) == 8
    for numbers in repeats.values():
        assert numbers == list(range(1, len(numbers) + 1))


async def test_a_slot_keeps_its_number_while_the_trial_goes_on(trial, tmp_path):
    _, path = await exported(trial, tmp_path / "now")
    later = tmp_path / "later" / "odm" / "daybook.xml"
    await export_bundle(trial.db, tmp_path / "later", formats=["odm"], now=FRIDAY.replace(year=2027))
    numbers = [
        {values["I_SLOT"]: repeat for *_, repeat, values in groups_of(file) if "I_SLOT" in values}
        for file in (path, later)
    ]
    assert len(numbers[0]) < len(numbers[1])
    assert numbers[0].items() <= numbers[1].items()


async def test_a_corrected_answer_says_who_changed_it_when_and_why(trial, tmp_path):
    root, _ = await exported(trial, tmp_path / "out")
    [(entry, old)] = (
        (row["entry"], row["supersedes"]) for row in cells(tmp_path / "out", "entries") if row["supersedes"]
    )
    audits = audits_of(root)
    assert audits["P-001:pain:2026-11-26:0", "I_DIARY_PAIN"] == (
        "3", "USR_PATIENT", "LOC_main", "2026-11-26T23:20:00.000+02:00", "=wrong button", f"entry {entry}",
    )  # fmt: skip
    assert old != entry
    assert len(audits) == 1 + 3


async def test_visits_have_the_values_that_hold_and_who_corrected_them(trial, tmp_path):
    root, path = await exported(trial, tmp_path / "out")
    [(place, repeat, values)] = [one for one in groups_of(path) if one[0][3].startswith("IG_VISIT")]
    assert place == ("P-001", "SE_VISIT_BASELINE", "F_VISIT_BASELINE", "IG_VISIT_BASELINE")
    assert repeat is None
    with closing(sqlite3.connect(tmp_path / "daybook.db")) as database:
        (held,) = database.execute("SELECT measured FROM visits WHERE supersedes IS NOT NULL").fetchone()
    of_measures = {f"I_VISIT_{name.upper()}": f"{value:g}" for name, value in json.loads(held).items()}
    assert values == {"I_HELD_ON": "2026-11-24", **of_measures}
    assert of_measures == {"I_VISIT_FLEXION": "22.2", "I_VISIT_LANSS": "15", "I_VISIT_NRS": "7"}
    assert audits_of(root)["2026-11-24", "I_VISIT_LANSS"] == (
        "15", "USR_STAFF_omar", "LOC_main", "2026-11-24T13:00:00.000+02:00", "=misread <twice>", "form 2",
    )  # fmt: skip
    [unit] = root.iterfind(".//odm:ItemData[@ItemOID='I_VISIT_FLEXION']/odm:MeasurementUnitRef", ODM)
    assert unit.get("MeasurementUnitOID") == "MU_1"


async def test_side_effects_have_every_letter_that_xml_can_hold(trial, tmp_path):
    _, path = await exported(trial, tmp_path / "out")
    reports = [(place[0], repeat, values) for place, repeat, values in groups_of(path) if place[1] == "SE_REPORTS"]
    ours = [values for subject, _, values in reports if subject == "P-001"]
    assert [values["I_REPORT"] for values in ours] == [*AS_XML, "dizzy after all"]
    assert ours[0]["I_REPORTED"] == "2026-11-25T21:00:00.000+02:00"
    assert reports[-1] == ("P-900", "1", {"I_REPORTED": "2026-11-25T20:12:00.000+02:00", "I_REPORT": "تعب"})


async def test_words_are_left_out_for_who_may_not_see_them_and_the_reports_stay(trial, schema, tmp_path):
    root, path = await exported(trial, tmp_path / "out", free_text=False)
    schema.assertValid(root)
    reports = [values for place, _, values in groups_of(path) if place[1] == "SE_REPORTS"]
    assert len(reports) == len(AS_XML) + 2
    assert all(list(values) == ["I_REPORTED"] for values in reports)
    assert "dizzy after all" not in path.read_text(encoding="utf-8")


async def test_who_has_no_entry_and_whose_use_was_stopped_are_named_and_no_more(trial, tmp_path):
    root, path = await exported(trial, tmp_path / "out")
    subjects = {one.get("SubjectKey"): one for one in root.iterfind(".//odm:SubjectData", ODM)}
    assert list(subjects) == ["P-001", "P-002", "P-003", "P-900"]
    assert [child.tag.rpartition("}")[2] for child in subjects["P-003"]] == ["SiteRef"]
    without = [values for place, _, values in groups_of(path) if place[0] == "P-002"]
    assert {values["I_EXCUSED"] for values in without} == {"not-joined"}
    sites = {key: one.find("odm:SiteRef", ODM).get("LocationOID") for key, one in subjects.items()}
    assert sites == {"P-001": "LOC_main", "P-002": "LOC_main", "P-003": "LOC_main", "P-900": "LOC_coast"}


async def test_the_sites_are_locations_and_staff_are_known_by_code_alone(trial, tmp_path):
    root, _ = await exported(trial, tmp_path / "out")
    places = root.findall("odm:AdminData/odm:Location", ODM)
    assert [(one.get("OID"), one.get("Name"), one[0].get("EffectiveDate")) for one in places] == [
        ("LOC_coast", "coast", "2026-11-23"), ("LOC_main", "main", "2026-11-23"),
    ]  # fmt: skip
    users = {one.get("OID"): [part.text for part in one] for one in root.iterfind("odm:AdminData/odm:User", ODM)}
    assert users == {
        "USR_PATIENT": ["Patient"], "USR_SYSTEM": ["Daybook"],
        "USR_STAFF_nour": ["nour"], "USR_STAFF_omar": ["omar"],
    }  # fmt: skip


async def test_one_site_has_its_own_patients_and_itself_only(trial, schema, tmp_path):
    root, path = await exported(trial, tmp_path / "out", site="coast")
    schema.assertValid(root)
    assert root.get("Granularity") == "SingleSite"
    assert [one.get("SubjectKey") for one in root.iterfind(".//odm:SubjectData", ODM)] == ["P-900"]
    assert [one.get("OID") for one in root.iterfind(".//odm:Location", ODM)] == ["LOC_coast"]
    assert "P-001" not in path.read_text(encoding="utf-8")


async def test_questions_names_and_reasons_stand_in_every_language(trial, tmp_path):
    root, _ = await exported(trial, tmp_path / "out")
    version = root.find("odm:Study/odm:MetaDataVersion", ODM)

    def words(path):
        return {one.get(LANG): one.text for one in version.find(path, ODM)}

    pain, capsule = PROTOCOL.item("iv", "pain"), PROTOCOL.item("oral", "capsule")
    assert words("odm:ItemDef[@OID='I_DIARY_PAIN']/odm:Question") == pain.prompt.root
    assert words("odm:ItemDef[@OID='I_DIARY_CAPSULE']/odm:Question") == capsule.prompt.root
    assert words("odm:StudyEventDef[@OID='SE_DIARY_FOLLOW_UP']/odm:Description") == PROTOCOL.phase[2].name.root
    assert words("odm:StudyEventDef[@OID='SE_VISIT_WEEK_2']/odm:Description") == PROTOCOL.visit[1].name.root
    scale = words("odm:ItemDef[@OID='I_DIARY_PAIN']/odm:Description")
    assert scale["en"] == "0 = no pain; 10 = the worst pain you can imagine"
    assert PROTOCOL.trial.nrs.low.root["ar"] in scale["ar"]
    reasons = version.findall("odm:CodeList[@OID='CL_REASON_CAPSULE']/odm:CodeListItem", ODM)
    assert {
        one.get("CodedValue"): {word.get(LANG): word.text for word in one.find("odm:Decode", ODM)}
        for one in reasons
    } == {one.id: one.name.root for one in PROTOCOL.reason if one.id in capsule.skip_reasons}


async def test_items_have_the_ranges_decimals_units_and_codes_of_the_protocol(trial, tmp_path):
    root, _ = await exported(trial, tmp_path / "out")
    told = {}
    for one in root.iterfind(".//odm:ItemDef", ODM):
        ends = [(check.get("Comparator"), check[0].text) for check in one.iterfind("odm:RangeCheck", ODM)]
        unit = one.find("odm:MeasurementUnitRef", ODM)
        told[one.get("OID")] = (one.get("DataType"), one.get("SignificantDigits"), ends, unit is not None)
    assert told["I_DIARY_PAIN"] == ("integer", None, [("GE", "0"), ("LE", "10")], False)
    for measure in PROTOCOL.measure:
        least, most = (f"{end:g}" for end in measure.range)
        assert told[f"I_VISIT_{measure.id.upper().replace('-', '_')}"] == (
            "float" if measure.decimals else "integer",
            str(measure.decimals) if measure.decimals else None,
            [("GE", least), ("LE", most)],
            bool(measure.unit),
        )
    codes = {one.get("OID"): one.get("SASFieldName") for one in root.iterfind(".//odm:ItemDef[@SASFieldName]", ODM)}
    assert codes["I_VISIT_LATERAL_FLEXION"] == "LATFLEX"
    assert codes["I_DIARY_CAPSULE"] == "CAPSULE"
    assert [one.get("Name") for one in root.iterfind(".//odm:MeasurementUnit", ODM)] == ["deg"]


async def test_what_only_an_earlier_version_asks_for_is_defined_too(trial, schema, tmp_path):
    text = load_protocol("magnesium-clbp").text.replace('version = "1"', 'version = "2"')
    text = text.replace('id = "lanss"', 'id = "painscore"').replace('"lanss", ', '"painscore", ')
    newer = await adopt_protocol(trial.db, read_protocol("two", text), now=T0)
    where = {"site": "main", "timezone": None, "language": "en", "actor": SYSTEM, "now": T0}
    await add_patient(trial.db, code="P-004", start=START, protocol_id=newer, **where)
    root, _ = await exported(trial, tmp_path / "out")
    schema.assertValid(root)
    group = root.find(".//odm:ItemGroupDef[@OID='IG_VISIT_BASELINE']", ODM)
    assert [one.get("ItemOID") for one in group.iterfind("odm:ItemRef", ODM)][1::5] == [
        "I_VISIT_PAINSCORE",
        "I_VISIT_LANSS",
    ]
    assert root.find(".//odm:MetaDataVersion", ODM).get("OID") == "MDV_2"
    assert root.find(".//odm:ItemData[@ItemOID='I_VISIT_LANSS']", ODM).get("Value") == "15"


async def test_no_file_stays_beside_those_of_the_manifest(trial, tmp_path):
    files = await export_bundle(trial.db, tmp_path / "out", now=FRIDAY)
    there = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert there == {file.name for file in files} | {"manifest.json"}


def test_what_xml_cannot_hold_is_shown_as_its_picture():
    everything = "".join(map(chr, (*range(0x20), 0xD800, 0xDFFF, 0xFFFE, 0xFFFF)))
    read = etree.fromstring(f'<a b="{written(everything)}">{written(everything)}</a>')
    kept = {9: "\t", 10: "\n", 13: "\r"}
    want = "".join(kept.get(code, chr(0x2400 + code)) for code in range(0x20)) + "\ufffd" * 4
    assert read.get("b") == read.text == want
    assert etree.fromstring(f"<a>{written(SHOWN)}</a>").text == SHOWN
