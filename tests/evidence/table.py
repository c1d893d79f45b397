"""The table of evidence: each claim with its size, its result, how sure a nought is, and what turns it red."""

from collections.abc import Sequence
from dataclasses import dataclass

_SURE = 0.05
_HEAD = "| claim | tried | failed | 95 % upper bound | what makes it fail | holds |\n|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Control:
    """The same experiment with one protection taken away, which must fail: a check that cannot proves nothing."""

    mutant: str
    tried: int
    failed: int

    def __str__(self) -> str:
        return f"{self.mutant}: {self.failed} in {self.tried:,}"


@dataclass(frozen=True, slots=True)
class Row:
    """One claim, how often it was tried, and each failure in words."""

    claim: str
    tried: int
    of: str
    failures: Sequence[str]
    controls: Sequence[Control]

    @property
    def holds(self) -> bool:
        """Nothing failed, and each of the controls did."""
        return bool(self.tried and self.controls and not self.failures) and all(one.failed for one in self.controls)

    @property
    def at_most(self) -> float:
        """The share that may fail although none did: the upper end of an exact 95 % interval."""
        return 1 - _SURE ** (1 / self.tried) if self.tried else 1.0


def printed(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    return "\n".join([_HEAD, *map(_line, rows)])


def _line(row: Row) -> str:
    bound = "-" if row.failures else f"{row.at_most:.2%}"
    controls = "; ".join(map(str, row.controls))
    holds = "yes" if row.holds else "**no**"
    return f"| {row.claim} | {row.tried:,} {row.of} | {len(row.failures)} | {bound} | {controls} | {holds} |"
