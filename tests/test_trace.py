"""The report on the requirements tells of each test what became of it, and of the build it ran on."""

import hashlib
import json

import pytest

from tests import trace
from tests.trace import HOUSE, PAGE, lines, main, results_in, run, sections_of, traced

REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest">
<testcase classname="tests.bot.test_a" name="test_good[en]"/>
<testcase classname="tests.bot.test_a" name="test_good[ar]"/>
<testcase classname="tests.bot.test_a" name="test_mixed[1]"/>
<testcase classname="tests.bot.test_a" name="test_mixed[2]"><failure message="no">why</failure></testcase>
<testcase classname="tests.test_b" name="test_broken"><error message="no fixture"/></testcase>
<testcase classname="tests.test_b" name="test_left_out"><skipped message="no browser"/></testcase>
</testsuite></testsuites>"""
A_PAGE = """# Requirements

## R01. Kept

**Tests.**
- `tests/bot/test_a.py::test_good`
- `tests/bot/test_a.py::test_mixed`

## R02. Once

**Tests.**
- `tests/test_b.py::test_broken`
- `tests/test_b.py::test_left_out`
- `tests/test_b.py::test_forgotten`

**Not yet.** Half of it.

## R03. Later

**Not yet.** All of it.

"""
QUICK = "tests/test_docs.py::test_decisions_are_numbered_without_a_gap_and_carry_their_number"


def test_the_worst_that_became_of_a_test_is_what_is_told():
    requirements = traced(A_PAGE, results_in(REPORT))
    told = {
        test["test"].partition("::")[2]: (test["result"], test["cases"])
        for one in requirements
        for test in one["tests"]
    }
    assert told == {
        "test_good": ("passed", 2),
        "test_mixed": ("failed", 2),
        "test_broken": ("failed", 1),
        "test_left_out": ("skipped", 1),
        "test_forgotten": ("not run", 0),
    }
    assert [(one["requirement"], one["title"], one["not_yet"]) for one in requirements] == [
        ("R01", "Kept", False),
        ("R02", "Once", True),
        ("R03", "Later", True),
    ]


def test_what_is_no_proof_has_a_line_of_its_own():
    assert lines(traced(A_PAGE, results_in(REPORT))) == [
        "R01  1 of 2 tests passed",
        "     failed: tests/bot/test_a.py::test_mixed",
        "R02  0 of 3 tests passed, and something is not there yet",
        "     failed: tests/test_b.py::test_broken",
        "     skipped: tests/test_b.py::test_left_out",
        "     not run: tests/test_b.py::test_forgotten",
        "R03  no test, and something is not there yet",
    ]


def test_tests_are_really_run():
    assert run([QUICK], workers=0) == {QUICK: {"passed": 1}}
    assert run(["tests/test_docs.py::test_that_is_not_there"], workers=0) == {}


@pytest.mark.parametrize(("counts", "code"), [({"passed": 3}, 0), ({"passed": 3, "failed": 1}, 1), ({}, 1)])
def test_the_report_names_the_build_and_its_exit_says_whether_all_passed(
    tmp_path, monkeypatch, capsys, counts, code
):
    monkeypatch.setattr(trace, "run", lambda tests: dict.fromkeys(tests, counts))
    assert main(tmp_path / "build" / "trace.json") == code
    report = json.loads((tmp_path / "build" / "trace.json").read_text(encoding="utf-8"))
    assert report["build"]["lock_sha256"] == hashlib.sha256((HOUSE / "requirements.lock").read_bytes()).hexdigest()
    assert {"daybook", "commit", "changed_since", "python", "sqlite"} <= set(report["build"])
    assert [one["requirement"] for one in report["requirements"]] == [
        name for name, _, _ in sections_of(PAGE.read_text(encoding="utf-8"))
    ]
    assert capsys.readouterr().out.count("\nR") + 1 == len(report["requirements"]) == 30


def test_make_writes_it_where_git_does_not_look():
    assert "python -m tests.trace build/trace.json" in (HOUSE / "Makefile").read_text(encoding="utf-8")
