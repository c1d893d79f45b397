"""A patient's doses by item: how many were expected, taken, not taken and missed, and which they were."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.values import Text
from reports.record import Line, Record
from storage.states import EXPECTED


@dataclass(frozen=True, slots=True)
class Doses:
    """The doses of an item that have run their course; `lacking` are those not taken or missed, newest first."""

    item: str
    names: Text
    expected: int
    taken: int
    not_taken: int
    missed: int
    reasons: Mapping[str, int]
    lacking: tuple[Line, ...]

    @property
    def rate(self) -> float | None:
        """Taken of expected; None where nothing is expected."""
        return self.taken / self.expected if self.expected else None


def doses_of(record: Record) -> tuple[Doses, ...]:
    """Each item that is taken, in the order of the trial."""
    kinds = {item.id: item for _, item in record.protocol.items() if item.kind == "dose"}
    expected = [line for line in record.lines if line.slot.state in EXPECTED]
    return tuple(
        _doses(item, found.name, [line for line in expected if line.slot.item == item])
        for item, found in kinds.items()
    )


def _doses(item: str, names: Text, lines: Sequence[Line]) -> Doses:
    answers = [line.entries[-1].entry for line in lines if line.entries]
    taken = sum(entry.answer == "taken" for entry in answers)
    return Doses(
        item=item,
        names=names,
        expected=len(lines),
        taken=taken,
        not_taken=len(answers) - taken,
        missed=len(lines) - len(answers),
        reasons=Counter(entry.skip_reason for entry in answers if entry.skip_reason),
        lacking=tuple(
            line for line in reversed(lines) if not line.entries or line.entries[-1].entry.answer != "taken"
        ),
    )
