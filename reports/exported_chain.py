"""Verifies the trail of an export, on any machine: no database and no key, only the folder.

The chain first, then the answers, notes and visits of the other files against what the chain tells of them, then
every file's fingerprint.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from protocol.errors import DaybookError
from reports.chain import Fault, Head, Verdict, Walk, named
from reports.exported import manifest_of
from storage.chain import LINES_AT_ONCE, ChainLine, digest_of

_IDS_AT_ONCE: Final = 200_000
_T = TypeVar("_T")
_LONGEST_CELL: Final = 16 * 1024 * 1024


def verify_export(folder: Path, kept: Sequence[Head] = ()) -> Verdict:
    """Walk along the trail of an export; DaybookError where it has none that could be verified."""
    manifest = manifest_of(folder)
    files = _files(folder, manifest)
    if "audit.csv" not in files:
        raise DaybookError(_no_trail(folder, manifest))
    walk, last = Walk(kept), dict[str, int]()
    lines = _lines(folder)
    while some := list(islice(lines, LINES_AT_ONCE)):
        walk.take(some)
        for line in some:
            if line.row_of is not None:
                last[line.row_of] = max(last.get(line.row_of, 0), line.row_id or 0)
    found = walk.verdict()
    fault = found.fault or _other_files(folder, files, last) or _fingerprints(folder, files)
    return Verdict(found.head, fault)


def _files(folder: Path, manifest: Any) -> dict[str, str]:
    try:
        return {str(file["name"]): str(file["sha256"]) for file in manifest["files"]}
    except (KeyError, TypeError):
        raise DaybookError(
            f"The manifest.json of {folder} cannot be read; take the export as it was made."
        ) from None


def _no_trail(folder: Path, manifest: Any) -> str:
    if site := manifest.get("site"):
        return (
            f"{folder} is the export of one site, {site}: the trail is one chain over all sites, so there is none "
            "to verify in it; verify an export of the whole trial."
        )
    return (
        f"{folder} has no audit.csv, which only an export of the whole trial has, with free text and with csv "
        "among its formats; make one with `daybook export`."
    )


def _lines(folder: Path) -> Iterator[ChainLine]:
    for number, cells in enumerate(_rows(folder, "audit.csv"), start=2):
        try:
            yield _line(cells)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise DaybookError(
                f"Line {number} of the file audit.csv is not as Daybook writes one: it was changed or cut off."
            ) from None


def _line(cells: Mapping[str, str]) -> ChainLine:
    content = cells["content"]
    if not content:
        if cells["row"]:
            raise ValueError
        return ChainLine(int(cells["line"]), cells["sha256"], cells["content_sha256"])
    if cells["content_sha256"]:
        raise ValueError
    told = json.loads(content)
    return ChainLine(
        int(cells["line"]),
        cells["sha256"],
        digest_of(content),
        content,
        told.get("patient_id"),
        told.get("row_of"),
        told.get("row_id"),
        told.get("row_sha256"),
        cells["row"] or None,
    )


def _rows(folder: Path, name: str) -> Iterator[dict[str, str]]:
    path = folder / name
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8", newline="") as text:
            yield from csv.DictReader(text, strict=True)
    except (OSError, UnicodeDecodeError, csv.Error):
        raise DaybookError(
            f"{path} cannot be read as a CSV file of an export; take the folder as it was."
        ) from None


def _utc(kept: Any) -> str:
    return f"{kept[:23]}Z" if kept else ""


def _plain(kept: Any) -> str:
    return "" if kept is None else str(kept)


def _guarded_text(cell: str) -> str:
    return cell.removeprefix("'")


@dataclass(frozen=True, slots=True)
class _File:
    """A file whose lines the chain tells of: where a row's id stands, and which cells say what its columns do."""

    table: str
    id: str
    plain: Mapping[str, str]  # cells by column
    instants: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"{self.table}.csv"

    def told(self, row: Mapping[str, Any]) -> list[list[str]]:
        """What the file's lines say of a row, from what the chain says."""
        said = [_plain(row.get(column)) for column in self.plain]
        said += [_utc(row.get(column)) for column in self.instants]
        if self.table != "visits":
            return [said]
        measured: Mapping[str, Any] = json.loads(row["measured"]) or {"": None}
        return [[*said, name, "" if value is None else f"{value:.10g}"] for name, value in sorted(measured.items())]

    def says(self, cells: Mapping[str, str]) -> list[str]:
        """The same of a line as it stands in the file."""
        said = [_guarded_text(cells[name]) for name in self.plain.values()]
        said += [cells[name] for name in self.instants.values()]
        return [*said, cells["measure"], cells["value"]] if self.table == "visits" else said


_WHERE: Final = {"local_date": "local_date", "zone": "timezone", "utc_offset_minutes": "utc_offset"}
_CAME: Final = {"said_at": "said_utc", "received_at": "received_utc", "recorded_at": "recorded_utc"}
_CORRECTS: Final = {name: name for name in ("supersedes", "change_reason")}
_FILES: Final = (
    _File(
        "entries",
        "entry",
        {name: name for name in ("answer", "score", "skip_reason", "source")}
        | {"kind": "punctuality"}
        | _CORRECTS
        | _WHERE,
        {"due_at": "due_utc", "prompted_at": "prompted_utc"} | _CAME,
    ),
    _File(
        "notes",
        "note",
        {"kind": "note_kind", "text": "text", "passed_on_as": "passed_on_as"} | _WHERE,
        {"passed_on_at": "passed_on_utc"} | _CAME,
    ),
    _File(
        "visits",
        "form",
        {"visit": "visit", "held_on": "held_on"} | _CORRECTS,
        {"began_at": "began_utc", "recorded_at": "recorded_utc"},
    ),
)


def _other_files(folder: Path, files: Mapping[str, str], last: Mapping[str, int]) -> Fault | None:
    """The first row of another file that is not as the chain tells of it."""
    for file in _FILES:
        if file.name in files and (fault := _differs(folder, file, last.get(file.table, 0))) is not None:
            return fault
    return None


def _differs(folder: Path, file: _File, last: int) -> Fault | None:
    """Some ids at a time, so that a million rows need no more memory than these."""
    beyond = next((row_id for row_id in _ids(folder, file) if not 0 < row_id <= last), None)
    if beyond is not None:
        return _added(file, beyond)
    first = 0
    subjects: dict[int, str] = {}
    while first <= last:
        if (fault := _differs_within(folder, file, range(first, first + _IDS_AT_ONCE), subjects)) is not None:
            return fault
        first += _IDS_AT_ONCE
    return None


def _ids(folder: Path, file: _File) -> Iterator[int]:
    return (_id(file, cells) for cells in _rows(folder, file.name))


def _added(file: _File, row_id: int) -> Fault:
    return Fault(f"{named(file.table, row_id)} in {file.name} was added: no line of the trail tells of it.")


def _differs_within(folder: Path, file: _File, ids: range, subjects: dict[int, str]) -> Fault | None:
    told: dict[int, int] = {}
    lines: dict[int, tuple[int, int | None]] = {}
    for line in _lines(folder):
        if line.row_of == file.table and line.row_id in ids and line.row is not None and line.row_id is not None:
            told[line.row_id] = _sum(file.told(json.loads(line.row)))
            lines[line.row_id] = (line.number, line.patient_id)
    for cells in _rows(folder, file.name):
        row_id = _id(file, cells)
        if row_id not in ids:
            continue
        if row_id not in told:
            return _added(file, row_id)
        number, patient = lines[row_id]
        what = f"{named(file.table, row_id)} in {file.name}"
        if patient is not None and subjects.setdefault(patient, cells["subject"]) != cells["subject"]:
            return Fault(
                f"{what} is under the subject {cells['subject']}, and line {number} is of another.", number
            )
        told[row_id] -= _sum([_cells_of(file, cells)])
    return _first_left(file, told, lines)


def _first_left(file: _File, told: Mapping[int, int], lines: Mapping[int, tuple[int, int | None]]) -> Fault | None:
    left = next((row_id for row_id in sorted(told) if told[row_id] != 0), None)
    if left is None:
        return None
    number = lines[left][0]
    what = f"{named(file.table, left)}, of which line {number} tells, is not so in {file.name}"
    return Fault(f"{what}: it was changed or removed there.", number)


def _sum(lines: Iterable[Sequence[str]]) -> int:
    """The same for the same lines in whatever order."""
    return sum(int.from_bytes(sha256(json.dumps(line).encode()).digest()) for line in lines)


def _id(file: _File, cells: Mapping[str, str]) -> int:
    return _read(file, lambda: int(cells[file.id]))


def _cells_of(file: _File, cells: Mapping[str, str]) -> list[str]:
    return _read(file, lambda: file.says(cells))


def _read(file: _File, reading: Callable[[], _T]) -> _T:
    try:
        return reading()
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DaybookError(f"{file.name} is not as Daybook writes it: a line was changed or cut off.") from None


def _fingerprints(folder: Path, files: Mapping[str, str]) -> Fault | None:
    for name, expected in files.items():
        try:
            with (folder / name).open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
        except OSError:
            return Fault(f"{name} is missing, and the manifest names it.")
        if found != expected:
            return Fault(f"{name} is not as it was exported: its fingerprint differs from the manifest's.")
    return None
