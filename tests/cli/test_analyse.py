"""`daybook randomise` and `daybook analyse` as a statistician types them."""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main
from tests.cast import START, cairo
from tests.cli.conftest import Shell
from tests.reports.diary_of import TAKEN, say

ROOT = Path(main.__file__).parent.parent


@pytest.fixture
def exported(shell: Shell) -> Shell:
    """A folder with an export of three patients, and a list of their arms."""

    async def trial(stage):
        for number, code in enumerate(("P-001", "P-002", "P-003")):
            one = await stage.joined(code, chat=1_001 + number)
            await say(stage, one.id, f"infusion {START}", TAKEN, f"{START} 09:30")

    shell.behind(trial)
    shell.now = cairo("2026-12-01 10:00")
    assert shell("export", "--out", "export", "--format", "csv").code == 0
    (shell.folder / "arms.csv").write_text("subject,arm\nP-001,A\nP-002,B\nP-003,A\n")
    return shell


def test_a_list_is_printed_with_whole_blocks_for_each_site(shell: Shell):
    said = shell(
        "randomise", "--arms", "A,B", "--block", "4,6", "--seed", "7", "--strata", "site", "--sites", "x,y"
    )
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert said.code == 0
    assert {row["site"] for row in rows} == {"x", "y"}
    assert [row["arm"] for row in rows].count("A") == len(rows) / 2
    assert said.err == ""


def test_the_sites_are_those_of_the_database_which_stays_as_it_was(shell: Shell):
    shell.behind(lambda stage: stage.add("P-001"))
    folder = shell.folder / "data"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    said = shell(
        "randomise", "--arms", "verum,placebo", "--seed", "7", "--strata", "site", "--size", "8",
        "--out", "sealed.csv", "--kits", "kits.csv",
    )  # fmt: skip
    assert said.code == 0
    rows = list(csv.DictReader(io.StringIO((shell.folder / "sealed.csv").read_text())))
    assert {row["site"] for row in rows} == {"main"}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_without_a_database_the_sites_are_asked_for(empty: Shell):
    empty("randomise", "--arms", "A,B", "--strata", "site").refuses("--sites main,coast", code=2)
    assert list(empty.folder.iterdir()) == []


def test_without_a_seed_the_drawn_one_is_told_and_makes_the_same_list(shell: Shell):
    said = shell("randomise", "--arms", "A,B", "--size", "8")
    seed = said.err.split("The seed was ")[1].split(";")[0]
    assert shell("randomise", "--arms", "A,B", "--size", "8", "--seed", seed).out == said.out


def test_the_files_are_for_their_reader_alone_and_never_overwritten(shell: Shell):
    call = ("randomise", "--arms", "A,B", "--seed", "7", "--out", "sealed.csv", "--kits", "kits.csv")
    assert shell(*call).code == 0
    assert (shell.folder / "sealed.csv").stat().st_mode & 0o077 == 0
    assert "arm" not in (shell.folder / "kits.csv").read_text()
    shell(*call).refuses("sealed.csv is there already")


def test_of_two_files_both_are_written_or_neither(shell: Shell):
    call = ("randomise", "--arms", "A,B", "--seed", "7", "--out", "sealed.csv")
    before = sorted(shell.folder.iterdir())
    shell(*call, "--kits", "nowhere/kits.csv").refuses("nowhere/kits.csv cannot be written")
    shell(*call, "--kits", "sealed.csv").refuses("the same file", code=2)
    assert sorted(shell.folder.iterdir()) == before


def test_subjects_of_an_export_get_their_kits(exported: Shell):
    said = exported(
        "randomise", "--arms", "A,B", "--block", "4", "--seed", "7", "--subjects", "export/subjects.csv"
    )
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["subject"] for row in rows] == ["P-001", "P-002", "P-003", ""]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--arms", "A"], 2, "two arms"),
        (["--arms", "A,B", "--block", "5"], 2, "block of 5"),
        (["--arms", "A,B", "--block", "x"], 2, "--block"),
        (["--arms", "A,B", "--strata", "age"], 2, "--strata"),
        (["--arms", "A,B", "--sites", "main"], 2, "--strata site"),
        (["--arms", "A,B", "--subjects", "none.csv"], 1, "cannot be read"),
        (["--arms", "A,B", "--subjects", "twice.csv"], 1, "P-001 more than once"),
        (["--arms", "A,B", "--subjects", "nobody.csv"], 1, "names no subject"),
        (["--arms", "A,B", "--subjects", "twice.csv", "--strata", "site"], 1, "`subject` and `site`"),
        (["--arms", "A,B", "--out", "nowhere/list.csv"], 1, "cannot be written"),
    ],
)
def test_a_list_that_cannot_be_made_is_one_sentence(shell: Shell, arguments, code, word):
    (shell.folder / "twice.csv").write_text("subject\nP-001\nP-001\n")
    (shell.folder / "nobody.csv").write_text("subject\n")
    shell("randomise", *arguments).refuses(word, code=code)


@pytest.fixture
def away(exported: Shell, monkeypatch) -> Shell:
    """The statistician's machine: the export and the list, no settings and no database."""
    for setting in [name for name in os.environ if name.startswith("DAYBOOK_")]:
        monkeypatch.delenv(setting)
    shutil.rmtree(exported.folder / "data")
    return exported


ANALYSE = ("analyse", "export", "--allocation", "arms.csv")


def test_the_tables_are_printed_and_written_with_figures(away: Shell):
    said = away(*ANALYSE, "--out", "tables")
    assert said.code == 0, said
    assert "Pain, NRS" in said.out
    # Infusions of A: two patients, one answered each of the seven days that are over.
    assert "2/14 (14.3 %)" in said.out
    names = {path.name for path in (away.folder / "tables").iterdir()}
    figures = {f"{measure}.{kind}" for measure in ("nrs", "flexion", "extension", "lateral-flexion")
               for kind in ("png", "svg", "pdf")}  # fmt: skip
    assert names == {"tables.txt", "tables.csv", "tables.html", *figures}
    assert said.out.startswith((away.folder / "tables" / "tables.txt").read_text())
    assert "data:image/svg+xml" in (away.folder / "tables" / "tables.html").read_text()


def test_the_same_tables_come_out_each_time(away: Shell):
    folders = [away.folder / "once", away.folder / "again"]
    for folder in folders:
        assert away(*ANALYSE, "--out", folder).code == 0
    once, again = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert once == again


def test_for_programs_the_tables_are_json_with_figures(away: Shell):
    told = away(*ANALYSE, "--json").json
    assert "version 1" in told["about"]
    adherence = next(table for table in told["tables"] if table["title"] == "Adherence")
    assert adherence["rows"][0]["A"] == {"numerator": 2, "denominator": 14, "rate": pytest.approx(1 / 7)}


def test_the_arm_to_compare_with_is_named_in_the_tables(away: Shell):
    assert "Compared with arm B." in away(*ANALYSE, "--reference", "B").out
    away(*ANALYSE, "--reference", "C").refuses("name one of A, B", code=2)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["P-001,A", "P-002,B", "P-003,A", "P-099,B"], "P-099, unknown to the export"),
        (["P-001,A", "P-002,B"], "lacks P-003"),
        (["P-001,A", "P-002,B", "P-003,A", "P-003,B"], "P-003 more than once"),
        (["P-001,A", "P-002,A", "P-003,A", ",B"], "every subject in arm A"),
        ([",A", ",B"], "no kit that was handed out"),
    ],
)
def test_a_list_that_does_not_fit_is_one_sentence_and_leaves_nothing(away: Shell, lines, word):
    (away.folder / "arms.csv").write_text("\n".join(["subject,arm", *lines]))
    before = sorted(away.folder.iterdir())
    away(*ANALYSE, "--out", "tables").refuses(word)
    assert sorted(away.folder.iterdir()) == before


def test_what_is_no_export_is_one_sentence(away: Shell):
    away("analyse", "nowhere", "--allocation", "arms.csv").refuses("nowhere has no manifest.json")
    away("analyse", "export", "--allocation", "nowhere.csv").refuses("nowhere.csv cannot be read")
    (away.folder / "export" / "slots.csv").unlink()
    away(*ANALYSE).refuses("slots.csv cannot be read", "take the whole folder")


def test_a_folder_in_use_is_left_as_it_is(away: Shell):
    (away.folder / "tables").mkdir()
    (away.folder / "tables" / "notes.txt").write_text("mine")
    away(*ANALYSE, "--out", "tables").refuses("not an empty folder")
    assert [path.name for path in (away.folder / "tables").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "call",
    [
        f"{' '.join(ANALYSE)} --out tables",
        "randomise --arms A,B --seed 7 --size 20000 --out sealed.csv --kits kits.csv",
    ],
)
def test_a_disk_that_fills_up_leaves_nothing_under_the_name(away: Shell, call):
    before = sorted(away.folder.iterdir())
    # A process that may make no file larger than 64 KB: the same error as a full disk's, and no other way to it.
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 64; exec {sys.executable} -c 'from cli.main import main; main()' {call}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written (File too large)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(away.folder.iterdir()) == before


def test_no_database_is_opened_and_no_network_asked(away: Shell):
    # Python itself tells of either, whichever library does it.
    script = (
        "import sys; seen = []; sys.addaudithook(lambda event, _: seen.append(event)); from cli.main import run; "
        f"assert run({list(ANALYSE)!r}) == 0; assert 'open' in seen; "
        "print({'socket.connect', 'socket.getaddrinfo', 'sqlite3.connect'} & set(seen))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"
