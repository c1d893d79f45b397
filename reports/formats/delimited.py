"""CSV by RFC 4180: commas, CRLF, UTF-8 without a byte order mark, one header line.

Written column by column, which is quicker than csv.writer; a test holds the quoting to its own.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from reports.bundle import Bundle
from reports.columns import Cells, Column, Kind, guarded
from reports.formats.taking import About, Add
from reports.tables import Table

_END: Final = "\r\n"
_TO_QUOTE: Final = re.compile(r'[,"\r\n]').search


class Delimited:
    """One CSV file for each table, in the main folder."""

    def __init__(self, bundle: Bundle, _about: About) -> None:
        self._bundle = bundle

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Write a table as it comes."""
        name, rows = f"{table.name}.csv", 0
        with self._bundle.path(name, table=table.name).open("x", encoding="utf-8", newline="") as out:
            out.write(",".join(column.name for column in table.columns) + _END)

            def add(cells: list[Cells]) -> None:
                nonlocal rows
                rows += len(cells[0])
                shown = (_shown(column, of_it) for column, of_it in zip(table.columns, cells, strict=True))
                out.write("".join(f"{line}{_END}" for line in map(",".join, zip(*shown, strict=True))))

            yield add
        self._bundle.count(name, rows)

    def finish(self) -> None:
        """Nothing is left to write."""


def _shown(column: Column, cells: Cells) -> list[str]:
    """The cells as they stand in the file."""
    match column.kind:
        case Kind.INTEGER:
            return ["" if cell is None else str(cell) for cell in cells]
        case Kind.NUMBER:
            return ["" if cell is None else f"{cell:.10g}" for cell in cells]
        case Kind.UTC | Kind.LOCAL | Kind.DATE:
            return [cell or "" for cell in cells]
        case _:
            # Ids, codes and words repeat, so that each is looked at once.
            as_text = guarded if column.kind is Kind.TEXT else str
            shown = {cell: "" if cell is None else quoted(as_text(cell)) for cell in set(cells)}
            return [shown[cell] for cell in cells]


def quoted(text: str) -> str:
    """A field, in quotes where a comma, a quote or an end of line is in it."""
    return '"' + text.replace('"', '""') + '"' if _TO_QUOTE(text) else text
