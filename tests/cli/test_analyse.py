"""`daybook randomise` and `daybook analyse` as a statistician types them."""

import csv
import hashlib
import io
import os

import pytest

from tests.cast import START, cairo
from tests.cli.conftest import Shell
from tests.reports.diary_of import TAKEN, say


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
    assert {row["site"] for row in rows} == {"X", "Y"} or {row["site"] for row in rows} == {"x", "y"}
    assert [row["arm"] for row in rows].count("A") == len(rows) / 2
    assert said.err == ""


def test_the_sites_are_those_of_the_database_which_stays_as_it_was(shell: Shell):
    shell.behind(lambda stage: stage.add("P-001"))
    path = shell.folder / "data" / "daybook.db"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    said = shell("randomise", "--arms", "verum,placebo", "--seed", "7", "--strata", "site", "--size", "8")
    assert {row["site"] for row in csv.DictReader(io.StringIO(said.out))} == {"main"}
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert b"placebo" not in path.read_bytes()


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
        (["--arms", "A,B", "--subjects", "none.csv"], 1, "cannot be read"),
        (["--arms", "A,B", "--out", "nowhere/list.csv"], 1, "cannot be written"),
    ],
)
def test_a_list_that_cannot_be_made_is_one_sentence(shell: Shell, arguments, code, word):
    shell("randomise", *arguments).refuses(word, code=code)


def test_the_tables_are_printed_and_written_with_a_figure(exported: Shell, monkeypatch):
    for setting in [name for name in os.environ if name.startswith("DAYBOOK_")]:
        monkeypatch.delenv(setting)  # the statistician's machine has none
    (exported.folder / "data" / "daybook.db").unlink()
    said = exported("analyse", "export", "--allocation", "arms.csv", "--out", "tables")
    assert said.code == 0, said
    assert "Pain, NRS" in said.out
    # Infusions of A: two patients, one answered each of the seven days that are over.
    assert "2/14 (14.3 %)" in said.out
