"""The study team of a simulation: takes alerts on the phone, calls patients, enters visits."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import partial
from random import Random
from typing import Final

from diary import SYSTEM
from diary.answers import Verdict, enter_answer, scored
from diary.visits import record_visit
from protocol.calendar import instant, phase_starts_from, visit_dates, zone_of
from protocol.model import Visit
from rehearsal.chats import Message
from rehearsal.people import Person
from rehearsal.simulation import transcript as t
from rehearsal.simulation.book import Said, Saying
from rehearsal.simulation.patient import VirtualPatient
from rehearsal.simulation.screen import buttons_of
from rehearsal.simulation.stage import Stage
from rehearsal.simulation.transcript import Cause
from reports.record import record
from reports.site import open_alerts

_BEGINS, _ENDS = time(8), time(17)
# Of alerts: how often the first who is told takes it before a reminder; of clinic days: how often one is missed,
# held on another day, mistyped and corrected.
_TAKES, _COMES, _MOVES, _MISTYPES = 0.85, 0.94, 0.2, 0.03
_AFTER_LEAVING: Final = 0.3
_ASKED_BY_PHONE: Final = 0.5
_URGENT: Final = "⚠"  # how the bot marks a side effect, by day and night


class Member:
    """Somebody of the study team with a phone."""

    staff = True
    language = "en"

    def __init__(
        self,
        person: Person,
        stage: Stage,
        *,
        zone: str,
        draws: Random,
        patients: Mapping[str, VirtualPatient],
    ) -> None:
        self.code = person.profile.first_name
        self.person = person
        self.zone = zone
        self.read_up_to = 0
        self.actor = SYSTEM  # until the diary knows this member
        self._stage = stage
        self._draws = draws
        self._patients = patients
        self._taken: set[int] = set()

    def sees(self, message: Message, *, cause: Cause) -> None:  # noqa: ARG002 - what a phone is told
        """Take an alert in working hours, and deal with it some time after; now and then overlook one."""
        seen = next((button for button in buttons_of(message) if button.act == "as"), None)
        if seen is None or seen.number(0) in self._taken:
            return
        urgent = message.text.startswith(_URGENT)
        if urgent or self._draws.random() < _TAKES:
            self._taken.add(seen.number(0))
            takes_at = self._stage.clock() + timedelta(minutes=self._draws.randint(5, 30 if urgent else 150))
            takes_at = takes_at if urgent else self._at_work(takes_at)
            self._stage.agenda.put(takes_at, partial(self._tap, message.id, "as"))
            ends_at = takes_at + timedelta(minutes=self._draws.randint(20, 300))
            ends_at = ends_at if urgent else self._at_work(ends_at)
            self._stage.agenda.put(ends_at, partial(self._deal_with, message.id, seen.number(0)))

    def is_refused(self) -> None:
        """Nobody of the team shuts the bot out."""
        raise AssertionError(f"{self.code} could not be written to")

    def _at_work(self, at: datetime) -> datetime:
        local = at.astimezone(zone_of(self.zone))
        if _BEGINS <= local.time() < _ENDS:
            return at
        day = local.date() if local.time() < _BEGINS else local.date() + timedelta(days=1)
        return instant(day, _BEGINS, self.zone) + timedelta(minutes=self._draws.randrange(60))

    async def _tap(self, message_id: int, act: str) -> None:
        message = self.person.chat(self._stage.account).messages[message_id]
        button = next((one for one in buttons_of(message) if one.act == act), None)
        if button is not None and self._stage.up:
            self._stage.says(self, t.TAP, button.label, message_id)
            self.person.tap(data=button.data, message=message, bot=self._stage.account)
            await self._stage.settle()

    async def _deal_with(self, message_id: int, alert_id: int) -> None:
        """Do what the alert calls for, then say that it is done."""
        found = next(
            (one for one in await open_alerts(self._stage.db, self.actor.sites) if one.id == alert_id), None
        )
        if found is not None and found.rule == "silent-days" and self._draws.random() < _ASKED_BY_PHONE:
            await self._call(self._patients[found.code])
        await self._tap(message_id, "ad")

    async def _call(self, patient: VirtualPatient) -> None:
        """Ask a silent patient by phone for the pain of the last rating that was missed."""
        now = self._stage.clock()
        found = await record(self._stage.db, patient.code, None, now)
        missed = [line.slot for line in found.lines if line.slot.kind == "rating" and line.slot.state == "missed"]
        if not missed:
            return
        score = patient.body.rating(patient.day, patient.protocol.trial.nrs)
        done = await enter_answer(
            self._stage.db, code=patient.code, slot_id=missed[-1].id, answer=scored(score), source="phone",
            said_at=now, actor=self.actor, now=now,
        )  # fmt: skip
        if done.verdict is Verdict.RECORDED:
            patient.pages.acknowledged[missed[-1].id].append(Said(Saying("score", score), "staff", now))
            await self._stage.settle()

    # Clinic days.

    def plan_visits(self, patient: VirtualPatient) -> None:
        """Put the clinic days to come on the agenda: most are held on their day, some are not held."""
        starts = phase_starts_from(patient.protocol, patient.who.start)
        for planned in visit_dates(patient.protocol, starts):
            visit = patient.protocol.visit_of(planned.visit)
            assert visit is not None  # the dates are of its visits
            shift = self._draws.choice((-1, 1, 1, 2, 3)) if self._draws.random() < _MOVES else 0
            if visit.day > 0 and self._draws.random() < _COMES:
                at = instant(planned.on + timedelta(days=shift), time(9), self.zone)
                at += timedelta(minutes=self._draws.randrange(240))
                self._stage.agenda.put(at, partial(self._hold_visit, patient, visit))

    async def examine(self, patient: VirtualPatient) -> bool:
        """Hold the clinic day of day 0 where the protocol has one, and say whether the patient may go on."""
        may_go_on = True
        for visit in (visit for visit in patient.protocol.visit if visit.day <= 0):
            measured = {name: await self._value(patient, visit, name) for name in visit.measures}
            for name in measured:
                required = patient.protocol.measure_of(name).require
                if required is not None and required.at == visit.id and not patient.who.eligible:
                    measured[name] = required.min - 1
                    may_go_on = False
            await self._record(patient, visit, measured)
        return may_go_on

    async def _hold_visit(self, patient: VirtualPatient, visit: Visit) -> None:
        """Measure, and type it in; a slip of the finger is corrected with a reason."""
        gone = patient.pages.left_at is not None
        if not patient.takes_part or (gone and self._draws.random() >= _AFTER_LEAVING):
            return
        measured = {name: await self._value(patient, visit, name) for name in visit.measures}
        if self._draws.random() < _MISTYPES:
            first = visit.measures[0]
            mistyped = {**measured, first: patient.protocol.measure_of(first).range[1]}
            form = await self._record(patient, visit, mistyped)
            if mistyped != measured:
                await self._record(patient, visit, measured, supersedes=form, reason="typing error")
        else:
            await self._record(patient, visit, measured)

    async def _value(self, patient: VirtualPatient, visit: Visit, name: str) -> float:
        measure = patient.protocol.measure_of(name)
        if measure.counts is not None:
            return float(await patient.left_over(measure.counts))
        return patient.body.measurement(patient.protocol, measure, visit.day)

    async def _record(
        self, patient: VirtualPatient, visit: Visit, measured: Mapping[str, float],
        *, supersedes: int | None = None, reason: str | None = None,
    ) -> int | None:  # fmt: skip
        """Save the form and give its number; what is doubted is meant."""
        now = self._stage.clock()
        save = partial(
            record_visit, self._stage.db, code=patient.code, visit=visit.id, measured=measured, reason=reason,
            held_on=now.astimezone(zone_of(patient.zone)).date(), began=self._wall(now), supersedes=supersedes,
            actor=self.actor, now=now,
        )  # fmt: skip
        saved = await save()
        if saved.doubts:
            saved = await save(meant=[doubt.key for doubt in saved.doubts])
        await self._stage.settle()
        return saved.id

    def _wall(self, at: datetime) -> time:
        """What the clinic's clock shows."""
        return at.astimezone(zone_of(self.zone)).time().replace(second=0, microsecond=0)
