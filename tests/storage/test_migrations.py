import sqlite3

import pytest
from alembic import command

from diary import SYSTEM, Database, Keys
from diary.answers import Arrival
from diary.notes import keep_note, pass_note_on
from diary.visits import record_visit
from protocol.errors import SchemaError
from storage.database import _alembic
from tests.cast import START, T0, Stage, cairo
from tests.conftest import KEY

LATER = cairo("2026-11-27 12:00")


def _to(revision):
    def run(connection):
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    return run


def rows(path, *tables):
    with sqlite3.connect(path) as raw:
        found = {table: raw.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables}
    raw.close()
    return found


async def passed_on(db, patient_id):
    """A text passed on as a side effect, a note, and a text that stays with the patient."""
    notes = [
        await keep_note(
            db, patient_id=patient_id, kind=kind, text=kind, arrival=Arrival("text", T0), key=f"m:{n}", now=T0
        )
        for n, kind in enumerate(("unread", "note", "unread"))
    ]
    await pass_note_on(db, patient_id=patient_id, note_id=notes[0].note_id, side_effect=True, now=T0)


async def baseline(db):
    """A visit, and its correction."""
    held, reason = None, None
    for lanss in (14, 15):
        saved = await record_visit(
            db, code="P-001", visit="baseline", held_on=START, supersedes=held, reason=reason, actor=SYSTEM,
            measured={"lanss": lanss, "nrs": 6}, meant=["unlikely"], now=LATER,
        )  # fmt: skip
        held, reason = saved.id, "misread"


async def brought_up(tmp_path, revision, live):
    """A trial made by today's verbs, taken back to an earlier form's tables, and brought up again: both files."""
    today_path, old_path = tmp_path / "today.db", tmp_path / "old.db"
    today = Database(f"sqlite:///{today_path}", Keys([KEY]))
    await today.open(schema_checked=False)
    await today.migrate()
    stage = Stage(today)
    await stage.set_up()
    await live(stage)
    await today.close()

    old = Database(f"sqlite:///{old_path}", Keys([KEY]))
    await old.open(schema_checked=False)
    async with old.write() as conn:
        await conn.run_sync(_to(revision))
    await old.close()
    with sqlite3.connect(old_path) as raw:
        raw.execute("ATTACH ? AS today", (str(today_path),))
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in (name for name in names if name != "alembic_version" and not name.startswith("sqlite_")):
            columns = ", ".join(f'"{row[1]}"' for row in raw.execute(f"PRAGMA table_info({name})"))
            raw.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM today.{name}")
    raw.close()

    again = Database(f"sqlite:///{old_path}", Keys([KEY]))
    await again.open(schema_checked=False)
    await again.migrate()
    await again.close()
    return today_path, old_path


async def test_a_running_trial_of_the_first_form_keeps_every_row(tmp_path):
    async def live(stage):
        amina = await stage.joined()
        await stage.nurse()
        await passed_on(stage.db, amina.id)

    today, old = await brought_up(tmp_path, "0001", live)
    kept = ("audit", "slots", "consents", "contacts", "invites", "patient_phases")
    before = rows(today, *kept)
    assert len(before["slots"]) > 100
    assert rows(old, *kept) == before
    assert [(row[3], row[-1]) for row in rows(old, "notes")["notes"]] == [
        ("unread", "side-effect"), ("note", "note"), ("unread", None),
    ]  # fmt: skip
    assert [row[-2:] for row in rows(old, "staff")["staff"]] == [(0, None)]


async def test_the_chain_made_of_old_rows_is_the_one_the_verbs_made_and_lines_stay_unchanged(tmp_path):
    async def live(stage):
        amina = await stage.lived()
        await baseline(stage.db)
        await passed_on(stage.db, amina.id)

    today, old = await brought_up(tmp_path, "0008", live)
    found = rows(old, "audit")["audit"]
    assert found == rows(today, "audit")["audit"]
    assert [line[8] for line in found if line[8]] == [
        "entries", "entries", "entries", "visits", "visits", "notes", "notes", "notes", "notes",
    ]  # fmt: skip
    with sqlite3.connect(old) as raw, pytest.raises(sqlite3.IntegrityError, match="audit only grows"):
        raw.execute("UPDATE audit SET verb = 'other'")
    raw.close()


async def test_codes_that_differ_only_by_case_are_named_before_anything_is_changed(tmp_path):
    path = tmp_path / "old.db"
    old = Database(f"sqlite:///{path}", Keys([KEY]))
    await old.open(schema_checked=False)
    async with old.write() as conn:
        await conn.run_sync(_to("0001"))
        await conn.exec_driver_sql("INSERT INTO audit (at, actor, verb, details) VALUES ('', 'system', '', '{}')")
        for code in ("cairo-1", "Cairo-1"):
            values = f"'{code}', '', '', 1"
            await conn.exec_driver_sql(f"INSERT INTO sites (code, name, timezone, audit_id) VALUES ({values})")
    with pytest.raises(SchemaError, match=r"Cairo-1 and cairo-1 of the table sites .* rename one of them"):
        await old.migrate()
    await old.close()
    assert rows(path, "alembic_version") == {"alembic_version": [("0001",)]}
