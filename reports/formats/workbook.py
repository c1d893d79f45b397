"""One XLSX workbook: a sheet for each table and the codebook, with typed cells, a frozen header and filters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from protocol.errors import DaybookError
from reports.bundle import Bundle
from reports.columns import Cells, Column, Kind
from reports.formats.taking import About, Add
from reports.tables import Table

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

_FILE: Final = "daybook.xlsx"
# Excel's own limits (support.microsoft.com, "Excel specifications and limits"), the header's line taken off.
_LINES: Final = 1_048_575
_COLUMNS: Final = 16_384
_LETTERS: Final = 32_767
_WIDE: Final = {Kind.TEXT: 22, Kind.CODE: 14, Kind.INTEGER: 10, Kind.NUMBER: 10, Kind.DATE: 12}
_TIME_IS_WIDE: Final = 24
_SHOWN_AS: Final = {
    Kind.DATE: "yyyy-mm-dd",
    Kind.UTC: "yyyy-mm-dd hh:mm:ss.000",
    Kind.LOCAL: "yyyy-mm-dd hh:mm:ss.000",
}


class Workbook:
    """The workbook, written line by line, so that its size is not the memory's."""

    def __init__(self, bundle: Bundle, about: About) -> None:
        from xlsxwriter import Workbook as Book  # noqa: PLC0415 - an extra, and slow to import

        path = bundle.path(_FILE)
        self._book = Book(path, {"constant_memory": True, "tmpdir": str(path.parent)})
        # The cut-off and not the clock: the same export is the same bytes.
        made = about.cut_off.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        title = about.protocol.trial.title
        self._book.set_properties({"title": title, "created": made, "comments": f"As of {about.cut_off_text}"})
        self._head = self._book.add_format({"bold": True, "bottom": 1})
        self._formats = {kind: self._book.add_format({"num_format": as_}) for kind, as_ in _SHOWN_AS.items()}

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """A sheet for a table."""
        if len(table.columns) > _COLUMNS:
            raise _too_much(table, f"{len(table.columns)} columns, and a sheet holds {_COLUMNS}")
        sheet = self._book.add_worksheet(table.name)
        self._begin(sheet, table)
        writes = [self._writer(sheet, table, column) for column in table.columns]
        line = 0

        def add(cells: list[Cells]) -> None:
            nonlocal line
            for row in zip(*cells, strict=True):
                line += 1
                if line > _LINES:
                    raise _too_much(table, f"more than {_LINES:,} lines, which is what a sheet holds")
                for place, (write, cell) in enumerate(zip(writes, row, strict=True)):
                    if cell is not None:
                        write(line, place, cell)

        try:
            yield add
        except BaseException:
            self._give_up()
            raise
        if table.columns:
            sheet.autofilter(0, 0, line, len(table.columns) - 1)

    def finish(self) -> None:
        """Put the workbook together."""
        self._book.close()

    def _give_up(self) -> None:
        """Close the lines kept on disk until the workbook is put together, which it will not be."""
        for sheet in self._book.worksheets():
            sheet.row_data_fh.close()

    def _begin(self, sheet: "Worksheet", table: Table) -> None:
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(table.columns):
            sheet.set_column(place, place, _WIDE.get(column.kind, _TIME_IS_WIDE))
        sheet.write_row(0, 0, [column.name for column in table.columns], self._head)

    def _writer(self, sheet: "Worksheet", table: Table, column: Column) -> Callable[[int, int, Any], object]:
        look = self._formats.get(column.kind)

        def write_text(line: int, place: int, cell: str) -> None:
            if len(cell) > _LETTERS:
                raise _too_much(table, f"a text of {len(cell):,} characters, and a cell holds {_LETTERS:,}")
            sheet.write_string(line, place, cell)

        def write_time(line: int, place: int, cell: str) -> None:
            sheet.write_datetime(line, place, datetime.fromisoformat(cell[:23]), look)

        def write_number(line: int, place: int, cell: float) -> None:
            sheet.write_number(line, place, cell)

        def write_date(line: int, place: int, cell: str) -> None:
            sheet.write_datetime(line, place, date.fromisoformat(cell), look)

        match column.kind:
            case Kind.TEXT | Kind.CODE:
                return write_text
            case Kind.INTEGER | Kind.NUMBER:
                return write_number
            case Kind.DATE:
                return write_date
            case Kind.UTC | Kind.LOCAL:
                return write_time


def _too_much(table: Table, what: str) -> DaybookError:
    return DaybookError(
        f"XLSX cannot hold the table {table.name}: it has {what}. Nothing is cut, so nothing was written; choose "
        "other formats with --format, such as csv or parquet."
    )
