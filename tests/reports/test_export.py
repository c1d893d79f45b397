import asyncio
import csv
import errno
import hashlib
import os

import pytest

from diary import SYSTEM, PatientStatus
from diary.alerts import raise_alert
from diary.answers import Arrival
from diary.enrolment import change_status, erase_patient
from diary.notes import keep_note, pass_note_on
from diary.service import record_outage
from diary.visits import record_visit
from protocol.errors import DaybookError, UnknownCodeError
from protocol.lifecycle import SendOutcome
from reports import bundle, export
from reports.columns import Kind, guarded
from reports.export import export_bundle
from reports.tables import ALERTS, TABLES
from storage import sends
from storage import slots as ledger
from tests.cast import T0, Stage, cairo
from tests.reports.diary_of import TAKEN, correct, say, scored, three_days

FRIDAY = cairo("2026-11-27 10:00")
DICTIONARY = "data_dictionary.csv"
NAMES = [
    "subjects.csv",
    "slots.csv",
    "entries.csv",
    "sends.csv",
    "notes.csv",
    "alerts.csv",
    "outages.csv",
    "visits.csv",
    "comments.csv",
    "adherence.csv",
    "weeks.csv",
    "wide.csv",
    "flow.csv",
    "audit.csv",
    "data_dictionary.csv",
]


async def exported(stage: Stage, out, **extra):
    """Export and give the rows of each file by its name."""
    await export_csv(stage.db, out, now=FRIDAY, **extra)
    return {path.name: rows_of(path) for path in out.glob("*.csv")}


async def export_csv(db, out, **extra):
    return [file for file in await export_bundle(db, out, formats=["csv"], **extra) if file.name.endswith(".csv")]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


async def noted(stage, patient_id, text, *, kind="note", key="m:1", at="2026-11-24 21:00"):
    return await keep_note(
        stage.db,
        patient_id=patient_id,
        kind=kind,
        text=text,
        arrival=Arrival("text", cairo(at), cairo(at)),
        key=key,
        now=cairo(at),
    )


async def sent_one(stage, *, message_id):
    """Send the first message that is due on the 24th at 9."""
    now = cairo("2026-11-24 09:00")
    async with stage.db.write() as conn:
        [nudge] = await ledger.due_nudges(conn, now=now, limit=1)
        send_id = await sends.claim_nudge(conn, nudge, then_at=None, now=now)
        await sends.finish_nudge(conn, send_id, SendOutcome.SENT, now=now, message_id=message_id)


async def test_every_file_is_there_with_its_rows_counted_and_its_fingerprint(stage: Stage, amina, tmp_path):
    written = await export_csv(stage.db, tmp_path / "out", now=FRIDAY)

    assert [file.name for file in written] == NAMES
    # A trial of 182 days: 14 infusions and 56 capsules; 14 + 28 ratings daily, then one each week for
    # 20 weeks and each of the 7 days before two visits, of which two are weekly ones already.
    counted = {file.name: file.rows for file in written}
    assert counted["subjects.csv"] == 1
    assert counted["slots.csv"] == 14 + 56 + 14 + 28 + 20 + 14 - 2
    assert counted["entries.csv"] == 4
    assert counted["notes.csv"] == counted["sends.csv"] == counted["outages.csv"] == 0
    for file in written:
        path = tmp_path / "out" / file.name
        assert len(rows_of(path)) == file.rows
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


async def test_the_dictionary_says_what_the_files_say(stage: Stage, amina, tmp_path):
    files = await exported(stage, tmp_path / "out")
    described: dict[str, list[str]] = {}
    for line in files[DICTIONARY]:
        if line["position"] != "0":
            described.setdefault(line["file"], []).append(line["column"])

    for name in NAMES:
        header = (tmp_path / "out" / name).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert described[name] == header
    assert all(line["meaning"] for line in files[DICTIONARY])
    assert {line["type"] for line in files[DICTIONARY] if line["file"] == "*"} == {kind.value for kind in Kind}


async def test_a_cell_that_can_have_few_values_has_one_of_them(stage: Stage, tmp_path):
    amina = await stage.joined()
    await sent_one(stage, message_id=1)
    await three_days(stage, amina.id)
    await noted(stage, amina.id, "hello")
    files = await exported(stage, tmp_path / "out")
    for table in TABLES:
        for column in table.columns:
            if column.kind is Kind.CODE:
                found = {row[column.name] for row in files[f"{table.name}.csv"]}
                assert found <= {"", *column.codes}, (table.name, column.name)


async def test_a_superseded_value_stays_and_is_marked(stage: Stage, amina, tmp_path):
    first = await say(stage, amina.id, "infusion 2026-11-27", TAKEN, "2026-11-27 09:05")
    await correct(stage, amina.id, "pain 2026-11-26", scored(3), "2026-11-26 23:20", reason="=wrong button")
    rows = (await exported(stage, tmp_path / "out"))["entries.csv"]
    old, new = (row for row in rows if row["slot"] == "P-001:pain:2026-11-26:0")

    assert (old["score"], old["holds"], old["superseded_by"], old["supersedes"]) == ("5", "no", new["entry"], "")
    assert (new["score"], new["holds"], new["superseded_by"], new["supersedes"]) == ("3", "yes", "", old["entry"])
    assert (old["change_reason"], new["change_reason"]) == ("", "'=wrong button")
    assert old["punctuality"] == new["punctuality"] == "late"
    assert [row["holds"] for row in rows if row["entry"] == str(first.id)] == ["yes"]


async def test_an_entry_has_its_times_in_utc_and_on_the_wall(stage: Stage, amina, tmp_path):
    row = (await exported(stage, tmp_path / "out"))["entries.csv"][0]

    assert (row["study"], row["protocol_version"], row["site"], row["subject"]) == (
        "magnesium-clbp",
        "1",
        "main",
        "P-001",
    )
    assert (row["slot"], row["trial_day"], row["timezone"], row["utc_offset"]) == (
        "P-001:infusion:2026-11-24:0",
        "0",
        "Africa/Cairo",
        "120",
    )
    assert (row["due_utc"], row["due_local"]) == ("2026-11-24T07:00:00.000Z", "2026-11-24T09:00:00.000+02:00")
    assert (row["received_utc"], row["received_local"]) == (
        "2026-11-24T07:30:00.000Z",
        "2026-11-24T09:30:00.000+02:00",
    )
    assert (row["said_utc"], row["said_local"], row["recorded_by"], row["source"]) == ("", "", "patient", "button")


async def test_slots_have_their_state_at_the_time_of_the_export(stage: Stage, amina, tmp_path):
    rows = {row["slot"]: row for row in (await exported(stage, tmp_path / "out"))["slots.csv"]}

    assert [rows[f"P-001:pain:2026-11-{day}:0"]["state"] for day in (24, 25, 26, 27)] == [
        "on time",
        "missed",
        "late",
        "coming",
    ]
    rated = rows["P-001:pain:2026-11-24:0"]
    assert (rated["answer"], rated["score"], rated["trial_day"]) == ("score", "7", "0")
    assert rows["P-001:pain:2026-11-25:0"]["entry"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=1", "\n=1", "＝1+1", "'quoted"])
async def test_no_note_can_run_as_a_formula_and_each_can_be_read_back(stage: Stage, amina, tmp_path, text):
    await noted(stage, amina.id, text)
    [row] = (await exported(stage, tmp_path / "out"))["notes.csv"]

    assert row["text"] == "'" + text
    assert row["text"].removeprefix("'") == text


def test_the_dictionary_names_every_alert_that_no_rule_of_the_protocol_raises():
    [rule] = [column for column in ALERTS.columns if column.name == "rule"]
    for name in ("note", "invite-reused", PatientStatus.PAUSED, PatientStatus.WITHDRAWN):
        assert name in rule.meaning


async def test_a_text_that_was_passed_on_says_as_what_and_stays_what_it_was(stage: Stage, amina, tmp_path):
    await noted(stage, amina.id, "fine", key="m:2")
    kept = await noted(stage, amina.id, "dizzy", kind="unread", key="m:3", at="2026-11-24 21:05")
    await noted(stage, amina.id, "7.5", kind="unread", key="m:4", at="2026-11-24 21:10")
    await pass_note_on(stage.db, patient_id=amina.id, note_id=kept.note_id, side_effect=True, now=FRIDAY)

    rows = (await exported(stage, tmp_path / "out"))["notes.csv"]
    assert [(row["note_kind"], row["passed_on_as"]) for row in rows] == [
        ("note", "note"), ("unread", "side-effect"), ("unread", ""),
    ]  # fmt: skip
    assert list(rows[0])[-1] == "passed_on_as"


async def test_only_texts_are_guarded(stage: Stage, amina, tmp_path):
    await noted(stage, amina.id, "better - much better, 7 = 7")
    files = await exported(stage, tmp_path / "out")

    assert files["notes.csv"][0]["text"] == "better - much better, 7 = 7"
    assert guarded("P-001") == "P-001"
    for table in TABLES:
        for row in files[f"{table.name}.csv"]:
            for column in table.columns:
                assert column.kind is Kind.INTEGER or not row[column.name].startswith(("=", "+", "-", "@"))


async def test_an_arabic_note_of_ten_thousand_characters_comes_back_as_it_was(stage: Stage, amina, tmp_path):
    text = ('ألمٌ شديد، "الليلة"\r\nثم هدأ؛ ' * 500)[:10_000]
    await noted(stage, amina.id, text)
    [row] = (await exported(stage, tmp_path / "out"))["notes.csv"]

    assert len(text) == 10_000
    assert row["text"] == text


async def test_the_bytes_are_rfc_4180_without_a_mark_and_the_same_again(stage: Stage, amina, tmp_path):
    await noted(stage, amina.id, 'two\nlines, "quoted"')
    first = await export_csv(stage.db, tmp_path / "one", now=FRIDAY)
    second = await export_csv(stage.db, tmp_path / "two", now=FRIDAY)

    assert first == second
    data = (tmp_path / "one" / "notes.csv").read_bytes()
    assert data.startswith(b"study,")
    assert data.endswith(b"\r\n")
    assert b'"two\nlines, ""quoted"""' in data


async def test_one_site_has_its_own_patients_only(stage: Stage, amina, elsewhere, tmp_path):
    await noted(stage, amina.id, "hello", kind="side-effect")
    files = await exported(stage, tmp_path / "coast", site="coast")

    assert {row["subject"] for row in files["subjects.csv"] + files["slots.csv"]} == {"P-900"}
    assert files["entries.csv"] == files["notes.csv"] == files["alerts.csv"] == files["sends.csv"] == []
    whole = await exported(stage, tmp_path / "all")
    assert {row["subject"] for row in whole["slots.csv"]} == {"P-001", "P-900"}
    assert [row["rule"] for row in whole["alerts.csv"]] == ["side-effect"]
    with pytest.raises(UnknownCodeError, match="no site moon"):
        await export_csv(stage.db, tmp_path / "moon", site="moon", now=FRIDAY)
    assert not (tmp_path / "moon").exists()


async def test_a_patient_without_entries_is_in_the_files(stage: Stage, tmp_path):
    await stage.add()
    files = await exported(stage, tmp_path / "out")

    [subject] = files["subjects.csv"]
    assert (subject["subject"], subject["status"], subject["joined_utc"]) == ("P-001", "invited", "")
    assert {row["state"] for row in files["slots.csv"]} == {"excused", "coming"}
    assert files["entries.csv"] == []


async def test_an_empty_trial_is_refused_in_a_sentence_and_leaves_nothing(stage: Stage, elsewhere, tmp_path):
    with pytest.raises(DaybookError, match="There is no patient at main yet, so there is nothing to export"):
        await export_csv(stage.db, tmp_path / "out", now=FRIDAY, site="main")
    assert list(tmp_path.glob("*out*")) == []


async def test_sends_and_outages_are_in_the_files(stage: Stage, tmp_path):
    await stage.joined()
    await sent_one(stage, message_id=70_000_001)
    began, ended = cairo("2026-11-24 10:00"), cairo("2026-11-24 12:30")
    await record_outage(stage.db, kind="service", began_at=began, ended_at=ended, now=ended)
    files = await exported(stage, tmp_path / "out")

    [send] = files["sends.csv"]
    assert (send["slot"], send["nudge"], send["outcome"]) == ("P-001:infusion:2026-11-24:0", "0", "sent")
    assert send["planned_utc"] == send["finished_utc"] == "2026-11-24T07:00:00.000Z"
    assert files["outages.csv"] == [
        {
            "outage": "1",
            "outage_kind": "service",
            "began_utc": "2026-11-24T08:00:00.000Z",
            "ended_utc": "2026-11-24T10:30:00.000Z",
            "slots_touched": "1",
        }
    ]


async def test_no_chat_no_message_number_and_no_arm_is_in_any_file(stage: Stage, tmp_path):
    amina = await stage.joined(chat=987_654_321)
    await stage.nurse(chat=123_454_321)
    await sent_one(stage, message_id=70_000_001)
    await noted(stage, amina.id, "unwell", kind="side-effect", key="987654321:70000002")
    async with stage.db.write() as conn:
        await raise_alert(conn, patient_id=amina.id, rule="note", key="k", details={"x": "secret"}, now=T0)
    await exported(stage, tmp_path / "out")

    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    for hidden in (
        b"987654321",
        b"123454321",
        b"70000001",
        b"70000002",
        b"secret",
        stage.invites["P-001"].encode(),
    ):
        assert hidden not in everything
    columns = {column.name for table in TABLES for column in table.columns}
    assert not columns & {"arm", "group", "treatment", "allocation", "kit", "chat", "chat_id", "name", "message_id"}


async def test_an_erased_leaver_stays_in_the_lists(stage: Stage, amina, tmp_path):

    why = {"actor": SYSTEM, "reason": "moved away", "now": cairo("2026-11-27 09:00")}
    await change_status(stage.db, patient_id=amina.id, status=PatientStatus.WITHDRAWN, **why)
    await erase_patient(stage.db, code="P-001", **why)
    files = await exported(stage, tmp_path / "out")

    [subject] = files["subjects.csv"]
    assert (subject["status"], subject["erased_local"]) == ("withdrawn", "2026-11-27T09:00:00.000+02:00")
    assert len(files["entries.csv"]) == 4


async def test_a_count_that_differs_fails_loudly_and_leaves_nothing(stage: Stage, amina, tmp_path, monkeypatch):
    async def one_more(wanted, table):
        return await counted(wanted, table) + (table == "entries")

    counted = export.extracts.count_rows
    monkeypatch.setattr(export.extracts, "count_rows", one_more)
    with pytest.raises(DaybookError, match=r"entries\.csv would have 4 lines and the database has 5 entries"):
        await export_csv(stage.db, tmp_path / "out", now=FRIDAY)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


async def test_an_answer_given_during_an_export_is_kept_at_once_and_is_in_the_next(
    stage: Stage, amina, tmp_path, monkeypatch
):
    async def answered_meanwhile(wanted, table):
        if table == "patients":
            await asyncio.wait_for(
                say(stage, amina.id, "infusion 2026-11-27", TAKEN, "2026-11-27 09:30"), timeout=5
            )
        return await counted(wanted, table)

    counted = export.extracts.count_rows
    monkeypatch.setattr(export.extracts, "count_rows", answered_meanwhile)
    assert len((await exported(stage, tmp_path / "out"))["entries.csv"]) == 4
    monkeypatch.undo()
    assert len((await exported(stage, tmp_path / "next"))["entries.csv"]) == 5


async def test_a_full_disk_leaves_nothing_under_the_name(stage: Stage, amina, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bundle.os, "fsync", full)
    with pytest.raises(DaybookError, match="No space left"):
        await export_csv(stage.db, tmp_path / "out", now=FRIDAY)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


async def test_a_folder_that_holds_something_is_refused_and_kept(stage: Stage, tmp_path):
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine.txt").write_text("mine")
    for out in (used, used / "mine.txt"):
        with pytest.raises(DaybookError, match="not an empty folder"):
            await export_csv(stage.db, out, now=FRIDAY)
    assert (used / "mine.txt").read_text() == "mine"
    with pytest.raises(DaybookError, match="cannot be written"):
        await export_csv(stage.db, used / "mine.txt" / "out", now=FRIDAY)


async def test_an_empty_folder_may_be_there_and_parents_are_made(stage: Stage, amina, tmp_path):
    (tmp_path / "empty").mkdir()
    assert len(await exported(stage, tmp_path / "empty")) == len(NAMES)
    assert len(await exported(stage, tmp_path / "a" / "b")) == len(NAMES)


async def test_every_value_of_a_clinic_day_is_a_line_and_corrections_stay(stage, tmp_path):
    await stage.joined()
    nour = await stage.actor()
    day = cairo("2026-11-26 12:00")
    form = {"code": "P-001", "visit": "baseline", "held_on": day.date(), "actor": nour, "now": day}
    first = await record_visit(
        stage.db, measured={"lanss": 14, "flexion": 22.5}, supersedes=None, reason=None, **form
    )
    await record_visit(stage.db, measured={"lanss": 15}, supersedes=first.id, reason="=misread", **form)
    await export_csv(stage.db, tmp_path / "out", now=day)
    with (tmp_path / "out" / "visits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = [(r["measure"], r["value"], r["holds"], r["change_reason"], r["staff"], r["trial_day"]) for r in rows]
    assert told == [
        ("flexion", "22.5", "no", "", "nour", "2"),
        ("lanss", "14", "no", "", "nour", "2"),
        ("lanss", "15", "yes", "'=misread", "nour", "2"),
    ]
