"""Backups of a database that is written to all the while: each is restored and reconciled here once more."""

import asyncio
import random
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from diary.answers import Arrival
from diary.backups import back_up, last_proven_at
from diary.notes import keep_note
from protocol.errors import BackupError, NotProvenError
from storage import backups, database, proofs, tables
from storage.restoring import restore_from
from storage.scratch import scratch_folder
from storage.sealing import Keys, new_secret_key
from tests.cast import AMINA_CHAT, T0, Stage
from tests.conftest import KEY

WORDS = "a burning pain below the knee"


def clock():
    return T0


async def writes(stage, patient, acknowledged, stop):
    while not stop.is_set():
        number = len(acknowledged)
        kept = await keep_note(
            stage.db, patient_id=patient.id, kind="note", text=f"{WORDS} {number}",
            arrival=Arrival("text", T0), key=f"k:{number}", now=T0,
        )  # fmt: skip
        acknowledged.append(kept.note_id)
        await asyncio.sleep(0)


def counts(path):
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: raw.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def note_ids(path):
    with closing(sqlite3.connect(path)) as raw:
        return {row[0] for row in raw.execute("SELECT id FROM notes")}


def leavings(folder):
    """What lies in a folder beside a database, its journals and backups."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("wal", [False, True], ids=["rollback journal", "write-ahead log"])
async def test_twenty_backups_under_writes_miss_nothing_acknowledged_before_each_began(
    template, tmp_path, monkeypatch, wal
):
    monkeypatch.setattr(database, "wal_is_safe", lambda _: wal)
    path = tmp_path / "daybook.db"
    path.write_bytes(template.read_bytes())
    db = database.Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open()
    stage = Stage(db)
    await stage.set_up()
    amina = await stage.joined()
    # More than one step of the copy, so that commits fall between two of them.
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE filling (x BLOB)")
        raw.executemany("INSERT INTO filling VALUES (zeroblob(?))", [(1 << 20,)] * 12)
        raw.commit()
    acknowledged, stop = [], asyncio.Event()
    writing = asyncio.create_task(writes(stage, amina, acknowledged, stop))
    written_meanwhile = 0
    for number in range(20):
        before = set(acknowledged)
        file = tmp_path / f"{number}.backup"
        made = await back_up(db, file, clock=clock)
        written_meanwhile += len(acknowledged) - len(before)
        restored = restore_from(file, tmp_path / f"{number}.db", db.keys, over=False, now=T0)
        found = counts(tmp_path / f"{number}.db")
        assert before <= note_ids(tmp_path / f"{number}.db")
        assert found == restored.contents.rows
        assert sum(found.values()) == made.rows
        assert found["backups"] == number
        (tmp_path / f"{number}.db").unlink()
        file.unlink()
    stop.set()
    await writing
    await db.close()
    assert written_meanwhile > 20
    assert leavings(tmp_path) == []


async def test_a_backup_tells_what_it_proved_and_when_and_stands_in_the_trail(stage, tmp_path):
    assert await last_proven_at(stage.db) is None
    made = await back_up(stage.db, tmp_path / "a.backup", clock=clock)
    assert await last_proven_at(stage.db) == T0
    assert made.bytes == made.file.stat().st_size
    assert made.file.stat().st_mode & 0o777 == 0o600
    async with stage.db.read() as conn:
        [row] = await conn.execute(select(tables.backups))
        verbs = (await conn.execute(select(tables.audit.c.verb))).scalars().all()
    assert (row.name, row.row_count, row.byte_count, row.sha256) == ("a.backup", made.rows, made.bytes, made.sha256)
    assert verbs[-1] == "back up"


async def test_nothing_a_patient_wrote_and_no_chat_can_be_read_in_a_backup_or_is_left_beside_it(stage, tmp_path):
    amina = await stage.joined()
    stop, kept = asyncio.Event(), []
    writing = asyncio.create_task(writes(stage, amina, kept, stop))
    await asyncio.sleep(0.1)
    stop.set()
    await writing
    assert kept
    assert WORDS.encode() in (tmp_path / "daybook.db").read_bytes()
    (tmp_path / "kept").mkdir()
    file = tmp_path / "kept" / "a.backup"
    await back_up(stage.db, file, clock=clock)
    sealed = file.read_bytes()
    for plain in (WORDS, "P-001", "SQLite format 3", "main", "magnesium", str(AMINA_CHAT)):
        assert plain.encode() not in sealed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daybook.db", "kept"]
    assert [path.name for path in file.parent.iterdir()] == ["a.backup"]


@pytest.mark.parametrize(
    "at", ["_copy", "contents_of", "seal_into", "unsealed", "prove", "_take_name", "sync_folder", "scratch_folder"]
)
async def test_a_disk_that_fails_at_any_step_leaves_nothing_under_the_name_and_nothing_plain(
    stage, tmp_path, monkeypatch, at
):
    await stage.joined()
    (tmp_path / "kept").mkdir()
    really = getattr(backups, at)

    def fails(*arguments, **named):
        if at in {"_copy", "seal_into", "unsealed"}:  # what is half written then is there
            really(*arguments, **named)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, at, fails)
    with pytest.raises(BackupError, match="No space left on device"):
        await back_up(stage.db, tmp_path / "kept" / "a.backup", clock=clock)
    # A name that could not be made to last is the one thing that stays: the file under it was proven.
    left = ["a.backup"] if at == "sync_folder" else []
    assert [path.name for path in (tmp_path / "kept").iterdir()] == left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daybook.db", "kept"]
    assert await last_proven_at(stage.db) is None


async def test_a_target_folder_that_takes_nothing_is_said_before_anything_is_copied(stage, monkeypatch):
    copied = []
    monkeypatch.setattr(backups, "_copy", lambda *_: copied.append(1))
    with pytest.raises(BackupError, match=r"cannot be written .*see to its folder"):
        await back_up(stage.db, Path("/proc/a.backup"), clock=clock)  # where even root makes no file
    assert copied == []


def altered(statement):
    def change(path):
        with closing(sqlite3.connect(path)) as raw:
            raw.execute(statement)
            raw.commit()

    return change


def overwritten(path):
    body = bytearray(path.read_bytes())
    for page in range(20, 60):
        body[page * 4096 + 100 : page * 4096 + 900] = b"\xff" * 800
    path.write_bytes(body)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (altered("DELETE FROM patient_zones"), "the rows of patient_zones are not as many"),
        (altered("UPDATE alembic_version SET version_num = '0001'"), "its form is not the"),
        (altered("UPDATE patients SET site_id = 77"), "a row points at one that is not there"),
        (altered("UPDATE key_check SET sealed = x'00112233'"), "does not open the contacts"),
        (overwritten, "integrity check found damage|cannot read"),
    ],
)
async def test_what_does_not_come_back_as_it_was_is_kept_under_a_name_that_says_so(
    stage, tmp_path, monkeypatch, harm, why
):
    await stage.joined()
    really = backups.unsealed

    def comes_back_harmed(source, keys, into, go_on):
        said = really(source, keys, into, go_on)
        harm(into)
        return said

    monkeypatch.setattr(backups, "unsealed", comes_back_harmed)
    with pytest.raises(NotProvenError, match=why):
        await back_up(stage.db, tmp_path / "a.backup", clock=clock)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.backup.not-proven", "daybook.db"]
    assert await last_proven_at(stage.db) is None


async def test_a_file_that_the_disk_gives_back_altered_is_not_proven(stage, tmp_path, monkeypatch):
    really = backups.seal_into

    def spoilt(target, pieces, keys):
        really(target, pieces, keys)
        target.seek(-100, 2)
        target.write(b"\0\0\0\0")

    monkeypatch.setattr(backups, "seal_into", spoilt)
    with pytest.raises(NotProvenError, match="it cannot be opened again"):
        await back_up(stage.db, tmp_path / "a.backup", clock=clock)
    assert not (tmp_path / "a.backup").exists()


def test_every_proof_is_called_on():
    assert {proof.__name__ for proof in proofs.PROOFS} == {
        "_whole", "_points_at_what_is_there", "_of_that_form", "_as_many_rows", "_opened_by_these_keys",
    }  # fmt: skip


async def test_a_backup_never_takes_another_files_place(stage, tmp_path):
    file = tmp_path / "a.backup"
    file.write_bytes(b"mine")
    with pytest.raises(BackupError, match="is there already"):
        await back_up(stage.db, file, clock=clock)
    assert file.read_bytes() == b"mine"


async def test_whoever_breaks_a_backup_off_leaves_nothing_behind(stage, tmp_path, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    really = backups.seal_into

    def slow(target, pieces, keys):
        begun.set()
        assert go.wait(10)
        really(target, pieces, keys)

    monkeypatch.setattr(backups, "seal_into", slow)
    task = asyncio.create_task(back_up(stage.db, tmp_path / "a.backup", clock=clock))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    go.set()
    async with asyncio.timeout(10):
        while len(list(tmp_path.iterdir())) > 1:  # noqa: ASYNC110 - the thread tells nobody any more
            await asyncio.sleep(0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["daybook.db"]


async def test_the_copy_is_made_while_quiet_is_held_and_the_proof_is_not(stage, tmp_path, monkeypatch):
    quiet, seen = asyncio.Lock(), {}
    for name in ("_copy", "prove"):
        really = getattr(backups, name)

        def looks(*arguments, really=really, name=name):
            seen[name] = quiet.locked()
            return really(*arguments)

        monkeypatch.setattr(backups, name, looks)
    slowly = backups.seal_into

    def seals_when_let_go(*arguments):
        for _ in range(1000):
            if not quiet.locked():
                break
            threading.Event().wait(0.005)
        slowly(*arguments)

    monkeypatch.setattr(backups, "seal_into", seals_when_let_go)
    await back_up(stage.db, tmp_path / "a.backup", clock=clock, quiet=quiet)
    assert seen == {"_copy": True, "prove": False}


@pytest.mark.skipif(
    database.wal_is_safe(sqlite3.sqlite_version_info[:3]), reason="with a write-ahead log nobody locks a reader out"
)
async def test_a_copy_that_another_program_locks_out_is_given_up_and_says_so(stage, tmp_path, monkeypatch):
    """Locked when the copy has begun: before that SQLite waits by itself and then says so."""
    monkeypatch.setattr(backups, "_WAITS_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "daybook.db", isolation_level=None, check_same_thread=False)
    really = backups._copied_in_steps

    def locked(*arguments):
        other.execute("BEGIN EXCLUSIVE")
        return really(*arguments)

    monkeypatch.setattr(backups, "_copied_in_steps", locked)
    with pytest.raises(BackupError, match="locked by another program"):
        await back_up(stage.db, tmp_path / "a.backup", clock=clock)
    other.execute("ROLLBACK")
    other.close()
    assert [path.name for path in tmp_path.iterdir()] == ["daybook.db"]


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(tmp_path):
    left = tmp_path / ".daybook-scratch-old"
    left.mkdir()
    (left / "copy.db").write_bytes(b"plain")
    database = tmp_path / "daybook.db"
    with scratch_folder(database) as one:
        assert not left.exists()
        assert one.stat().st_mode & 0o777 == 0o700
        with scratch_folder(database) as other:
            assert one.exists()
            assert one != other
        assert one.exists()
        assert not other.exists()
    assert list(tmp_path.iterdir()) == []


async def test_no_single_bit_that_changed_makes_a_database(stage, tmp_path):
    await stage.joined()
    file = tmp_path / "a.backup"
    await back_up(stage.db, file, clock=clock)
    whole, drawn = file.read_bytes(), random.Random(7)
    for _ in range(60):
        body = bytearray(whole)
        body[drawn.randrange(len(body))] ^= 1 << drawn.randrange(8)
        file.write_bytes(body)
        with pytest.raises(BackupError):
            restore_from(file, tmp_path / "new.db", stage.db.keys, over=False, now=T0)
        assert not (tmp_path / "new.db").exists()
    file.write_bytes(whole)
    assert restore_from(file, tmp_path / "new.db", stage.db.keys, over=False, now=T0).current
    assert leavings(tmp_path) == []


async def test_a_backup_is_opened_by_its_key_though_a_newer_one_is_in_use(stage, tmp_path):
    file, newer = tmp_path / "a.backup", new_secret_key()
    await back_up(stage.db, file, clock=clock)
    restore_from(file, tmp_path / "new.db", Keys([newer, KEY]), over=False, now=T0)
    with pytest.raises(BackupError, match="a key that DAYBOOK_SECRET_KEY does not hold"):
        restore_from(file, tmp_path / "none.db", Keys([newer]), over=False, now=T0)
    assert not (tmp_path / "none.db").exists()
