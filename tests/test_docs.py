"""The documents name what there is: files, functions, commands, settings, tables, tests."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer.main

from bot.commands import PATIENT, STAFF
from cli.main import DOORS, app_for, run
from cli.settings import SECRETS, Settings
from storage.tables import metadata

HOUSE = Path(__file__).parents[1]
README = HOUSE / "README.md"
MAP = HOUSE / "docs" / "map.md"
PAGES = sorted([*HOUSE.glob("*.md"), *HOUSE.glob("docs/**/*.md"), *HOUSE.glob("bench/*.md")])
ROOMS = ("protocol", "storage", "diary", "schedules", "reports", "bot", "web", "rehearsal", "cli")
LARGEST_PICTURE = 250_000  # bytes; a page with pictures must open on a slow line

FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]*\.(?:py|toml|po|mako|html|css|js|svg))`")
PLACE = re.compile(r"`((?:[\w-]+/)+\w+\.py):([\w.]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


def name(path):
    return path.relative_to(HOUSE).as_posix()


def text_of(path):
    return path.read_text(encoding="utf-8")


def section(page, title):
    """What stands under a heading of the second order."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    assert found, f"{name(page)} has no section {title}"
    return found[1]


def first_cells(table):
    return [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]


@cache
def defined_in(path):
    """Functions, classes and their methods."""
    found = set()
    for node in ast.parse(text_of(path)).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if hasattr(part, "name")}
        if hasattr(node, "name"):
            found.add(node.name)
    return found


def test_every_file_of_the_rooms_has_its_line_on_the_map():
    listed = text_of(MAP).partition("## A reminder goes out")[0]
    there = {name(path) for room in ROOMS for path in (HOUSE / room).rglob("*.py")}
    assert sorted(there - set(FILE.findall(listed))) == []


@pytest.mark.parametrize(
    "page", [MAP, HOUSE / "CONTRIBUTING.md", *sorted(HOUSE.glob("docs/decisions/*.md"))], ids=name
)
def test_every_file_that_is_named_is_there(page):
    named = [file for file in FILE.findall(text_of(page)) if "/" in file]
    assert [file for file in named if not (HOUSE / file).is_file()] == []


def test_every_function_on_the_walks_is_where_the_map_says():
    places = PLACE.findall(text_of(MAP))
    assert len(places) > 20
    assert [f"{file}:{what}" for file, what in places if what not in defined_in(HOUSE / file)] == []


def test_the_map_says_where_every_table_is_written():
    cells = " ".join(first_cells(section(MAP, "Where each table is written")))
    assert sorted(re.findall(r"`(\w+)`", cells)) == sorted(metadata.tables)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_somewhere(page):
    links = [one or other for one, other in LINK.findall(text_of(page))]
    local = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_command_of_the_table_can_be_called(capsys):
    commands = re.findall(r"`daybook ([a-z -]+)`", " ".join(first_cells(section(README, "Commands"))))
    for command in commands:
        assert run([*command.split(), "--help"]) == 0, command
    capsys.readouterr()
    assert sorted(commands) == sorted(every_command())


def every_command():
    for door in DOORS:
        command = typer.main.get_command(app_for([door.name])).commands[door.name]
        below = getattr(command, "commands", None)
        yield from [f"{door.name} {part}" for part in below] if below else [door.name]


def test_every_command_that_is_shown_in_passing_exists():
    known = set(every_command())
    groups = {command.partition(" ")[0] for command in known if " " in command}
    for page in PAGES:
        for first, second in re.findall(r"`(?:\S*/)?daybook ([a-z]+)(?: ([a-z]+(?:-[a-z]+)?))?", text_of(page)):
            assert (f"{first} {second}" if first in groups and second else first) in known | groups, name(page)


def test_every_setting_is_in_the_table_and_no_other():
    files = {f"{secret}_file" for secret in SECRETS}
    expected = {f"DAYBOOK_{field.upper()}" for field in Settings.model_fields if field not in files}
    assert set(re.findall(r"DAYBOOK_\w+", " ".join(first_cells(section(README, "Settings"))))) == expected


def test_every_command_of_the_chat_is_named():
    after = section(README, "Commands").partition("In the chat")[2]
    assert set(re.findall(r"`/([a-z]+)`", after)) == {*PATIENT, *STAFF}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_that_is_named_exists(page):
    targets = set(re.findall(r"^([a-z]+):", text_of(HOUSE / "Makefile"), re.MULTILINE))
    named = re.findall(r"`make (?:[A-Z]+=\S+ )?([a-z]+)`|^ *make ([a-z]+)", text_of(page), re.MULTILINE)
    assert {one or other for one, other in named} <= targets


def test_every_test_that_a_recipe_names_exists():
    named = set(re.findall(r"`(test_\w+)(?:\[[^\]]*\])?`", text_of(HOUSE / "CONTRIBUTING.md")))
    written = {test for path in HOUSE.glob("tests/**/test_*.py") for test in defined_in(path)}
    assert named
    assert sorted(named - written) == []


def test_pictures_open_on_a_slow_line():
    large = [name(path) for path in HOUSE.glob("docs/images/*") if path.stat().st_size > LARGEST_PICTURE]
    assert large == []


def test_decisions_are_numbered_without_a_gap_and_carry_their_number():
    pages = sorted(HOUSE.glob("docs/decisions/*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(len(pages)))
    assert [page.name for page in pages if not text_of(page).startswith(f"# {int(page.name[:4])}. ")] == []
