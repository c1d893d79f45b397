"""The codebook of the export: a line for each type, each file and each column, made from the columns themselves."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from reports.columns import Column, Kind, integer, text
from reports.tables import Table
from storage.extracts import Batch, Wanted

_TYPE_MEANS: Final = {
    Kind.TEXT: "text. In CSV one that begins with = + - @ ' (or a full-width form of these), tab or line break "
    "has an apostrophe before it, so that no spreadsheet runs it; take one leading apostrophe away to have the "
    "original. SPSS and SAS transport files keep no blanks at the end of a text",
    Kind.CODE: "one of the allowed values; in Stata and SPSS a number with that value as its label",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number, with a point before its decimal places",
    Kind.DATE: "date",
    Kind.UTC: "time in UTC, to the millisecond",
    Kind.LOCAL: "local time with its offset, to the millisecond; formats other than CSV have the wall's time only, "
    "and the offset is its distance from the time in UTC beside it",
}
NAME: Final = "data_dictionary"
_COLUMNS: Final = (
    text("file", "FILE", "File of the export; * is a line about a type."),
    integer("position", "POSITION", "Place of the column in the file, from 1; 0 is a line about the file."),
    text("column", "COLUMN", "Name of the column."),
    text("type", "TYPE", "How its cells are written; an empty cell means that there is no value."),
    text("unit", "UNIT", "Unit or format."),
    text("meaning", "MEANING", "What it says."),
    text("allowed_values", "ALLOWED", "Values it can have, where they are few.", "allowed"),
    text("sas_name", "SASNAME", "Name of the column in SAS transport files, which hold eight characters."),
    text("numbers", "NUMBERS", "Numbers that stand for the allowed values in Stata and SPSS."),
)


def dictionary_of(tables: Sequence[Table]) -> Table:
    """The codebook of these tables, as a table of its own that describes itself too."""

    async def batches(_wanted: Wanted) -> AsyncIterator[Batch]:
        lines = [_line(type=kind.value, meaning=meaning, file="*") for kind, meaning in _TYPE_MEANS.items()]
        for table in (*tables, dictionary):
            lines += _lines_of(table)
        yield {column: [line[column] for line in lines] for column in lines[0]}

    dictionary = Table(NAME, "DICTION", "This file.", "", batches, _COLUMNS)
    return dictionary


def _lines_of(table: Table) -> list[dict[str, str | int | None]]:
    file = f"{table.name}.csv"
    columns = [_column(file, position, column) for position, column in enumerate(table.columns, start=1)]
    return [_line(file=file, meaning=table.meaning, sas_name=table.short), *columns]


def _column(file: str, position: int, column: Column) -> dict[str, str | int | None]:
    return _line(
        file=file,
        position=position,
        column=column.name,
        type=column.kind.value,
        unit=column.unit,
        meaning=column.meaning,
        allowed=column.allowed,
        sas_name=column.short,
        numbers=" | ".join(f"{number} = {code}" for number, code in enumerate(column.codes, start=1)),
    )


def _line(**given: str | int) -> dict[str, str | int | None]:
    empty = dict.fromkeys(("file", "column", "type", "unit", "meaning", "allowed", "sas_name", "numbers"), "")
    return {**empty, "position": 0, **given}
