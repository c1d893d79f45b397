"""The compose file shuts the container in, and names settings, commands and secrets that there are."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.main import DOORS
from cli.settings import SECRETS, Settings, load_settings
from rehearsal.telegram import TOKEN
from tests.conftest import KEY

HOUSE = Path(__file__).parents[1]
TEXT = (HOUSE / "compose.yaml").read_text(encoding="utf-8")
IMAGE = (HOUSE / "Dockerfile").read_text(encoding="utf-8")
UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}
MOUNTED = "/run/secrets/"
Compose = dict[str, Any]


@pytest.fixture
def compose() -> Compose:
    return yaml.safe_load(TEXT)


def bytes_in(size: str) -> int:
    return int(size[:-1]) * UNITS[size[-1]]


def loose_ends(compose: Compose) -> list[str]:
    """Where the container is open, keeps a secret in the open, or can take the machine with it."""
    (service,) = compose["services"].values()
    return [name for name, tight in _points(service, compose).items() if not tight]


def _points(service: Compose, compose: Compose) -> dict[str, bool]:
    given = {name.removeprefix("DAYBOOK_").lower() for name in service["environment"]}
    named = {setting: service["environment"].get(f"DAYBOOK_{setting.upper()}_FILE") for setting in SECRETS[:2]}
    return {
        "capabilities": service.get("cap_drop") == ["ALL"] and not service.get("cap_add"),
        "privileges": service.get("security_opt") == ["no-new-privileges:true"] and not service.get("privileged"),
        "user": "user" not in service,  # that of the image, see tests/test_image.py
        "namespaces": not {"network_mode", "pid", "ipc", "userns_mode", "devices", "cgroup"} & set(service),
        "root file system": service.get("read_only") is True,
        "temporary files": all(_is_shut_in(mount) for mount in service.get("tmpfs") or ["nowhere"]),
        "volumes": _only_data_can_be_written(service["volumes"], compose["volumes"]),
        "ports": all(port.startswith("127.0.0.1:") for port in service["ports"]),
        "memory": bytes_in(service.get("mem_limit", "0m")) > _most_of_tmpfs(service) > 0,
        "processes": 0 < service.get("pids_limit", 0) <= 512,
        "core": service.get("ulimits", {}).get("core") == 0,
        "log": {"max-size", "max-file"} <= set(service.get("logging", {}).get("options", ())),
        "restart": service.get("restart") == "unless-stopped",
        "time to stop": int(service.get("stop_grace_period", "0s").rstrip("s")) > 10,
        "health": service.get("healthcheck", {}).get("test") == ["CMD", "daybook", "health"],
        "secrets": sorted(service.get("secrets", ())) == sorted(Path(str(path)).name for path in named.values())
        and all(str(path).startswith(MOUNTED) for path in named.values())
        and all(str(compose["secrets"][name]["file"]).startswith("./secrets/") for name in service["secrets"]),
        "environment": "env_file" not in service and not given & set(SECRETS),
    }


def _is_shut_in(mount: str) -> bool:
    where, _, options = mount.partition(":")
    return where == "/tmp" and {"noexec", "nosuid", "nodev"} < set(options.split(","))


def _most_of_tmpfs(service: Compose) -> int:
    return sum(bytes_in(size) for mount in service.get("tmpfs", ()) for size in re.findall(r"size=(\w+)", mount))


def _only_data_can_be_written(mounts: list[str], volumes: Compose) -> bool:
    writable = [mount for mount in mounts if not mount.endswith(":ro")]
    return writable == ["data:/data"] and "data" in volumes and not any("docker.sock" in mount for mount in mounts)


def test_the_container_is_shut_in(compose):
    assert loose_ends(compose) == []


@pytest.mark.parametrize(
    ("point", "harm"),
    [
        ("capabilities", {"cap_drop": ["NET_RAW"]}),
        ("capabilities", {"cap_add": ["NET_ADMIN"]}),
        ("privileges", {"security_opt": ["no-new-privileges:true", "seccomp:unconfined"]}),
        ("privileges", {"privileged": True}),
        ("user", {"user": "root"}),
        ("namespaces", {"network_mode": "host"}),
        ("root file system", {"read_only": False}),
        ("temporary files", {"tmpfs": ["/tmp:exec,nosuid,nodev,size=256m"]}),
        ("temporary files", {"tmpfs": []}),
        ("volumes", {"volumes": ["data:/data", "./secrets:/secrets"]}),
        ("volumes", {"volumes": ["data:/data", "/var/run/docker.sock:/var/run/docker.sock:ro"]}),
        ("volumes", {"volumes": ["./data:/data"]}),
        ("ports", {"ports": ["8080:8080"]}),
        ("memory", {"mem_limit": "128m"}),
        ("memory", {"tmpfs": ["/tmp:noexec,nosuid,nodev"]}),
        ("processes", {"pids_limit": -1}),
        ("core", {"ulimits": {}}),
        ("log", {"logging": {"driver": "json-file"}}),
        ("restart", {"restart": "no"}),
        ("time to stop", {"stop_grace_period": "10s"}),
        ("health", {"healthcheck": {"disable": True}}),
        ("secrets", {"secrets": ["bot_token"]}),
        ("environment", {"env_file": ".env"}),
        ("environment", {"environment": {"DAYBOOK_BOT_TOKEN": "1:a"}}),
    ],
)
def test_a_container_that_is_open_in_one_place_is_found(compose, point, harm):
    opened = copy.deepcopy(compose)
    opened["services"]["daybook"] |= harm
    assert point in loose_ends(opened)


def test_every_setting_that_is_named_is_one():
    known = {f"DAYBOOK_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"DAYBOOK_\w+", TEXT))
    assert {"DAYBOOK_BOT_TOKEN_FILE", "DAYBOOK_SECRET_KEY_FILE"} < named
    assert named - known == set()


def test_every_command_that_is_named_is_one():
    called = re.findall(r"docker compose run --rm daybook (\w+)", TEXT)
    assert called
    assert set(called) <= {door.name for door in DOORS}


def test_daybook_starts_with_the_settings_it_is_given_there(compose, tmp_path, monkeypatch):
    (tmp_path / "bot_token").write_text(f"{TOKEN}\n", encoding="utf-8")
    (tmp_path / "secret_key").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in compose["services"]["daybook"]["environment"].items():
        alone = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)  # with nothing in .env
        monkeypatch.setenv(name, alone.replace(MOUNTED, f"{tmp_path}/"))
    settings = load_settings()
    assert settings.bot_tokens == (TOKEN,)
    assert settings.secret_keys == (KEY,)
    assert (settings.public_url, settings.protocol) == (None, Settings.model_fields["protocol"].default)
    assert "172.16.0.0/12" in settings.trusted_proxies


def test_it_is_the_image_of_this_folder_with_its_port_its_volume_its_user_and_its_health(compose):
    service = compose["services"]["daybook"]
    assert service["build"] == "."
    assert f":{re.findall(r'^EXPOSE (.*)', IMAGE, re.MULTILINE)[0]}" in service["ports"][0].removeprefix(
        "127.0.0.1"
    )
    assert service["volumes"][0].endswith(f":{re.findall(r'^VOLUME (.*)', IMAGE, re.MULTILINE)[0]}")
    assert f"chown {re.findall(r'^USER (.*)', IMAGE, re.MULTILINE)[0]} secrets/" in TEXT
    assert service["healthcheck"]["test"][1:] == json.loads(
        re.findall(r"^HEALTHCHECK .* CMD (.*)", IMAGE, re.MULTILINE)[0]
    )


def test_git_does_not_take_the_secrets():
    assert {"secrets/", ".env"} <= set((HOUSE / ".gitignore").read_text(encoding="utf-8").splitlines())
