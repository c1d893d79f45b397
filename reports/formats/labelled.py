"""Stata, SPSS and SAS transport files, with labels for variables and values; by pyreadstat, one file a table.

These formats are written whole, so a table is held in memory once. What they cannot hold is refused, never cut, but
for one thing that SAS transport files are made for: a text longer than 200 bytes goes on in a next variable (TEXT,
TEXT1, TEXT2, ...), as in SDTM's CO domain.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from protocol.errors import DaybookError
from reports.bundle import Bundle
from reports.columns import Cells, Column, Kind
from reports.formats.taking import About, Add
from reports.tables import Table

_NAME: Final = 8
_LABEL: Final = 40
_BYTES: Final = 200


class _Labelled(ABC):
    """A file for each table in a folder of the format's own."""

    folder: str
    ending: str

    def __init__(self, bundle: Bundle, about: About) -> None:
        self._bundle = bundle
        self._about = about

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Keep a table, and write it when all of it is there."""
        import polars as pl  # noqa: PLC0415 - an extra, and slow to import

        frames = [pl.DataFrame({column.name: self._series(column, []) for column in table.columns})]

        def add(cells: list[Cells]) -> None:
            of_each = zip(table.columns, cells, strict=True)
            frames.append(pl.DataFrame({column.name: self._series(column, of_it) for column, of_it in of_each}))

        yield add
        frame = pl.concat(frames)
        name = f"{self.folder}/{self._file_name(table)}.{self.ending}"
        path = self._bundle.path(name, table=table.name, rows=len(frame))
        self._write(table, frame, path)
        _tell_the_cut_off(path, self._about.cut_off)

    def finish(self) -> None:  # noqa: B027 - a table is written when it ends, whatever the format
        """Nothing is left to write."""

    def _file_name(self, table: Table) -> str:
        return table.name

    def _series(self, column: Column, cells: Cells) -> Any:
        import polars as pl  # noqa: PLC0415 - as above

        match column.kind:
            case Kind.TEXT:
                return pl.Series(cells, dtype=pl.String)
            case Kind.CODE:
                return self._codes(column, cells)
            case Kind.INTEGER:
                return pl.Series(cells, dtype=pl.Int64).cast(pl.Float64)
            case Kind.NUMBER:
                return pl.Series(cells, dtype=pl.Float64)
            case Kind.DATE:
                return pl.Series(cells, dtype=pl.String).str.to_date("%Y-%m-%d")
            case Kind.UTC | Kind.LOCAL:
                texts = [None if cell is None else cell[:23] for cell in cells]
                return pl.Series(texts, dtype=pl.String).str.to_datetime("%Y-%m-%dT%H:%M:%S%.3f", time_unit="ms")

    def _codes(self, column: Column, cells: Cells) -> Any:
        """The numbers of the values, whose words are the labels."""
        import polars as pl  # noqa: PLC0415 - as above

        numbers = {code: number for number, code in enumerate(column.codes, start=1)}
        return pl.Series([None if cell is None else numbers[cell] for cell in cells], dtype=pl.Float64)

    @abstractmethod
    def _write(self, table: Table, frame: Any, path: Path) -> None:
        """Write the whole table."""


def _value_labels(table: Table) -> dict[str, dict[int | float, str]]:
    return {
        column.name: {float(number): code for number, code in enumerate(column.codes, start=1)}
        for column in table.columns
        if column.codes
    }


class Stata(_Labelled):
    """Stata 14 and later (.dta, version 118)."""

    folder, ending = "stata", "dta"

    def _write(self, table: Table, frame: Any, path: Path) -> None:
        from pyreadstat import write_dta  # noqa: PLC0415 - an extra, and slow to import

        labels: dict[str, str | None] = {column.name: _first_words(column.meaning, 80) for column in table.columns}
        write_dta(
            frame,
            path,
            file_label=_first_words(table.meaning, 80),
            column_labels=labels,
            version=14,
            variable_value_labels=_value_labels(table),
        )


class Spss(_Labelled):
    """SPSS (.sav), with each column's whole meaning as its label."""

    folder, ending = "spss", "sav"

    def _write(self, table: Table, frame: Any, path: Path) -> None:
        from pyreadstat import write_sav  # noqa: PLC0415 - an extra, and slow to import

        measures = {Kind.INTEGER: "scale", Kind.NUMBER: "scale", Kind.DATE: "scale"}
        write_sav(
            frame,
            path,
            file_label=_first_words(table.meaning, 64),
            column_labels={column.name: _first_words(column.meaning, 255) for column in table.columns},
            variable_value_labels=_value_labels(table),
            variable_measure={
                column.name: measures.get(column.kind, "scale" if "time" in column.kind else "nominal")
                for column in table.columns
            },
        )


class Xpt(_Labelled):
    """SAS transport version 5 (.xpt), as authorities take it: names of eight characters, the long name as label."""

    folder, ending = "sas", "xpt"

    def _file_name(self, table: Table) -> str:
        return table.short.lower()

    def _codes(self, column: Column, cells: Cells) -> Any:  # noqa: ARG002 - the others' numbers need the column
        import polars as pl  # noqa: PLC0415 - as above

        return pl.Series(cells, dtype=pl.String)  # labels of values are no part of a transport file

    def _write(self, table: Table, frame: Any, path: Path) -> None:
        import polars as pl  # noqa: PLC0415 - an extra, and slow to import
        from pyreadstat import write_xport  # noqa: PLC0415 - the same

        parts = [part for column in table.columns for part in _in_parts(column, frame[column.name])]
        _refuse_names(table, [name for name, _, _ in parts])
        write_xport(
            pl.DataFrame({name: series for name, _, series in parts}),
            path,
            file_label=_first_words(table.name, _LABEL),
            column_labels=[label for _, label, _ in parts],
            table_name=table.short,
            file_format_version=5,
        )


def _in_parts(column: Column, series: Any) -> list[tuple[str, str, Any]]:
    """A column as SAS variables: its name, its label and its values; more than one where a text is long."""
    import polars as pl  # noqa: PLC0415 - as above

    longest = series.str.len_bytes().max() if series.dtype == pl.String else None
    if (longest or 0) <= _BYTES:
        return [(column.short, column.name, series)]
    cut = [_parts_of(text) for text in series]
    return [
        (
            f"{column.short}{place or ''}",
            f"{column.name}{f', part {place + 1}' if place else ''}",
            pl.Series([parts[place] if place < len(parts) else None for parts in cut], dtype=pl.String),
        )
        for place in range(max(map(len, cut)))
    ]


def _parts_of(text: str | None) -> list[str]:
    """A text in pieces of at most 200 bytes, none ending in a blank: the format keeps no blanks at an end."""
    parts: list[str] = []
    rest = (text or "").encode()
    while len(rest) > _BYTES:
        piece = rest[:_BYTES].decode(errors="ignore").rstrip(" ")
        if not piece:
            raise DaybookError(
                "A text holds more than 200 blanks in a row, which a SAS transport file cannot keep; choose other "
                "formats with --format."
            )
        parts.append(piece)
        rest = rest[len(piece.encode()) :]
    return [*parts, rest.decode()]


def _refuse_names(table: Table, names: Sequence[str]) -> None:
    long = [name for name in names if len(name) > _NAME]
    if long or len(set(names)) < len(names):
        raise DaybookError(
            f"SAS transport files hold names of {_NAME} characters, each once, and {table.name} would have "
            f"{', '.join(long or names)}; nothing is cut, so nothing was written. Choose other formats with "
            "--format."
        )


def _first_words(text: str, most: int) -> str:
    """A text for a label that holds so many bytes; its whole stands in the codebook."""
    if len(text.encode()) <= most:
        return text
    short = re.split(r"[.;:,] ", text)[0]
    return short if len(short.encode()) <= most else f"{short[: most - 4].rpartition(' ')[0]} ..."


# The libraries write the clock into the head of a file; the cut-off takes its place.
_STAMPS: Final = (
    (re.compile(rb"\d{2}[A-Z]{3}\d{2}:\d{2}:\d{2}:\d{2}"), "%d%b%y:%H:%M:%S"),  # SAS transport
    (re.compile(rb"\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}"), "%d %b %Y %H:%M"),  # Stata
    (re.compile(rb"\d{2} [A-Z][a-z]{2} \d{2}\d{2}:\d{2}:\d{2}"), "%d %b %y%H:%M:%S"),  # SPSS
)
_HEAD: Final = 1_000


def _tell_the_cut_off(path: Path, cut_off: datetime) -> None:
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        for stamp, written in _STAMPS:
            at = cut_off.astimezone(UTC).strftime(written)
            head = stamp.sub((at.upper() if stamp is _STAMPS[0][0] else at).encode(), head)
        file.seek(0)
        file.write(head)
