"""Adherence: the one place that says what each figure means. Every figure comes with its denominator.

A slot is counted by its state (storage/states.py), in exactly one column:

- `on_time`: answered by "on time until", or early within the window. Counted as soon as it is answered.
- `late`: answered later, inside the window. This includes answers that a break of ours held up ("after outage")
  and what staff typed in. A later correction changes the value, never the punctuality.
- `missed`: the window has closed and nothing is recorded.
- `excused`: not to be answered, for a reason that is kept: before joining, during a pause, a change of zone.
- `open`: may be answered now. It is neither done nor missed yet.
- Slots still to come and cancelled ones (after a withdrawal) count nowhere.

`expected = on_time + late + missed`: only what has run its course, as "expected" forms in EDETEK eClinical
(help 1483885-1487789) are those whose time to enter *and* to edit has passed; open windows would make every
evening look worse than it is. `rate = (on_time + late) / expected`, and None where nothing is expected: no
figure is better than a made-up one. It says how complete the diary is, not how many doses were swallowed.

`taken` and `not_taken` count what patients say of their doses, by the answer that holds; `doses` is the part of
`expected` that are doses, and `taken_rate = taken / doses`. This is *taken / due*; PDC and MPR measure refills
(Rudd, Clin Pharmacol Ther 1989;46:169 on why counts of any kind flatter).

A week is a week of the trial: week 1 is the first seven days from the patient's own first phase start, so that
patients who began months apart are compared at the same stage (completion falls with study day: Ono, JMIR
2019;21:e11398).

`as_of` asks what was known at an earlier instant: an answer recorded after it does not count, nor does a patient
added after it. Figures sent to a board can be made again, to the digit, whatever came in since. One thing is not
kept with an instant: a slot open early when a withdrawal cancelled it is not shown as open for the time before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from diary.protocols import protocol_of
from diary.roles import patient_called
from protocol.errors import UnknownCodeError, WrongCallError
from storage import patients, people
from storage.counts import Counts, slot_counts
from storage.database import Connection, Database
from storage.records import Enrolled
from storage.tallies import tallied_counts


class By(StrEnum):
    """What figures are grouped by."""

    PATIENT = "patient"
    PHASE = "phase"
    ITEM = "item"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Figures:
    """Slots counted by state, and doses by what was said; the module's text defines each."""

    on_time: int = 0
    late: int = 0
    missed: int = 0
    excused: int = 0
    open: int = 0
    doses: int = 0
    taken: int = 0
    not_taken: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, name) + getattr(other, name) for name in Figures.__slots__))

    @property
    def answered(self) -> int:
        """On time or late."""
        return self.on_time + self.late

    @property
    def expected(self) -> int:
        """The denominator of the rate."""
        return self.on_time + self.late + self.missed

    @property
    def rate(self) -> float | None:
        """Answered of expected; None where nothing is expected."""
        return self.answered / self.expected if self.expected else None

    @property
    def taken_rate(self) -> float | None:
        """Doses said to be taken of doses expected; None where no dose is expected."""
        return self.taken / self.doses if self.doses else None


class HasFigures(Protocol):
    """A line of any table that counts slots."""

    @property
    def figures(self) -> Figures:
        """What it counts."""
        ...


@dataclass(frozen=True, slots=True)
class AdherenceRow:
    """A group's figures; `key` names the group, such as `site` and `patient`, or `week`."""

    key: dict[str, str | int]
    figures: Figures

    def flat(self) -> dict[str, str | int | float | None]:
        """The row as `daybook adherence --json` gives it."""
        f = self.figures
        return {
            **self.key,
            "expected": f.expected,
            "on_time": f.on_time,
            "late": f.late,
            "missed": f.missed,
            "excused": f.excused,
            "open": f.open,
            "rate": f.rate,
            "doses": f.doses,
            "taken": f.taken,
            "not_taken": f.not_taken,
        }


async def adherence(
    db: Database,
    *,
    now: datetime,
    by: By = By.PATIENT,
    site: str | None = None,
    patient: str | None = None,
    as_of: datetime | None = None,
    scope: frozenset[int] | None = None,
) -> list[AdherenceRow]:
    """Count the slots of all patients, or of one site or patient; `scope` holds the sites the asker may know of."""
    if as_of is not None and as_of > now:
        raise WrongCallError("The instant of --as-of lies in the future; name one that has passed.")
    async with db.read() as conn:
        site_ids = await sites_asked_for(conn, site, scope)
        one = None if patient is None else (await patient_called(conn, patient, site_ids)).id
        if as_of is None:
            counts = await counts_so_far(db, conn, by, now=now, site_ids=site_ids, patient_id=one)
        else:
            counts = await slot_counts(conn, by=by.value, now=now, as_of=as_of, site_ids=site_ids, patient_id=one)
        if by is not By.PATIENT:
            return [AdherenceRow({by.value: row.key}, figures_of(row)) for row in counts]
        everybody = await patients.everybody(conn, site_ids=site_ids)
    return rows_of_patients(
        [who for who in everybody if one in (None, who.id) and (as_of is None or who.added_at <= as_of)], counts
    )


def rows_of_patients(patients_shown: Iterable[Enrolled], counts: Iterable[Counts]) -> list[AdherenceRow]:
    """A row for each of these patients, also for one of whom nothing is counted yet."""
    figures = {row.key: figures_of(row) for row in counts}
    return [
        AdherenceRow({"site": who.site, "patient": who.code}, figures.get(who.id, Figures()))
        for who in patients_shown
    ]


async def counts_so_far(
    db: Database,
    conn: Connection,
    by: By,
    *,
    now: datetime,
    site_ids: frozenset[int] | None,
    patient_id: int | None = None,
) -> list[Counts]:
    """Slots counted as of now, with what had run its course taken from the tallies."""
    protocols = [await protocol_of(db, conn, known) for known in (await people.protocol_ids(conn)).values()]
    earliest = max((item.early for one in protocols for _, item in one.items()), default=timedelta())
    return await tallied_counts(
        conn, by=by.value, now=now, opening_by=now + earliest, site_ids=site_ids, patient_id=patient_id
    )


def together(rows: Iterable[HasFigures]) -> Figures:
    """The sum of several groups, so that its rate weighs every slot alike."""
    return sum((row.figures for row in rows), start=Figures())


def figures_of(counts: Counts) -> Figures:
    """The figures of counts as the database gives them."""
    return Figures(*(getattr(counts, name) for name in Figures.__slots__))


async def sites_asked_for(
    conn: Connection, site: str | None, scope: frozenset[int] | None
) -> frozenset[int] | None:
    """The ids of the sites a question is about: all the asker may know of, or one of them."""
    return scope if site is None else frozenset({await _site_id(conn, site, scope)})


async def _site_id(conn: Connection, code: str, scope: frozenset[int] | None) -> int:
    found = await people.site_by_code(conn, code)
    if found is None or (scope is not None and found.id not in scope):
        raise UnknownCodeError(f"There is no site {code}; `daybook site list` shows those there are.")
    return found.id
