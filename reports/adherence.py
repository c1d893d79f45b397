"""Adherence: slots counted by what became of them, in groups; reports/definitions.py says what each figure means.

`as_of` asks what was known at an earlier instant: an answer recorded after it does not count, nor does a patient
added after it. Figures sent to a board can be made again, to the digit, whatever came in since. One thing is not
kept with an instant: a slot open early when a withdrawal cancelled it is not shown as open for the time before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from diary.protocols import protocol_of
from diary.roles import patient_called, site_called
from protocol.calendar import zone_of
from protocol.errors import WrongCallError
from protocol.model import Protocol
from reports.definitions import Figures
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
    protocols = (await protocols_in_use(db, conn)).values()
    opening_by = now + max((item.early for one in protocols for _, item in one.items()), default=timedelta())
    return await tallied_counts(
        conn, by=by.value, now=now, opening_by=opening_by, site_ids=site_ids, patient_id=patient_id
    )


async def protocols_in_use(db: Database, conn: Connection) -> dict[int, Protocol]:
    """Every protocol version that a patient may follow, by its id."""
    return {known: await protocol_of(db, conn, known) for known in (await people.protocol_ids(conn)).values()}


def figures_of(counts: Counts) -> Figures:
    """The figures of counts as the database gives them."""
    return Figures(*(getattr(counts, name) for name in Figures.__slots__))


async def local_today(conn: Connection, now: datetime, site_ids: frozenset[int] | None) -> date:
    """The day it is at these sites, in the easternmost of their zones."""
    zones = [site.timezone for site in await people.sites(conn) if site_ids is None or site.id in site_ids]
    return max((now.astimezone(zone_of(zone)).date() for zone in zones), default=now.date())


async def sites_asked_for(
    conn: Connection, site: str | None, scope: frozenset[int] | None
) -> frozenset[int] | None:
    """The ids of the sites a question is about: all the asker may know of, or one of them."""
    return scope if site is None else frozenset({(await site_called(conn, site, scope)).id})
