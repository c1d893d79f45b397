"""Keeps the export's lines on disk while they come table by table, and gives them back patient by patient.

CDISC's standards want all of one patient together, and figures over a whole diary in its first line. A million
entries are too many to be held, one patient's are not: each table's lines go to a file of their own, with where
each patient's are, and only the list of patients stays in memory.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from reports.columns import Cells
from reports.formats.taking import Add
from reports.tables import ENTRIES, NOTES, SLOTS, SUBJECT, SUBJECTS, VISITS, Table
from storage.states import EXPECTED, SlotState

Line: TypeAlias = dict[str, Any]
_Lines: TypeAlias = list[tuple[Any, ...]]

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    SUBJECTS.name: ("site", "timezone", "first_day", "added_local", "joined_local", "withdrawn_local"),
    SLOTS.name: (
        "slot", "phase", "item", "item_kind", "local_date", "occurrence", "due_local", "state", "entry", "answer",
        "score", "skip_reason", "excused_because",
    ),
    ENTRIES.name: (
        "slot", "entry", "supersedes", "change_reason", "recorded_by", "staff", "said_local", "received_local",
        "recorded_local",
    ),
    NOTES.name: ("note", "text", "local_date", "said_local", "received_local", "passed_on_as"),
    VISITS.name: (
        "form", "visit", "held_on", "measure", "value", "holds", "supersedes", "change_reason", "staff",
        "recorded_local",
    ),
}  # fmt: skip
# What has become of a slot whose time has come; a slot that is open, to come or taken back is nobody's finding yet.
_SETTLED: Final = frozenset((*EXPECTED, SlotState.EXCUSED))


@dataclass(frozen=True)
class Patient:
    """One patient's lines of the export."""

    code: str
    site: str
    of_subject: Line
    slots: list[Line]
    entries: list[Line]
    notes: list[Line]
    visits: list[Line]

    @cached_property
    def given(self) -> dict[str, str]:
        """When each slot was first answered: what corrects an answer is about that time too."""
        return {line["slot"]: given_at(line) for line in self.entries if line["supersedes"] is None}

    @property
    def settled(self) -> list[Line]:
        """The slots whose time has come, by due time."""
        return [line for line in self.slots if line["state"] in _SETTLED]

    @property
    def side_effects(self) -> list[Line]:
        """What the patient gave to the team as a side effect, by time."""
        return [line for line in self.notes if line["passed_on_as"] == "side-effect"]

    @cached_property
    def held(self) -> dict[str, list[Line]]:
        """The values that hold of each visit that took place; one without a measure where nothing was measured."""
        visits: dict[str, list[Line]] = {}
        for line in self.visits:
            if line["holds"] == "yes":
                visits.setdefault(line["visit"], []).append(line)
        return visits


def given_at(line: Line) -> str:
    """When a patient said something: by Telegram's clock, or when it reached Daybook."""
    at: str = line["said_local"] or line["received_local"]
    return at


class BySubject:
    """The lines of an export, kept in a folder until they are asked for; `owner` tells its files from others'."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._owner = owner
        self._places: dict[str, dict[str, list[tuple[int, int]]]] = {
            name: {} for name in _COLUMNS if name != SUBJECTS.name
        }
        self.subjects: dict[str, Line] = {}

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Keep what is wanted of a table."""
        if table.name == SUBJECTS.name:
            yield _adding(table, self._remember)
        elif table.name in _COLUMNS:
            with self._path(table.name).open("xb") as out:
                yield _adding(table, self._writing(table.name, out.write))
        else:
            yield lambda _: None

    def _remember(self, subject: str, lines: _Lines) -> None:
        [line] = lines
        self.subjects[subject] = dict(zip(_COLUMNS[SUBJECTS.name], line, strict=True))

    def _writing(self, table: str, write: Callable[[bytes], object]) -> Callable[[str, _Lines], None]:
        places, end = self._places[table], 0

        def keep(subject: str, lines: _Lines) -> None:
            nonlocal end
            data = orjson.dumps(lines)
            places.setdefault(subject, []).append((end, len(data)))
            end += len(data)
            write(data)

        return keep

    def patients(self) -> Iterator[Patient]:
        """Every patient of the export by code; what was kept on disk is gone afterwards."""
        with ExitStack() as stack:
            files = {name: stack.enter_context(self._path(name).open("rb")) for name in self._places}

            def lines(table: str, subject: str) -> list[Line]:
                found: list[Line] = []
                for place, length in self._places[table].get(subject, ()):
                    files[table].seek(place)
                    rows = orjson.loads(files[table].read(length))
                    found += (dict(zip(_COLUMNS[table], row, strict=True)) for row in rows)
                return found

            for code, line in self.subjects.items():
                tables = (lines(table.name, code) for table in (SLOTS, ENTRIES, NOTES, VISITS))
                yield Patient(code, line["site"], line, *tables)
        for name in self._places:
            self._path(name).unlink()

    def _path(self, table: str) -> Path:
        return self._folder / f".{self._owner}-{table}"


def _adding(table: Table, keep: Callable[[str, _Lines], None]) -> Add:
    """Take some lines of a table and keep the wanted columns of each run of one patient's."""
    names = [column.name for column in table.columns]
    wanted = [names.index(name) for name in (SUBJECT.name, *_COLUMNS[table.name])]

    def add(cells: list[Cells]) -> None:
        lines = zip(*(cells[place] for place in wanted), strict=True)
        for subject, of_subject in groupby(lines, key=itemgetter(0)):
            keep(subject, [line[1:] for line in of_subject])

    return add
