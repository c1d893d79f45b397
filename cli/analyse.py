"""`daybook analyse`: the trial's tables from an export and an allocation list; no server and no settings."""

from pathlib import Path
from typing import Annotated

import typer

from cli.printing import JsonFlag, print_json
from reports.analysis import Trial, followed, joined, named
from reports.bundle import whole_or_nothing
from reports.exported import Exported
from reports.findings import sections
from reports.paper import Section, as_csv, as_page, as_text, as_values
from reports.randomisation import read_allocation


def analyse(
    *,
    export: Annotated[Path, typer.Argument(help="The folder that `daybook export` wrote.")],
    allocation: Annotated[Path, typer.Option(help="CSV with the columns `subject` and `arm`.")],
    reference: Annotated[
        str | None, typer.Option(help="The arm the others are compared with; the first by name if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New or empty folder for the tables as text, CSV and a page, and figures.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Join the arm from outside and print the trial's tables. Do it on the statistician's machine."""
    read = Exported.open(export)
    trial = joined(read, read_allocation(allocation), reference=reference)
    found = sections(read, trial)
    title, about = read.protocol.trial.title, _about(read, trial)
    if out is not None:
        _write(out, trial, title, about, found)
    if as_json:
        print_json({"title": title, "about": about, "tables": as_values(found)})
        return
    print(as_text(title, about, found), end="")
    if out is not None:
        print(f"\nWritten to {out.absolute()}.")


def _about(read: Exported, trial: Trial) -> str:
    of = read.protocol.trial
    return (
        f"{of.id}, version {of.version} of the protocol. Exported as of {read.cut_off:%Y-%m-%d %H:%M} UTC. "
        f"Compared with arm {trial.reference}."
    )


def _write(out: Path, trial: Trial, title: str, about: str, found: list[Section]) -> None:
    from reports.course import KINDS, course_of, saved  # noqa: PLC0415 - draws with a library that is slow to load

    drawings: dict[str, bytes] = {}
    with whole_or_nothing(out) as folder:
        for measure in followed(trial.protocol):
            drawn = course_of(trial, measure)
            for kind in KINDS:
                (folder / f"{measure.id}.{kind}").write_bytes(saved(drawn, kind))
            drawings[named(measure)] = (folder / f"{measure.id}.svg").read_bytes()
        (folder / "tables.txt").write_text(as_text(title, about, found), encoding="utf-8")
        (folder / "tables.csv").write_text(as_csv(found), encoding="utf-8", newline="")
        (folder / "tables.html").write_text(as_page(title, about, found, drawings), encoding="utf-8")
