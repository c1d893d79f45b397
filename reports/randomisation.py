"""The allocation list: permuted blocks made from a seed, sealed as kit numbers, and never near the database.

How it is made, so that anybody can make it again in any language. Draw number c (from 0) for a purpose is the first
16 hexadecimal digits of SHA-256 over "daybook-randomisation/1", the seed, the purpose and c in decimal, joined by
line feeds; a number below n is that modulo n, and draws at or above the largest multiple of n below 2**64 are
passed over. A list is shuffled by Fisher and Yates from its end. For each site ("block" and the site's code is the
purpose): a block size is drawn among those given, the block holds every arm equally often and is shuffled; blocks
follow one another until the list is long enough, and the last one stays whole. Kit numbers are one shuffle of
1 to the number of all kits (purpose "kits"), so that neither site, order nor arm shows in them.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TextIO

from protocol.errors import DaybookError, WrongCallError

_RANGE: Final = 2**64
_DELIMITERS: Final = (";", "\t", ",")
_SHOWN: Final = 5  # codes, as many as one reads in a sentence


@dataclass(frozen=True, slots=True)
class Kit:
    """A kit of the list; `subject` is empty until it is handed out."""

    site: str
    sequence: int
    kit: str
    subject: str
    arm: str


class _Draws:
    """Numbers from the seed for one purpose."""

    def __init__(self, seed: str, purpose: str) -> None:
        self._text = f"daybook-randomisation/1\n{seed}\n{purpose}\n"
        self._count = 0

    def below(self, bound: int) -> int:
        while True:
            drawn = int(sha256(f"{self._text}{self._count}".encode()).hexdigest()[:16], 16)
            self._count += 1
            if drawn < _RANGE - _RANGE % bound:
                return drawn % bound

    def shuffled(self, values: Sequence[Any]) -> list[Any]:
        found = list(values)
        for last in range(len(found) - 1, 0, -1):
            other = self.below(last + 1)
            found[last], found[other] = found[other], found[last]
        return found


def randomise(
    arms: Sequence[str], blocks: Sequence[int], seed: str, sites: Mapping[str, int | Sequence[str]]
) -> list[Kit]:
    """A list for each site: so many kits at least, or one for each of these subject codes and the rest unused."""
    _check(arms, blocks)
    found: list[Kit] = []
    for site, wanted in sites.items():
        subjects = [] if isinstance(wanted, int) else list(wanted)
        size = wanted if isinstance(wanted, int) else len(subjects)
        for place, arm in enumerate(_sequence(arms, blocks, _Draws(seed, f"block {site}"), size)):
            found.append(Kit(site, place + 1, "", subjects[place] if place < len(subjects) else "", arm))
    numbers = _Draws(seed, "kits").shuffled(range(1, len(found) + 1))
    width = max(4, len(str(len(found))))
    return [replace(kit, kit=f"K{number:0{width}d}") for kit, number in zip(found, numbers, strict=True)]


def _sequence(arms: Sequence[str], blocks: Sequence[int], draws: _Draws, size: int) -> list[str]:
    found: list[str] = []
    while len(found) < size:
        block = blocks[draws.below(len(blocks))]
        found += draws.shuffled(list(arms) * (block // len(arms)))
    return found


def _check(arms: Sequence[str], blocks: Sequence[int]) -> None:
    if len(arms) < 2 or len(set(arms)) < len(arms) or "" in arms:  # noqa: PLR2004 - two make a trial
        raise WrongCallError("A trial has two arms or more, each once; write them as --arms A,B.")
    for block in blocks:
        if block < len(arms) or block % len(arms):
            raise WrongCallError(
                f"A block of {block} cannot hold {len(arms)} arms equally often; choose multiples of {len(arms)}."
            )
    if not blocks:
        raise WrongCallError("Name a block size at least; write them as --block 4,6.")


SEALED: Final = tuple(field.name for field in fields(Kit))
OPEN: Final = tuple(name for name in SEALED if name != "arm")


def write_list(out: TextIO, kits: Iterable[Kit], columns: Sequence[str] = SEALED) -> None:
    """Write the sealed list as CSV; with the columns of `OPEN`, the one for whoever hands kits out."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(
        [cell for name, cell in zip(SEALED, astuple(kit), strict=True) if name in columns] for kit in kits
    )


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a list says: the arm of each subject, and how many kits were not handed out."""

    arms: Mapping[str, str]
    unused: int

    @property
    def names(self) -> list[str]:
        """The arms, in the order of their names."""
        return sorted(set(self.arms.values()))


def read_allocation(path: Path) -> Allocation:
    """Read a list with the columns `subject` and `arm`, whatever else it has; DaybookError says what is wrong."""
    rows = [(row["subject"], row["arm"]) for row in read_lines(path, ("subject", "arm"))]
    used = [(subject, arm) for subject, arm in rows if subject]
    if not used:
        raise DaybookError(f"{path.name} has no kit that was handed out to a subject; there is nothing to analyse.")
    refuse_doubled(path, [subject for subject, _ in used])
    armless = [subject for subject, arm in used if not arm]
    if armless:
        raise DaybookError(f"{path.name} has no arm for {some(armless)}; fill it in.")
    allocation = Allocation(dict(used), len(rows) - len(used))
    if len(allocation.names) < 2:  # noqa: PLR2004 - there is nothing to compare
        raise DaybookError(
            f"{path.name} has every subject in arm {allocation.names[0]}; a comparison needs two arms."
        )
    return allocation


def refuse_doubled(path: Path, subjects: Iterable[str]) -> None:
    """Refuse a list that names a subject more than once."""
    doubled = [subject for subject, times in Counter(subjects).items() if times > 1]
    if doubled:
        raise DaybookError(f"{path.name} has {some(doubled)} more than once; leave each subject in once.")


def read_lines(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The named columns of a CSV file as any spreadsheet saves it: with its marks, and heads in any case."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        delimiter = next((one for one in _DELIMITERS if one in text.partition("\n")[0]), ",")
        head, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    except OSError as error:
        raise DaybookError(f"{path} cannot be read ({error.strerror}); name a CSV file.") from None
    except UnicodeDecodeError:
        raise DaybookError(f"{path.name} is not UTF-8 text; save it as CSV UTF-8.") from None
    except csv.Error as error:
        raise DaybookError(
            f"{path.name} cannot be read as CSV ({error}); save it anew from a spreadsheet."
        ) from None
    except ValueError:  # there is no line to take off
        head, rows = [], []
    places = {name.strip().lower(): place for place, name in enumerate(head)}
    if not set(columns) <= set(places):
        needed = " and ".join(f"`{column}`" for column in columns)
        raise DaybookError(
            f"{path.name} is no such list: it needs a line of heads with {needed}, and one line each."
        )
    return [{name: _cell(row, places[name]) for name in columns} for row in rows if any(map(str.strip, row))]


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def some(codes: Sequence[str]) -> str:
    """The first few of some codes."""
    shown = ", ".join(codes[:_SHOWN])
    return f"{shown} and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else shown
