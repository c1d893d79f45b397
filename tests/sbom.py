"""Writes what the lock pins as a CycloneDX document; called by `make sbom`. The same lock gives the same bytes."""

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HOUSE = Path(__file__).parents[1]
_PIN = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.+?))?"
    r"(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})+)\s*"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_EXPORTING = ("export", "analyse")
_LONGEST_NAME = 60  # characters; beyond these the field holds a licence's text and not its name
# Serial numbers are made in it from the content.
_NAMESPACE = uuid.UUID("5e2b6a0e-9a43-4d6c-8f0e-6d1b2f3c4a55")


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def pins_of(lock: str) -> list[Pin]:
    """Every line of a lock; a line that is not understood is an error and never left out."""
    pins = []
    for line in lock.replace("\\\n", "").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _PIN.fullmatch(line)
        if not found:
            raise ValueError(f"requirements.lock has a line that is no pin with hashes: {line[:60]}")
        hashes = tuple(sorted(_HASH.findall(found["hashes"])))
        pins.append(Pin(canonicalize_name(found["name"]), found["version"], found["marker"] or "", hashes))
    return sorted(pins, key=lambda pin: (pin.name, pin.version))


def document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """What the lock pins and Daybook itself, as CycloneDX 1.6; without a time, which would differ each time."""
    pins = pins_of(lock)
    extras = project["optional-dependencies"]
    required = _reached(project["dependencies"])
    optional = _reached(line for extra in _EXPORTING for line in extras[extra]) - required
    named = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    itself = f"daybook@{project['version']}"
    body = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": "daybook",
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"expression": project["license"], "acknowledgement": "declared"}],
            }
        },
        "components": [_component(pin, required, optional) for pin in pins],
        "dependencies": [{"ref": itself, "dependsOn": [pin.purl for pin in pins if pin.name in named]}],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(body, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "serialNumber": f"urn:uuid:{serial}",
        **body,
    }


def _component(pin: Pin, required: set[str], optional: set[str]) -> dict[str, Any]:
    # The image has what is required; what only tests, checks and builds need is excluded.
    scope = "required" if pin.name in required else "optional" if pin.name in optional else "excluded"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "scope": scope,
        # One for each file of this version that may be installed.
        "hashes": [{"alg": "SHA-256", "content": content} for content in pin.hashes],
    }
    installed = _installed(pin.name)
    if installed and installed.version == pin.version and (licences := _licences(installed)):
        component["licenses"] = licences
    if pin.marker:
        component["properties"] = [{"name": "daybook:only-where", "value": pin.marker}]
    return component


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _licences(installed: Distribution) -> list[dict[str, Any]]:
    """What a distribution says of its licence, in its own words."""
    metadata = installed.metadata
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression, "acknowledgement": "declared"}]
    named = (metadata.get("License") or "").strip()
    classed = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License :: ")]
    names = [named] if named and "\n" not in named and len(named) <= _LONGEST_NAME else []
    names = names or sorted(line.rpartition(" :: ")[2] for line in classed)
    return [{"license": {"name": name, "acknowledgement": "declared"}} for name in names]


def _reached(lines: Any) -> set[str]:
    """The names these requirements lead to, on any system, as the installed distributions tell."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _needed(name, extra)
    return {name for name, _ in seen}


def _needed(name: str, extra: str) -> Iterator[Requirement]:
    installed = _installed(name)
    here = {**default_environment(), "extra": extra}
    windows = {**here, "sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"}
    for line in (installed.requires or []) if installed else []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate(place) for place in (here, windows)):
            yield requirement


def write(path: Path) -> None:
    """Write the document of this folder's lock, whole or not at all."""
    lock = (HOUSE / "requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(
        json.dumps(document(lock, project), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    unfinished.replace(path)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
