"""The container, as far as it can be looked at without an engine: what is promised in its files holds."""

import fnmatch
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from cli.main import DOORS
from cli.settings import Settings

HERE = Path(__file__).parent.parent
ENGINE_MEANS = re.compile(
    r"^(FROM|WORKDIR|ENV|COPY|RUN|USER|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) ", re.MULTILINE
)
Step = tuple[str, str]


def _steps() -> list[Step]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (HERE / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    assert all(ENGINE_MEANS.match(line) for line in lines if line), lines
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines if line]


@pytest.fixture
def stages() -> list[list[Step]]:
    stages: list[list[Step]] = []
    for step in _steps():
        if step[0] == "FROM":
            stages.append([])
        stages[-1].append(step)
    return stages


def _of(stage: list[Step], instruction: str) -> list[str]:
    return [rest for name, rest in stage if name == instruction]


def _settings(stage: list[Step]) -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in _of(stage, "ENV") for pair in rest.split())


def test_both_stages_stand_on_the_same_python_which_daybook_supports(stages: list[list[Step]]):
    bases = [_of(stage, "FROM")[0].partition(" ")[0] for stage in stages]
    assert len(bases) == 2
    assert len(set(bases)) == 1  # the environment built in one is carried to the other
    found = re.fullmatch(r"python:3\.(\d+)-slim-\w+", bases[0])
    assert found is not None
    wanted = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["requires-python"]
    assert int(found[1]) >= int(wanted.removeprefix(">=3."))


def test_everything_comes_from_the_lock_with_its_hashes_and_the_rest_sees_no_network(stages: list[list[Step]]):
    (fetched,) = [run for run in _of(stages[0], "RUN") if "pip download" in run]
    for part in ("--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement requirements.lock"):
        assert part in fetched
    later = [
        command
        for run in _of(stages[0], "RUN")
        for command in run.split("&&")
        if re.search(r"pip (install|wheel)", command)
    ]
    assert len(later) == 3
    assert all("--no-index" in command for command in later)


def test_the_lock_names_every_dependency_and_the_tool_that_builds():
    project = tomllib.loads((HERE / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    lock = (HERE / "requirements.lock").read_text()
    for requirement in wanted:
        name = re.split(r"[\[<>=~ ]", requirement)[0]
        assert re.search(
            rf"^{re.escape(name)}==\S+ .*\\\n    --hash=sha256:", lock, re.MULTILINE | re.IGNORECASE
        ), name


def test_what_is_copied_is_there_is_every_room_and_is_not_ignored(stages: list[list[Step]]):
    copied = [source for rest in _of(stages[0], "COPY") for source in rest.split()[:-1]]
    rooms = tomllib.loads((HERE / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(rooms["packages"]) <= set(copied)
    assert all((HERE / source).exists() for source in copied)
    rules = [rule for rule in (HERE / ".dockerignore").read_text().splitlines() if rule and rule[0] != "#"]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule[0] == "!"} == set(copied)
    for secret in (
        ".env",
        "protocol/.env",
        "secrets/bot_token",
        "data/daybook.db",
        "bot/daybook.db",
        "tests/cast.py",
        ".git/config",
    ):
        assert _ignored(rules, secret), secret


def _ignored(rules: list[str], path: str) -> bool:
    """Docker's rule: the last line that matches a path or a folder above it decides."""
    ignored = False
    above = [str(Path(*Path(path).parts[: depth + 1])) for depth in range(len(Path(path).parts))]
    for rule in rules:
        pattern = rule.lstrip("!")
        name = pattern.removeprefix("**/")
        if any(fnmatch.fnmatch(each if name == pattern else Path(each).name, name) for each in above):
            ignored = rule[0] != "!"
    return ignored


def test_it_runs_as_nobody_special_and_can_write_to_its_data_alone(stages: list[list[Step]]):
    final = stages[1]
    (user,) = _of(final, "USER")
    assert int(user) > 0
    made = " ".join(_of(final, "RUN"))
    assert f"--uid {user} --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin daybook" in made
    assert "--owner=daybook --group=daybook --mode=0700 /data" in made
    assert _of(final, "VOLUME") == ["/data"]
    assert _settings(final)["DAYBOOK_DATABASE_URL"] == "sqlite:////data/daybook.db"
    order = [name for name, _ in final]
    assert order.index("USER") > max(place for place, name in enumerate(order) if name in ("RUN", "COPY"))


def test_the_final_stage_has_no_tools_to_build_with(stages: list[list[Step]]):
    removed, made = _of(stages[1], "RUN")
    assert re.match(
        r"python -m pip uninstall .* pip setuptools wheel +&& rm -r /usr/local/lib/\S+/ensurepip$", removed
    )
    assert not re.search(r"\b(pip|apt|apt-get|curl)\b", made)
    assert _of(stages[1], "COPY") == ["--from=build /opt/daybook /opt/daybook"]
    assert "uninstall --quiet --yes pip setuptools" in " ".join(_of(stages[0], "RUN"))


def test_its_settings_are_settings_and_none_of_them_is_a_secret(stages: list[list[Step]]):
    given = {name for name in _settings(stages[1]) if name.startswith("DAYBOOK_")}
    known = {f"DAYBOOK_{name.upper()}" for name in Settings.model_fields}
    assert given <= known
    assert not given & {"DAYBOOK_BOT_TOKEN", "DAYBOOK_SECRET_KEY"}
    port = _settings(stages[1])["DAYBOOK_WEB_PORT"]
    assert _of(stages[1], "EXPOSE") == [port]


def test_it_starts_and_is_watched_by_commands_there_are(stages: list[list[Step]]):
    doors = {door.name for door in DOORS}
    (watched,) = _of(stages[1], "HEALTHCHECK")
    assert json.loads(watched.partition("CMD ")[2]) == ["daybook", "health"]
    (started,) = map(json.loads, _of(stages[1], "CMD"))
    assert {"health", *started} <= doors


def test_its_entry_point_hands_the_command_over_with_a_narrow_umask(stages: list[list[Step]], tmp_path: Path):
    (entry,) = map(json.loads, _of(stages[1], "ENTRYPOINT"))
    (tmp_path / "daybook").write_text('#!/bin/sh\numask\necho "$$ $@"\n')
    (tmp_path / "daybook").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen([*entry, "patient", "a b"], env=path, stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=10)
    assert out.splitlines() == ["0077", f"{process.pid} patient a b"]  # the same process: signals reach it


def test_no_registry_is_named():
    for name in ("Dockerfile", "compose.yaml", "tests/wheel.sh"):
        assert not re.search(r"https?://|\w+\.(io|com|org)/", (HERE / name).read_text()), name


def test_the_wheel_script_is_what_make_calls_and_reads_as_shell():
    assert "sh tests/wheel.sh" in (HERE / "Makefile").read_text()
    checked = subprocess.run(["sh", "-n", HERE / "tests" / "wheel.sh"], check=False)
    assert checked.returncode == 0
