"""CSV by RFC 4180: commas, CRLF, UTF-8 without a byte order mark, one header line."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager

from reports.bundle import Bundle
from reports.columns import Cells, Column, Kind, guarded
from reports.formats.taking import About, Add
from reports.tables import Table


class Delimited:
    """One CSV file for each table, in the main folder."""

    def __init__(self, bundle: Bundle, _about: About) -> None:
        self._bundle = bundle

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Write a table as it comes."""
        name, rows = f"{table.name}.csv", 0
        with self._bundle.path(name, table=table.name).open("x", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\r\n")
            writer.writerow([column.name for column in table.columns])

            def add(cells: list[Cells]) -> None:
                nonlocal rows
                rows += len(cells[0])
                shown = (_shown(column, of_it) for column, of_it in zip(table.columns, cells, strict=True))
                writer.writerows(zip(*shown, strict=True))

            yield add
        self._bundle.count(name, rows)

    def finish(self) -> None:
        """Nothing is left to write."""


def _shown(column: Column, cells: Cells) -> Cells:
    """The cells as they stand in the file; the writer itself leaves None empty and writes whole numbers out."""
    match column.kind:
        case Kind.TEXT:
            return _all_guarded(cells)
        case Kind.NUMBER:
            return [None if cell is None else f"{cell:.10g}" for cell in cells]
        case _:
            return cells


def _all_guarded(cells: Cells) -> Cells:
    """The cells, guarded where one of them needs it: ids and codes repeat, and hardly ever do."""
    if all(cell is None or guarded(cell) is cell for cell in set(cells)):
        return cells
    return [cell if cell is None else guarded(cell) for cell in cells]
