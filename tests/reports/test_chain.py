"""What was changed, removed, added or put in another order behind the diary's back is found and named."""

import asyncio
import hashlib
import json
import re
import sqlite3

import pytest

from diary import SYSTEM, Database, PatientStatus
from diary.answers import Arrival, answer_later
from diary.enrolment import change_status, erase_patient
from diary.notes import keep_note, pass_note_on
from diary.visits import record_visit
from protocol.errors import WrongCallError
from reports.chain import Head, trail_head, verify_trail
from storage import chain
from tests.cast import START, T0, Stage, cairo

LATER = cairo("2026-11-27 12:00")
_TRIGGERS = (
    "audit_no_update", "audit_no_delete", "entries_no_update", "entries_no_delete", "visits_no_update",
    "visits_no_delete", "notes_text_stays",
)  # fmt: skip


async def lived(stage: Stage):
    """Answers, a correction, a visit, and notes, one of them passed on."""
    amina = await stage.lived()
    await record_visit(
        stage.db, code="P-001", visit="baseline", held_on=START, supersedes=None, reason=None, actor=SYSTEM,
        measured={"lanss": 14, "nrs": 6}, meant=["unlikely"], now=LATER,
    )  # fmt: skip
    for key, kind, text in (("m:1", "unread", 'he said "7"\tتسعة'), ("m:2", "note", "better")):
        kept = await keep_note(
            stage.db, patient_id=amina.id, kind=kind, text=text, arrival=Arrival("text", LATER), key=key, now=LATER
        )
        if kind == "unread":
            for _ in range(2):  # the second time it is passed on already
                await pass_note_on(stage.db, patient_id=amina.id, note_id=kept.note_id, now=LATER)
    return amina


@pytest.fixture
async def whole(stage: Stage):
    await lived(stage)
    assert (await verify_trail(stage.db)).fault is None
    return stage.db


def harm(db, *statements):
    """Do harm as whoever has the file can."""
    with sqlite3.connect(db.url.database) as raw:
        for trigger in _TRIGGERS:
            raw.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            assert raw.execute(statement).rowcount != 0
    raw.close()


def one(db, query):
    with sqlite3.connect(db.url.database) as raw:
        (found,) = raw.execute(query).fetchone()
    raw.close()
    return found


async def fault(db, *kept):
    found = (await verify_trail(db, kept)).fault
    return found and found.says


async def test_a_lived_diary_is_whole_to_its_last_line(whole):
    found = await verify_trail(whole)
    assert found.head == await trail_head(whole)
    assert found.head.lines == one(whole, "SELECT count(*) FROM audit")
    assert found.head.sha256 == one(whole, "SELECT sha256 FROM audit ORDER BY id DESC")
    kept = [Head(n, one(whole, f"SELECT sha256 FROM audit WHERE id = {n}")) for n in (3, found.head.lines)]
    assert await fault(whole, *kept) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [("details", "'{}'"), ("at", "'2026-11-23T08:00:01.000000Z'"), ("actor", "'system'"), ("actor_id", "99"),
     ("verb", "'comment'"), ("patient_id", "NULL"), ("reason", "'other'"), ("sha256", "replace(sha256, 'a', 'b')")],
)  # fmt: skip
async def test_a_changed_line_is_named(whole, column, value):
    line = one(whole, "SELECT min(id) FROM audit WHERE verb = 'consent'")
    harm(whole, f"UPDATE audit SET {column} = {value} WHERE id = {line}")
    says = await fault(whole)
    assert says == (f"Line {line} was changed." if column != "sha256" else f"Line {line} was changed or added.")


async def test_a_row_whose_digest_was_mended_too_shows_in_its_line(whole):
    line = one(whole, "SELECT audit_id FROM entries WHERE id = 1")
    harm(whole, f"UPDATE audit SET row_sha256 = '{'0' * 64}' WHERE id = {line}")
    assert await fault(whole) == f"Line {line} was changed."


async def test_a_line_removed_in_the_middle_is_named(whole):
    harm(whole, "DELETE FROM audit WHERE id = 5")
    assert await fault(whole) == "Line 5 was removed."


async def test_several_lines_removed_are_named(whole):
    harm(whole, "DELETE FROM audit WHERE id IN (5, 6)")
    assert await fault(whole) == "Lines 5 to 6 were removed."


async def test_the_first_line_removed_is_named(whole):
    harm(whole, "DELETE FROM audit WHERE id = 1")
    assert await fault(whole) == "Line 1 was removed."


async def test_a_line_removed_and_the_gap_closed_shows_where_it_was(whole):
    harm(whole, "DELETE FROM audit WHERE id = 5", "UPDATE audit SET id = -id + 1 WHERE id > 5",
         "UPDATE audit SET id = -id WHERE id < 0")  # fmt: skip
    assert await fault(whole) == "Line 5 was changed or added."


async def test_lines_cut_off_at_the_end_are_found_by_a_kept_head_alone(stage):
    amina = await stage.joined()
    slot = await stage.first_slot(amina)
    await answer_later(stage.db, patient_id=amina.id, slot_id=slot, now=T0)
    kept = await trail_head(stage.db)
    harm(stage.db, f"DELETE FROM audit WHERE id = {kept.lines}")
    assert await fault(stage.db) is None
    says = f"Line {kept.lines} was cut off: the trail had {kept.lines} lines when its head was kept."
    assert await fault(stage.db, kept) == says
    assert await fault(stage.db, Head(2, one(stage.db, "SELECT sha256 FROM audit WHERE id = 2"))) is None


async def test_a_cut_off_line_that_told_of_a_row_leaves_the_row_untold(whole):
    line, note = one(whole, "SELECT max(audit_id) FROM notes"), one(whole, "SELECT max(id) FROM notes")
    harm(whole, f"DELETE FROM audit WHERE id >= {line}")
    assert (await fault(whole) or "").startswith(f"Note {note} was added, or belongs to another line")


async def test_two_swapped_lines_are_told_from_changed_ones(whole):
    harm(whole, "UPDATE audit SET id = 0 WHERE id = 4", "UPDATE audit SET id = 4 WHERE id = 5",
         "UPDATE audit SET id = 5 WHERE id = 0")  # fmt: skip
    assert (await fault(whole) or "").startswith(
        "Line 4 is not the one that was written there, which is line 5 now: a line was added, or lines were put"
    )


async def test_a_line_added_in_the_middle_is_named(whole):
    harm(
        whole,
        "UPDATE audit SET id = -id - 1 WHERE id >= 5",
        "UPDATE audit SET id = -id WHERE id < 0",
        "INSERT INTO audit SELECT 5, at, actor, actor_id, verb, patient_id, details, reason, row_of, row_id, "
        "row_sha256, sha256 FROM audit WHERE id = 4",
    )
    assert (await fault(whole) or "").startswith(
        "Line 5 is not the one that was written there, which is line 6 now"
    )


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("max(id) + 1", r"Line \d+ was changed or added\."),
        ("0", r"Line 0 was added: it stands before line 1\."),
        ("max(id) + 3", r"Lines \d+ to \d+ were removed\."),
    ],
)
async def test_a_line_added_at_an_end_is_named(whole, number, says):
    values = f"SELECT {number}, max(at), 'system', 'export', '{{}}' FROM audit"
    harm(whole, f"INSERT INTO audit (id, at, actor, verb, details) {values}")
    assert re.fullmatch(says, await fault(whole) or "")


@pytest.mark.parametrize(
    ("table", "change", "name"),
    [
        ("entries", "score = 1", "Entry 2"),
        ("entries", "change_reason = 'other', supersedes = 3", "Entry 2"),
        ("entries", "received_at = '2026-11-23T08:00:01.000000Z'", "Entry 2"),
        ("entries", "audit_id = 1", "Entry 2"),
        ("notes", "text = 'worse'", "Note 1"),
        ("notes", "passed_on_as = 'side-effect'", "Note 1"),
        ("notes", "passed_on_at = NULL, passed_on_as = NULL", "Note 1"),
        ("visits", "measured = '{\"lanss\":20}'", "Visit form 1"),
    ],
)
async def test_a_changed_row_is_named_with_its_line(whole, table, change, name):
    row_id = name.split()[-1]
    line = one(whole, f"SELECT min(id) FROM audit WHERE row_of = '{table}' AND row_id = {row_id}")
    harm(whole, f"UPDATE {table} SET {change} WHERE id = {row_id}")
    says = await fault(whole) or ""
    passed_on_only = change.startswith("passed_on")
    at = one(whole, f"SELECT max(id) FROM audit WHERE row_of = '{table}'  AND row_id = {row_id}")
    assert says == f"{name}, of which line {at if passed_on_only else line} tells, was changed."


async def test_a_text_that_was_passed_on_by_nobody_is_named(stage):
    amina = await stage.joined()
    for key in ("m:1", "m:2"):
        await keep_note(
            stage.db, patient_id=amina.id, kind="unread", text="x", arrival=Arrival("text", T0), key=key, now=T0
        )
    line = one(stage.db, "SELECT audit_id FROM notes WHERE id = 2")
    harm(stage.db, "UPDATE notes SET passed_on_at = received_at, passed_on_as = 'note' WHERE id = 2")
    assert await fault(stage.db) == f"Note 2, of which line {line} tells, was changed."


async def test_a_note_given_to_another_line_is_named(stage):
    amina = await stage.joined()
    await keep_note(
        stage.db, patient_id=amina.id, kind="unread", text="x", arrival=Arrival("text", T0), key="m:1", now=T0
    )
    harm(stage.db, "UPDATE notes SET audit_id = 3")
    assert (await fault(stage.db) or "").startswith("Note 1 was added, or belongs to another line")


@pytest.mark.parametrize(
    ("table", "name"), [("entries", "Entry 3"), ("notes", "Note 2"), ("visits", "Visit form 1")]
)
async def test_a_removed_row_is_named(whole, table, name):
    row_id = name.split()[-1]
    line = one(whole, f"SELECT audit_id FROM {table} WHERE id = {row_id}")
    harm(whole, f"DELETE FROM {table} WHERE id = {row_id}")
    assert await fault(whole) == f"{name}, of which line {line} tells, was removed."


async def test_an_added_row_is_named(whole):
    harm(
        whole,
        "INSERT INTO entries SELECT 77, patient_id, 5, answer, score, skip_reason, kind, source, NULL, due_at, "
        "prompted_at, said_at, received_at, recorded_at, local_date, zone, utc_offset_minutes, NULL, NULL, "
        "audit_id FROM entries WHERE id = 1",
    )
    says = "was added, or belongs to another line: the line that it names does not tell of it."
    assert await fault(whole) == f"Entry 77 {says}"


async def test_the_first_of_several_harms_is_named(whole):
    harm(whole, "UPDATE audit SET reason = 'x' WHERE id = 6", "DELETE FROM audit WHERE id = 9",
         "UPDATE entries SET score = 0")  # fmt: skip
    assert await fault(whole) == "Line 6 was changed."


async def test_a_trail_written_anew_is_whole_in_itself_and_found_by_a_kept_head(whole):
    kept = await trail_head(whole)
    with sqlite3.connect(whole.url.database) as raw:
        raw.execute("DROP TRIGGER audit_no_update")
        raw.row_factory = sqlite3.Row
        raw.execute("UPDATE audit SET reason = 'nicer' WHERE id = 7")
        before = chain.BEFORE_ALL
        for line in raw.execute("SELECT * FROM audit ORDER BY id").fetchall():
            before = chain.link(before, line["id"], chain.digest_of(chain.line_content(dict(line))))
            raw.execute("UPDATE audit SET sha256 = ? WHERE id = ?", (before, line["id"]))
    raw.close()
    assert await fault(whole) is None
    says = await fault(whole, kept) or ""
    assert says.startswith(f"Line {kept.lines} is not the one that was the last when the head was kept")
    assert await fault(whole, Head(kept.lines, kept.sha256[:16])) == says


async def test_erasure_leaves_the_trail_whole(stage):
    amina = await lived(stage)
    kept = await trail_head(stage.db)
    for status in (PatientStatus.WITHDRAWN,):
        await change_status(
            stage.db, patient_id=amina.id, status=status, actor=SYSTEM, reason="asked for", now=LATER
        )
    await erase_patient(stage.db, code="P-001", actor=SYSTEM, reason="asked for", now=LATER)
    assert one(stage.db, "SELECT count(*) FROM contacts") == 0
    assert await fault(stage.db, kept) is None


async def test_writers_one_after_the_other_keep_one_chain(stage, monkeypatch):
    monkeypatch.setattr(chain, "LINES_AT_ONCE", 7)
    patients = [await stage.joined(f"P-{n:03}", chat=5000 + n) for n in range(1, 6)]
    slots = [await stage.first_slot(patient) for patient in patients]
    await asyncio.gather(
        *(
            answer_later(stage.db, patient_id=patient.id, slot_id=slot, now=cairo("2026-11-24 20:00"))
            for patient, slot in zip(patients * 6, slots * 6, strict=True)
        )
    )
    found = await verify_trail(stage.db)
    assert (found.fault, found.head.lines > 40) == (None, True)


async def test_two_processes_that_write_in_turn_keep_one_chain(stage):
    amina = await stage.joined()
    slot = await stage.first_slot(amina)
    other = Database(f"sqlite:///{stage.db.url.database}", stage.db.keys)
    await other.open()
    try:
        for db in (stage.db, other) * 10:
            await answer_later(db, patient_id=amina.id, slot_id=slot, now=cairo("2026-11-24 20:00"))
        assert (await verify_trail(other)).fault is None
        assert await trail_head(stage.db) == await trail_head(other)
    finally:
        await other.close()


async def test_the_chain_can_be_made_from_the_written_rule_alone(whole):
    """By hand, as whoever reads storage/chain.py would in another language."""
    before = "0" * 64
    with sqlite3.connect(whole.url.database) as raw:
        raw.row_factory = sqlite3.Row
        for line in raw.execute("SELECT * FROM audit ORDER BY id").fetchall():
            kept = {name: line[name] for name in sorted(line.keys()) if line[name] is not None}
            del kept["id"], kept["sha256"]
            content = (
                "{"
                + ",".join(f"{json.dumps(k)}:{json.dumps(v, ensure_ascii=False)}" for k, v in kept.items())
                + "}"
            )
            inner = hashlib.sha256(content.encode()).hexdigest()
            before = hashlib.sha256(f"{before}\n{line['id']}\n{inner}".encode("ascii")).hexdigest()
            assert before == line["sha256"]
    raw.close()


@pytest.mark.parametrize("text", ["", "12", "12:", "12:abc", f"x:{'0' * 64}", f"12:{'g' * 64}", f"12:{'0' * 65}"])
def test_what_is_no_head_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(WrongCallError, match="is no head of a trail; write the number of lines"):
        Head.read(text)


def test_a_head_is_read_as_it_stands_on_a_phone():
    assert Head.read("1,234:3f9a 22b1 0000 ABCD") == Head(1234, "3f9a22b10000abcd")
