"""The trial by arm, away from the server: an export joined with an allocation list.

Everything is by intention to treat, of what was observed: nothing is imputed, and what is missing is counted by its
reason. The first arm is the one the others are compared with.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from protocol.errors import DaybookError, WrongCallError
from protocol.model import Measure, Protocol, Visit
from reports.exported import Exported, Row
from reports.randomisation import Allocation, some


@dataclass(frozen=True, slots=True)
class Person:
    """A patient of the list whose diary may be used; days are those of the patient's own clock."""

    code: str
    first_day: date
    agreed: bool = True
    left_on: date | None = None

    def planned(self, visit: Visit) -> date:
        """The visit's day as planned, counted from the patient's own first day."""
        return self.first_day + timedelta(days=visit.day)

    def left_before(self, day: date) -> bool:
        """Whether the patient was no longer in the study on that day."""
        return self.left_on is not None and self.left_on <= day


@dataclass(frozen=True, slots=True)
class Trial:
    """What is analysed: each arm's patients, and every value that holds by subject, visit and measure."""

    protocol: Protocol
    cut_off: date
    arms: Mapping[str, Sequence[Person]]
    left_out: Mapping[str, int]  # by arm, patients whose diary is no longer used
    unused: int  # kits that were not handed out
    values: Mapping[tuple[str, str, str], float]
    forms: frozenset[tuple[str, str]]  # subject and visit of each visit that was held

    @property
    def reference(self) -> str:
        """The arm the others are compared with."""
        return next(iter(self.arms))

    @property
    def others(self) -> list[str]:
        """The arms that are compared with it."""
        return list(self.arms)[1:]

    @property
    def before(self) -> Visit:
        """The visit before treatment: the first of the protocol."""
        return min(self.protocol.visit, key=lambda visit: visit.day)

    def sample(self, arm: str, visit: Visit, measure: Measure) -> list[float]:
        """The values of an arm at a visit."""
        found = (self.values.get((person.code, visit.id, measure.id)) for person in self.arms[arm])
        return [value for value in found if value is not None]

    def pairs(self, arm: str, visit: Visit, measure: Measure) -> list[tuple[float, float]]:
        """The values before treatment and at a visit, of those who have both."""
        both = (
            tuple(self.values.get((person.code, at.id, measure.id)) for at in (self.before, visit))
            for person in self.arms[arm]
        )
        return [(early, late) for early, late in both if early is not None and late is not None]

    def arm_of(self) -> dict[str, str]:
        """The arm of each patient, by code."""
        return {person.code: arm for arm, persons in self.arms.items() for person in persons}


def joined(export: Exported, allocation: Allocation, *, reference: str | None = None) -> Trial:
    """Join the arm; DaybookError names subjects that are on one side only, and arms with nobody in them."""
    known = {row["subject"]: row for row in export.rows("subjects")}
    _refuse_strangers(known, allocation)
    used = {code: arm for code, arm in allocation.arms.items() if not known[code]["use_stopped_utc"]}
    arms = {
        arm: tuple(_person(known[code]) for code in sorted(used) if used[code] == arm)
        for arm in _in_order(allocation.names, reference)
    }
    _refuse_empty(arms)
    rows = [row for row in export.rows("visits") if row["holds"] == "yes" and row["subject"] in used]
    return Trial(
        protocol=export.protocol,
        cut_off=export.cut_off.date(),
        arms=arms,
        left_out=Counter(arm for code, arm in allocation.arms.items() if code not in used),
        unused=allocation.unused,
        values={
            (row["subject"], row["visit"], row["measure"]): float(row["value"]) for row in rows if row["value"]
        },
        forms=frozenset((row["subject"], row["visit"]) for row in rows),
    )


def _person(row: Row) -> Person:
    left = row["withdrawn_local"]
    return Person(
        code=row["subject"],
        first_day=date.fromisoformat(row["first_day"]),
        agreed=bool(row["joined_utc"]),
        left_on=date.fromisoformat(left[:10]) if left else None,
    )


def _in_order(names: Sequence[str], reference: str | None) -> list[str]:
    """The arms by name, the one to compare with first."""
    if reference is not None and reference not in names:
        raise WrongCallError(f"--reference {reference} is no arm of the list; name one of {', '.join(names)}.")
    return sorted(names, key=lambda name: (name != reference, name))


def _refuse_strangers(known: Mapping[str, Row], allocation: Allocation) -> None:
    strangers = sorted(set(allocation.arms) - set(known))
    if strangers:
        raise DaybookError(
            f"The allocation list has {some(strangers)}, unknown to the export; nothing was analysed. Take the "
            "export of the same trial and of all its sites, or mend the list."
        )
    missing = sorted(code for code, row in known.items() if row["joined_utc"] and code not in allocation.arms)
    if missing:
        raise DaybookError(
            f"The allocation list lacks {some(missing)}, who took part; nothing was analysed. Add them to the list."
        )


def _refuse_empty(arms: Mapping[str, Sequence[Person]]) -> None:
    empty = [arm for arm, persons in arms.items() if not persons]
    if empty:
        raise DaybookError(
            f"Nobody of arm {', '.join(empty)} has a diary that may be used; there is nothing to compare."
        )
    if not any(person.agreed for persons in arms.values() for person in persons):
        raise DaybookError("Nobody on the list has agreed to take part yet; there is nothing to analyse.")


def pain_of(protocol: Protocol) -> Measure | None:
    """The measure that is on the trial's own scale of pain."""
    scale = (protocol.trial.nrs.min, protocol.trial.nrs.max)
    return next((measure for measure in protocol.measure if measure.range == scale), None)


def visits_of(protocol: Protocol, measure: Measure) -> list[Visit]:
    """The visits at which something is measured, by their day."""
    return sorted((visit for visit in protocol.visit if measure.id in visit.measures), key=lambda one: one.day)


def followed(protocol: Protocol) -> list[Measure]:
    """What is measured more than once: pain first, then the others in the protocol's order."""
    pain = pain_of(protocol)
    found = [one for one in protocol.measure if len(visits_of(protocol, one)) > 1]
    return sorted(found, key=lambda one: one is not pain)


def named(measure: Measure) -> str:
    """A measure with its unit."""
    return f"{measure.name.in_language('en')}{f', {measure.unit}' if measure.unit else ''}"


def called(visit: Visit) -> str:
    """A visit's name."""
    return visit.name.in_language("en")
