"""The folder of an export: new or empty before, whole or not there after, every file counted and fingerprinted."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import DaybookError


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the export: its name, the table it holds (or ""), its lines, and the fingerprint of its bytes."""

    name: str
    table: str
    rows: int
    sha256: str


class Bundle:
    """The files of an export while they are being made, in a folder that has no name yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rows: dict[str, tuple[str, int]] = {}

    def path(self, name: str, *, table: str = "", rows: int = 0) -> Path:
        """Where a file of this name goes; a slash in it is a folder."""
        self._rows[name] = (table, rows)
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        return path

    def count(self, name: str, rows: int) -> None:
        """Say how many lines a file has in the end."""
        self._rows[name] = (self._rows[name][0], rows)

    def sealed(self) -> list[Written]:
        """Every file with its fingerprint, once it has reached the disk; those in the main folder come first.

        The others stand table by table: several may have been written side by side.
        """
        apart = [name for name in self._rows if "/" in name]
        tables = list(dict.fromkeys(self._rows[name][0] for name in apart))
        names = [name for name in self._rows if "/" not in name]
        names += sorted(apart, key=lambda name: tables.index(self._rows[name][0]))
        return [Written(name, *self._rows[name], _reached_the_disk(self.folder / name)) for name in names]


def _reached_the_disk(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """A folder beside `out` that gets its name when all is well, and is removed otherwise."""
    _refuse_used(out)
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


def _refuse_used(out: Path) -> None:
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DaybookError(f"{out} is there already and not an empty folder; name a new one with --out.")
    except OSError as error:
        raise _cannot_write(out, error) from None


def _cannot_write(out: Path, error: OSError) -> DaybookError:
    return DaybookError(
        f"The folder {out} cannot be written ({error.strerror}); check its rights and the disk's free space."
    )
