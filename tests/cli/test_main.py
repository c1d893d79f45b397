import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from cli import main
from cli.main import DOORS, app_for
from tests.cli.conftest import Shell, refuse_writing

ROOT = Path(main.__file__).parent.parent


def commands():
    for door in DOORS:
        command = typer.main.get_command(app_for([door.name])).commands[door.name]
        if hasattr(command, "commands"):
            yield from ((f"{door.name} {name}", below) for name, below in command.commands.items())
        else:
            yield door.name, command


def test_every_command_and_every_option_says_what_it_is_for():
    for path, command in commands():
        assert command.help, path
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path} {parameter.name}"


def test_every_command_that_reads_answers_json_if_asked():
    writes = (
        "init",
        "migrate",
        "serve",
        "demo",
        "site add",
        "staff change",
        "staff disable",
        "staff readmit",
        "patient stop-use",
        "staff reset",
        "staff revoke-token",
        "protocol schema",
        "restore",
        "randomise",  # it makes a CSV file
    )
    changes = ("move", "pause", "resume", "withdraw", "erase")
    for path, command in commands():
        if path in writes or path.endswith(changes):
            continue
        assert "as_json" in [parameter.name for parameter in command.params], path


def test_help_is_shown_without_loading_the_heavy_libraries(empty: Shell):
    script = (
        "import sys; from cli.main import run; assert run(['--help']) == 0; "
        "print(sorted({'sqlalchemy', 'telegram', 'matplotlib', 'aiohttp', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for door in DOORS:
        assert door.help in done.stdout


def test_the_version_is_one_line(empty: Shell):
    said = empty("--version")
    assert (said.code, said.out.count("."), said.err) == (0, 2, "")


def test_no_command_at_all_shows_the_help(empty: Shell):
    assert "Commands:" in empty().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], ["nonsense", "daybook --help"]),
        (["pateint"], ["Did you mean 'patient'?"]),
        (["patient", "add"], ["CODE", "daybook patient add --help"]),
        (["patient", "add", "P-001"], ["--start"]),
        (["patient", "list", "--loud"], ["--loud"]),
        (["adherence", "--by", "moon"], ["patient", "phase", "item", "week"]),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_2(shell: Shell, arguments, words):
    shell(*arguments).refuses(*words, code=2)


def test_a_surprise_is_one_sentence_that_says_how_to_see_more(shell: Shell, monkeypatch):
    monkeypatch.setattr("cli.patients.everybody", _breaks)
    shell("patient", "list").refuses("ZeroDivisionError", "DAYBOOK_LOG_LEVEL=debug")


def test_a_surprise_at_debug_shows_where_but_no_secret(shell: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_LOG_LEVEL", "debug")
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", "4242:secret")
    monkeypatch.setattr("cli.patients.everybody", _breaks)
    said = shell("patient", "list")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "4242:secret" not in said.err


@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("attempt to write a readonly database", "the right to write"),
        ("unable to open database file", "the right to write"),
        ("disk I/O error", "look after the disk"),
        ("database or disk is full", "make room"),
        ("database is locked", "another program is writing"),
    ],
)
def test_what_the_file_or_its_disk_refuses_is_said_with_its_mend(shell: Shell, monkeypatch, said, mend):
    async def refuses(*_args, **_named):
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr("cli.patients.everybody", refuses)
    shell("patient", "list").refuses(f"The database cannot be used ({said})", mend)


def test_a_patient_is_not_added_to_a_database_that_cannot_be_written(shell: Shell, monkeypatch):
    refuse_writing(monkeypatch)
    shell("patient", "add", "P-001", "--start", "today").refuses("readonly database", "the right to write")


async def _breaks(*_args, **_named):
    raise ZeroDivisionError("4242:secret")


def test_ctrl_c_leaves_quietly_with_130(shell: Shell, monkeypatch):
    async def interrupted(*_args, **_named):
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.patients.everybody", interrupted)
    said = shell("patient", "list")
    assert (said.code, said.err) == (130, "")


def test_a_reader_who_goes_away_early_is_no_error(empty: Shell):
    process = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", "protocol", "show"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1
