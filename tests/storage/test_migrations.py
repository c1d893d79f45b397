import sqlite3

import pytest
from alembic import command

from diary import SYSTEM, Database, Keys
from diary.answers import Arrival
from diary.notes import keep_note, pass_note_on
from protocol.errors import SchemaError
from storage.audit import Audit, write_audit
from storage.database import _alembic
from tests.cast import T0, Stage
from tests.conftest import KEY


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


async def test_a_running_trial_of_the_first_form_keeps_every_row(tmp_path):
    """A trial is made by today's verbs, taken back to the tables of the first form, and brought up again."""
    today = Database(f"sqlite:///{tmp_path / 'today.db'}", Keys([KEY]))
    await today.open(schema_checked=False)
    await today.migrate()
    stage = Stage(today)
    await stage.set_up()
    amina = await stage.joined()
    await stage.nurse()
    await passed_on(today, amina.id)
    await today.close()

    old_path = tmp_path / "old.db"
    old = Database(f"sqlite:///{old_path}", Keys([KEY]))
    await old.open(schema_checked=False)
    async with old.write() as conn:
        await conn.run_sync(_to("0001"))
    await old.close()
    with sqlite3.connect(old_path) as raw:
        raw.execute("ATTACH ? AS today", (str(tmp_path / "today.db"),))
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in (name for name in names if name != "alembic_version" and not name.startswith("sqlite_")):
            columns = ", ".join(f'"{row[1]}"' for row in raw.execute(f"PRAGMA table_info({name})"))
            raw.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM today.{name}")
    raw.close()
    kept = ("audit", "slots", "consents", "contacts", "invites", "patient_phases")
    before = rows(old_path, *kept)
    assert len(before["slots"]) > 100

    again = Database(f"sqlite:///{old_path}", Keys([KEY]))
    await again.open(schema_checked=False)
    await again.migrate()
    await again.close()
    assert rows(old_path, *kept) == before
    assert [(row[3], row[-1]) for row in rows(old_path, "notes")["notes"]] == [
        ("unread", "side-effect"), ("note", "note"), ("unread", None),
    ]  # fmt: skip
    assert [row[-2:] for row in rows(old_path, "staff")["staff"]] == [(0, None)]


async def test_codes_that_differ_only_by_case_are_named_before_anything_is_changed(tmp_path):
    path = tmp_path / "old.db"
    old = Database(f"sqlite:///{path}", Keys([KEY]))
    await old.open(schema_checked=False)
    async with old.write() as conn:
        await conn.run_sync(_to("0001"))
        await write_audit(conn, Audit(T0, SYSTEM, "add site"))
        for code in ("cairo-1", "Cairo-1"):
            values = f"'{code}', '', '', 1"
            await conn.exec_driver_sql(f"INSERT INTO sites (code, name, timezone, audit_id) VALUES ({values})")
    with pytest.raises(SchemaError, match=r"Cairo-1 and cairo-1 of the table sites .* rename one of them"):
        await old.migrate()
    await old.close()
    assert rows(path, "alembic_version") == {"alembic_version": [("0001",)]}
