"""`daybook randomise`: an allocation list as sealed kit numbers; of the database it asks the sites at most."""

import asyncio
import io
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from cli import wiring
from cli.printing import warn
from cli.reading import code_of, plain_text
from cli.settings import load_settings
from diary.team import list_sites
from protocol.errors import DaybookError, SchemaError, SettingsError, WrongCallError
from reports.randomisation import OPEN, SEALED, Kit, randomise, read_lines, refuse_doubled, write_list

_ALL = "all"


def randomise_(
    *,
    arms: Annotated[str, typer.Option(help="The arms, comma separated: A,B.")],
    block: Annotated[str, typer.Option(help="Block sizes to draw from, comma separated.")] = "4,6",
    seed: Annotated[
        str | None, typer.Option(help="Makes the same list again; keep it as secret as the list.")
    ] = None,
    strata: Annotated[str | None, typer.Option(help="`site`: a list of its own for each site.")] = None,
    sites: Annotated[
        str | None, typer.Option(help="The sites, comma separated; those of the database if not given.")
    ] = None,
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
    if sites and (strata is None or subjects):
        raise WrongCallError(
            "--sites goes with --strata site, and not with --subjects, whose file names the sites."
        )
    if out is not None and kits is not None and out.absolute() == kits.absolute():
        raise WrongCallError("--out and --kits name the same file, and only one of the two may tell the arms.")
    drawn = seed if seed is not None else token_hex(16)
    wanted = _by_site(subjects, strata) if subjects else _sized(strata, sites, size)
    found = randomise([plain_text("--arms", arm) for arm in arms.split(",")], _numbers(block), drawn, wanted)
    _write({path: _text(found, columns) for path, columns in ((out, SEALED), (kits, OPEN)) if path})
    if out is None:
        sys.stdout.write(_text(found, SEALED).replace("\r\n", "\n"))
    if seed is None:
        warn(f"The seed was {drawn}; with it the list can be made again.")


def _sized(strata: str | None, sites: str | None, size: int) -> Mapping[str, int]:
    if strata is None:
        return {_ALL: size}
    codes = [code_of(code.strip()) for code in sites.split(",")] if sites else asyncio.run(_sites())
    if not codes:
        raise DaybookError("There is no site in the database; name them with --sites.")
    return dict.fromkeys(codes, size)


async def _sites() -> list[str]:
    try:
        async with wiring.opened(load_settings()) as db:
            return [site.code for site in await list_sites(db)]
    except (SchemaError, SettingsError):
        raise WrongCallError(
            "There is no database here that tells the sites; name them, such as --sites main,coast."
        ) from None


def _by_site(path: Path, strata: str | None) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in read_lines(path, ("subject", "site") if strata else ("subject",)):
        found.setdefault(code_of(row["site"]) if strata else _ALL, []).append(code_of(row["subject"]))
    if not found:
        raise DaybookError(f"{path} names no subject; leave --subjects out for a list with nobody on it yet.")
    refuse_doubled(path, [subject for of_site in found.values() for subject in of_site])
    return found


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise WrongCallError("--block takes whole numbers, comma separated: 4,6.") from None


def _text(found: list[Kit], columns: tuple[str, ...]) -> str:
    text = io.StringIO(newline="")
    write_list(text, found, columns)
    return text.getvalue()


def _write(files: Mapping[Path, str]) -> None:
    """Write all of the files or none, readable to their owner alone, and nothing over what is there."""
    for path in files:
        if path.exists():
            raise DaybookError(f"{path} is there already; name a new file.")
    ready: dict[Path, Path] = {}
    try:
        for path, text in files.items():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
            ready[path] = Path(name)
            with open(handle, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - it is open already
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, made in ready.items():
            made.rename(path)
    except OSError as error:
        for made in ready.values():
            made.unlink(missing_ok=True)
        raise DaybookError(f"{path} cannot be written ({error.strerror}); name another file.") from None
