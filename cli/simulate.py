"""`daybook simulate`: a whole trial with virtual patients, and a folder with all that it left."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer

from cli.printing import JsonFlag, pairs, print_json, warn
from protocol.load import load_protocol
from rehearsal.simulation.outcome import Outcome, simulate
from rehearsal.simulation.trial import Wanted

_SAYS_EVERY_SECONDS: Final = 1.0


def simulate_(
    *,
    patients: Annotated[int, typer.Option(min=1, max=2000, help="How many virtual patients take part.")] = 80,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder to make; it must be new or empty.")] = Path("simulation"),
    protocol: Annotated[str, typer.Option(help="A bundled protocol's name or a file.")] = "magnesium-clbp",
    formats: Annotated[
        str, typer.Option("--format", help="Formats of the export beside CSV, comma separated.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Live through a whole trial with virtual patients; leave database, export, messages and a page of results."""
    wanted = Wanted(load_protocol(protocol), patients, seed)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    with _nothing_logged():
        outcome = simulate(out, wanted, formats=names, told=_Progress() if sys.stderr.isatty() else lambda *_: None)
    if as_json:
        print_json(_told(outcome))
    else:
        _print(out, outcome)
    for fault in outcome.findings.faults:
        warn(fault.told)
    if outcome.findings.faults:
        raise typer.Exit(1)


@contextmanager
def _nothing_logged() -> Iterator[None]:
    """What patients do to the diary on purpose would be logged as trouble; the page tells it better."""
    logged = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**logged)


class _Progress:
    """A line on the terminal that says how far it is."""

    def __init__(self) -> None:
        self._said_at = 0.0

    def __call__(self, began: datetime, now: datetime, ends: datetime) -> None:
        if time.monotonic() - self._said_at < _SAYS_EVERY_SECONDS:
            return
        self._said_at = time.monotonic()
        print(f"\rday {(now - began).days} of {(ends - began).days}", end="", file=sys.stderr, flush=True)


def _print(out: Path, outcome: Outcome) -> None:
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(outcome.findings)
    print(f"Written to {out.absolute()}; begin with index.html.")
    facts = (
        ("index.html", "the results, to read or print"),
        ("messages.html, .md, .csv", f"each text once for an ethics board, and all {outcome.lines:,} lines"),
        ("load.csv", "messages by day and hour"),
        ("export/, allocation.csv", "for `daybook analyse`"),
        ("daybook.db, daybook.key", "the database, and its key, which protects nobody"),
    )
    print(pairs(facts))


def _told(outcome: Outcome) -> dict[str, object]:
    found = outcome.findings
    return {
        "patients": len(outcome.trial.cast.arrivals),
        "answers": found.answers,
        "changes": found.changes,
        "texts": found.texts,
        "questions": found.questions,
        "messages": outcome.lines,
        "faults": [{"kind": fault.kind, "told": fault.told} for fault in found.faults],
    }
