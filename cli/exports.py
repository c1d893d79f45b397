"""`daybook export`: the whole diary as files for a statistician, or nothing at all."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli import wiring
from cli.printing import JsonFlag, print_json, table
from cli.reading import code_of, quoted
from cli.settings import load_settings
from protocol.errors import WrongCallError
from reports.export import Written, export_csv

FORMATS = ("csv",)


def export(
    *,
    out: Annotated[Path, typer.Option(help="Folder to make; it must be new or empty.")],
    formats: Annotated[str, typer.Option("--format", help="What to write, comma separated: csv.")] = "csv",
    site: Annotated[str | None, typer.Option(help="Only the patients of this site.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the diary as files with a dictionary of their columns."""
    for wanted in formats.split(","):
        if wanted.strip() not in FORMATS:
            raise WrongCallError(f"{quoted(wanted)} is not a format of the export; choose {' or '.join(FORMATS)}.")
    written = asyncio.run(_export(out, code_of(site) if site else None))
    if as_json:
        print_json([{"name": one.name, "rows": one.rows, "sha256": one.sha256} for one in written])
    else:
        print(
            table(("file", "rows", "sha256"), [(one.name, one.rows, one.sha256) for one in written], right=["rows"])
        )
        print(f"Written to {out.absolute()}.")


async def _export(out: Path, site: str | None) -> list[Written]:
    async with wiring.opened(load_settings()) as db:
        return await export_csv(db, out, site=site, now=wiring.clock())
