"""FHIR R4 (4.0.1): a file of lines for each type of resource, as bulk data has them, and one Bundle of them all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Final, TypeAlias

import orjson

from reports.bundle import Bundle
from reports.columns import Cells
from reports.formats.fhir_resources import COLUMNS, Resources
from reports.formats.fhir_study import Resource, Study, identifier
from reports.formats.taking import About, Add
from reports.tables import Table

_Put: TypeAlias = Callable[[Resource], None]

# Read in this order, no resource points to one that is yet to come.
TYPES: Final = (
    "ResearchStudy", "Questionnaire", "Organization", "Patient", "ResearchSubject", "QuestionnaireResponse",
    "MedicationAdministration", "MedicationStatement", "AdverseEvent", "Observation", "Provenance",
)  # fmt: skip
_WHOLE: Final = "fhir/bundle.json"
_AT_ONCE: Final = 1 << 20


class Fhir:
    """The files, written as lines come; each is open only while a table is taken."""

    def __init__(self, bundle: Bundle, about: About) -> None:
        self._bundle = bundle
        self._rows = dict.fromkeys(TYPES, 0)
        self._paths = {kind: bundle.path(f"fhir/{kind}.ndjson") for kind in TYPES}
        self._whole = bundle.path(_WHOLE)
        study = Study((about.protocol, *about.earlier))
        self._resources = Resources(study)
        # A place that cannot be: references are read against it, and nobody is asked (RFC 2606).
        self._base = f"https://daybook.invalid/{about.protocol.trial.id}"
        with self._open() as (put, whole):
            whole.write(_head(about))
            for resource in study.resources():
                put(resource)

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Write what a table's lines say, if FHIR has resources for it."""
        if table.name not in COLUMNS:
            yield lambda _: None
            return
        places = {column.name: place for place, column in enumerate(table.columns)}
        wanted = COLUMNS[table.name]
        with self._open() as (put, _):

            def add(cells: list[Cells]) -> None:
                rows = zip(*(cells[places[name]] for name in wanted), strict=True)
                lines = [dict(zip(wanted, row, strict=True)) for row in rows]
                for resource in self._resources.of(table.name, lines):
                    put(resource)

            yield add

    def finish(self) -> None:
        """Close the Bundle, and count."""
        with self._whole.open("ab") as whole:
            whole.write(b"\n]}\n")
        for kind, rows in self._rows.items():
            self._bundle.count(f"fhir/{kind}.ndjson", rows)
        self._bundle.count(_WHOLE, sum(self._rows.values()))

    @contextmanager
    def _open(self) -> Iterator[tuple[_Put, BinaryIO]]:
        with ExitStack() as stack:
            files = {
                kind: stack.enter_context(path.open("ab", buffering=_AT_ONCE)) for kind, path in self._paths.items()
            }
            whole = stack.enter_context(self._whole.open("ab", buffering=_AT_ONCE))

            def put(resource: Resource) -> None:
                kind = resource["resourceType"]
                data = orjson.dumps(resource)
                files[kind].write(data + b"\n")
                full_url = f"{self._base}/{kind}/{resource['id']}"
                first = not self._rows[TYPES[0]]
                begins = b"\n" if first else b",\n"
                whole.write(b'%b{"fullUrl":"%b","resource":%b}' % (begins, full_url.encode(), data))
                self._rows[kind] += 1

            yield put, whole


def _head(about: About) -> bytes:
    """The Bundle up to its first entry."""
    trial = about.protocol.trial.id
    name = ".".join(filter(None, [about.site, about.cut_off_text]))
    head = {
        "resourceType": "Bundle",
        "identifier": identifier(trial, "export", name),
        "type": "collection",
        "timestamp": about.cut_off_text,
        "entry": [],
    }
    return orjson.dumps(head)[: -len(b"]}")]
