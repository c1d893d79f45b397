"""`daybook backup` and `daybook restore`: a copy of everything that is proven, and the diary made out of one."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli import wiring
from cli.printing import JsonFlag, counted, print_json
from cli.settings import Settings, load_settings
from diary import Database, Keys
from diary.backups import Proven, Restored, back_up, last_served_at, note_restore, restore_from
from protocol.errors import BackupError
from reports.health import Health, serves
from web.server import AddressTakenError, check_listening


def backup(
    file: Annotated[Path, typer.Argument(help="File to make; it must not be there yet.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Copy the database into a sealed file, while the service runs, and prove it by restoring it on the side."""
    made = asyncio.run(_back_up(load_settings(), file))
    if as_json:
        print_json(
            {
                "file": str(made.file),
                "rows": made.rows,
                "bytes": made.bytes,
                "sha256": made.sha256,
                "seconds": round(made.seconds, 2),
            }
        )
        return
    print(
        f"{made.file} is proven: read back, restored on the side, found whole and opened by this key, with all "
        f"{counted(made.rows, 'row')} ({counted(made.bytes, 'byte')}, sha256 {made.sha256}, {made.seconds:.1f} s)."
    )


async def _back_up(settings: Settings, file: Path) -> Proven:
    async with wiring.opened(settings) as db:
        return await back_up(db, file, clock=wiring.clock)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup that `daybook backup` or the service made.")],
    *,
    over: Annotated[
        bool, typer.Option("--over", help="Where a database is there already, move it aside first.")
    ] = False,
) -> None:
    """Make the database out of a backup; stop the service before."""
    settings = load_settings()
    database = wiring.database_file(db := Database(settings.database, Keys(settings.secret_keys)))
    assert database is not None
    _refuse_while_served(settings, database)
    restored = restore_from(file, database, db.keys, over=over, now=wiring.clock())
    if restored.current:
        asyncio.run(_note(settings, restored))
    for line in _told(file, database, restored):
        print(line)


def _refuse_while_served(settings: Settings, database: Path) -> None:
    """A service that runs says so every few seconds; one that has just ended has let go of its address."""
    served = Health(last_served_at(database), None, None, None)
    if serves(served, now=wiring.clock()) and not _is_free(settings):
        raise BackupError(
            "`daybook serve` works with this database; stop it, wait a minute, and call again: "
            "it would go on writing into the one that is moved aside."
        )


def _is_free(settings: Settings) -> bool:
    if not settings.web_port:
        return False  # any port would have been taken, so nobody can tell
    try:
        check_listening(settings.web_host, settings.web_port)
    except AddressTakenError:
        return False
    return True


async def _note(settings: Settings, restored: Restored) -> None:
    async with wiring.opened(settings) as db:
        await note_restore(db, restored, now=wiring.clock())


def _told(file: Path, database: Path, restored: Restored) -> list[str]:
    contents = restored.contents
    rows = counted(contents.rows_total, "row")
    said = [f"{database.absolute()} is made out of {file}, copied at {contents.copied_at}: {rows}, all there."]
    if restored.aside:
        said.append(f"The database that was there is now {restored.aside.absolute()}.")
    if not restored.current:
        said.append("It has an older form; run `daybook migrate` before anything else.")
    return said
