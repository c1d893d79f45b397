"""How patients flow through the trial, counted as CONSORT 2025 asks, but without arms: those are not known here."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from protocol.calendar import zone_of
from protocol.model import Protocol
from storage.extracts import Batch, Wanted
from storage.journeys import Journey, forms_held, journeys

# Each with the whole it is counted of: those added, those who agreed, those who began.
STEPS: Final = (
    "added",
    "not yet agreed",
    "said not now",
    "withdrawn before agreeing",
    "agreed",
    "began phase",
    "withdrawn in phase",
    "completed phase",
    "held visit",
    "withdrawn",
    "use stopped",
    "identity erased",
)


@dataclass(frozen=True, slots=True)
class _Way:
    """A patient's way, with the days it turns on where the patient is."""

    who: Journey
    starts: Mapping[str, date]
    visits: frozenset[str]
    today: date

    @property
    def agreed(self) -> bool:
        return self.who.joined_at is not None

    @property
    def left_on(self) -> date | None:
        at = self.who.withdrawn_at
        return None if at is None else at.astimezone(zone_of(self.who.zone)).date()

    def began(self, phase: str) -> bool:
        """Whether the phase's first day came while the patient took part."""
        start = self.starts.get(phase)
        return self.agreed and start is not None and start <= self.today and not self._left_before(start)

    def left_in(self, phase: str, days: int) -> bool:
        """Whether the patient left after its first day came and before its last day was over."""
        return self.began(phase) and self.left_on is not None and self.left_on < self._end(phase, days)

    def completed(self, phase: str, days: int) -> bool:
        """Whether its last day is over, with the patient still in the study on it."""
        return self.began(phase) and self._end(phase, days) <= self.today and not self.left_in(phase, days)

    def _left_before(self, day: date) -> bool:
        return self.left_on is not None and self.left_on < day

    def _end(self, phase: str, days: int) -> date:
        """The day after its last one: the next phase's first, where that comes sooner."""
        start = self.starts[phase]
        later = [day for day in self.starts.values() if day > start]
        return min([start + timedelta(days=days), *later])


def flow_of(
    protocol: Protocol, phase_starts: Mapping[str, Mapping[str, date]]
) -> Callable[[Wanted], AsyncIterator[Batch]]:
    """The steps of a trial, whose phases begin then by subject, as lines of a table."""

    async def batches(wanted: Wanted) -> AsyncIterator[Batch]:
        lines: list[dict[str, str | int | None]] = []
        ways = await _ways(wanted, phase_starts)
        for site in sorted({way.who.site for way in ways}):
            of_site = [way for way in ways if way.who.site == site]
            for step, of, patients, whole in _steps(protocol, of_site):
                lines.append({"site": site, "step": step, "of": of, "patients": patients, "of_patients": whole})
        yield {
            "study": [protocol.trial.id] * len(lines),
            **{name: [line[name] for line in lines] for name in ("site", "step", "of", "patients", "of_patients")},
        }

    return batches


async def _ways(wanted: Wanted, starts: Mapping[str, Mapping[str, date]]) -> list[_Way]:
    held = await forms_held(wanted)
    return [
        _Way(who, starts[who.subject], held.get(who.subject, frozenset()), _today(wanted, who))
        for who in await journeys(wanted)
    ]


def _today(wanted: Wanted, who: Journey) -> date:
    return wanted.cut_off.astimezone(zone_of(who.zone)).date()


def _steps(protocol: Protocol, ways: list[_Way]) -> list[tuple[str, str | None, int, int]]:
    agreed = [way for way in ways if way.agreed]
    others = [way for way in ways if not way.agreed]
    gone = [way for way in others if way.who.withdrawn_at is not None]
    declined = [way for way in others if way not in gone and way.who.declined_at is not None]
    steps: list[tuple[str, str | None, int, int]] = [
        ("added", None, len(ways), len(ways)),
        ("not yet agreed", None, len(others) - len(gone) - len(declined), len(ways)),
        ("said not now", None, len(declined), len(ways)),
        ("withdrawn before agreeing", None, len(gone), len(ways)),
        ("agreed", None, len(agreed), len(ways)),
    ]
    for phase in protocol.phase:
        began = [way for way in agreed if way.began(phase.id)]
        left = sum(way.left_in(phase.id, phase.days) for way in began)
        completed = sum(way.completed(phase.id, phase.days) for way in began)
        steps += [
            ("began phase", phase.id, len(began), len(agreed)),
            ("withdrawn in phase", phase.id, left, len(began)),
            ("completed phase", phase.id, completed, len(began)),
        ]
    steps += [
        ("held visit", visit.id, sum(visit.id in way.visits for way in agreed), len(agreed))
        for visit in protocol.visit
    ]
    return [
        *steps,
        ("withdrawn", None, sum(way.who.withdrawn_at is not None for way in agreed), len(agreed)),
        ("use stopped", None, sum(way.who.use_stopped_at is not None for way in ways), len(ways)),
        ("identity erased", None, sum(way.who.erased_at is not None for way in ways), len(ways)),
    ]
