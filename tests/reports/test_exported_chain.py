"""An export is verified on its own: its trail, the answers in its other files, and every file."""

import csv
import hashlib
import json
import shutil

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status, stop_use
from protocol.errors import DaybookError
from reports import exported_chain
from reports.chain import Head, trail_head, verify_trail
from reports.export import export_bundle
from reports.exported_chain import verify_export
from tests.cast import Stage
from tests.reports.test_chain import LATER, lived


@pytest.fixture
async def folder(stage: Stage, tmp_path):
    await lived(stage)
    await export_bundle(stage.db, tmp_path / "out", formats=["csv"], now=LATER)
    return tmp_path / "out"


def lines(folder, name):
    with (folder / name).open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def written(folder, name, rows, *, fingerprint=True):
    """Write a file anew, and its fingerprint with it, as whoever covers their tracks would."""
    with (folder / name).open("w", encoding="utf-8", newline="") as text:
        out = csv.DictWriter(text, rows[0])
        out.writeheader()
        out.writerows(rows)
    if fingerprint:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        [file] = [file for file in manifest["files"] if file["name"] == name]
        file["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def fault(folder, *kept):
    found = verify_export(folder, kept).fault
    return found and found.says


def fault_or_refusal(folder):
    try:
        return fault(folder)
    except DaybookError as error:
        return str(error)


def first_line_of(folder, table, row_id):
    told = [json.loads(row["content"]) | {"line": row["line"]} for row in lines(folder, "audit.csv")]
    return next(one["line"] for one in told if (one.get("row_of"), one.get("row_id")) == (table, row_id))


async def test_the_trail_of_an_export_is_the_diarys_own(folder, stage: Stage):
    found, own = verify_export(folder), await verify_trail(stage.db)
    assert found == own
    assert fault(folder, await trail_head(stage.db)) is None


async def test_written_anew_without_harm_it_is_whole(folder):
    for name in ("audit.csv", "entries.csv", "notes.csv", "visits.csv"):
        written(folder, name, lines(folder, name))
    assert fault(folder) is None


@pytest.mark.parametrize("column", ["content", "row", "sha256"])
async def test_a_changed_cell_of_the_trail_is_found_at_its_line(folder, column):
    rows = lines(folder, "audit.csv")
    place = next(n for n, row in enumerate(rows) if row["row"])
    rows[place][column] = rows[place][column].replace("2", "3", 1)
    written(folder, "audit.csv", rows)
    says = fault(folder) or ""
    assert says.startswith(f"Line {place + 1} was changed" if column != "row" else "Entry 1, of which line ")


async def test_a_line_removed_added_moved_or_cut_off_is_found(folder):
    whole, kept = lines(folder, "audit.csv"), verify_export(folder).head
    written(folder, "audit.csv", whole[:4] + whole[5:])
    assert fault(folder) == "Line 5 was removed."
    renumbered = [*whole[:4], whole[3], *whole[4:]]
    written(folder, "audit.csv", [row | {"line": str(n)} for n, row in enumerate(renumbered, start=1)])
    assert (fault(folder) or "").startswith("Line 5 is not the one that was written there, which is line 6 now")
    written(folder, "audit.csv", [*whole[:4], whole[5], whole[4], *whole[6:]])
    assert fault(folder) == "Line 5 was removed."
    swapped = [*whole[:4], whole[5] | {"line": "5"}, whole[4] | {"line": "6"}, *whole[6:]]
    written(folder, "audit.csv", swapped)
    assert (fault(folder) or "").startswith("Line 5 is not the one that was written there, which is line 6 now")
    written(folder, "audit.csv", [*whole, whole[-1] | {"line": str(len(whole) + 1)}])
    assert fault(folder) == f"Line {len(whole) + 1} was changed or added."
    written(folder, "audit.csv", whole[:5])
    assert (fault(folder, kept) or "").startswith(f"Lines 6 to {len(whole)} were cut off")
    written(folder, "audit.csv", whole)
    assert (fault(folder, Head(4, "0" * 64)) or "").startswith("Line 4 is not the one that was the last when")


@pytest.mark.parametrize("at_once", [200_000, 2])
@pytest.mark.parametrize(
    ("name", "place", "column", "value", "row"),
    [
        ("entries.csv", 1, "score", "1", "Entry 2"),
        ("entries.csv", 2, "change_reason", "other", "Entry 3"),
        ("entries.csv", 0, "recorded_utc", "2026-11-24T18:00:01.000Z", "Entry 1"),
        ("notes.csv", 1, "text", "worse", "Note 2"),
        ("notes.csv", 0, "passed_on_as", "side-effect", "Note 1"),
        ("visits.csv", 1, "value", "9", "Visit form 1"),
    ],
)
async def test_a_value_changed_in_another_file_is_found_with_its_line(
    folder, monkeypatch, *, name, place, column, value, row, at_once
):
    monkeypatch.setattr(exported_chain, "_IDS_AT_ONCE", at_once)
    rows = lines(folder, name)
    rows[place][column] = value
    written(folder, name, rows)
    says = fault(folder) or ""
    assert says.startswith(f"{row}, of which line ")
    assert says.endswith(f" tells, is not so in {name}: it was changed or removed there.")
    if not row.startswith("Note"):
        table, row_id = name.removesuffix(".csv"), int(row.split()[-1])
        assert f" line {first_line_of(folder, table, row_id)} " in says


async def test_a_row_removed_from_or_added_to_another_file_is_found(folder):
    whole = lines(folder, "entries.csv")
    written(folder, "entries.csv", whole[:1] + whole[2:])
    assert (fault(folder) or "").endswith("tells, is not so in entries.csv: it was changed or removed there.")
    written(folder, "entries.csv", [*whole, whole[0] | {"entry": "77"}])
    assert fault(folder) == "Entry 77 in entries.csv was added: no line of the trail tells of it."
    written(folder, "entries.csv", [*whole, whole[0]])
    assert (fault(folder) or "").startswith("Entry 1, of which line ")


async def test_an_answer_put_under_another_subject_is_found(folder):
    rows = lines(folder, "entries.csv")
    rows[1]["subject"] = "P-002"
    written(folder, "entries.csv", rows)
    assert (fault(folder) or "").startswith("Entry 2 in entries.csv is under the subject P-002, and line ")


async def test_a_file_beside_the_trail_is_held_to_its_fingerprint(folder):
    rows = lines(folder, "subjects.csv")
    rows[0]["language"] = "ar"
    written(folder, "subjects.csv", rows, fingerprint=False)
    says = "subjects.csv is not as it was exported: its fingerprint differs from the manifest's."
    assert fault(folder) == says
    (folder / "subjects.csv").unlink()
    assert fault(folder) == "subjects.csv is missing, and the manifest names it."


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text.replace("content,", "contents,", 1),
        lambda text: text[:-200],
        lambda text: text.replace('\n2,"{', '\nx,"{', 1),
        lambda text: text.replace('\n2,"{', '\n2,"[', 1),
        lambda text: text + '"',
    ],
)
async def test_a_file_that_is_no_trail_is_refused_in_a_sentence(folder, harm):
    path = folder / "audit.csv"
    text = path.read_bytes().decode()
    path.write_bytes(harm(text).encode())
    says = fault_or_refusal(folder) or ""
    assert "audit.csv" in says or says.startswith("Line ")


async def test_an_export_without_a_whole_trail_says_so(folder, stage: Stage, tmp_path):
    await export_bundle(stage.db, tmp_path / "site", formats=["csv"], site="main", now=LATER)
    with pytest.raises(DaybookError, match="is the export of one site, main: the trail is one chain"):
        verify_export(tmp_path / "site")
    await export_bundle(stage.db, tmp_path / "quiet", formats=["csv"], free_text=False, now=LATER)
    await export_bundle(stage.db, tmp_path / "odm", formats=["odm"], now=LATER)
    for name in ("quiet", "odm"):
        with pytest.raises(DaybookError, match=r"has no audit.csv, which only an export of the whole trial has"):
            verify_export(tmp_path / name)
    shutil.rmtree(folder)
    with pytest.raises(DaybookError, match=r"has no manifest.json, so it is no export"):
        verify_export(folder)


async def test_of_a_diary_that_is_no_longer_used_the_trail_keeps_digests_alone(stage: Stage, tmp_path):
    amina = await lived(stage)
    basma = await stage.joined("P-002", chat=1002)
    await stage.alert(basma, "tired")
    await change_status(
        stage.db, patient_id=amina.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="r", now=LATER
    )
    await stop_use(stage.db, code="P-001", actor=SYSTEM, reason="asked for", now=LATER)
    await export_bundle(stage.db, tmp_path / "out", formats=["csv"], now=LATER)
    assert verify_export(tmp_path / "out") == await verify_trail(stage.db)
    rows = lines(tmp_path / "out", "audit.csv")
    text = (tmp_path / "out" / "audit.csv").read_text(encoding="utf-8")
    assert '""patient_id"":1' not in text
    assert "better" not in text
    assert "tired" in text
    place = next(n for n, row in enumerate(rows) if not row["content"])
    rows[place]["content_sha256"] = "0" * 64
    written(tmp_path / "out", "audit.csv", rows)
    assert fault(tmp_path / "out") == f"Line {place + 1} was changed."
