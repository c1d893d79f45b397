"""Every format, read back by a library that did not write it, and compared with the database cell by cell."""

import sqlite3
from contextlib import closing
from datetime import date, datetime

import openpyxl
import pandas as pd
import polars as pl
import pyreadstat
import pytest
from openpyxl.utils.escape import unescape

from protocol.errors import DaybookError, WrongCallError
from reports.bundle import Bundle
from reports.columns import Kind, text
from reports.export import export_bundle
from reports.formats import choice, labelled, workbook
from reports.formats.labelled import Xpt
from reports.tables import TABLES, Table
from tests.cast import Stage
from tests.reports.bundle_of import FRIDAY, TEXTS, exported, hard_trial


@pytest.fixture
async def hard(stage: Stage) -> Stage:
    await hard_trial(stage)
    return stage


@pytest.fixture
def kept(tmp_path):
    """What the database holds, asked without Daybook."""
    with closing(sqlite3.connect(tmp_path / "daybook.db")) as connection:
        yield lambda query: connection.execute(query).fetchall()


def instant(kept_as):
    return None if kept_as is None else datetime.fromisoformat(kept_as).replace(tzinfo=None)


async def test_the_csv_says_of_entries_what_the_database_holds(hard, kept, tmp_path):
    rows = (await exported(hard, tmp_path / "out"))["entries"]
    there = kept(
        "SELECT id, answer, score, skip_reason, kind, source, supersedes, change_reason, local_date, due_at,"
        " received_at, recorded_at FROM entries ORDER BY recorded_at, id",
    )
    names = [
        "entry",
        "answer",
        "score",
        "skip_reason",
        "punctuality",
        "source",
        "supersedes",
        "change_reason",
        "local_date",
    ]
    times = ["due_utc", "received_utc", "recorded_utc"]
    assert [tuple(row[name] for name in (*names, *times)) for row in rows] == [
        (*line[:8], date.fromisoformat(line[8]), *map(instant, line[9:])) for line in there
    ]
    assert len(rows) == 6


async def test_the_csv_says_of_notes_and_visits_what_the_database_holds(hard, kept, tmp_path):
    tables = await exported(hard, tmp_path / "out")
    assert [row["text"] for row in tables["notes"]] == [line[0] for line in kept("SELECT text FROM notes")]
    assert [row["text"] for row in tables["notes"]] == list(TEXTS)
    [(measured,)] = kept("SELECT measured FROM visits")
    told = {row["measure"]: row["value"] for row in tables["visits"]}
    assert told == {"lanss": 14, "nrs": 7, "flexion": 22.2, "extension": 11.8}
    assert all(f'"{name}":{value:g}' in measured for name, value in told.items())


async def test_the_workbook_has_typed_cells_a_frozen_head_filters_and_a_sheet_for_each_table(hard, tmp_path):
    want = await exported(hard, tmp_path / "out", "xlsx")
    book = openpyxl.load_workbook(tmp_path / "out" / "daybook.xlsx")
    assert book.sheetnames[: len(TABLES)] == [table.name for table in TABLES]
    assert book.sheetnames[-1] == "data_dictionary"
    for table in TABLES:
        sheet = book[table.name]
        head, *lines = sheet.iter_rows(values_only=True)
        assert list(head) == [column.name for column in table.columns]
        found = [dict(zip(head, map(from_excel, table.columns, line), strict=True)) for line in lines]
        assert found == want[table.name], table.name
        assert sheet.freeze_panes == "A2"
        assert sheet.auto_filter.ref.startswith("A1:")
    assert book["notes"]["H3"].data_type == "s"  # the one that begins with =


def from_excel(column, cell):
    match column.kind:
        case Kind.TEXT | Kind.CODE:
            return None if cell is None else unescape(cell)
        case Kind.DATE:
            return None if cell is None else cell.date()
        case Kind.UTC | Kind.LOCAL:
            return None if cell is None else rounded(cell)
        case _:
            return cell


def rounded(at: datetime) -> datetime:
    """To the millisecond: Excel keeps instants as parts of a day."""
    return at.replace(microsecond=round(at.microsecond, -3))


async def test_parquet_is_read_by_polars_with_its_types(hard, tmp_path):
    want = await exported(hard, tmp_path / "out", "parquet")
    for table in TABLES:
        frame = pl.read_parquet(tmp_path / "out" / "parquet" / f"{table.name}.parquet")
        assert [naive(row) for row in frame.to_dicts()] == want[table.name], table.name
    types = pl.read_parquet_schema(tmp_path / "out" / "parquet" / "entries.parquet")
    assert (types["score"], types["local_date"]) == (pl.Int64, pl.Date)
    assert types["due_utc"] == pl.Datetime("ms", "UTC")
    assert types["due_local"] == pl.Datetime("ms")


def naive(row):
    return {name: cell.replace(tzinfo=None) if isinstance(cell, datetime) else cell for name, cell in row.items()}


async def test_stata_is_read_by_pandas_with_value_labels(hard, tmp_path):
    want = await exported(hard, tmp_path / "out", "stata")
    for table in TABLES:
        path = tmp_path / "out" / "stata" / f"{table.name}.dta"
        frame = pd.read_stata(path, convert_categoricals=True, preserve_dtypes=False)
        assert list(frame.columns) == [column.name for column in table.columns]
        assert rows_of(frame, table) == want[table.name], table.name
        with pd.read_stata(path, iterator=True) as reader:
            assert all(reader.variable_labels().values())


def rows_of(frame, table):
    """The rows of a frame in Python's own types."""
    columns = {column.name: [plain(column, cell) for cell in frame[column.name]] for column in table.columns}
    return [dict(zip(columns, line, strict=True)) for line in zip(*columns.values(), strict=True)]


def plain(column, cell):
    if cell == "" or pd.isna(cell):
        return None
    match column.kind:
        case Kind.INTEGER:
            return int(cell)
        case Kind.DATE:
            return pd.Timestamp(cell).date()
        case Kind.UTC | Kind.LOCAL:
            return rounded(pd.Timestamp(cell).to_pydatetime())
        case Kind.NUMBER:
            return float(cell)
        case _:
            return cell


async def test_spss_has_every_cell_the_whole_meanings_and_value_labels(hard, tmp_path):
    want = await exported(hard, tmp_path / "out", "spss")
    for table in TABLES:
        path = tmp_path / "out" / "spss" / f"{table.name}.sav"
        frame, told = pyreadstat.read_sav(path, apply_value_formats=True, output_format="polars")
        assert rows_of(frame.to_pandas(use_pyarrow_extension_array=False), table) == want[table.name], table.name
        assert told.column_names_to_labels == {column.name: column.meaning for column in table.columns}
        assert set(told.variable_value_labels) == {column.name for column in table.columns if column.codes}


@pytest.mark.parametrize("name", ["subjects", "slots", "entries", "visits"])
async def test_sas_transport_is_read_by_pandas_with_names_of_eight_characters(hard, tmp_path, name):
    want = await exported(hard, tmp_path / "out", "xpt")
    [table] = [one for one in TABLES if one.name == name]
    frame = pd.read_sas(tmp_path / "out" / "sas" / f"{table.short.lower()}.xpt", format="xport", encoding="utf-8")
    assert list(frame.columns) == [column.short for column in table.columns]
    frame.columns = [column.name for column in table.columns]
    for column in table.columns:
        if column.kind in (Kind.UTC, Kind.LOCAL) and not pd.api.types.is_datetime64_any_dtype(frame[column.name]):
            frame[column.name] = pd.to_datetime(frame[column.name], unit="s", origin="1960-01-01")
        if column.kind is Kind.DATE and not pd.api.types.is_datetime64_any_dtype(frame[column.name]):
            frame[column.name] = pd.to_datetime(frame[column.name], unit="D", origin="1960-01-01")
    assert rows_of(frame, table) == want[name]


async def test_a_long_text_goes_on_in_the_next_variables_of_a_transport_file(hard, tmp_path):
    await exported(hard, tmp_path / "out", "xpt")
    frame, told = pyreadstat.read_xport(tmp_path / "out" / "sas" / "notes.xpt", output_format="dict")
    parts = [name for name in frame if name.startswith("TEXT")]
    assert len(parts) > 50
    together = ["".join(frame[part][line] or "" for part in parts) for line in range(len(TEXTS))]
    assert together == list(TEXTS)
    assert told.column_names_to_labels["TEXT1"] == "text, part 2"


def test_every_name_fits_what_sas_takes_and_is_there_once():
    for table in TABLES:
        names = [column.short for column in table.columns]
        assert len(set(names)) == len(names), table.name
        assert all(name.isidentifier() and name.isupper() and len(name) <= 8 for name in (*names, table.short)), (
            names
        )
        assert all(len(column.name) <= 32 for column in table.columns)  # Stata's, and short enough for SAS' labels


async def test_the_same_export_is_the_same_bytes_in_every_format(hard, tmp_path, monkeypatch):
    first = await export_bundle(hard.db, tmp_path / "one", now=FRIDAY)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    again = await export_bundle(hard.db, tmp_path / "two", now=FRIDAY)
    assert first == again
    assert (tmp_path / "one" / "manifest.json").read_bytes() == (tmp_path / "two" / "manifest.json").read_bytes()


def test_no_head_of_a_file_tells_the_time_of_its_making():
    for stamp, written in labelled._STAMPS:
        shown = FRIDAY.strftime(written)
        assert any(stamp.fullmatch(one.encode()) for one in (shown, shown.upper())), written


def test_a_format_there_is_not_is_a_wrong_call():
    with pytest.raises(WrongCallError, match='"doc" is not a format of the export; choose among csv, xlsx'):
        choice.checked(["csv", "doc"])


def test_a_library_that_is_missing_is_named_with_its_install_command(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(choice, "import_module", missing)
    assert choice.checked(["csv"]) == ("csv",)
    with pytest.raises(DaybookError, match=r"xlsx needs the library xlsxwriter, .* `pip install xlsxwriter`"):
        choice.checked(["xlsx"])


async def test_more_lines_than_a_sheet_holds_are_refused_and_leave_nothing(hard, tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "_LINES", 5)
    with pytest.raises(DaybookError, match="XLSX cannot hold the table slots: it has more than 5 lines"):
        await export_bundle(hard.db, tmp_path / "out", now=FRIDAY)
    assert list(tmp_path.glob("*out*")) == []


def test_a_name_that_sas_would_cut_is_refused(tmp_path):
    table = Table("x", "X", "A table.", "", None, (text("long", "NINELETTER", "Too long."),))
    with pytest.raises(DaybookError, match=r"hold names of 8 characters.*NINELETTER"):  # noqa: SIM117
        with Xpt(Bundle(tmp_path), about()).taking(table) as add:
            add([["a"]])


def about():
    class About:
        cut_off = FRIDAY

    return About()
