"""The folder a simulation leaves: the same for the same seed, whole or not there."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import DaybookError
from protocol.load import load_protocol
from rehearsal.simulation.effects import ARMS, AS_PUBLISHED, Effects
from rehearsal.simulation.outcome import simulate
from rehearsal.simulation.trial import Wanted, allocation
from reports.exported import Exported
from reports.randomisation import read_allocation
from storage.prepared import Statements
from tests.rehearsal.simulation.conftest import WEEK, Left, bytes_of

ROOT = Path(__file__).parents[3]
COMMAND = "from cli.main import main; main()"
SMALL = Wanted(WEEK, patients=3, seed=5)


def test_the_same_seed_gives_the_same_bytes_of_every_file(week: Left, tmp_path):
    simulate(tmp_path / "again", week.outcome.trial.wanted)
    first, second = bytes_of(week.folder), bytes_of(tmp_path / "again")
    assert [name for name in first if first[name] != second.get(name)] == []
    assert set(first) == set(second)


def test_half_a_year_gives_the_same_bytes_when_sqlalchemy_executes_every_statement(tmp_path, monkeypatch):
    wanted = Wanted(load_protocol("magnesium-clbp"), patients=3, seed=2)
    assert simulate(tmp_path / "prepared", wanted).findings.faults == []
    monkeypatch.setattr(Statements, "prepared", lambda *_: None)
    assert simulate(tmp_path / "each anew", wanted).findings.faults == []
    assert bytes_of(tmp_path / "prepared") == bytes_of(tmp_path / "each anew")


def test_another_seed_gives_another_trial(week: Left, tmp_path):
    simulate(tmp_path / "other", replace(week.outcome.trial.wanted, seed=2))
    first, second = bytes_of(week.folder), bytes_of(tmp_path / "other")
    assert first["messages.csv"] != second["messages.csv"]
    assert first["daybook.key"] != second["daybook.key"]


def test_the_arm_reaches_nothing_but_the_list(tmp_path):
    # Who would answer alike in either arm is sent the same and kept the same, whichever kit it was.
    alike = Effects(
        pain=dict.fromkeys(ARMS, next(iter(AS_PUBLISHED.pain.values()))),
        measured={name: dict.fromkeys(ARMS, next(iter(of.values()))) for name, of in AS_PUBLISHED.measured.items()},
    )
    wanted = Wanted(WEEK, patients=6, seed=3, effects=alike)
    kits = allocation(wanted)
    swapped = [replace(kit, arm=next(arm for arm in ARMS if arm != kit.arm)) for kit in kits]
    simulate(tmp_path / "one", wanted, kits=kits)
    simulate(tmp_path / "other", wanted, kits=swapped)
    one, other = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "other")
    # The list is another one, and with it the page's tables by arm; nothing else knows.
    assert {name for name in one if one[name] != other[name]} == {"allocation.csv", "index.html"}
    assert not [
        name
        for name, content in one.items()
        if name != "allocation.csv" and b"placebo" in content and name != "index.html"
    ]


def test_export_and_list_fit_together(week: Left):
    arms = read_allocation(week.folder / "allocation.csv").arms
    subjects = Exported.open(week.folder / "export").rows("subjects")
    assert {row["subject"] for row in subjects if row["joined_utc"]} == set(arms)


def test_the_database_is_one_that_the_product_opens(week: Left):
    key = (week.folder / "daybook.key").read_text().strip()
    address = f"sqlite:///{week.folder / 'daybook.db'}"
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "adherence", "--json", "--by", "item"],
        env={"PYTHONPATH": str(ROOT), "DAYBOOK_SECRET_KEY": key, "DAYBOOK_DATABASE_URL": address},
        cwd=week.folder.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {row["item"] for row in json.loads(done.stdout)} == {"pain", "tablet"}


def test_a_folder_that_holds_something_is_refused_and_kept(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DaybookError, match="not an empty folder"):
        simulate(tmp_path / "out", SMALL)
    assert bytes_of(tmp_path) == {"out/mine.txt": b"mine"}


def test_an_empty_folder_will_do(tmp_path):
    (tmp_path / "out").mkdir()
    simulate(tmp_path / "out", SMALL)
    assert (tmp_path / "out" / "index.html").stat().st_size > 0


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DaybookError, match=r"The folder .*file/out cannot be written"):
        simulate(tmp_path / "file" / "out", SMALL)


def run_apart(folder: Path, *, most_bytes: int | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own, which may be held to files of so many bytes, as on a full disk."""
    limit = (
        "" if most_bytes is None else f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({most_bytes},) * 2); "
    )
    arguments = ["simulate", "--patients", "6", "--protocol", "postop-week", "--out", str(folder / "out")]
    return subprocess.Popen(
        [sys.executable, "-c", limit + COMMAND, *arguments],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("most_bytes", [100_000, 600_000], ids=["the database", "what comes after it"])
def test_where_the_disk_is_full_one_sentence_says_so_and_nothing_is_left(tmp_path, most_bytes):
    running = run_apart(tmp_path, most_bytes=most_bytes)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 1
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing(tmp_path):
    running = run_apart(tmp_path)
    until = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.02)  # until it has begun: there is nothing else to see of it
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_what_every_file_holds(week: Left):
    assert {path.name for path in week.folder.iterdir()} == {
        "allocation.csv", "daybook.db", "daybook.key", "export", "index.html", "load.csv", "messages.csv",
        "messages.html", "messages.md",
    }  # fmt: skip
    with sqlite3.connect(week.folder / "daybook.db") as raw:
        [(answers,)] = raw.execute(
            "SELECT count(*) FROM entries WHERE supersedes IS NULL AND kind <> 'staff'"
        ).fetchall()
        [(sends,)] = raw.execute("SELECT count(*) FROM sends WHERE outcome = 'sent'").fetchall()
    raw.close()
    lines = week.rows("messages.csv")
    assert {line["direction"] for line in lines} == {"to patient", "from patient"}
    asked = [line for line in lines if line["comes"] == "by itself"]
    assert len(asked) >= sends > answers > 100
    assert {line["subject"] for line in lines} == set(week.outcome.trial.patients)
