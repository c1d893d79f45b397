"""A private folder beside the database for what lies in plain text for a moment; it goes whatever happens."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BEGINS: Final = ".daybook-scratch-"


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A new folder in that of a file, open to us alone; those that a killed process left behind go with it."""
    with _locked(beside.absolute().parent, wait=True) as parent:
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=_BEGINS, dir=parent))
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def sync_folder(folder: Path) -> None:
    """See to it that a name given in this folder outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(parent: Path) -> None:
    for left in parent.glob(f"{_BEGINS}*"):
        try:
            with _locked(left, wait=False):  # a kernel lets go of the locks of whoever died
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue  # somebody is at work in it


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[Path]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        os.close(descriptor)
