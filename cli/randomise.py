"""`daybook randomise`: an allocation list as sealed kit numbers; of the database it asks the sites at most."""

import asyncio
import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from cli import wiring
from cli.printing import warn
from cli.reading import code_of
from cli.settings import load_settings
from diary.team import list_sites
from protocol.errors import DaybookError, WrongCallError
from reports.randomisation import OPEN, SEALED, Kit, randomise, write_list

_ALL = "all"


def randomise_(
    *,
    arms: Annotated[str, typer.Option(help="The arms, comma separated: A,B.")],
    block: Annotated[str, typer.Option(help="Block sizes to draw from, comma separated.")] = "4,6",
    seed: Annotated[
        str | None, typer.Option(help="Makes the same list again; keep it as secret as the list.")
    ] = None,
    strata: Annotated[str | None, typer.Option(help="`site`: a list of its own for each site.")] = None,
    sites: Annotated[str | None, typer.Option(help="The sites; those of the database if not given.")] = None,
    size: Annotated[int, typer.Option(min=1, max=100_000, help="Kits at least, for each list.")] = 80,
    subjects: Annotated[
        Path | None, typer.Option(help="CSV with `subject` (and `site`): hand the kits out to these now.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the sealed list; otherwise it is printed.")] = None,
    kits: Annotated[Path | None, typer.Option(help="File without the arms, for whoever hands kits out.")] = None,
) -> None:
    """Make an allocation list. It belongs to the unblinded pharmacist, never onto the diary's server."""
    if strata not in {None, "site"}:
        raise WrongCallError("--strata can be `site`; leave it out for one list.")
    drawn = seed if seed is not None else token_hex(16)
    wanted = _wanted(strata, sites, size, subjects)
    found = randomise(_parts(arms), _numbers(block), drawn, wanted)
    for path in (out, kits):
        if path is not None and path.exists():
            raise DaybookError(f"{path} is there already; name a new file.")
    if out is None:
        _print(found)
    else:
        _write(out, found, SEALED)
    if kits is not None:
        _write(kits, found, OPEN)
    if seed is None:
        warn(f"The seed was {drawn}; with it the list can be made again.")


def _wanted(
    strata: str | None, sites: str | None, size: int, subjects: Path | None
) -> Mapping[str, int | list[str]]:
    if subjects is not None:
        return _by_site(subjects, strata)
    if strata is None:
        return {_ALL: size}
    codes = [code_of(code) for code in _parts(sites)] if sites else asyncio.run(_sites())
    if not codes:
        raise DaybookError("There is no site in the database; name them with --sites.")
    return dict.fromkeys(codes, size)


async def _sites() -> list[str]:
    async with wiring.opened(load_settings()) as db:
        return [site.code for site in await list_sites(db)]


def _by_site(path: Path, strata: str | None) -> Mapping[str, list[str]]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError):
        raise DaybookError(f"{path} cannot be read; name a CSV file with a column `subject`.") from None
    found: dict[str, list[str]] = {}
    for row in rows:
        site = row.get("site") if strata else _ALL
        if not row.get("subject") or not site:
            raise DaybookError(f"{path} needs the columns `subject`{' and `site`' if strata else ''} filled in.")
        found.setdefault(site, []).append(row["subject"])
    if not found:
        raise DaybookError(f"{path} names no subject.")
    return found


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in _parts(text)]
    except ValueError:
        raise WrongCallError("--block takes whole numbers, comma separated: 4,6.") from None


def _print(found: list[Kit]) -> None:
    text = io.StringIO(newline="")
    write_list(text, found)
    sys.stdout.write(text.getvalue().replace("\r\n", "\n"))


def _write(path: Path, found: list[Kit], columns: tuple[str, ...]) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            path.chmod(0o600)
            write_list(file, found, columns)
    except OSError as error:
        raise DaybookError(f"{path} cannot be written ({error.strerror}); name another file.") from None
