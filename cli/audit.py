"""`daybook audit`: whether the trail is as it was written, and where it ends."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import wiring
from cli.printing import JsonFlag, counted, print_json
from cli.settings import load_settings
from reports.chain import Head, Verdict, trail_head, verify_trail
from reports.exported_chain import verify_export
from reports.heads import heads_in

audit = typer.Typer(help="Whether the audit trail is as it was written, and where it ends.", no_args_is_help=True)


@audit.command("verify")
def verify(
    export: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of an export, which needs no database and no key; the diary's own if left out."
        ),
    ] = None,
    *,
    head: Annotated[
        str | None,
        typer.Option(help="A head that was kept elsewhere, as N:HEX, or the file DAYBOOK_HEAD_FILE keeps them in."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Name the first row that was changed, removed, added or put in another order; exit 1 where there is one.

    Lines cut off at the end, and a trail that was written anew, are found by a head that was kept elsewhere.
    """
    kept = _kept(head)
    found = verify_export(export, kept) if export is not None else asyncio.run(_verify(kept))
    if as_json:
        print_json(_row(found))
    else:
        print(_told(found, kept))
    if found.fault is not None:
        raise typer.Exit(1)


def _kept(head: str | None) -> list[Head]:
    if head is None:
        return []
    file = Path(head)
    return heads_in(file) if file.is_file() else [Head.read(head)]


async def _verify(kept: list[Head]) -> Verdict:
    async with wiring.opened(load_settings()) as db:
        return await verify_trail(db, kept)


def _row(found: Verdict) -> dict[str, Any]:
    fault = found.fault
    return {
        "whole": fault is None,
        "lines": found.head.lines,
        "head": found.head.sha256,
        "fault": fault.says if fault else None,
        "line": fault.line if fault else None,
    }


def _told(found: Verdict, kept: list[Head]) -> str:
    if found.fault is not None:
        return f"The trail is broken. {found.fault.says}\nIts head is {found.head}"
    held = f" and has {counted(len(kept), 'head')} that was kept" if len(kept) == 1 else ""
    held = held or (f" and has all {len(kept)} heads that were kept" if kept else "")
    return f"The trail is whole{held}: {counted(found.head.lines, 'line')}.\nIts head is {found.head}"


@audit.command("head")
def head_(*, as_json: JsonFlag = False) -> None:
    """Print where the trail ends: the number of its lines and the digest of the last. Keep it elsewhere."""
    found = asyncio.run(_head())
    if as_json:
        print_json({"lines": found.lines, "head": found.sha256})
    else:
        print(found)


async def _head() -> Head:
    async with wiring.opened(load_settings()) as db:
        return await trail_head(db)
