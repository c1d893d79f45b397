"""A figure, the floor beside it, and the table they make."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

HEAD: Final = ("figure", "measured", "floor or peer", "ratio (spread)", "aim", "met?")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `met` is None where nothing is aimed at, or the sizes were too small to say."""

    name: str
    measured: str
    floor: str = ""
    ratio: str = ""
    aim: str = ""
    met: bool | None = None

    @classmethod
    def read(cls, written: dict[str, Any]) -> Self:
        return cls(**written)

    def written(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> tuple[str, ...]:
        met = {True: "yes", False: "**no**", None: "-"}[self.met]
        return (self.name, self.measured, self.floor, self.ratio, self.aim, met)


@dataclass(frozen=True, slots=True)
class Rounds:
    """The same thing measured again and again, each time next to its floor, so that a noisy spell hits both."""

    measured: Sequence[float]
    floor: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        return [one / other for one, other in zip(self.measured, self.floor, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    def said(self) -> str:
        return f"{self.ratio:.2f} ({min(self.ratios):.2f}-{max(self.ratios):.2f})"

    def inverse(self) -> "Rounds":
        """For rates, where more is better: how many times the floor's cost."""
        return Rounds([1 / value for value in self.measured], [1 / value for value in self.floor])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median of some rounds, and between which values they lay."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: Sequence[Figure]) -> str:
    """The table, as Markdown that also reads well on a terminal."""
    rows = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def peak_memory_mb(pid: int | str = "self") -> float:
    """The most memory a process has held; of its own image only, which getrusage's figure is not."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")
