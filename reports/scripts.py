"""Scripts that read the export's CSV into R, Python and Stata, made from the columns like the codebook."""

from collections.abc import Callable, Sequence
from typing import Final

from reports.bundle import Bundle
from reports.columns import Column, Kind
from reports.tables import Table


def write_scripts(bundle: Bundle, tables: Sequence[Table]) -> None:
    """Put the three scripts into the main folder."""
    for name, script in (("read_in.R", in_r), ("read_in.py", in_python), ("read_in.do", in_stata)):
        bundle.path(name).write_text(script(tables), encoding="utf-8", newline="\n")


def in_python(tables: Sequence[Table]) -> str:
    """A script for pandas: one frame for each table, in `tables`."""
    columns = {table.name: {column.name: column.kind.value for column in table.columns} for table in tables}
    codes = {table.name: {c.name: list(c.codes) for c in table.columns if c.codes} for table in tables}
    return f'''"""Reads this export into pandas: `tables["entries"]` and so on. Run it in the export's folder."""

import pandas as pd

COLUMNS = {_literal(columns)}
CODES = {_literal(codes)}


def read(name):
    frame = pd.read_csv(f"{{name}}.csv", dtype="string", keep_default_na=False, na_values=[""], encoding="utf-8")
    for column, kind in COLUMNS[name].items():
        cells = frame[column]
        if kind == "text":  # one apostrophe guards what a spreadsheet could run
            frame[column] = cells.str.replace("^'", "", n=1, regex=True)
        elif kind == "code":
            frame[column] = pd.Categorical(cells, categories=CODES[name][column])
        elif kind == "integer":
            frame[column] = pd.to_numeric(cells).astype("Int64")
        elif kind == "number":
            frame[column] = pd.to_numeric(cells)
        elif kind == "date":
            frame[column] = pd.to_datetime(cells, format="%Y-%m-%d")
        elif kind == "time UTC":
            frame[column] = pd.to_datetime(cells, utc=True, format="ISO8601")
        else:  # on the wall: the offset is the distance to the UTC column beside it
            frame[column] = pd.to_datetime(cells.str.slice(0, 23), format="ISO8601")
    return frame


tables = {{name: read(name) for name in COLUMNS}}
'''


def _literal(value: dict[str, dict[str, str]] | dict[str, dict[str, list[str]]]) -> str:
    """A dictionary as source, a table a line."""
    lines = "".join(f"    {name!r}: {of_it!r},\n" for name, of_it in value.items())
    return f"{{\n{lines}}}"


def in_r(tables: Sequence[Table]) -> str:
    """A script for base R: one data frame for each table, under its own name."""
    head = """# Reads this export into R: data frames called subjects, slots, entries and so on.
# Run it in the export's folder: setwd("..."); source("read_in.R", encoding = "UTF-8")
raw <- function(name) read.csv(paste0(name, ".csv"), colClasses = "character", na.strings = "",
                               fileEncoding = "UTF-8", check.names = FALSE)
unguarded <- function(x) sub("^'", "", x)  # one apostrophe guards what a spreadsheet could run
in_utc <- function(x) as.POSIXct(sub("Z$", "", x), format = "%Y-%m-%dT%H:%M:%OS", tz = "UTC")
# On the wall; the offset is the distance to the UTC column beside it.
on_wall <- function(x) as.POSIXct(substr(x, 1, 23), format = "%Y-%m-%dT%H:%M:%OS", tz = "UTC")
"""
    return head + "".join(_by_column(table, '{0} <- raw("{0}")', _r_line) for table in tables)


_R: Final = {
    Kind.TEXT: "{0} <- unguarded({0})",
    Kind.CODE: "{0} <- factor({0}, levels = c({1}))",
    Kind.INTEGER: "{0} <- as.integer({0})",
    Kind.NUMBER: "{0} <- as.numeric({0})",
    Kind.DATE: "{0} <- as.Date({0})",
    Kind.UTC: "{0} <- in_utc({0})",
    Kind.LOCAL: "{0} <- on_wall({0})",
}


def _r_line(table: str, column: Column) -> str:
    return _R[column.kind].format(f"{table}${column.name}", ", ".join(f'"{code}"' for code in column.codes))


def in_stata(tables: Sequence[Table]) -> str:
    """A script for Stata 14 or later: one .dta beside each CSV, with labels."""
    head = """* Reads this export's CSV into Stata and saves a .dta for each table. Run it in the export's folder.
* Wherever the format stata was chosen, the folder stata/ has the same files already.
version 14
"""
    begin = (
        '\nimport delimited using "{0}.csv", varnames(1) case(preserve) stringcols(_all) encoding("utf-8") '
        "bindquotes(strict) maxquotedrows(unlimited) clear"
    )
    parts = [_by_column(table, begin, _stata_line) + f'\nsave "{table.name}.dta", replace\n' for table in tables]
    return head + "".join(parts)


def _stata_line(_table: str, column: Column) -> str:
    name = column.name
    match column.kind:
        case Kind.TEXT:
            line = f'replace {name} = substr({name}, 2, .) if substr({name}, 1, 1) == "\'"'
        case Kind.CODE:
            values = " ".join(f'{number} "{code}"' for number, code in enumerate(column.codes, start=1))
            line = f"label define {name}_ {values}, replace\nencode {name}, generate(x_) label({name}_)"
            return f"{line}\ndrop {name}\nrename x_ {name}\n{_stata_label(column)}"
        case Kind.INTEGER | Kind.NUMBER:
            line = f"destring {name}, replace"
        case Kind.DATE:
            line = _stata_time(name, f'daily({name}, "YMD")', "%td")
        case Kind.UTC | Kind.LOCAL:
            line = _stata_time(
                name, f'clock(substr(subinstr({name}, "T", " ", 1), 1, 23), "YMDhms")', "%tcCCYY-NN-DD_HH:MM:SS.sss"
            )
    return f"{line}\n{_stata_label(column)}"


def _stata_time(name: str, read: str, shown: str) -> str:
    return f"generate double x_ = {read}\ndrop {name}\nrename x_ {name}\nformat {name} {shown}"


def _stata_label(column: Column) -> str:
    words = column.meaning.replace('"', "'")
    return f'label variable {column.name} "{words[:77] + "..." if len(words) > 80 else words}"'  # noqa: PLR2004 - Stata's


def _by_column(table: Table, begin: str, line: Callable[[str, Column], str]) -> str:
    return "\n".join(["", begin.format(table.name), *(line(table.name, column) for column in table.columns)])
