"""Walks along the audit trail's chain (storage/chain.py) and names the first row at which it does not hold."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.errors import WrongCallError
from storage import chain
from storage.chain import BEFORE_ALL, COVERED, ChainLine, digest_of, link
from storage.database import Database

_ONE: Final = {"entries": "Entry", "notes": "Note", "visits": "Visit form"}
# Fewer of a head's digits could be met by trying.
_LEAST_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Head:
    """Where a trail ended: the number of its lines, and the last one's `sha256` or the beginning of that."""

    lines: int
    sha256: str

    @classmethod
    def read(cls, text: str) -> "Head":
        """Read `N:HEX`, blanks and commas left aside; WrongCallError where it is none."""
        number, _, digits = text.replace(" ", "").replace(",", "").lower().partition(":")
        long_enough = _LEAST_DIGITS <= len(digits) <= len(BEFORE_ALL)
        if not (number.isdecimal() and number.isascii() and long_enough) or set(digits) - set("0123456789abcdef"):
            raise WrongCallError(
                f'"{text}" is no head of a trail; write the number of lines, a colon and at least {_LEAST_DIGITS} '
                "hexadecimal digits, as `daybook audit head` prints them, or name the file that heads are kept in."
            )
        return cls(int(number), digits)

    def __str__(self) -> str:
        return f"{self.lines}:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that is wrong, in one sentence, and the number of the line at which it shows."""

    says: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along a whole chain came to."""

    head: Head
    fault: Fault | None


@dataclass(slots=True)
class Walk:
    """One walk along a chain, from its first line to its last; `kept` are heads that it must have had."""

    kept: Sequence[Head] = ()
    head: Head = Head(0, BEFORE_ALL)
    fault: Fault | None = None
    _due: dict[int, list[str]] = field(init=False)
    _broken_after: Head | None = None

    def __post_init__(self) -> None:
        self._due = {}
        for one in self.kept:
            self._due.setdefault(one.lines, []).append(one.sha256)

    def take(self, lines: Iterable[ChainLine]) -> None:
        """Go on along these lines."""
        for line in lines:
            if self.fault is None:
                self.fault = self._fault(line)
            elif self._broken_after is not None:
                self._look_closer(line, self._broken_after)
            self.head = Head(line.number, line.sha256)

    def verdict(self) -> Verdict:
        """What it came to."""
        cut = max((one.lines for one in self.kept), default=0)
        if self.fault is None and cut > self.head.lines:
            gone = _numbered(self.head.lines + 1, cut, "was", "were")
            says = f"{gone} cut off: the trail had {cut} lines when its head was kept."
            self.fault = Fault(says, self.head.lines + 1)
        return Verdict(self.head, self.fault)

    def _fault(self, line: ChainLine) -> Fault | None:
        next_number = self.head.lines + 1
        if line.number < next_number:
            return Fault(f"Line {line.number} was added: it stands before line {next_number}.", line.number)
        if line.number > next_number:
            return Fault(f"{_numbered(next_number, line.number - 1, 'was', 'were')} removed.", next_number)
        if not _follows(self.head, line):
            self._broken_after = self.head
            return Fault(f"Line {line.number} was changed or added.", line.number)
        return _row_fault(line) or self._other_than_kept(line)

    def _look_closer(self, line: ChainLine, before: Head) -> None:
        """Tell a line that was changed from one that another has taken the place of."""
        number = before.lines + 1
        if line.number == number + 1 and _follows(self.head, line):
            self.fault = Fault(f"Line {number} was changed.", number)
        elif link(before.sha256, number, line.content_sha256) == line.sha256:
            says = f"Line {number} is not the one that was written there, which is line {line.number} now: "
            self.fault = Fault(f"{says}a line was added, or lines were put in another order.", number)
            self._broken_after = None

    def _other_than_kept(self, line: ChainLine) -> Fault | None:
        if all(line.sha256.startswith(digits) for digits in self._due.get(line.number, ())):
            return None
        says = f"Line {line.number} is not the one that was the last when the head was kept: "
        return Fault(f"{says}the trail was written anew up to there.", line.number)


def _follows(before: Head, line: ChainLine) -> bool:
    return link(before.sha256, line.number, line.content_sha256) == line.sha256


def _row_fault(line: ChainLine) -> Fault | None:
    if line.row_sha256 is None:
        return None
    if line.row is not None and digest_of(line.row) == line.row_sha256:
        return None
    what = f"{named(line.row_of or '', line.row_id)}, of which line {line.number} tells,"
    return Fault(f"{what} was {'removed' if line.row is None else 'changed'}.", line.number)


def named(table: str, row_id: int | None) -> str:
    """A row as a sentence names it."""
    return f"{_ONE.get(table, table)} {row_id}"


def _numbered(first: int, last: int, one: str, many: str) -> str:
    return f"Line {first} {one}" if first == last else f"Lines {first} to {last} {many}"


async def verify_trail(db: Database, kept: Sequence[Head] = ()) -> Verdict:
    """Walk along the diary's trail, some lines at a time: what is written meanwhile waits for no view."""
    walk, after = Walk(kept), None
    while lines := await _lines(db, after):
        await asyncio.to_thread(walk.take, lines)
        after = lines[-1].number
    found = walk.verdict()
    if found.fault is None and (untold := await _untold(db)) is not None:
        return Verdict(found.head, untold)
    return found


async def _lines(db: Database, after: int | None) -> list[ChainLine]:
    async with db.read() as conn:
        return await chain.chain_lines(conn, after=after)


async def _untold(db: Database) -> Fault | None:
    """The first row that no line tells of."""
    for table in COVERED:
        after: int | None = None
        while True:
            async with db.read() as conn:
                after, untold = await chain.untold_after(conn, table, after=after)
            if untold is not None:
                says = "was added, or belongs to another line: the line that it names does not tell of it."
                return Fault(f"{named(untold.table, untold.id)} {says}")
            if after is None:
                break
    return None


async def trail_head(db: Database) -> Head:
    """Where the diary's trail ends now."""
    async with db.read() as conn:
        return Head(*await chain.head(conn))
