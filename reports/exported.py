"""An export read back, away from the server: its files' fingerprints checked, its tables as rows of text."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from protocol.errors import DaybookError
from protocol.load import load_protocol
from protocol.model import Protocol
from reports.columns import Kind
from reports.tables import TABLES

_GUARDED: Final = {table.name: [c.name for c in table.columns if c.kind is Kind.TEXT] for table in TABLES}
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that `daybook export` wrote; DaybookError says what is wrong with it."""

    folder: Path
    manifest: dict[str, Any]
    protocol: Protocol

    @classmethod
    def open(cls, folder: Path) -> "Exported":
        """Read what it is of, and see that it is of a kind this version reads."""
        manifest = _manifest(folder)
        if (manifest.get("format"), manifest.get("version")) != ("daybook-export", 1):
            raise DaybookError(
                f"{folder} is not an export that this version of Daybook reads; export anew with it."
            )
        protocol = load_protocol(str(_checked(folder, manifest, "protocol.toml"))).protocol
        told = (manifest["study"], manifest["protocol_version"])
        if told != (protocol.trial.id, protocol.trial.version):
            raise DaybookError(
                f"The export says it is of {' version '.join(told)}, and its protocol.toml is "
                f"{protocol.trial.id} version {protocol.trial.version}; export anew."
            )
        return cls(folder, manifest, protocol)

    @property
    def cut_off(self) -> date:
        """The day the export is as of, in UTC."""
        return datetime.fromisoformat(self.manifest["cut_off"]).date()

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table, texts without their guard; a file that was changed since is refused."""
        path = _checked(self.folder, self.manifest, f"{table}.csv")
        with path.open(encoding="utf-8", newline="") as text:
            for row in csv.DictReader(text):
                for name in _GUARDED.get(table, ()):
                    row[name] = row[name].removeprefix("'")
                yield row

    def refuse_other_versions(self, rows: list[Row]) -> None:
        """Refuse where some patients follow another version of the protocol than the newest."""
        version = self.manifest["protocol_version"]
        others = sorted({row["protocol_version"] for row in rows} - {version})
        if others:
            raise DaybookError(
                f"The export has patients under version {', '.join(others)} of the protocol beside version "
                f"{version}, whose visits may be others; analyse each version apart, with an export of its sites."
            )


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DaybookError(f"{folder} has no manifest.json, so it is no export; name the folder of one.") from None
    return found if isinstance(found, dict) else {}


def _checked(folder: Path, manifest: dict[str, Any], name: str) -> Path:
    told = {file["name"]: file["sha256"] for file in manifest["files"]}
    if name not in told:
        raise DaybookError(f"The export has no {name}; make one with the format csv among its formats.")
    path = folder / name
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DaybookError(
            f"{path} cannot be read ({error.strerror}); take the whole folder of the export."
        ) from None
    if found != told[name]:
        raise DaybookError(f"{name} is not as it was exported: its fingerprint differs from the manifest's.")
    return path
