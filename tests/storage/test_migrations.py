import sqlite3

from alembic import command

from diary import Database, Keys
from storage.database import _alembic
from tests.cast import Stage
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


async def test_a_running_trial_of_the_first_form_keeps_every_row(tmp_path):
    """A trial is made by today's verbs, taken back to the tables of the first form, and brought up again."""
    today = Database(f"sqlite:///{tmp_path / 'today.db'}", Keys([KEY]))
    await today.open(schema_checked=False)
    await today.migrate()
    stage = Stage(today)
    await stage.set_up()
    await stage.joined()
    await stage.nurse()
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
    assert [row[-2:] for row in rows(old_path, "staff")["staff"]] == [(0, None)]
