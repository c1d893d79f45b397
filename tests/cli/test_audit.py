import shutil
import sqlite3

import pytest

from tests.cli.conftest import Shell


def harm(shell, statement):
    with sqlite3.connect(shell.folder / "data" / "daybook.db") as raw:
        raw.execute("DROP TRIGGER audit_no_update")
        raw.execute("DROP TRIGGER audit_no_delete")
        raw.execute(statement)
    raw.close()


def lived(shell):
    async def live(stage):
        await stage.lived()

    shell.behind(live)


def test_a_whole_trail_is_exit_0_and_tells_its_head(shell: Shell):
    lived(shell)
    head = shell("audit", "head")
    lines, _, sha256 = head.out.strip().partition(":")
    assert (head.code, head.out.count("\n"), len(sha256)) == (0, 1, 64)
    said = shell("audit", "verify", "--head", head.out.strip())
    assert said.code == 0
    assert said.out == (
        f"The trail is whole and has 1 head that was kept: {lines} lines.\nIts head is {lines}:{sha256}\n"
    )
    assert shell("audit", "head", "--json").json == {"lines": int(lines), "head": sha256}
    assert shell("audit", "verify", "--json").json == {
        "whole": True, "lines": int(lines), "head": sha256, "fault": None, "line": None,
    }  # fmt: skip


def test_a_broken_trail_is_exit_1_and_names_the_row(shell: Shell):
    lived(shell)
    harm(shell, "UPDATE audit SET reason = 'nicer' WHERE id = 4")
    said = shell("audit", "verify")
    assert (said.code, said.err) == (1, "")
    assert said.out.startswith("The trail is broken. Line 4 was changed.\nIts head is ")
    said = shell("audit", "verify", "--json")
    assert (said.code, said.json["whole"], said.json["line"]) == (1, False, 4)
    assert said.json["fault"] == "Line 4 was changed."


def test_lines_cut_off_are_found_by_a_file_of_heads(shell: Shell):
    lived(shell)
    lines, _, sha256 = shell("audit", "head").out.strip().partition(":")
    file = shell.folder / "heads.txt"
    file.write_text(f"2026-11-27T08:00:00Z {lines} {sha256}\n", encoding="utf-8")
    assert shell("audit", "verify", "--head", "heads.txt").code == 0
    harm(shell, f"DELETE FROM audit WHERE id = {lines}")
    said = shell("audit", "verify", "--head", "heads.txt")
    assert said.code == 1
    assert f"Line {lines} was cut off" in said.out


@pytest.mark.parametrize("head", ["nothing", "12:34", "missing.txt"])
def test_what_is_neither_a_head_nor_a_file_is_a_wrong_call(shell: Shell, head):
    shell("audit", "verify", "--head", head).refuses(head, "daybook audit head", code=2)


def test_an_export_is_verified_where_there_is_no_database_and_no_key(shell: Shell, monkeypatch, tmp_path):
    lived(shell)
    head = shell("audit", "head").out.strip()
    assert shell("export", "--out", "bundle", "--format", "csv").code == 0
    assert shell("export", "--out", "part", "--format", "csv", "--site", "main").code == 0
    for name in ("bundle", "part"):
        shutil.move(shell.folder / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAYBOOK_SECRET_KEY")
    shell("audit", "verify").refuses("DAYBOOK_SECRET_KEY", code=2)
    said = shell("audit", "verify", "bundle", "--head", head)
    assert (said.code, said.out.splitlines()[1]) == (0, f"Its head is {head}")
    shell("audit", "verify", "part").refuses("part is the export of one site, main")
    shell("audit", "verify", "home").refuses("home has no manifest.json")
    path = tmp_path / "bundle" / "entries.csv"
    path.write_bytes(path.read_bytes().replace(b",score,7,", b",score,3,"))
    said = shell("audit", "verify", "bundle", "--json")
    assert (said.code, said.json["whole"]) == (1, False)
    assert said.json["fault"].startswith("Entry 1, of which line ")


def test_the_doctor_says_whether_heads_can_be_kept(online: Shell, monkeypatch):
    def head_file():
        checks = online("doctor", "--json").json["checks"]
        return next(((one["ok"], one["says"]) for one in checks if one["check"] == "head file"), None)

    assert head_file() is None
    monkeypatch.setenv("DAYBOOK_HEAD_FILE", "share/heads.txt")
    ok, says = head_file()
    assert not ok
    assert says.startswith("share/heads.txt: the folder share is not there; mount it, or name another file")
    (online.folder / "share").mkdir()
    assert head_file() == (True, "share/heads.txt can be written")
