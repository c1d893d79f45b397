"""Parquet: a typed file for each table, with what each column means in its schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reports.bundle import Bundle
from reports.columns import Cells, Column, Kind
from reports.formats.taking import About, Add
from reports.tables import Table


class Parquet:
    """A file for each table in the folder parquet/."""

    def __init__(self, bundle: Bundle, _about: About) -> None:
        self._bundle = bundle

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Write a table a batch at a time."""
        import pyarrow as pa  # noqa: PLC0415 - an extra, and slow to import
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - the same

        name, rows = f"parquet/{table.name}.parquet", 0
        schema = pa.schema([_field(column) for column in table.columns], {"meaning": table.meaning})
        with ParquetWriter(self._bundle.path(name, table=table.name), schema, compression="zstd") as out:

            def add(cells: list[Cells]) -> None:
                nonlocal rows
                rows += len(cells[0])
                arrays = [_array(field, of_it) for field, of_it in zip(schema, cells, strict=True)]
                out.write_batch(pa.record_batch(arrays, schema=schema))

            yield add
        self._bundle.count(name, rows)

    def finish(self) -> None:
        """Nothing is left to write."""


def _field(column: Column) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - as above

    types = {
        Kind.TEXT: pa.string(),
        Kind.CODE: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.DATE: pa.date32(),
        Kind.UTC: pa.timestamp("ms", tz="UTC"),
        Kind.LOCAL: pa.timestamp("ms"),
    }
    told = {"meaning": column.meaning, "unit": column.unit, "allowed": column.allowed}
    return pa.field(column.name, types[column.kind], metadata={key: said for key, said in told.items() if said})


def _array(field: Any, cells: Cells) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_temporal(field.type):
        texts = [None if cell is None else cell[:23] for cell in cells]
        plain = pa.timestamp("ms") if pa.types.is_timestamp(field.type) else pa.date32()
        found = pa.array(texts, pa.string()).cast(plain)
        return found if field.type == plain else found.cast(field.type)
    return pa.array(cells, field.type)
