"""Makes a backup of the database while it is written to, and calls it one only after a restore has proven it."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from protocol.errors import BackupError, NotProvenError, SealError
from storage.proofs import Contents, contents_of, prove
from storage.scratch import scratch_folder, sync_folder
from storage.sealed_file import in_pieces, opened_from, seal_into
from storage.sealing import Keys

NOT_PROVEN: Final = ".not-proven"
PARTIAL: Final = ".partial"

_PAGES_A_STEP: Final = 1000
_PAUSE_SECONDS: Final = 0.005  # a writer that waits for a step's end tries again within this
_BEGINNINGS: Final = 3
_WAITS: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_WAITS_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Proven:
    """A backup, and what was proven of it."""

    file: Path
    rows: int
    bytes: int
    sha256: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Source:
    """What is copied, the keys it is sealed with, and the moment."""

    database: Path
    keys: Keys
    at: str


@dataclass(frozen=True, slots=True)
class Watching:
    """Whoever waits for a backup: asked whether it is broken off, and told when the copy is made."""

    broken_off: Callable[[], bool]
    copied: Callable[[], None]

    def go_on(self) -> None:
        """Go on, or not: raises BackupError."""
        if self.broken_off():
            raise BackupError("The backup was broken off; nothing of it was kept.")


def back_up_into(file: Path, source: Source, watching: Watching) -> Proven:
    """Copy, seal, read back, restore, prove; the file has its name only at the end, and others keep theirs."""
    began = time.perf_counter()
    refuse_to_overwrite(file)
    try:
        with _partial(file) as partial, scratch_folder(source.database) as scratch:
            contents = _seal_a_copy(partial, scratch / "copy.db", source, watching)
            try:
                sha256 = _prove(partial, scratch / "restored.db", contents, source.keys, watching.go_on)
            except NotProvenError as error:
                kept = file.with_name(file.name + NOT_PROVEN)
                _take_name(partial, kept)
                raise NotProvenError(
                    f"The backup is not proven, since {error}; it is kept as {kept}, and no backup was made."
                ) from None
            refuse_to_overwrite(file)
            size = partial.stat().st_size
            _take_name(partial, file)
    except OSError as error:
        raise BackupError(
            f"The backup {file} cannot be written ({error.strerror}); see to its folder's rights and free space, "
            "and to those of the database's folder, where a copy lies meanwhile."
        ) from None
    except sqlite3.Error as error:
        raise BackupError(
            f"The database cannot be copied ({error}); see to the free space in its folder and try again."
        ) from None
    return Proven(file, contents.rows_total, size, sha256, time.perf_counter() - began)


def refuse_to_overwrite(file: Path) -> None:
    """A backup never takes the place of another file."""
    if os.path.lexists(file):
        raise BackupError(f"{file} is there already, and no backup is written over it; choose another name.")


def unsealed(source: BinaryIO, keys: Keys, into: Path, go_on: Callable[[], None]) -> Contents:
    """Write the database of a backup into a new file, and give what it tells of itself; SealError if not whole."""
    pieces = opened_from(source, keys)
    contents = Contents.read(next(pieces))
    with into.open("xb") as target:
        into.chmod(0o600)
        for piece in pieces:
            go_on()
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return contents


@contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """A name in the target folder for what is not finished, free again at the end."""
    partial = file.with_name(f".{file.name}{PARTIAL}-{os.getpid()}")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _take_name(partial: Path, name: Path) -> None:
    partial.replace(name)
    sync_folder(name.absolute().parent)


def _seal_a_copy(target: Path, copy: Path, source: Source, watching: Watching) -> Contents:
    # Opened first: a folder that takes nothing is found out before the database is copied.
    with open(target, "xb", opener=_for_us_alone) as sealed:
        _copy(source.database, copy, watching.go_on)
        watching.copied()
        with closing(sqlite3.connect(copy)) as raw:
            contents = contents_of(raw, source.at)
        with copy.open("rb") as plain:
            seal_into(sealed, _asking(in_pieces(plain, contents.written()), watching.go_on), source.keys)
        sealed.flush()
        os.fsync(sealed.fileno())
    copy.unlink()
    return contents


def _asking(pieces: Iterator[bytes], go_on: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        go_on()
        yield piece


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _copy(database: Path, copy: Path, go_on: Callable[[], None]) -> None:
    """Copy by SQLite's own backup, through a connection that only reads.

    With a write-ahead log one snapshot is held, and writers go on. With a rollback journal a reader would keep them
    from committing, so it goes in steps with pauses; a commit meanwhile makes it begin anew, and after a few such
    beginnings the rest comes in one step, for which writers wait: seconds for a gigabyte, and they have ten.
    """
    with (
        closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        ) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        copy.chmod(0o600)
        target.execute("PRAGMA synchronous = OFF")  # a copy that a power cut spoils is one nobody asks for
        if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not _copied_in_steps(source, target, go_on):
            source.backup(target, pages=-1, progress=_Deadline(go_on), sleep=_PAUSE_SECONDS)


class _Deadline:
    """Ends a copy that gets no further: SQLite itself would wait for another writer for ever."""

    def __init__(self, go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self._moved_at = time.monotonic()

    def __call__(self, status: int, _left: int, _total: int) -> None:
        self._go_on()
        now = time.monotonic()
        if status not in _WAITS:
            self._moved_at = now
        elif now - self._moved_at > _WAITS_SECONDS:
            raise BackupError(
                "The database was locked by another program for a minute; try again when that has ended."
            )


class _BegunAnewError(Exception):
    """There were too many beginnings."""


def _copied_in_steps(source: sqlite3.Connection, target: sqlite3.Connection, go_on: Callable[[], None]) -> bool:
    last_left: int | None = None
    beginnings = 1
    deadline = _Deadline(go_on)

    def step(status: int, left: int, total: int) -> None:
        nonlocal last_left, beginnings
        deadline(status, left, total)
        if status == sqlite3.SQLITE_OK:
            if last_left is not None and left >= last_left:
                beginnings += 1
                if beginnings > _BEGINNINGS:
                    raise _BegunAnewError
            last_left = left
        time.sleep(_PAUSE_SECONDS)

    try:
        source.backup(target, pages=_PAGES_A_STEP, progress=step, sleep=_PAUSE_SECONDS)
    except _BegunAnewError:
        return False
    return True


def _prove(file: Path, restored: Path, said: Contents, keys: Keys, go_on: Callable[[], None]) -> str:
    """Restore a finished file and hold what comes out to what went in; gives its fingerprint."""
    try:
        with file.open("rb") as sealed:
            # From the disk, as far as the kernel lets itself be asked, and not from its memory of what was written.
            os.posix_fadvise(sealed.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            found = unsealed(sealed, keys, restored, go_on)
    except SealError:
        raise NotProvenError("it cannot be opened again") from None
    if found != said:
        raise NotProvenError("it does not say what was copied")
    prove(restored, said, keys, go_on)
    with file.open("rb") as sealed:
        return hashlib.file_digest(sealed, "sha256").hexdigest()
