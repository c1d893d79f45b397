"""The export: every file from one read transaction, counted against the database, under its name only when whole.

The same database at the same cut-off gives the same bytes. Chats, names and arms are in none of the files: the
questions of storage/extracts.py have no such column, and a protocol that would bring one in is refused.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from diary.protocols import protocol_of
from diary.roles import site_called
from protocol.errors import DaybookError
from reports.blinding import refuse_arms
from reports.bundle import Bundle, Written, whole_or_nothing
from reports.columns import Cells, Column
from reports.dictionary import dictionary_of
from reports.formats.choice import FORMATS, checked, opened
from reports.formats.delimited import Delimited
from reports.formats.taking import About, Add, Format
from reports.scripts import write_scripts
from reports.summaries import summaries
from reports.tables import TABLES, TRAIL, Table
from storage import extracts, people
from storage.copies import unhurried_view
from storage.database import Database
from storage.extracts import Batch, Wanted
from storage.journeys import phase_starts, places

MANIFEST: Final = "manifest.json"
# What the manifest promises its readers; a change that breaks them gets the next number.
_MANIFEST_VERSION: Final = 1


async def export_bundle(
    db: Database,
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    site: str | None = None,
    now: datetime,
    free_text: bool = True,
) -> list[Written]:
    """Write the trial, or one site's part of it, as files into the new or empty folder `out`.

    Without `free_text`, what patients and staff wrote in words of their own is left empty: it may name people.
    """
    names = checked(formats)
    with whole_or_nothing(out) as folder:
        bundle = Bundle(folder)
        async with unhurried_view(db, folder) as conn:
            wanted = Wanted(conn, None if site is None else (await site_called(conn, site)).id, now)
            versions = await _versions(wanted, site)
            about = await _about(db, wanted, versions, site)
            tables = (*TABLES, *summaries(about, await places(wanted)))
            refuse_arms(about.protocol, tables)
            takers = opened(names, bundle, about)
            await _write_tables(wanted, tables, takers, free_text=free_text, whole=site is None)
            await _write_protocols(bundle, wanted, versions)
            if "csv" in names:
                write_scripts(bundle, tables)
        written = await asyncio.to_thread(bundle.sealed)
        _write_manifest(folder, about, written)
        return written


async def _versions(wanted: Wanted, site: str | None) -> list[int]:
    """The versions of the protocol that patients follow, the newest first."""
    versions = sorted(await extracts.protocols_of_subjects(wanted), reverse=True)
    if not versions:
        raise DaybookError(
            f"There is no patient {'at ' + site if site else 'in the trial'} yet, so there is nothing to export; "
            "`daybook patient list` shows whom there is."
        )
    return versions


async def _about(db: Database, wanted: Wanted, versions: Sequence[int], site: str | None) -> About:
    newest, *earlier = [await protocol_of(db, wanted.conn, version) for version in versions]
    return About(newest, site, wanted.cut_off, tuple(earlier), await phase_starts(wanted))


async def _write_tables(
    wanted: Wanted, tables: Sequence[Table], formats: Sequence[Format], *, free_text: bool, whole: bool
) -> None:
    shown = [table if free_text else _without_words(table) for table in tables]
    as_csv = [one for one in formats if isinstance(one, Delimited)]
    # With a part of it left out nobody could verify the trail, and whole it tells of other sites and in free words.
    trail = [TRAIL] if as_csv and whole and free_text else []
    for _, group in groupby((*shown, *trail, dictionary_of((*shown, *trail))), key=lambda table: table.batches):
        together = list(group)
        takers = as_csv if together == [TRAIL] else formats
        for table, rows in (await _write(together, wanted, takers)).items():
            if table.counted:
                _agree(table, rows, await extracts.count_rows(wanted, table.counted))
    for one in formats:
        await asyncio.to_thread(one.finish)


async def _write(tables: Sequence[Table], wanted: Wanted, formats: Sequence[Format]) -> Counter[Table]:
    """Write tables that are made of one reading, and count their lines."""
    rows = Counter(dict.fromkeys(tables, 0))
    with ExitStack() as whole:
        stacks = [whole.enter_context(ExitStack()) for _ in tables]
        adds = [
            [stack.enter_context(one.taking(table)) for one in formats]
            for table, stack in zip(tables, stacks, strict=True)
        ]
        async for batch in tables[0].batches(wanted):
            for table, of_table in zip(tables, adds, strict=True):
                # In a thread: whoever is served meanwhile gets a turn every few milliseconds.
                rows[table] += await asyncio.to_thread(_add, table, batch, of_table)
        for stack in stacks:
            stack.close()
    return rows


def _add(table: Table, batch: Batch, adds: Sequence[Add]) -> int:
    lines = table.lines(batch)
    cells = [column.cells(lines) for column in table.columns]
    if cells[0]:
        for add in adds:
            add(cells)
    return len(cells[0])


def _agree(table: Table, rows: int, expected: int) -> None:
    if rows != expected:
        raise DaybookError(
            f"{table.name}.csv would have {rows} lines and the database has {expected} {table.counted}; nothing "
            "was written. Check the database with `daybook doctor`."
        )


def _without_words(table: Table) -> Table:
    return replace(table, columns=tuple(_withheld(column) if column.free else column for column in table.columns))


def _withheld(column: Column) -> Column:
    def nothing(batch: Batch) -> Cells:
        return [None] * len(batch["subject"])

    return replace(column, cells=nothing)


async def _write_protocols(bundle: Bundle, wanted: Wanted, versions: Sequence[int]) -> None:
    """The protocol versions patients follow, to the letter; the newest is protocol.toml."""
    for place, protocol_id in enumerate(versions):
        name = "protocol.toml" if place == 0 else f"protocol-before-{place}.toml"
        path = bundle.path(name)
        path.write_text(await people.protocol_text(wanted.conn, protocol_id), encoding="utf-8", newline="")


def _write_manifest(folder: Path, about: About, written: Sequence[Written]) -> None:
    trial = about.protocol.trial
    document: dict[str, Any] = {
        "format": "daybook-export",
        "version": _MANIFEST_VERSION,
        "study": trial.id,
        "protocol_version": trial.version,
        "cut_off": about.cut_off_text,
        "site": about.site,
        "files": [asdict(file) for file in written],
    }
    with (folder / MANIFEST).open("x", encoding="utf-8") as out:
        json.dump(document, out, indent=2, ensure_ascii=False)
        out.write("\n")
