"""The rules of the house that no linter knows."""

import ast
import importlib
import re
import subprocess
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
MODULES = sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py") if "versions" not in path.parts)

# Files that tell one story which does not get clearer by being cut; the number is the most they may have.
LONG = {
    "storage/migrations/versions/0001_first_form.py": 500,  # written by a machine, never changed again
    "storage/tables.py": 575,
    "tests/bot/test_intake.py": 440,
    "tests/bot/test_limiter.py": 470,
    "tests/bot/test_words.py": 580,
}
LINES = 400
# Who may look at a clock: the front door, and the movable one of the rehearsal.
CLOCKS = {"cli/wiring.py", "rehearsal/clock.py"}
WORDLESS = {"utils", "util", "common", "helpers", "helper", "core", "services", "models", "misc", "lib"}


def name(path):
    return path.relative_to(HOUSE).as_posix()


def tracked(*patterns):
    """The files that git knows, and those it would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
    )
    return [HOUSE / line for line in listed.stdout.splitlines() if (HOUSE / line).is_file()]


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def public(tree):
    """The module's public classes and functions, and the public methods of public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield node
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name[0] != "_":
                        yield part


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_and_everything_public_says_in_a_sentence_what_it_is(path):
    tree = parsed(path)
    assert ast.get_docstring(tree), name(path)
    silent = []
    for node in public(tree):
        # What a base class or a library calls by its own name is described there.
        inherited = "D102" in path.read_text(encoding="utf-8").splitlines()[node.lineno - 1]
        if not ast.get_docstring(node) and not inherited:
            silent.append(node.name)
    assert silent == []


def test_no_file_is_longer_than_can_be_read_at_once():
    long = {}
    for path in tracked("*.py"):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > LONG.get(name(path), LINES):
            long[name(path)] = count
    assert long == {}


def test_every_room_is_in_the_wheel_and_can_be_entered():
    rooms = {path.parent.name for path in HOUSE.glob("*/__init__.py")} - {"tests", "bench"}
    assert rooms == set(ROOMS)
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == rooms
    assert set(PROJECT["tool"]["mypy"]["packages"]) == rooms
    for room in ROOMS:
        found = Path(importlib.import_module(room).__file__)
        assert found == HOUSE / room / "__init__.py"


def test_no_other_distribution_owns_the_name_of_a_room():
    owners = packages_distributions()
    assert [room for room in ROOMS if set(owners.get(room, ())) - {"daybook"}] == []


def test_no_room_and_no_module_has_a_name_that_says_nothing():
    found = [name(path) for path in tracked("*.py") if {path.stem, *path.relative_to(HOUSE).parts} & WORDLESS]
    assert found == []


def test_the_distribution_cannot_be_uploaded():
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def test_the_lock_names_versions_and_hashes_and_no_address():
    lock = (HOUSE / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "--hash=sha256:" in lock
    assert "index-url" not in lock


def test_no_file_names_the_host_of_a_package_registry():
    # Put together here, so that this file does not name them either.
    hosts = re.compile("|".join([r"pypi\." + "org", r"python" + r"hosted\.", r"npm" + r"js\.", r"crates\." + "io"]))
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a compiled catalogue
        if hosts.search(text):
            found.append(name(path))
    assert found == []


def test_nobody_but_the_front_door_and_the_rehearsal_looks_at_a_clock():
    looking = set()
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in {
                "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time",
                "datetime.datetime.now", "datetime.date.today",
            }:  # fmt: skip
                looking.add(name(path))
    assert looking <= CLOCKS


SAYING = {"say", "Screen", "reply", "answer", "toast"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[-2] in ("bot", "web")], ids=name)
def test_sentences_for_people_stand_in_the_catalogues(path):
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and _called(node) in SAYING:
            parts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            found += [(node.lineno, part) for part in parts if isinstance(part, str) and _is_sentence(part)]
    assert found == []


def _called(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_sentence(text):
    return len(re.findall(r"[A-Za-z]{2,}", text)) >= 4 and " " in text
