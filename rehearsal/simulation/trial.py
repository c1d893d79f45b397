"""Lives through a whole trial: from event to event, with everybody on stage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from diary import SYSTEM, Slot
from diary.enrolment import add_patient, patient_id_of
from diary.protocols import adopt_protocol
from diary.roles import Role, actor_of
from diary.team import add_site, add_staff, list_staff
from protocol.load import ProtocolFile
from rehearsal.simulation.book import Book
from rehearsal.simulation.cast import SITES, Arrival, Cast, cast_of
from rehearsal.simulation.effects import ARMS, AS_PUBLISHED, Body, Effects
from rehearsal.simulation.errands import plan_errands
from rehearsal.simulation.patient import Means, VirtualPatient
from rehearsal.simulation.stage import Stage
from rehearsal.simulation.team import Member
from reports.randomisation import Kit, randomise
from storage.slots import slots_of_patient
from storage.throwaway import ThrowawayDatabase

_AN_HOUR: Final = timedelta(hours=1)
_BLOCKS: Final = (4, 6)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be simulated; the same gives the same."""

    protocol: ProtocolFile
    patients: int = 80
    seed: int = 1
    effects: Effects = AS_PUBLISHED


def allocation(wanted: Wanted) -> list[Kit]:
    """The list of this seed, enough for everybody at each site."""
    most = -(-wanted.patients // len(SITES))
    return randomise(ARMS, _BLOCKS, f"simulation {wanted.seed}", dict.fromkeys(SITES, most))


class Trial:
    """One trial, from the first site to the last visit."""

    def __init__(self, db: ThrowawayDatabase, wanted: Wanted, kits: Sequence[Kit]) -> None:
        self.wanted = wanted
        self.cast: Cast = cast_of(wanted.protocol.protocol, wanted.patients, wanted.seed)
        self.kits = list(kits)
        self.db = db
        self.stage = Stage(db, self.cast.arrivals[0].at - timedelta(days=1))
        self.book = Book()
        self.patients: dict[str, VirtualPatient] = {}
        self._protocol = wanted.protocol.protocol
        self._protocol_id = 0
        self._team: dict[str, Member] = {}
        self._look_at = self.stage.clock().replace(minute=0) + _AN_HOUR

    @property
    def began(self) -> datetime:
        """When the first site was set up."""
        return self.cast.arrivals[0].at - timedelta(days=1)

    async def run(self, told: Callable[[datetime], None]) -> None:
        """Live through all of it, saying now and then how far it is."""
        began, ended = self.cast.outage
        async with self.stage.serving():
            await self._set_up()
            await self._live(until=began, told=told)
        await self._live(until=ended, told=told)
        async with self.stage.serving(after_outage=True):
            for patient in self.patients.values():
                patient.give_up()
        async with self.stage.serving():
            await self._live(until=self.cast.ends, told=told)

    async def _live(self, *, until: datetime, told: Callable[[datetime], None]) -> None:
        """Go from event to event: a message that is due, something that somebody does, a look at the rules."""
        stage = self.stage
        while True:
            speaks_at = await stage.next_at() if stage.up else None
            looks_at = self._look_at if stage.up else None
            moments = [at for at in (speaks_at, looks_at, stage.agenda.next_at) if at is not None]
            if not moments or min(moments) >= until:
                break
            now = stage.clock.move_to(max(min(moments), stage.clock()))
            told(now)
            if speaks_at is not None and speaks_at <= now:
                await stage.tick()
            while (act := stage.agenda.take(now)) is not None:
                await act()
            if looks_at is not None and looks_at <= now:
                await stage.look()
                self._look_at = now.replace(minute=0, second=0, microsecond=0) + _AN_HOUR
        stage.clock.move_to(until)

    # Before the first patient.

    async def _set_up(self) -> None:
        zone, now = self._protocol.trial.timezone, self.stage.clock()
        for site in SITES:
            name = f"{site.capitalize()} clinic"
            await add_site(self.db, code=site, name=name, timezone=zone, actor=SYSTEM, now=now)
        self._protocol_id = await adopt_protocol(self.db, self.wanted.protocol, now=now)
        for site in SITES:
            self._team[site] = await self._joined(f"coordinator-{site}", Role.COORDINATOR, [site])
        self._team[""] = await self._joined("investigator", Role.INVESTIGATOR, SITES)
        for arrival in self.cast.arrivals:
            self.stage.agenda.put(arrival.at, partial(self._arrive, arrival))

    async def _joined(self, code: str, role: Role, sites: Sequence[str]) -> Member:
        stage = self.stage
        invite = await add_staff(
            self.db, code=code, role=role, sites=sites, language="en", actor=SYSTEM, now=stage.clock(), form=code
        )
        person = stage.telegram.person(code)
        member = Member(
            person, stage, zone=self._protocol.trial.timezone, draws=self._draws(code), patients=self.patients
        )
        stage.hand_out(member)
        person.press_start(stage.account, invite.token)
        await stage.settle()
        found = next(one for one, _ in await list_staff(self.db) if one.code == code)
        member.actor = await actor_of(self.db, found)
        return member

    def _draws(self, whose: str) -> Random:
        """Everybody draws for themselves, so that nobody's doings change another's."""
        return Random(f"{self.wanted.seed} {whose}")  # noqa: S311 - nobody is protected by it

    # A patient comes.

    async def _arrive(self, arrival: Arrival) -> None:
        who, stage = arrival.who, self.stage
        if not stage.up:
            stage.agenda.put(self.cast.outage[1] + _AN_HOUR, partial(self._arrive, arrival))
            return
        coordinator = self._team[who.site]
        invite = await add_patient(
            self.db, code=who.code, start=who.start, site=who.site, protocol_id=self._protocol_id, timezone=None,
            language=who.language, actor=coordinator.actor, now=stage.clock(), form=who.code,
        )  # fmt: skip
        patient = self._patient(arrival)
        self.patients[who.code] = patient
        if await coordinator.examine(patient):
            coordinator.plan_visits(patient)
            plan_errands(patient)
            patient.later((300, 3 * 3600), partial(patient.start, invite.token))

    def _patient(self, arrival: Arrival) -> VirtualPatient:
        who, stage = arrival.who, self.stage
        person = stage.telegram.person(who.code, language_code=who.language)
        means = Means(
            stage=stage,
            protocol=self._protocol,
            pages=self.book.of(who.code),
            draws=self._draws(who.code),
            body=Body(self.wanted.effects, self._draws(f"{who.code} body")),
            slots=self._slots,
            agreed=self._hand_out_kit,
        )
        patient = VirtualPatient(who, person, means)
        stage.hand_out(patient)
        return patient

    async def _slots(self, code: str) -> Mapping[int, Slot]:
        patient_id = await patient_id_of(self.db, code)
        async with self.db.read() as conn:
            slots = await slots_of_patient(conn, patient_id, now=self.stage.clock())
        return {slot.id: slot for slot in slots}

    def _hand_out_kit(self, patient: VirtualPatient) -> None:
        """The next kit of the site's list; what is in it nobody knows but the body."""
        place = next(n for n, kit in enumerate(self.kits) if kit.site == patient.who.site and not kit.subject)
        self.kits[place] = replace(self.kits[place], subject=patient.code)
        patient.body.arm = self.kits[place].arm
