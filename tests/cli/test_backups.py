"""`daybook backup` and `daybook restore` as they are called, and what doctor and health say of backups."""

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from cli.wiring import clock
from diary.service import beat
from storage.sealing import new_secret_key
from tests.cast import T0
from tests.cli.conftest import Shell
from tests.cli.test_doctor import findings
from tests.conftest import KEY

ALTERED, FOREIGN = "cut or altered", "no backup that this Daybook can read"
DAYBOOK = Path(sys.executable).with_name("daybook")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def data(shell: Shell):
    return shell.folder / "data"


@pytest.fixture
def backed_up(shell: Shell):
    shell.behind(lambda stage: stage.joined())
    assert shell("backup", "a.backup").code == 0
    return shell.folder / "a.backup"


def test_a_backup_says_in_one_sentence_what_was_proven(shell: Shell):
    said = shell("backup", "a.backup")
    body = (shell.folder / "a.backup").read_bytes()
    assert (said.code, said.err, said.out.count("\n")) == (0, "", 1)
    assert said.out.startswith("a.backup is proven: read back, restored on the side, found whole")
    assert f"{len(body)} bytes, sha256 {sha256(body).hexdigest()}" in said.out


def test_a_backup_tells_a_program_the_same(shell: Shell):
    found = shell("backup", "a.backup", "--json").json
    body = (shell.folder / "a.backup").read_bytes()
    assert (found["file"], found["bytes"], found["sha256"]) == ("a.backup", len(body), sha256(body).hexdigest())
    assert found["rows"] > 5
    assert set(found) == {"file", "rows", "bytes", "sha256", "seconds"}


def test_a_backup_does_not_write_over_a_file(shell: Shell, backed_up):
    before = backed_up.read_bytes()
    shell("backup", "a.backup").refuses("a.backup is there already", "choose another name")
    assert backed_up.read_bytes() == before


def test_a_folder_that_is_not_there_is_not_made(shell: Shell, data):
    shell("backup", "disk/a.backup").refuses("disk/a.backup cannot be written", "No such file or directory")
    assert files(shell.folder) == ["data"]
    assert files(data) == ["daybook.db"]


def test_without_a_database_there_is_nothing_to_back_up(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", KEY)
    empty("backup", "a.backup").refuses("There is no database", "daybook init")


@pytest.mark.parametrize("room", [-100_000, 10])
def test_a_disk_without_room_for_copy_or_file_leaves_nothing(shell: Shell, data, room):
    """The kernel refuses to let any file grow beyond a size; the sealed file is some bytes larger than the copy."""
    most = (data / "daybook.db").stat().st_size + room

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        [DAYBOOK, "backup", "a.backup"], cwd=shell.folder, env=os.environ, preexec_fn=limited,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "free space" in done.stderr
    assert files(shell.folder) == ["data"]
    assert files(data) == ["daybook.db"]


def test_a_restored_diary_goes_on_and_says_in_its_trail_where_it_is_from(shell: Shell, data, backed_up):
    (data / "daybook.db").unlink()
    data.rmdir()
    said = shell("restore", "a.backup")
    assert (said.code, said.err) == (0, "")
    assert "all there" in said.out
    assert [one["code"] for one in shell("patient", "list", "--json").json] == ["P-001"]
    assert (data / "daybook.db").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(data / "daybook.db")) as raw:
        [last] = raw.execute("SELECT verb, details FROM audit ORDER BY id DESC LIMIT 1")
    assert last == ("restore", '{"began":"2026-11-23T08:00:00+00:00"}')


def test_a_database_that_is_there_is_not_touched_unless_over_is_said(shell: Shell, data, backed_up):
    before = (data / "daybook.db").read_bytes()
    shell("restore", "a.backup").refuses("daybook.db is there already", "--over")
    assert (data / "daybook.db").read_bytes() == before
    said = shell("restore", "a.backup", "--over")
    assert said.code == 0
    aside = "daybook.db.before-20261123T080000Z"
    assert aside in said.out
    assert files(data) == ["daybook.db", aside]
    assert (data / aside).read_bytes() == before


def test_a_journal_that_lies_alone_is_no_free_place(shell: Shell, data, backed_up):
    (data / "daybook.db").unlink()
    (data / "daybook.db-journal").write_bytes(b"of another database")
    shell("restore", "a.backup").refuses("daybook.db-journal is there already")
    assert shell("restore", "a.backup", "--over").code == 0
    assert files(data) == ["daybook.db", "daybook.db.before-20261123T080000Z-journal"]
    assert shell("patient", "show", "P-001").code == 0


def test_a_damaged_database_is_moved_aside_as_it_is(shell: Shell, data, backed_up):
    (data / "daybook.db").write_bytes(b"noise" * 1000)
    assert shell("restore", "a.backup", "--over").code == 0
    assert (data / "daybook.db.before-20261123T080000Z").read_bytes() == b"noise" * 1000


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda body: body[:-1], ALTERED),
        (lambda body: body[:70_000], ALTERED),
        (lambda body: body[:20], ALTERED),
        (lambda body: body + b"x", ALTERED),
        (lambda body: body[:5000] + b"\0\0\0" + body[5003:], ALTERED),
        (lambda body: body[:15] + b"\x09" + body[16:], FOREIGN),
        (lambda _: b"PK\x03\x04 something else", FOREIGN),
        (lambda _: b"", FOREIGN),
    ],
)
def test_a_file_that_is_not_whole_makes_nothing_and_moves_nothing(shell: Shell, data, backed_up, damage, words):
    backed_up.write_bytes(damage(backed_up.read_bytes()))
    before = (data / "daybook.db").read_bytes()
    shell("restore", "a.backup", "--over").refuses("a.backup", words)
    assert files(data) == ["daybook.db"]
    assert (data / "daybook.db").read_bytes() == before
    (data / "daybook.db").unlink()
    shell("restore", "a.backup").refuses("a.backup", words)
    assert files(data) == []


def test_a_file_that_is_not_there_or_a_folder_is_said(shell: Shell, data):
    (data / "daybook.db").unlink()
    shell("restore", "no.backup").refuses("no.backup cannot be read", "No such file")
    shell("restore", "data").refuses("data cannot be read", "Is a directory")


def test_a_wrong_key_is_refused_and_an_old_one_second_in_the_list_still_restores(
    shell: Shell, data, backed_up, monkeypatch
):
    newer = new_secret_key()
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", newer)
    shell("restore", "a.backup", "--over").refuses("a key that DAYBOOK_SECRET_KEY does not hold; add that key")
    assert files(data) == ["daybook.db"]
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", f"{newer},{KEY}")
    assert shell("restore", "a.backup", "--over").code == 0
    assert shell("backup", "b.backup").code == 0
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", KEY)
    shell("restore", "b.backup", "--over").refuses("does not hold")


def at_form(shell, monkeypatch, revision, name):
    """A backup made by a Daybook of another form."""
    with closing(sqlite3.connect(shell.folder / "data" / "daybook.db")) as raw:
        [(today,)] = raw.execute("SELECT version_num FROM alembic_version")
        raw.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        raw.commit()
    with monkeypatch.context() as other:
        other.setattr("storage.database._head", lambda: revision)
        assert shell("backup", name).code == 0
    return today


def test_a_backup_of_a_newer_daybook_is_refused(shell: Shell, data, monkeypatch):
    at_form(shell, monkeypatch, "9999", "new.backup")
    shell("restore", "new.backup", "--over").refuses(
        "made by a newer Daybook (form 9999)", "restore it with that one"
    )
    assert files(data) == ["daybook.db"]


def test_a_backup_of_an_older_daybook_is_restored_and_says_to_migrate(shell: Shell, data, monkeypatch):
    at_form(shell, monkeypatch, "0008", "old.backup")
    said = shell("restore", "old.backup", "--over")
    assert said.code == 0
    assert "It has an older form; run `daybook migrate`" in said.out
    shell("patient", "list").refuses("has the form 0008", "daybook migrate")


def test_a_database_that_a_service_works_with_is_left_to_it(shell: Shell, data, backed_up, monkeypatch):
    shell.behind(lambda stage: beat(stage.db, "serve", now=T0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("DAYBOOK_WEB_PORT", str(taken.getsockname()[1]))
        shell("restore", "a.backup", "--over").refuses("`daybook serve` works with this database", "stop it")
        assert files(data) == ["daybook.db"]
    # It has ended: its last sign of life is young, and its address is free.
    assert shell("restore", "a.backup", "--over").code == 0


def test_what_a_service_said_a_minute_ago_and_more_keeps_nobody_from_restoring(
    shell: Shell, backed_up, monkeypatch
):
    monkeypatch.setenv("DAYBOOK_WEB_PORT", "0")
    shell.behind(lambda stage: beat(stage.db, "serve", now=T0 - timedelta(seconds=59)))
    shell("restore", "a.backup", "--over").refuses("wait a minute")
    shell.now = T0 + timedelta(seconds=2)
    assert shell("restore", "a.backup", "--over").code == 0


def test_a_doctor_warns_where_no_backups_are_made_and_it_is_no_failure(online: Shell, monkeypatch):
    online.now = clock()
    said = online("doctor")
    assert said.code == 0
    [line] = [line for line in said.out.splitlines() if " backups " in line]
    assert line.startswith("warn")
    assert "DAYBOOK_BACKUP_DIR" in line


def test_a_doctor_tells_the_age_of_the_last_proven_backup_where_a_folder_is_set(online: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_BACKUP_DIR", "kept")
    assert findings(online("doctor", "--json"))["backups"][0] is False  # there is no such folder
    (online.folder / "kept").mkdir()

    def told():
        said = online("doctor", "--json")
        [found] = [check for check in said.json["checks"] if check["check"] == "backups"]
        return found["ok"], found["warns"], found["says"]

    assert told()[:2] == (True, True)
    assert "none was proven yet" in told()[2]
    assert online("backup", "kept/a.backup").code == 0
    online.now = T0 + timedelta(hours=25.9)
    assert told()[:2] == (True, False)
    assert "is 25.9 h old" in told()[2]
    online.now = T0 + timedelta(hours=26.1)
    assert told()[:2] == (True, True)


def test_health_tells_the_age_of_the_last_proven_backup(shell: Shell, monkeypatch):
    assert shell("health", "--json").json["backup_seconds_ago"] is None
    monkeypatch.setenv("DAYBOOK_BACKUP_DIR", "kept")
    assert "no backup was proven yet" in shell("health").out
    assert shell("backup", "a.backup").code == 0
    shell.now = T0 + timedelta(hours=3)
    assert shell("health", "--json").json["backup_seconds_ago"] == 3 * 3600
    assert "the last proven backup is 3.0 h old" in shell("health").out


@pytest.mark.parametrize("keep", ["0", "-1", "many"])
def test_how_many_are_kept_is_at_least_one(shell: Shell, monkeypatch, keep):
    monkeypatch.setenv("DAYBOOK_BACKUP_KEEP", keep)
    shell("health").refuses("DAYBOOK_BACKUP_KEEP", "write a number of days such as 14", code=2)
