import csv
import hashlib

import pytest

from cli.reading import instant_of
from tests.cast import at, cairo
from tests.cli.conftest import Shell

KEYS = {"expected", "on_time", "late", "missed", "excused", "open", "rate"}


@pytest.fixture
def later(shell: Shell) -> Shell:
    """Two days into Amina's trial, of which she answered nothing."""
    shell.behind(lambda stage: stage.joined())
    shell.now = cairo("2026-11-26 08:00")
    return shell


@pytest.mark.parametrize("by", ["patient", "phase", "item", "week"])
def test_adherence_as_json_is_a_list_of_rows_with_these_keys(later: Shell, by):
    rows = later("adherence", "--by", by, "--json").json
    assert KEYS | {by} <= set(rows[0])
    assert sum(row["expected"] for row in rows) == 3


def test_adherence_for_people_shows_the_denominator(later: Shell):
    head, line = later("adherence").out.splitlines()
    assert head.split()[:3] == ["site", "patient", "answered"]
    assert "0/3 0.0 %" in line
    assert "all" in later("adherence", "--by", "item").out


def test_adherence_as_of_an_earlier_instant(later: Shell):
    rows = later("adherence", "--as-of", "2026-11-25", "--json").json
    assert rows[0]["expected"] == 1


def test_a_bare_instant_is_on_the_sites_clock():
    assert instant_of("--as-of", "2026-11-24T20:00", zone="Africa/Cairo") == at("2026-11-24 18:00")
    assert instant_of("--as-of", "2026-11-24T20:00+00:00", zone="Africa/Cairo") == at("2026-11-24 20:00")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--site", "nowhere"], 1, "daybook site list"),
        (["--patient", "P-404"], 1, "daybook patient list"),
        (["--as-of", "soon"], 2, "2026-11-24"),
        (["--as-of", "2030-01-01"], 2, "future"),
    ],
)
def test_adherence_of_nobody_and_nowhen_is_refused(later: Shell, arguments, code, word):
    later("adherence", *arguments).refuses(word, code=code)


def test_an_export_is_files_whose_fingerprints_hold(later: Shell):
    written = later("export", "--out", "out", "--format", "csv", "--json").json
    for one in written:
        content = (later.folder / "out" / one["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"]
        if one["name"].endswith(".csv"):
            assert len(list(csv.reader(content.decode().splitlines()))) == one["rows"] + 1
    assert {"slots.csv", "entries.csv"} <= {one["name"] for one in written}
    assert "slots.csv" in later("export", "--out", "out2", "--site", "main").out


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--out", "data"], 1, "--out"),
        (["--out", "data/daybook.db"], 1, "--out"),
        (["--out", "data/daybook.db/out"], 1, "cannot be written"),
        (["--out", "out", "--format", "doc"], 2, "csv"),
        (["--out", "out", "--site", "nowhere"], 1, "daybook site list"),
        ([], 2, "--out"),
    ],
)
def test_an_export_that_cannot_be_written_leaves_nothing(later: Shell, arguments, code, word):
    later("export", *arguments).refuses(word, code=code)
    assert not (later.folder / "out").exists()
