"""Makes a database out of a backup: proven before it has the database's name, and never over another one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from protocol.errors import BackupError, NotProvenError, SealError
from storage.backups import unsealed
from storage.database import compared_form
from storage.proofs import Contents, prove
from storage.scratch import scratch_folder, sync_folder
from storage.sealed_file import ForeignFileError, ForeignKeyError
from storage.sealing import Keys

_BESIDE = ("", "-journal", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Restored:
    """A database that was made: what is in it, where the old one went, and whether it has the form of today."""

    contents: Contents
    aside: Path | None
    current: bool


def restore_from(file: Path, database: Path, keys: Keys, *, over: bool, now: datetime) -> Restored:
    """Make the database; where one is there, `over` moves it aside under a dated name. BackupError says why not."""
    if not over:
        _refuse_to_overwrite(database)
    try:
        database.absolute().parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(database) as scratch:
            made = scratch / "restored.db"
            contents = _opened(file, made, keys)
            form = compared_form(contents.revision)
            if form == "newer":
                raise BackupError(
                    f"{file} was made by a newer Daybook (form {contents.revision}); restore it with that one."
                )
            _proven(file, made, contents, keys)
            if not over:
                _refuse_to_overwrite(database)
            aside = _moved_aside(database, now) if any(_there(database)) else None
            made.rename(database)
            sync_folder(database.absolute().parent)
    except OSError as error:
        raise BackupError(
            f"{database} cannot be made out of {file} ({error.strerror}); "
            "see to the rights and the free space of its folder."
        ) from None
    return Restored(contents, aside, form == "same")


def last_served_at(database: Path) -> datetime | None:
    """When a service last said that it works with this database; None where nobody can tell."""
    if not database.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as raw:
            row = raw.execute("SELECT at FROM heartbeats WHERE part = 'serve'").fetchone()
            return datetime.fromisoformat(row[0]).astimezone(UTC) if row else None
    except (sqlite3.Error, ValueError):
        return None


def _there(database: Path) -> Iterator[Path]:
    """The files of a database, journals included: one that is left alone would be played into the next database."""
    for end in _BESIDE:
        if os.path.lexists(path := Path(f"{database}{end}")):
            yield path


def _refuse_to_overwrite(database: Path) -> None:
    if there := next(_there(database), None):
        raise BackupError(
            f"{there.absolute()} is there already; call again with --over to move it aside, or name another "
            "place with DAYBOOK_DATABASE_URL."
        )


def _opened(file: Path, into: Path, keys: Keys) -> Contents:
    try:
        source = file.open("rb")
    except OSError as error:
        raise BackupError(f"{file} cannot be read ({error.strerror}); name a backup of yours.") from None
    with source:
        try:
            return unsealed(source, keys, into, _goes_on)
        except ForeignKeyError:
            raise BackupError(
                f"{file} was sealed with a key that DAYBOOK_SECRET_KEY does not hold; add that key, after a comma."
            ) from None
        except ForeignFileError:
            raise BackupError(f"{file} is no backup that this Daybook can read; name another file.") from None
        except SealError:
            raise BackupError(
                f"{file} was cut or altered, and nothing was made of it; take another backup."
            ) from None
        except NotProvenError as error:
            raise BackupError(f"{file} cannot be used, since {error}; take another backup.") from None


def _proven(file: Path, made: Path, contents: Contents, keys: Keys) -> None:
    try:
        prove(made, contents, keys, _goes_on)
    except NotProvenError as error:
        raise BackupError(f"{file} cannot be used, since {error}; nothing was made of it.") from None


def _goes_on() -> None:
    """Nobody breaks a restore off but by ending the command."""


def _moved_aside(database: Path, now: datetime) -> Path:
    """Give the old database a dated name; what its journal still held is in it, where SQLite can read it at all."""
    aside = Path(f"{database}.before-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    if any(_there(aside)):
        raise BackupError(f"{aside} is there already; try again in a second.")
    if database.is_file():
        _settle(database)
    # The journals first: none may be left beside the name that another database gets.
    for path in reversed(list(_there(database))):
        path.rename(Path(f"{aside}{str(path)[len(str(database)) :]}"))
    return aside


def _settle(database: Path) -> None:
    try:
        with closing(sqlite3.connect(database, timeout=1)) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            raw.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        pass  # it is damaged, or none: it moves as it is
