"""`daybook export`: the whole diary as files for a statistician, or nothing at all."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli import wiring
from cli.printing import JsonFlag, print_json, table
from cli.reading import code_of
from cli.settings import load_settings
from reports.bundle import Written
from reports.export import export_bundle
from reports.formats.choice import FORMATS


def export(
    *,
    out: Annotated[Path, typer.Option(help="Folder to make; it must be new or empty.")],
    formats: Annotated[
        str, typer.Option("--format", help="What to write, comma separated.", show_default="all of them")
    ] = ",".join(FORMATS),
    site: Annotated[str | None, typer.Option(help="Only the patients of this site.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the diary as one bundle of files with a dictionary of their columns."""
    names = [name.strip() for name in formats.split(",") if name.strip()]
    # A million lines make no cycles, and looking for some takes an eighth of the time.
    gc.disable()
    written = asyncio.run(_export(out, names, code_of(site) if site else None))
    if as_json:
        print_json([asdict(one) for one in written])
    else:
        print(
            table(("file", "rows", "sha256"), [(one.name, one.rows, one.sha256) for one in written], right=["rows"])
        )
        print(f"Written to {out.absolute()}.")


async def _export(out: Path, formats: Sequence[str], site: str | None) -> list[Written]:
    async with wiring.opened(load_settings()) as db:
        return await export_bundle(db, out, formats=formats, site=site, now=wiring.clock())
