"""The simulator's own book: what each patient truly said, and what their phone truly showed."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from diary import Slot
from protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class Saying:
    """An answer as it was given: a score, or a dose taken or not, with the place of its reason in the protocol."""

    answer: str
    score: int | None = None
    reason_place: int | None = None

    def means(self, protocol: Protocol, slot: Slot) -> tuple[str, int | None, str | None]:
        """The answer as an entry of this slot keeps it."""
        reasons = protocol.item(slot.phase, slot.item).skip_reasons
        reason = None if self.reason_place is None else reasons[self.reason_place]
        return (self.answer, self.score, reason)

    def covers(self, other: "Saying") -> bool:
        """Whether another saying adds nothing to this one."""
        same = (self.answer, self.score) == (other.answer, other.score)
        return same and other.reason_place in (None, self.reason_place)

    def __str__(self) -> str:
        return str(self.score) if self.score is not None else self.answer


@dataclass(frozen=True, slots=True)
class Said:
    """A saying, by whom it was written down, and when."""

    saying: Saying
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """A question that came to a phone by itself; `merged` with others after a break in service."""

    slot_id: int
    at: datetime
    merged: bool


@dataclass(slots=True)
class Pages:
    """Of one patient: what was said and whether a receipt came, what must be kept, and what came by itself."""

    acknowledged: defaultdict[int, list[Said]] = field(default_factory=lambda: defaultdict(list))  # by slot
    unanswered: list[tuple[int | None, Saying]] = field(
        default_factory=list
    )  # None: typed, for which slot is unknown
    misread: list[tuple[int, Saying, str]] = field(default_factory=list)  # a receipt that says something else
    texts: list[str] = field(default_factory=list)
    questions: list[Shown] = field(default_factory=list)
    by_themselves: list[tuple[datetime, str]] = field(default_factory=list)  # with the zone the phone was in
    refused: list[datetime] = field(default_factory=list)
    blocked: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    left_at: datetime | None = None


class Book:
    """The pages of everybody, by subject code."""

    def __init__(self) -> None:
        self.pages: defaultdict[str, Pages] = defaultdict(Pages)

    def of(self, code: str) -> Pages:
        """The pages of one patient."""
        return self.pages[code]
