import asyncio
import re
import sqlite3
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from diary import SYSTEM, Database, Keys
from diary.arrivals import keep, unfinished
from protocol.errors import SchemaError, SettingsError
from storage import database
from storage.audit import Audit, write_audit
from storage.columns import Instant, Json, LocalDate, WallTime
from storage.database import wal_is_safe
from tests.cast import AMINA_CHAT, BOT, NOUR_CHAT, T0, Stage
from tests.conftest import KEY

LITE, PG = sqlite.dialect(), postgresql.dialect()


def opened(path, *, schema_checked=True):
    return Database(f"sqlite:///{path}", Keys([KEY])).open(schema_checked=schema_checked)


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 9), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_the_versions_whose_wal_can_be_trusted(version, safe):
    assert wal_is_safe(version) is safe


async def test_the_running_database_loses_nothing_at_a_power_cut(db):
    found = await db.pragmas()
    assert found["synchronous"] >= 2  # FULL
    assert found["foreign_keys"] == 1
    wal = wal_is_safe(sqlite3.sqlite_version_info[:3])
    assert found["journal_mode"] == ("wal" if wal else "delete")
    assert found["synchronous"] == (2 if wal else 3)


@pytest.mark.parametrize(("safe", "kept"), [(True, ("wal", 2)), (False, ("delete", 3))])
async def test_the_version_decides_about_the_journal(template, tmp_path, monkeypatch, safe, kept):
    monkeypatch.setattr(database, "wal_is_safe", lambda _: safe)
    path = tmp_path / "daybook.db"
    path.write_bytes(template.read_bytes())
    db = Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open()
    found = await db.pragmas()
    await db.close()
    assert (found["journal_mode"], found["synchronous"]) == kept


async def test_an_empty_database_is_refused_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(SchemaError, match="is empty; make it with `daybook init`"):
        await opened(tmp_path / "new.db")


async def test_another_form_is_refused_with_the_command_that_mends_it(template, tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(template.read_bytes())
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    raw.close()
    with pytest.raises(SchemaError, match=r"has the form 0000.*back it up and run `daybook migrate`"):
        await opened(path)


async def test_a_form_nobody_knows_is_not_migrated(template, tmp_path):
    path = tmp_path / "newer.db"
    path.write_bytes(template.read_bytes())
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    db = Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open(schema_checked=False)
    with pytest.raises(SchemaError, match=r"9999.*newer Daybook"):
        await db.migrate()
    await db.close()


async def test_migrating_twice_is_migrating_once(db):
    assert await db.migrate() == await db.migrate()


async def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path):
    path = tmp_path / "daybook.db"
    path.write_text("This is a shopping list and no database at all. " * 50)
    with pytest.raises(SettingsError, match=r"cannot be used .*name another file with DAYBOOK_DATABASE_URL"):
        await opened(path)


async def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"folder .* cannot be made"):
        await opened(tmp_path / "file" / "daybook.db")


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", ""])
def test_an_address_that_names_no_file_is_refused_in_a_sentence(url):
    with pytest.raises(SettingsError, match="DAYBOOK_DATABASE_URL"):
        Database(url, Keys([KEY]))


async def test_a_database_that_is_closed_says_so(db):
    await db.close()
    with pytest.raises(SettingsError, match="not open"):
        async with db.write():
            pass


async def test_writers_at_once_wait_for_one_another(db):
    async def one(n):
        async with db.write() as conn:
            await write_audit(conn, Audit(T0, SYSTEM, f"writer {n}"))

    await asyncio.gather(*(one(n) for n in range(30)))
    async with db.read() as conn:
        count = (await conn.exec_driver_sql("SELECT count(DISTINCT verb) FROM audit")).scalar_one()
    assert count == 30


async def test_nobody_reads_a_chat_id_in_the_database_file(stage: Stage, tmp_path):
    await stage.joined()
    await stage.nurse()
    body = b'{"update_id": 1, "message": {"chat": {"id": 1001}, "from": {"first_name": "Amina"}, "text": "secret"}}'
    await keep(stage.db, bot_id=BOT, updates=[(1, body), (None, b"not even JSON 1001")], now=T0)
    assert [waiting.body for waiting in await unfinished(stage.db)] == [body, b"not even JSON 1001"]

    secrets = [str(AMINA_CHAT), str(NOUR_CHAT), "first_name", "secret", stage.invites["P-001"]]
    with sqlite3.connect(tmp_path / "daybook.db") as raw:
        # Without what is sealed, whose bytes in hex hold any four digits now and then.
        dump = re.sub(r"X'[0-9A-F]*'", "", "\n".join(raw.iterdump()))
    raw.close()
    files = b"".join(path.read_bytes() for path in tmp_path.glob("daybook.db*"))
    assert [secret for secret in secrets if secret.encode() in files] == []
    assert [secret for secret in secrets if secret in dump] == []


# --- column types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 24, 18, 0, tzinfo=UTC),
        datetime(2026, 11, 24, 20, 0, 0, 1, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 11, 24, 20, 0, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    ],
)
def test_an_instant_comes_back_as_it_went_in_and_aware(at):
    kept = Instant().process_bind_param(at, LITE)
    back = Instant().process_result_value(kept, LITE)
    assert (back, back.utcoffset()) == (at, timedelta())
    assert Instant().process_bind_param(at, PG) == at


def test_a_naive_time_is_refused():
    for dialect in (LITE, PG):
        with pytest.raises(ValueError, match="needs a time zone"):
            Instant().process_bind_param(datetime(2026, 11, 24, 18, 0), dialect)  # noqa: DTZ001


def test_instants_sort_as_their_texts_do():
    start = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    ordered = [start + timedelta(microseconds=n) for n in (-1_000_000, -1, 0, 1, 2, 1_000_001)]
    kept = [Instant().process_bind_param(at, LITE) for at in ordered]
    assert kept == sorted(kept)
    assert {len(each) for each in kept} == {27}


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        (LocalDate(), date(2026, 11, 24), "2026-11-24"),
        (WallTime(), time(9, 5), "09:05"),
        (Json(), {"b": 1, "a": "٧"}, '{"a":"٧","b":1}'),
        (Instant(), None, None),
        (LocalDate(), None, None),
        (WallTime(), None, None),
        (Json(), None, None),
    ],
)
def test_a_value_comes_back_as_it_went_in(column, value, kept):
    assert column.process_bind_param(value, LITE) == kept
    assert column.process_result_value(kept, LITE) == value
