"""Every requirement has a proof that exists or says what is missing; and the papers name tests there are."""

import ast
import re
from collections import Counter
from functools import cache

import pytest

from tests.trace import HEADING, HOUSE, NAMED, PAGE, sections_of

SECURITY = HOUSE / "docs" / "security.md"
IDS = [f"R{number:02}" for number in range(1, 31)]
FIELDS = ("Source", "Daybook", "The site")

LABEL = re.compile(r"^\*\*([A-Z][a-z ]+)\.\*\* ?", re.MULTILINE)
ROW = re.compile(r"^\| (R\d+) \| (.+?) \| (.+?) \|$", re.MULTILINE)


@cache
def defined_tests(file: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The tests of a file by the name pytest has for them, without parameters."""
    path = HOUSE / file
    if not path.is_file() or not path.name.startswith("test_"):
        return {}
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        parts = node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]
        for part in parts:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and part.name.startswith("test_"):
                found[part.name if part is node else f"{node.name}::{part.name}"] = part
    return found


def unproven(text: str) -> list[str]:
    """The tests a page names that do not exist, have no such parameters, or never run."""
    return [
        f"{file}::{test}{parameters}"
        for file, test, parameters in NAMED.findall(text)
        if not _runs(defined_tests(file).get(test), parameters)
    ]


def _runs(test: ast.FunctionDef | ast.AsyncFunctionDef | None, parameters: str) -> bool:
    if test is None:
        return False
    marks = [ast.unparse(mark) for mark in test.decorator_list]
    if any(re.match(r"pytest\.mark\.skip(\(|$)", mark) for mark in marks):
        return False
    return not parameters or any(mark.startswith("pytest.mark.parametrize(") for mark in marks)


def amiss(text: str) -> list[str]:
    """What is wrong with a page of requirements, a line each."""
    sections = sections_of(text)
    counted = Counter(name for name, _, _ in sections)
    found = [f"{name} is missing" for name in IDS if not counted[name]]
    found += [f"{name} is there {times} times" for name, times in counted.items() if times > 1]
    found += [f"{name} is not one of them" for name in counted if name not in IDS]
    for name, _, body in sections:
        found += [f"{name}: {fault}" for fault in _faults(body)]
    if "Not yet" in HEADING.split(text)[0]:
        found.append("a not yet stands before the first requirement")
    states = [(name, title, _state(body)) for name, title, body in sections]
    found += [f"{' '.join(row)} is not what its section says" for row in ROW.findall(text) if row not in states]
    found += [f"{row[0]} is not in the table" for row in states if row not in ROW.findall(text)]
    return found + [f"{test} does not exist or never runs" for test in unproven(text)]


def _fields(body: str) -> dict[str, str]:
    pieces = LABEL.split(body)
    return {label: content.strip() for label, content in zip(pieces[1::2], pieces[2::2], strict=True)}


def _faults(body: str) -> list[str]:
    fields = _fields(body)
    found = [f"says nothing under {label}" for label in FIELDS if not fields.get(label)]
    tests = fields.get("Tests", "")
    if "Tests" not in fields and "Not yet" not in fields:
        found.append("has neither a test nor a not yet")
    if "Not yet" in fields and len(fields["Not yet"].split()) < 3:
        found.append("has a not yet beside nothing")
    if len(re.findall("not yet", body, re.IGNORECASE)) > ("Not yet" in fields):
        found.append("has a not yet that is no field of its own")
    if "Tests" in fields:
        lines = tests.splitlines()
        found += [
            f"{line!r} names no test" for line in lines or [""] if not NAMED.fullmatch(line.removeprefix("- "))
        ]
        found += [f"{line!r} stands twice" for line, times in Counter(lines).items() if times > 1]
    return found


def _state(body: str) -> str:
    fields = _fields(body)
    if "Not yet" not in fields:
        return "met"
    return "in part" if fields.get("Tests") else "not met"


def test_every_requirement_is_there_with_its_proof_or_what_is_missing():
    assert amiss(PAGE.read_text(encoding="utf-8")) == []


def test_every_test_that_the_paper_on_security_names_exists_and_runs():
    text = SECURITY.read_text(encoding="utf-8")
    assert len(NAMED.findall(text)) > 30
    assert unproven(text) == []
    assert re.findall(r"`tests/[^`]*::[^`]*`", text) == [match[0] for match in re.finditer(NAMED, text)]


PROVEN = "tests/bot/test_words.py::test_the_catalogue_names_no_drug_and_no_disease"


def page(**changed: str) -> str:
    """A page on which nothing is amiss, but for what is changed: a section by its id, the head as `head`."""
    rows = "".join(f"| {name} | It holds | met |\n" for name in IDS)
    sections = {
        name: f"## {name}. It holds\n\n**Source.** A law.\n\n**Daybook.** Does it.\n\n"
        f"**Tests.**\n- `{PROVEN}`\n\n**The site.** Nothing.\n\n"
        for name in IDS
    }
    return changed.pop("head", f"# Requirements\n\n{rows}\n") + "".join((sections | changed).values())


def section(name="R07", title="It holds", tests=f"**Tests.**\n- `{PROVEN}`\n\n", after="", site="Nothing."):
    head = f"## {name}. {title}\n\n**Source.** A law.\n\n**Daybook.** Does it.\n\n"
    return f"{head}{tests}**The site.** {site}\n\n{after}"


def test_a_page_that_is_whole_is_taken():
    assert amiss(page()) == []
    assert amiss(page(R07=section())) == []
    assert amiss(page(R07=section(tests=f"**Tests.**\n- `{PROVEN}[en]`\n\n"))) == []


def test_what_is_missing_counts_when_it_is_said_and_the_table_says_so_too():
    partly = section(after="**Not yet.** The chain is missing.\n\n")
    nothing = section(tests="", after="**Not yet.** All of it is missing.\n\n")
    for body, state in ((partly, "in part"), (nothing, "not met")):
        assert amiss(page(R07=body).replace("| R07 | It holds | met |", f"| R07 | It holds | {state} |")) == []
        assert "R07 It holds met is not what its section says" in amiss(page(R07=body))


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        ({"R07": ""}, "R07 is missing"),
        ({"R07": section() + section()}, "R07 is there 2 times"),
        ({"R07": section() + section("R31")}, "R31 is not one of them"),
        ({"R07": section(tests="")}, "R07: has neither a test nor a not yet"),
        ({"R07": section(tests="**Tests.**\n\n")}, "R07: '' names no test"),
        ({"R07": section(tests="**Tests.**\n- by hand\n\n")}, "R07: '- by hand' names no test"),
        (
            {"R07": section(tests=f"**Tests.**\n- `{PROVEN}`\n- `{PROVEN}`\n\n")},
            f"R07: '- `{PROVEN}`' stands twice",
        ),
        ({"R07": section(tests=f"**Tests.**\n- `{PROVEN}x`\n\n")}, f"{PROVEN}x does not exist or never runs"),
        (
            {"R07": section(tests="**Tests.**\n- `tests/test_nowhere.py::test_a`\n\n")},
            "tests/test_nowhere.py::test_a does not exist or never runs",
        ),
        (
            {"R07": section(tests="**Tests.**\n- `tests/world.py::living`\n\n")},
            "tests/world.py::living does not exist or never runs",
        ),
        (
            {"R07": section(tests="**Tests.**\n- `tests/test_docs.py::test_pictures_open_on_a_slow_line[x]`\n\n")},
            "tests/test_docs.py::test_pictures_open_on_a_slow_line[x] does not exist or never runs",
        ),
        ({"R07": section(after="**Not yet.**\n\n")}, "R07: has a not yet beside nothing"),
        ({"R07": section(site="Not yet.")}, "R07: has a not yet that is no field of its own"),
        ({"R07": section(site="")}, "R07: says nothing under The site"),
        ({"R07": section(title="It is so")}, "R07 It holds met is not what its section says"),
        ({"head": "# Requirements\n"}, "R07 is not in the table"),
        ({"head": "**Not yet.** Much.\n"}, "a not yet stands before the first requirement"),
    ],
)
def test_a_page_with_something_amiss_is_found(harm, fault):
    assert fault in amiss(page(**harm))


def test_a_test_that_is_always_skipped_proves_nothing():
    skipped, sometimes, plain = ast.parse(
        "@pytest.mark.skip(reason='later')\ndef test_a(): ...\n"
        "@pytest.mark.skipif(chromium is None, reason='no browser')\ndef test_b(): ...\n"
        "def test_c(): ...\n"
    ).body
    assert [_runs(test, "") for test in (skipped, sometimes, plain)] == [False, True, True]
