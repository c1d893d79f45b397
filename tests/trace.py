"""Runs the tests that docs/requirements.md names and writes what became of each; called by `make trace`."""

import hashlib
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

HOUSE = Path(__file__).parents[1]
PAGE = HOUSE / "docs" / "requirements.md"
HEADING = re.compile(r"^## (R\d+)\. (.+)$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)(\[[^`]*\])?`")
WORST_FIRST = ("failed", "skipped", "passed")

Results = Mapping[str, Mapping[str, int]]


def sections_of(text: str) -> list[tuple[str, str, str]]:
    """Each requirement of a page: its id, its title, and what stands below."""
    pieces = HEADING.split(text)
    return list(zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True))


def results_in(report: str) -> dict[str, dict[str, int]]:
    """How often each test passed, failed and was skipped, by its name without parameters, as JUnit XML tells it."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for case in ET.fromstring(report).iter("testcase"):
        kinds = {part.tag for part in case}
        result = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        file = case.attrib["classname"].replace(".", "/") + ".py"
        found[f"{file}::{case.attrib['name'].partition('[')[0]}"][result] += 1
    return {test: dict(counts) for test, counts in found.items()}


def run(tests: Sequence[str], *, workers: int = 2) -> dict[str, dict[str, int]]:
    """Run these tests and say what became of each."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.TemporaryDirectory(prefix="daybook-trace-") as folder:
        report = Path(folder) / "report.xml"
        call = [sys.executable, "-m", "pytest", "-n", str(workers), f"--junitxml={report}", *tests]
        subprocess.run(call, cwd=HOUSE, env=clean, stdout=sys.stderr, check=False)
        return results_in(report.read_text(encoding="utf-8")) if report.exists() else {}


def traced(page: str, results: Results) -> list[dict[str, Any]]:
    """Each requirement with its tests and the worst that became of each; one that did not run says so."""
    return [
        {
            "requirement": name,
            "title": title,
            "not_yet": "**Not yet.**" in body,
            "tests": [_outcome(test, results.get(test, {})) for test in _named_in(body)],
        }
        for name, title, body in sections_of(page)
    ]


def _named_in(body: str) -> list[str]:
    return [f"{file}::{test}" for file, test, _ in NAMED.findall(body)]


def _outcome(test: str, counts: Mapping[str, int]) -> dict[str, Any]:
    worst = next((result for result in WORST_FIRST if counts.get(result)), "not run")
    return {"test": test, "result": worst, "cases": sum(counts.values())}


def build() -> dict[str, Any]:
    """What was run: the commit, whether anything differs from it, and what it stands on."""
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "daybook": project["version"],
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "changed_since": bool(_git("status", "--porcelain")),
        "lock_sha256": hashlib.sha256((HOUSE / "requirements.lock").read_bytes()).hexdigest(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=HOUSE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def lines(requirements: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each requirement, and one for each test that is no proof."""
    said = []
    for one in requirements:
        bad = [test for test in one["tests"] if test["result"] != "passed"]
        passed = f"{len(one['tests']) - len(bad)} of {len(one['tests'])} tests passed"
        proofs = passed if one["tests"] else "no test"
        said.append(f"{one['requirement']}  {proofs}{', and something is not there yet' if one['not_yet'] else ''}")
        said += [f"     {test['result']}: {test['test']}" for test in bad]
    return said


def main(path: Path) -> int:
    """Write the report; 1 where a test that is named did not pass."""
    page = PAGE.read_text(encoding="utf-8")
    requirements = traced(page, run(sorted(set(_named_in(page)))))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    report = {"build": build(), "requirements": requirements}
    unfinished.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
    sys.stdout.write("\n".join([*lines(requirements), f"Written to {path}.", ""]))
    return int(any(test["result"] != "passed" for one in requirements for test in one["tests"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
