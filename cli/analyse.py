"""`daybook analyse`: the trial's tables from an export and an allocation list; no server and no settings."""

from pathlib import Path
from typing import Annotated

import typer

from cli.printing import JsonFlag, print_json
from protocol.errors import DaybookError
from reports.analysis import Trial, joined, pain_of, sections
from reports.bundle import whole_or_nothing
from reports.exported import Exported
from reports.paper import Section, as_csv, as_page, as_text
from reports.randomisation import read_allocation


def analyse(
    *,
    export: Annotated[Path, typer.Argument(help="The folder that `daybook export` wrote.")],
    allocation: Annotated[Path, typer.Option(help="CSV with the columns `subject` and `arm`.")],
    out: Annotated[Path | None, typer.Option(help="New or empty folder for text, CSV, page and figure.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Join the arm from outside and print the trial's tables. Do it on the statistician's machine."""
    read = Exported.open(export)
    trial = joined(read, read_allocation(allocation))
    if not any(trial.arms.values()):
        raise DaybookError(
            "No patient of the allocation list has a diary that may be used; there is nothing to tell."
        )
    found = sections(read, trial)
    title = trial.protocol.trial.title
    if out is not None:
        _write(out, read, trial, found)
    if as_json:
        tables = [
            {
                "title": one.title,
                "note": one.note,
                "rows": [dict(zip(one.head, row, strict=True)) for row in one.rows],
            }
            for one in found
        ]
        print_json(tables)
    else:
        print(as_text(title, found), end="")
        if out is not None:
            print(f"\nWritten to {out.absolute()}.")


def _write(out: Path, read: Exported, trial: Trial, found: list[Section]) -> None:
    title = trial.protocol.trial.title
    about = (
        f"Export of {read.manifest['cut_off']}, {trial.protocol.trial.id} version {trial.protocol.trial.version}."
    )
    with whole_or_nothing(out) as folder:
        drawing = _draw(folder, trial)
        (folder / "tables.txt").write_text(as_text(title, found), encoding="utf-8")
        (folder / "tables.csv").write_text(as_csv(found), encoding="utf-8", newline="")
        (folder / "tables.html").write_text(as_page(title, about, found, drawing), encoding="utf-8")


def _draw(folder: Path, trial: Trial) -> str:
    """The figure as PNG, SVG and PDF; its SVG without the XML head, for the page."""
    from reports.course import course_of, saved  # noqa: PLC0415 - draws with a library that is slow to load

    pain = pain_of(trial.protocol)
    if pain is None:
        return ""
    drawn = course_of(trial, pain)
    for kind in ("png", "svg"):
        (folder / f"pain.{kind}").write_bytes(saved(drawn, kind))
    text = (folder / "pain.svg").read_text(encoding="utf-8")
    return text[text.index("<svg") :]
