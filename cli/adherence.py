"""`daybook adherence`: how complete the diaries are, each figure with its denominator."""

import asyncio
from typing import Annotated

import typer

from cli import wiring
from cli.printing import JsonFlag, print_json, share, table
from cli.reading import code_of, instant_of
from cli.settings import load_settings
from diary import Database
from diary.team import list_sites
from reports.adherence import AdherenceRow, By
from reports.adherence import adherence as figures_by
from reports.definitions import Figures, together

_COUNTED = ("on time", "late", "missed", "excused", "open")


def adherence(
    *,
    site: Annotated[str | None, typer.Option(help="Only the patients of this site.")] = None,
    patient: Annotated[str | None, typer.Option(help="Only this patient.")] = None,
    by: Annotated[By, typer.Option(help="What a row stands for; a week is one of the trial.")] = By.PATIENT,
    as_of: Annotated[
        str | None,
        typer.Option(help="What was known then: 2026-12-01 or 2026-12-01T20:00 on the site's clock."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show adherence: answered of expected, and how the rest ended."""
    rows = asyncio.run(_adherence(by, site=site, patient=patient, as_of=as_of))
    if as_json:
        print_json([row.flat() for row in rows])
    elif rows:
        print(_table(rows))
    else:
        print("There is nothing to count.")


async def _adherence(by: By, *, site: str | None, patient: str | None, as_of: str | None) -> list[AdherenceRow]:
    async with wiring.opened(load_settings()) as db:
        return await figures_by(
            db,
            now=wiring.clock(),
            by=by,
            site=code_of(site) if site else None,
            patient=code_of(patient) if patient else None,
            as_of=instant_of("--as-of", as_of, zone=await _zone(db, site)) if as_of else None,
        )


async def _zone(db: Database, site: str | None) -> str:
    """The zone in which a bare day is meant: the site's, where there is one to mean."""
    zones = {one.timezone for one in await list_sites(db) if site is None or one.code.lower() == site.lower()}
    return zones.pop() if len(zones) == 1 else "UTC"


def _table(rows: list[AdherenceRow]) -> str:
    keys = list(rows[0].key)
    lines = [(*row.key.values(), *_cells(row.figures)) for row in rows]
    if len(rows) > 1:
        lines.append(("all", *[""] * (len(keys) - 1), *_cells(together(rows))))
    doses = any(row.figures.doses for row in rows)
    head = (*keys, "answered", *_COUNTED, "doses taken")
    width = len(head) if doses else len(head) - 1
    return table(head[:width], [line[:width] for line in lines], right=head[len(keys) :])


def _cells(figures: Figures) -> tuple[object, ...]:
    return (
        share(figures.answered, figures.expected),
        figures.on_time,
        figures.late,
        figures.missed,
        figures.excused,
        figures.open,
        share(figures.taken, figures.doses),
    )
