"""The list of components is the lock, whole and the same each time, in a form that others read."""

import json
import os
import subprocess
import sys
import tomllib

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import ComponentScope
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from tests.sbom import HOUSE, document, pins_of, write

LOCK = (HOUSE / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SCHEMA = JsonStrictValidator(SchemaVersion.V1_6)
HASH = "ab" * 32
SMALL = f"starlette==1.0 \\\n    --hash=sha256:{HASH}\n"


@pytest.fixture(scope="module")
def made():
    return document(LOCK, PROJECT)


@pytest.fixture
def read(made):
    return Bom.from_json(made)


def test_it_is_valid_by_the_schema_of_the_standard(made):
    assert SCHEMA.validate_str(json.dumps(made)) is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda made: made["components"][0].pop("name"),
        lambda made: made["components"][0]["hashes"][0].update(content="abc"),
        lambda made: made["components"][0].update(scope="perhaps"),
        lambda made: made.update(serialNumber="1"),
        lambda made: made.update(made_by="nobody"),
    ],
)
def test_one_that_is_not_valid_is_found(made, harm):
    broken = json.loads(json.dumps(made))
    harm(broken)
    assert SCHEMA.validate_str(json.dumps(broken)) is not None


def test_read_by_a_library_it_has_every_pin_of_the_lock_with_its_hashes(read):
    there = {(part.name, part.version): {each.content for each in part.hashes} for part in read.components}
    pinned = [line.split(" ")[0].split("==") for line in LOCK.splitlines() if line[:1].isalnum()]
    assert sorted(there) == sorted(map(tuple, pinned))
    assert len(pinned) > 100
    assert sum(map(len, there.values())) == LOCK.count("--hash=sha256:")
    assert all(content in LOCK for contents in there.values() for content in contents)


def test_every_component_has_its_address_of_its_own(read):
    assert {str(part.purl) for part in read.components} == {
        f"pkg:pypi/{part.name}@{part.version}" for part in read.components
    }


def test_daybook_itself_is_the_component_the_list_is_of(read):
    itself = read.metadata.component
    assert (itself.name, itself.version) == ("daybook", PROJECT["version"])
    assert [each.value for each in itself.licenses] == ["Apache-2.0"]
    assert itself.purl is None  # it is on no registry; another's name there would be taken for it


def test_what_daybook_needs_by_name_is_told_as_such(made):
    (itself,) = made["dependencies"]
    direct = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert {ref.removeprefix("pkg:pypi/").partition("@")[0] for ref in itself["dependsOn"]} == direct
    assert set(itself["dependsOn"]) <= {part["bom-ref"] for part in made["components"]}


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("python-telegram-bot", ComponentScope.REQUIRED),
        ("h11", ComponentScope.REQUIRED),  # what a dependency needs
        ("greenlet", ComponentScope.REQUIRED),  # what the extra of one needs
        ("polars", ComponentScope.OPTIONAL),
        ("scipy", ComponentScope.OPTIONAL),
        ("pytest", ComponentScope.EXCLUDED),
        ("cyclonedx-python-lib", ComponentScope.EXCLUDED),
    ],
)
def test_what_runs_is_told_from_what_tests_need(read, name, scope):
    scopes = {part.scope for part in read.components if part.name == name}
    assert scopes == {scope}


def test_licences_are_those_the_distributions_tell(read):
    told = {
        part.name: {each.value if hasattr(each, "value") else each.name for each in part.licenses}
        for part in read.components
    }
    assert told["python-telegram-bot"] == {"LGPL-3.0-only"}  # an expression
    assert told["apscheduler"] == {"MIT"}  # a name
    assert told["jinja2"] == {"BSD License"}  # a classifier alone
    assert told["scipy"] == {"BSD License"} or not told["scipy"]  # not the licence's whole text
    running = [part.name for part in read.components if part.scope == ComponentScope.REQUIRED and not part.licenses]
    of_others = {pin.name for pin in pins_of(LOCK) if pin.marker}  # not for this system or this Python
    assert set(running) <= of_others


def test_the_same_lock_gives_the_same_bytes_in_every_process(tmp_path):
    write(tmp_path / "here.json")
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-m", "tests.sbom", str(tmp_path / "build" / f"{seed}.json")],
            cwd=HOUSE, env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
        )  # fmt: skip
        assert (tmp_path / "build" / f"{seed}.json").read_bytes() == (tmp_path / "here.json").read_bytes()
    assert sorted(path.name for path in (tmp_path / "build").iterdir()) == ["1.json", "2.json"]


def test_another_lock_has_another_serial_number():
    one, other = (document(text, PROJECT) for text in (SMALL, SMALL.replace("==1.0", "==1.1")))
    assert one["serialNumber"] != other["serialNumber"]
    assert one["serialNumber"] == document(SMALL, PROJECT)["serialNumber"]


def test_a_pin_for_some_systems_says_for_which():
    lock = f"colorama==0.4.6 ; os_name == 'nt' or sys_platform == 'win32' \\\n    --hash=sha256:{HASH}\n"
    (pin,) = pins_of(lock)
    assert (pin.name, pin.version, pin.hashes) == ("colorama", "0.4.6", (HASH,))
    (component,) = document(lock, PROJECT)["components"]
    assert component["properties"] == [{"name": "daybook:only-where", "value": pin.marker}]
    assert pin.marker == "os_name == 'nt' or sys_platform == 'win32'"


@pytest.mark.parametrize("line", ["starlette>=1.0\n", "starlette==1.0\n", "-e .\n", SMALL.replace(HASH, "ab")])
def test_a_line_that_is_no_pin_with_hashes_is_not_passed_over(line):
    with pytest.raises(ValueError, match="no pin with hashes"):
        pins_of(SMALL + line)


def test_make_writes_it_where_git_does_not_look():
    assert "python -m tests.sbom build/sbom.json" in (HOUSE / "Makefile").read_text(encoding="utf-8")
    assert "build/" in (HOUSE / ".gitignore").read_text(encoding="utf-8").splitlines()
