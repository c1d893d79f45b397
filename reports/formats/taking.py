"""What every format of the export is to the rest: something that takes tables, a few lines at a time."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Protocol, TypeAlias

from protocol import model
from reports.columns import Cells
from reports.tables import Table

# Takes some lines: a sequence of cells for each column of the table.
Add: TypeAlias = Callable[[list[Cells]], None]


@dataclass(frozen=True, slots=True)
class About:
    """What an export is of: the protocol, the site (None: all) and the instant it is as of.

    `protocol` is the newest version, `earlier` are those that other patients follow, newest first; `phase_starts`
    is the first day of each phase by subject.
    """

    protocol: model.Protocol
    site: str | None
    cut_off: datetime
    earlier: tuple[model.Protocol, ...] = ()
    phase_starts: Mapping[str, Mapping[str, date]] = field(default_factory=dict)

    @property
    def cut_off_text(self) -> str:
        """The cut-off as it is written in files: UTC, to the millisecond."""
        return f"{self.cut_off.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


class Format(Protocol):
    """One format, open for as long as the export is made."""

    def taking(self, table: Table) -> AbstractContextManager[Add]:
        """Take a table, line by line, until the block ends."""
        ...

    def finish(self) -> None:
        """Write what can be written only when all tables are known."""
        ...
