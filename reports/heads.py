"""A file on another disk that keeps where the trail ended, a line a day, away from whoever has the database."""

import asyncio
import os
from datetime import datetime
from pathlib import Path

from protocol.errors import DaybookError, WrongCallError
from reports.chain import Head, trail_head
from storage.database import Database


def heads_in(file: Path) -> list[Head]:
    """The heads that a file keeps; DaybookError where it has none, or has something else."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DaybookError(f"{file} cannot be read as text; name the file that DAYBOOK_HEAD_FILE named.") from None
    found = [_head(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise DaybookError(f"{file} keeps no head yet; `daybook serve` adds one a day.")
    return found


def _head(file: Path, number: int, line: str) -> Head:
    try:
        at, lines, sha256 = line.split()
        datetime.fromisoformat(at)
        return Head.read(f"{lines}:{sha256}")
    except (ValueError, WrongCallError):
        raise DaybookError(
            f"Line {number} of {file} is not an instant, a number of lines and a digest; compare it with a copy."
        ) from None


async def keep_head(db: Database, file: Path, *, now: datetime) -> bool:
    """Add where the trail ends now, unless the file has a line of this day (UTC); OSError where it cannot."""
    if await asyncio.to_thread(_last_line, file) >= now.date().isoformat():
        return False
    head = await trail_head(db)
    await asyncio.to_thread(_add, file, f"{now:%Y-%m-%dT%H:%M:%SZ} {head.lines} {head.sha256}")
    return True


def _last_line(file: Path) -> str:
    """The day the last line begins with; empty where there is none."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1][: len("2026-11-25")] if lines else ""


def _add(file: Path, line: str) -> None:
    with file.open("a+b") as out:
        # What a full disk or a lost share cut short stays as it is, on a line of its own.
        begun = out.tell() > 0 and _last_byte(file) != b"\n"
        out.write(f"{chr(10) if begun else ''}{line}\n".encode())
        out.flush()
        os.fsync(out.fileno())


def _last_byte(file: Path) -> bytes:
    with file.open("rb") as there:
        there.seek(-1, os.SEEK_END)
        return there.read()


def why_not_kept(file: Path) -> str | None:
    """Why a head could not be added, in a few words; None where it could."""
    try:
        if file.exists():
            with file.open("ab"):
                return None
        if not file.parent.is_dir():
            return f"the folder {file.parent} is not there"
        return None if os.access(file.parent, os.W_OK | os.X_OK) else f"the folder {file.parent} cannot be written"
    except OSError as error:
        return error.strerror or type(error).__name__
