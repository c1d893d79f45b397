"""The export: every file from one read transaction, counted against the database, under its name only when whole.

CSV by RFC 4180: commas, CRLF, UTF-8 without a byte order mark, one header line. The same database at the same `now`
gives the same bytes. Chats, names and arms are in none of the files: the questions of storage/extracts.py have no
such column.
"""

import csv
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from protocol.errors import DaybookError, UnknownCodeError
from reports.columns import DICTIONARY, DICTIONARY_COLUMNS, FILES, Column, File, dictionary
from storage import extracts, people
from storage.database import Connection, Database
from storage.extracts import Wanted


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the export: its name, its lines without the header, and the fingerprint of its bytes."""

    name: str
    rows: int
    sha256: str


async def export_csv(
    db: Database, out: Path, *, site: str | None = None, now: datetime, free_text: bool = True
) -> list[Written]:
    """Write the trial, or one site's part of it, as CSV files into the new or empty folder `out`.

    Without `free_text`, what patients and staff wrote in words of their own is left empty: it may name people.
    """
    _refuse_used(out)
    with _whole_or_nothing(out) as folder:
        async with extracts.unhurried_view(db, folder) as conn:
            wanted = Wanted(conn, await _site_id(conn, site), now)
            written = [await _write(folder, file, wanted, free_text=free_text) for file in FILES]
        return [*written, _write_dictionary(folder)]


async def _write(folder: Path, file: File, wanted: Wanted, *, free_text: bool) -> Written:
    columns = [replace(one, value=_nothing) if one.free and not free_text else one for one in file.columns]
    with _opened(folder, file.name) as bytes_out:
        writer = _Writer(bytes_out, tuple(columns))
        async for lines in file.lines(wanted):
            writer.add(lines)
    expected = await extracts.count_lines(wanted, file.table)
    if writer.rows != expected:
        raise DaybookError(
            f"{file.name} would have {writer.rows} lines and the database has {expected} {file.table}; nothing was "
            "written. Check the database with `daybook doctor`."
        )
    return Written(file.name, writer.rows, writer.sha256)


def _nothing(_line: Any) -> None:
    """What stands in place of words that are withheld."""


def _write_dictionary(folder: Path) -> Written:
    with _opened(folder, DICTIONARY) as bytes_out:
        writer = _Writer(bytes_out, DICTIONARY_COLUMNS)
        writer.add(dictionary())
    return Written(DICTIONARY, writer.rows, writer.sha256)


class _Writer:
    """Turns lines into CSV bytes, counting them and taking their fingerprint on the way."""

    def __init__(self, out: BinaryIO, columns: tuple[Column, ...]) -> None:
        self.rows = 0
        self._out = out
        self._columns = columns
        self._digest = hashlib.sha256()
        self._put([[column.name for column in columns]])

    @property
    def sha256(self) -> str:
        """Fingerprint of all bytes so far, hexadecimal."""
        return self._digest.hexdigest()

    def add(self, lines: Iterable[Any]) -> None:
        """Write a few lines at once."""
        rows = [[column.cell(line) for column in self._columns] for line in lines]
        self._put(rows)
        self.rows += len(rows)

    def _put(self, rows: list[list[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\r\n").writerows(rows)
        data = text.getvalue().encode()
        self._digest.update(data)
        self._out.write(data)


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A new file that has reached the disk when the block ends."""
    with (folder / name).open("xb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def _refuse_used(out: Path) -> None:
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DaybookError(f"{out} is there already and not an empty folder; name a new one with --out.")
    except OSError as error:
        raise _cannot_write(out, error) from None


@contextmanager
def _whole_or_nothing(out: Path) -> Iterator[Path]:
    """A folder beside `out` that gets its name when all is well, and is removed otherwise."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise _cannot_write(out, error) from None
    try:
        yield folder
        if out.exists():
            out.rmdir()
        folder.rename(out)
    except OSError as error:
        raise _cannot_write(out, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cannot_write(out: Path, error: OSError) -> DaybookError:
    return DaybookError(
        f"The export cannot be written to {out} ({error.strerror}); check the folder's rights and free space."
    )


async def _site_id(conn: Connection, code: str | None) -> int | None:
    if code is None:
        return None
    found = await people.site_by_code(conn, code)
    if found is None:
        raise UnknownCodeError(f"There is no site {code}; `daybook site list` shows those there are.")
    return found.id
