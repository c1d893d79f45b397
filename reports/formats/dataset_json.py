"""CDISC Dataset-JSON 1.1: a file for each dataset of SDTM, what it holds before its rows, a row a line."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from importlib.metadata import version
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any, Final

import orjson

from reports.bundle import Bundle
from reports.formats.by_subject import BySubject
from reports.formats.odm_study import study_oid
from reports.formats.sdtm import Record, Sdtm
from reports.formats.sdtm_datasets import Dataset, Variable, datasets_of
from reports.formats.taking import About, Add
from reports.formats.united import united
from reports.tables import Table

_VERSION: Final = "1.1.0"


class DatasetJson:
    """The datasets, written patient by patient once all tables are known."""

    def __init__(self, bundle: Bundle, about: About) -> None:
        self._bundle = bundle
        self._about = about
        self._protocol = united(about.protocol, about.earlier)
        self._kept = BySubject(bundle.folder, "dataset-json")

    def taking(self, table: Table) -> AbstractContextManager[Add]:
        """Keep a table."""
        return self._kept.taking(table)

    def finish(self) -> None:
        """Write the datasets: their rows first, since the head tells how many there are."""
        sdtm = Sdtm(self._about)
        with ExitStack() as stack:
            rows = [
                _Rows(dataset, stack.enter_context(TemporaryFile(dir=self._bundle.folder)))
                for dataset in datasets_of(self._protocol)
            ]
            for patient in self._kept.patients():
                records = sdtm.records(patient)
                for one in rows:
                    one.add(records.get(one.dataset.name, ()))
            for one in rows:
                self._write(one)

    def _write(self, rows: "_Rows") -> None:
        path = self._bundle.path(f"dataset-json/{rows.dataset.name.lower()}.json", rows=rows.count)
        with path.open("xb") as out:
            out.write(orjson.dumps(self._head(rows))[:-1])
            out.write(b',"rows":[')
            rows.copy_to(out)
            out.write(b"\n]}\n")

    def _head(self, rows: "_Rows") -> dict[str, Any]:
        """What stands before the rows, in the order the standard recommends."""
        dataset, study = rows.dataset, study_oid(self._protocol)
        return {
            "datasetJSONCreationDateTime": self._about.cut_off_text,
            "datasetJSONVersion": _VERSION,
            "fileOID": ".".join(filter(None, [study, dataset.name, self._about.site, self._about.cut_off_text])),
            "sourceSystem": {"name": "Daybook", "version": version("daybook")},
            "studyOID": study,
            "itemGroupOID": f"IG.{dataset.name}",
            "records": rows.count,
            "name": dataset.name,
            "label": dataset.label,
            "columns": rows.columns(),
        }


class _Rows:
    """The rows of a dataset in a file without a name, and how long the texts in each column are."""

    def __init__(self, dataset: Dataset, file: IO[bytes]) -> None:
        self.dataset = dataset
        self.count = 0
        self._file = file
        self._longest = dict.fromkeys((variable.name for variable in dataset.variables), 1)

    def add(self, records: Sequence[Record]) -> None:
        """Write some rows."""
        for record in records:
            row = [record.get(variable.name) for variable in self.dataset.variables]
            for name, cell in zip(self._longest, row, strict=True):
                if isinstance(cell, str) and len(cell) > self._longest[name]:
                    self._longest[name] = len(cell)
            self._file.write(b",\n" if self.count else b"\n")
            self._file.write(orjson.dumps(row))
            self.count += 1

    def columns(self) -> list[dict[str, Any]]:
        """The variables as the standard describes columns."""
        return [self._column(variable) for variable in self.dataset.variables]

    def _column(self, variable: Variable) -> dict[str, Any]:
        column: dict[str, Any] = {
            "itemOID": f"IT.{self.dataset.name}.{variable.name}",
            "name": variable.name,
            "label": variable.label,
            "dataType": variable.kind,
        }
        if variable.kind == "string":
            column["length"] = self._longest[variable.name]
        if variable.key is not None:
            column["keySequence"] = variable.key
        return column

    def copy_to(self, out: IO[bytes]) -> None:
        """Copy the rows into their file."""
        self._file.seek(0)
        copyfileobj(self._file, out)
