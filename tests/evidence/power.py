"""A disk that loses its power: what a process wrote and did not sync may be there, or not, or in part.

`power.c` notes each write, sync, cut and removal of the real process, in order. From that the folder is made as a
cut at any moment may leave it. What was synced is there. Of what was not, each sector of 512 bytes is there or not,
by chance, in any order. A file's name, made or removed, lasts once the folder is synced; until then the file system
may be so far or less far with them, in their order.
"""

import random
import struct
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_HEADER = struct.Struct("<qqiic7x")
_SOURCE = Path(__file__).with_name("power.c")
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Act:
    """What a process asked of a file: `at` in seconds since 1970; `data` holds what is written, or a name."""

    at: float
    what: str
    inode: int
    offset: int
    data: bytes


def build(folder: Path) -> Path:
    """Compile the shim, which takes a C compiler, and give the library to preload."""
    library = folder / "power.so"
    subprocess.run(
        ["cc", "-O1", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl", "-lpthread"],
        check=True,
    )
    return library


def watching(library: Path, folder: Path, log: Path) -> dict[str, str]:
    """The environment of a process whose writing into a folder is noted in a file."""
    return {"LD_PRELOAD": str(library), "POWER_FOLDER": str(folder), "POWER_LOG": str(log)}


def read(log: Path) -> Iterator[Act]:
    """What was noted, in order; a last line that a kill cut off is none."""
    noted, place = log.read_bytes(), 0
    while place + _HEADER.size <= len(noted):
        at, offset, inode, length, what = _HEADER.unpack_from(noted, place)
        place += _HEADER.size
        yield Act(at / _NANOSECONDS, what.decode(), inode, offset, noted[place : place + length])
        place += length


@dataclass(slots=True)
class Disk:
    """What of a folder is on the disk for certain, and what is on its way there."""

    at_first: Mapping[str, bytes]
    names: dict[str, int] = field(default_factory=dict)
    _certain: defaultdict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    _on_its_way: defaultdict[int, list[Act]] = field(default_factory=lambda: defaultdict(list))
    _names_on_their_way: list[Act] = field(default_factory=list)

    def take(self, act: Act) -> None:
        """Note what a process did next."""
        match act.what:
            case "o":
                self._found(act)
            case "c" | "u":
                self._names_on_their_way.append(act)
            case "w" | "t":
                self._on_its_way[act.inode].append(act)
            case "s" if act.inode == 0:
                for moved in self._names_on_their_way:
                    _renamed(self.names, moved)
                self._names_on_their_way.clear()
            case "s":
                for written in self._on_its_way.pop(act.inode, ()):
                    _written(self._certain[act.inode], written, _all)

    def _found(self, act: Act) -> None:
        """A file that was there before anybody looked is on the disk as it was."""
        name = act.data.decode()
        if act.inode not in self._certain and name in self.at_first and name not in self.names:
            self.names[name] = act.inode
            self._certain[act.inode] = bytearray(self.at_first[name])

    def after_a_cut(self, chance: random.Random) -> dict[str, bytes]:
        """The files as they may be when the power comes back."""
        names = dict(self.names)
        for moved in self._names_on_their_way[: chance.randint(0, len(self._names_on_their_way))]:
            _renamed(names, moved)
        return {name: self._content(inode, chance) for name, inode in names.items()}

    def _content(self, inode: int, chance: random.Random) -> bytes:
        content = bytearray(self._certain[inode])
        share = chance.choice((0.0, 0.5, 0.9, 1.0))  # how much of it was so far
        for written in self._on_its_way[inode]:
            _written(content, written, lambda: chance.random() < share)
        return bytes(content)


def _all() -> bool:
    return True


def _renamed(names: dict[str, int], act: Act) -> None:
    if act.what == "c":
        names[act.data.decode()] = act.inode
    elif names.get(act.data.decode()) == act.inode:
        del names[act.data.decode()]


def _written(content: bytearray, act: Act, arrives: Callable[[], bool]) -> None:
    """Put into a file's content what arrives of one act, sector by sector."""
    if act.what == "t":
        if arrives():
            del content[act.offset :]
            content.extend(bytes(act.offset - len(content)))
        return
    begin, end = act.offset, act.offset + len(act.data)
    while begin < end:
        until = min(end, (begin // SECTOR + 1) * SECTOR)
        if arrives():
            content.extend(bytes(max(0, until - len(content))))
            content[begin:until] = act.data[begin - act.offset : until - act.offset]
        begin = until
