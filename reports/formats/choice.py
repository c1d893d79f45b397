"""Which formats the export can be had in, and what each needs beside Daybook itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final, cast

from protocol.errors import DaybookError, WrongCallError
from reports.bundle import Bundle
from reports.formats.taking import About, Format


@dataclass(frozen=True, slots=True)
class _Kind:
    """A format: where it is written, and the libraries that must be there."""

    module: str
    writer: str
    needs: tuple[str, ...] = ()


_KINDS: Final = {
    "csv": _Kind("delimited", "Delimited"),
    "xlsx": _Kind("workbook", "Workbook", ("xlsxwriter",)),
    "parquet": _Kind("parquet", "Parquet", ("pyarrow",)),
    "stata": _Kind("labelled", "Stata", ("pyreadstat", "polars")),
    "spss": _Kind("labelled", "Spss", ("pyreadstat", "polars")),
    "xpt": _Kind("labelled", "Xpt", ("pyreadstat", "polars")),
    "odm": _Kind("odm", "Odm"),
    "dataset-json": _Kind("dataset_json", "DatasetJson"),
    "fhir": _Kind("fhir", "Fhir"),
}
FORMATS: Final = tuple(_KINDS)


def checked(names: Sequence[str]) -> tuple[str, ...]:
    """These formats, each once, in the order in which they are written; WrongCallError names one there is not."""
    for name in names:
        if name not in _KINDS:
            raise WrongCallError(f'"{name}" is not a format of the export; choose among {", ".join(FORMATS)}.')
    for name in names:
        _require(name)
    return tuple(name for name in FORMATS if name in names)


def at_hand() -> tuple[str, ...]:
    """The formats whose libraries are installed here; none of them is loaded for it."""
    return tuple(name for name, kind in _KINDS.items() if all(find_spec(library) for library in kind.needs))


def opened(names: Sequence[str], bundle: Bundle, about: About) -> list[Format]:
    """These formats, ready to take tables."""
    return [_writer(_KINDS[name], bundle, about) for name in names]


def _writer(kind: _Kind, bundle: Bundle, about: About) -> Format:
    module = import_module(f"reports.formats.{kind.module}")
    return cast("Format", getattr(module, kind.writer)(bundle, about))


def _require(name: str) -> None:
    for library in _KINDS[name].needs:
        try:
            import_module(library)
        except ImportError:
            raise DaybookError(
                f"The format {name} needs the library {library}, which is not installed here; install it with "
                f"`pip install {library}`, or choose others with --format."
            ) from None
