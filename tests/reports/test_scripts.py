"""The read-in scripts: run where their program is there, and naming every column of every table."""

import json
import shutil
import subprocess
import sys

import pytest

from reports.tables import TABLES
from tests.reports.bundle_of import TEXTS, exported, hard_trial


@pytest.fixture
async def folder(stage, tmp_path):
    await hard_trial(stage)
    await exported(stage, tmp_path / "out")
    return tmp_path / "out"


def ran(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_script_for_python_reads_every_table_with_its_types(folder):
    say = (
        "from read_in import tables; e = tables['entries']; n = tables['notes']\n"
        "print(len(tables), len(e), e['score'].sum(), str(e['due_utc'].dtype), str(e['local_date'].dtype))\n"
        "print(list(e['answer'].cat.categories), e['due_local'].iloc[0])\n"
        "import json; print(json.dumps(n['text'].tolist()))\n"
    )
    told, types, texts = ran(folder, sys.executable, "-c", say).splitlines()
    assert told.startswith("13 6 15 datetime64[")
    assert "UTC] datetime64[" in told
    assert types == "['score', 'taken', 'not-taken'] 2026-11-24 09:00:00"
    assert texts == json.dumps(list(TEXTS))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
async def test_the_script_for_r_reads_every_table_with_its_types(folder):
    say = (
        "source('read_in.R', encoding = 'UTF-8');"
        "cat(nrow(entries), sum(entries$score, na.rm = TRUE), class(entries$due_utc)[1], class(entries$local_date),"
        " levels(entries$answer), format(entries$due_local[1], '%Y-%m-%d %H:%M'), nrow(notes),"
        " nchar(notes$text[5]), nrow(subjects), sum(visits$value))"
    )
    assert ran(folder, "Rscript", "-e", say) == (
        "6 15 POSIXct Date score taken not-taken 2026-11-24 09:00 6 10000 2 55"
    )


@pytest.mark.parametrize("script", ["read_in.R", "read_in.py", "read_in.do"])
async def test_every_column_of_every_table_is_read(folder, script):
    text = (folder / script).read_text(encoding="utf-8")
    for table in TABLES:
        assert table.name in text
        assert all(column.name in text for column in table.columns)


async def test_the_script_for_stata_ends_no_string_early(folder):
    for line in (folder / "read_in.do").read_text(encoding="utf-8").splitlines():
        assert line.count('"') % 2 == 0, line
