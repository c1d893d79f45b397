"""An export read back, away from the server: its files' fingerprints checked, its tables as rows of text."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from protocol.errors import DaybookError
from protocol.load import load_protocol
from protocol.model import Protocol
from reports.columns import Kind
from reports.tables import TABLES

_GUARDED: Final = {table.name: [c.name for c in table.columns if c.kind is Kind.TEXT] for table in TABLES}
_FORMAT: Final = ("daybook-export", 1)
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Exported:
    """A folder that `daybook export` wrote; DaybookError says what is wrong with it."""

    folder: Path
    protocol: Protocol
    cut_off: datetime
    fingerprints: Mapping[str, str]  # of each file, by its name

    @classmethod
    def open(cls, folder: Path) -> "Exported":
        """Read what it is of, and see that it is of a kind this version reads."""
        manifest = manifest_of(folder)
        try:
            kind = (manifest["format"], manifest["version"])
            told = (manifest["study"], manifest["protocol_version"])
            cut_off = datetime.fromisoformat(manifest["cut_off"])
            fingerprints = {file["name"]: file["sha256"] for file in manifest["files"]}
        except (KeyError, TypeError, ValueError):
            kind = None
        if kind != _FORMAT:
            raise DaybookError(
                f"{folder} is not an export that this version of Daybook reads; export anew with this version."
            )
        names = [name for name in fingerprints if name.startswith("protocol-before-") and name.endswith(".toml")]
        newest, *before = (
            load_protocol(str(_checked(folder, fingerprints, name))).protocol for name in ("protocol.toml", *names)
        )
        if told != (newest.trial.id, newest.trial.version):
            raise DaybookError(
                f"The export says it is of {' version '.join(told)}, and its protocol.toml is "
                f"{newest.trial.id} version {newest.trial.version}; export anew."
            )
        _refuse_unlike(newest, before)
        return cls(folder, newest, cut_off, fingerprints)

    def rows(self, table: str) -> Iterator[Row]:
        """The rows of a table, texts without their guard; a file that was changed since is refused."""
        path = _checked(self.folder, self.fingerprints, f"{table}.csv")
        with path.open(encoding="utf-8", newline="") as text:
            for row in csv.DictReader(text):
                for name in _GUARDED.get(table, ()):
                    row[name] = row[name].removeprefix("'")
                yield row


def manifest_of(folder: Path) -> Any:
    """The manifest of an export; DaybookError where there is none."""
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DaybookError(f"{folder} has no manifest.json, so it is no export; name the folder of one.") from None


def _checked(folder: Path, fingerprints: Mapping[str, str], name: str) -> Path:
    """A file of the export, as it was when it was written."""
    if name not in fingerprints:
        raise DaybookError(f"The export has no {name}; make one with the format csv among its formats.")
    path = folder / name
    try:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DaybookError(
            f"{path} cannot be read ({error.strerror}); take the whole folder of the export."
        ) from None
    if found != fingerprints[name]:
        raise DaybookError(
            f"{name} is not as it was exported: its fingerprint differs from the manifest's; export anew."
        )
    return path


def _refuse_unlike(newest: Protocol, before: Sequence[Protocol]) -> None:
    """Refuse where patients follow versions of the protocol that one table cannot hold."""
    known = _rests_on(newest)
    unlike = sorted({part for one in before for part, said in _rests_on(one).items() if said != known[part]})
    if unlike:
        versions = ", ".join(dict.fromkeys(one.trial.version for one in (*reversed(before), newest)))
        raise DaybookError(
            f"The export has patients under several versions of the protocol ({versions}) that differ in "
            f"{', '.join(unlike)}, so that one table cannot hold them; analyse them apart with the scripts in the "
            "export."
        )


def _rests_on(protocol: Protocol) -> dict[str, object]:
    """What the tables rest on: of a change of words, times of day or alerts they do not know."""
    return {
        "trial": (protocol.trial.id, protocol.trial.nrs.min, protocol.trial.nrs.max),
        "phases": [(phase.id, phase.days) for phase in protocol.phase],
        "items": [(phase.id, item.id, item.kind) for phase, item in protocol.items()],
        "visits": [(visit.id, visit.day, visit.measures) for visit in protocol.visit],
        "measures": [(one.id, one.unit, one.range) for one in protocol.measure],
    }
