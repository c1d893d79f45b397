"""Whatever happens in whatever order: the past stays, what is to come is what the plan says, and counts agree."""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from diary import SYSTEM, Database, Keys, PatientStatus, Slot
from diary.answers import TAKEN, Arrival, correct_entry, enter_answer, not_taken, record_answer, scored
from diary.enrolment import change_status, move_phase
from diary.joining import choose_time, choose_zone
from diary.ledger import replan
from diary.protocols import protocol_of
from protocol.calendar import plan
from protocol.errors import NotAllowedError, WrongCallError
from schedules.dispatcher import send_due
from storage import patients, tallies
from storage import slots as ledger
from storage.audit import Audit, write_audit
from storage.counts import slot_counts
from tests.cast import T0, Stage
from tests.conftest import KEY
from tests.schedules.senders import FakeSender

ACTIVE, PAUSED, WITHDRAWN = PatientStatus.ACTIVE, PatientStatus.PAUSED, PatientStatus.WITHDRAWN
ZONES = ("Africa/Cairo", "America/Los_Angeles", "Asia/Tokyo", "Europe/Berlin", "Pacific/Apia", "Pacific/Honolulu")
VERBS = st.one_of(
    st.tuples(st.just("zone"), st.sampled_from(ZONES)),
    st.tuples(st.just("time"), st.integers(0, 150).map(lambda later: time(19 + later // 60, later % 60))),
    st.tuples(st.just("move"), st.integers(-4, 6)),
    st.tuples(st.just("status"), st.sampled_from([PAUSED, ACTIVE, PAUSED, ACTIVE, WITHDRAWN])),
    st.tuples(st.just("answer"), st.integers(0, 10)),
    st.tuples(st.just("send"), st.just(None)),
    st.tuples(st.just("enter"), st.integers(0, 10)),
    st.tuples(st.just("correct"), st.integers(0, 10)),
    st.tuples(st.just("tally"), st.just(None)),
)
HISTORIES = st.lists(st.tuples(st.integers(0, 36 * 60), VERBS), min_size=1, max_size=12)


class Life:
    """One patient of the week after an operation, on a stage of her own."""

    def __init__(self, stage: Stage, patient_id: int) -> None:
        self.stage, self.db, self.patient_id = stage, stage.db, patient_id
        self.sender = FakeSender()

    async def rows(self, now: datetime) -> Mapping[int, Slot]:
        async with self.db.read() as conn:
            found = await ledger.slots_of_patient(conn, self.patient_id, now=now)
        return {slot.id: replace(slot, state="") for slot in found}

    async def do(self, verb: str, what, now: datetime) -> None:
        # A move that is not allowed changes nothing, which is looked at all the same.
        with suppress(NotAllowedError, WrongCallError):
            await getattr(self, verb)(what, now)

    async def zone(self, zone, now):
        await choose_zone(self.db, patient_id=self.patient_id, zone=zone, actor=SYSTEM, now=now)

    async def time(self, at, now):
        await choose_time(self.db, patient_id=self.patient_id, item="tablet", at=at, actor=SYSTEM, now=now)

    async def move(self, days, now):
        start = date(2026, 11, 24) + timedelta(days=days)
        await move_phase(self.db, code="P-001", phase="week", start=start, actor=SYSTEM, reason="r", now=now)

    async def status(self, status, now):
        await change_status(self.db, patient_id=self.patient_id, status=status, actor=SYSTEM, reason="r", now=now)

    async def answer(self, score, now):
        for slot in (await self.rows(now)).values():
            if slot.opens_at <= now < slot.closes_at:
                answer = scored(score) if slot.kind == "rating" else TAKEN
                await record_answer(
                    self.db,
                    patient_id=self.patient_id,
                    slot_id=slot.id,
                    answer=answer,
                    arrival=Arrival("button", now),
                    now=now,
                )

    async def send(self, _, now):
        await send_due(self.db, self.sender, now=now)

    async def enter(self, score, now):
        """Staff type in the last slot that was missed."""
        past = [slot for slot in (await self.rows(now)).values() if slot.closes_at <= now and not slot.answered_by]
        for slot in past[-1:]:
            told = {"slot_id": slot.id, "source": "phone", "said_at": None}
            answer = scored(score) if slot.kind == "rating" else TAKEN
            await enter_answer(self.db, code="P-001", answer=answer, actor=SYSTEM, now=now, **told)

    async def correct(self, score, now):
        """Staff correct the first answer there is."""
        for slot in [slot for slot in (await self.rows(now)).values() if slot.answered_by][:1]:
            seen = {"slot_id": slot.id, "entry_id": slot.answered_by, "reason": "r"}
            answer = scored(score) if slot.kind == "rating" else not_taken(None) if score % 2 else TAKEN
            await correct_entry(self.db, code="P-001", answer=answer, actor=SYSTEM, now=now, **seen)

    async def tally(self, _, now):
        async with self.db.write() as conn:
            await tallies.tally(conn, [self.patient_id], until=now)

    async def check_counts(self, now: datetime) -> None:
        """What had run its course when it was tallied, and the rest, are together what a recount gives."""
        async with self.db.read() as conn:
            for by in ("patient", "phase", "item", "week"):
                kept = await tallies.tallied_counts(
                    conn, by=by, now=now, opening_by=now, site_ids=None, patient_id=None
                )
                assert kept == await slot_counts(conn, by=by, now=now)

    async def check_future(self, now: datetime) -> None:
        """What is to come and was not touched is in the ledger as it is in the plan, and planning is at rest."""
        async with self.db.write() as conn:
            patient = await patients.patient_by_id(conn, self.patient_id)
            protocol = await protocol_of(self.db, conn, patient.protocol_id)
            planned = {slot.key: slot for slot in plan(protocol, await patients.enrolment_of(conn, patient))}
            audit = await write_audit(conn, Audit(now, SYSTEM, "plan again", patient.id))
            again = await replan(self.db, conn, patient, now=now, audit=audit)
        assert again.counts == {"added": 0, "changed": 0, "dropped": 0}
        found = {(slot.item, slot.local_date, slot.n): slot for slot in (await self.rows(now)).values()}
        for key, slot in planned.items():
            row = found.get(key)
            if slot.due_at >= now:
                assert row is not None
            if row is None or row.due_at < now or row.nudges or row.answered_by:
                continue
            assert (row.excused_because, row.cancelled_because) == (slot.excused_because, slot.cancelled_because)
            if slot.due_at >= now:
                assert (row.due_at, row.closes_at, row.zone) == (slot.due_at, slot.closes_at, slot.zone)
                assert row.next_nudge_at == slot.next_nudge_at
        for key, row in found.items():
            assert key in planned or row.due_at < now or row.nudges or row.answered_by
            if patient.status is not ACTIVE and row.due_at >= now and not row.answered_by:
                assert row.next_nudge_at is None


def as_asked(slot: Slot) -> Slot:
    """A slot without what sending and answering write down."""
    return replace(slot, next_nudge_at=None, nudges=0, prompted_at=None, answered_by=None, answered_as=None)


def let_go(verb: str, before: Slot, after: Slot, now: datetime) -> bool:
    """What is open and not answered goes with a patient who pauses or leaves, at its times as they were."""
    same = replace(after, excused_because=None, cancelled_because=None)
    was_open = before.due_at <= now < before.closes_at and before.answered_by is None
    return verb == "status" and was_open and as_asked(same) == as_asked(before)


async def live(template: Path, folder: str, history) -> None:
    path = Path(folder) / "daybook.db"
    shutil.copy(template, path)
    db = Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open()
    try:
        stage = Stage(db)
        await stage.set_up("postop-week")
        life = Life(stage, (await stage.joined()).id)
        now = T0
        for minutes, (verb, what) in history:
            now += timedelta(minutes=minutes)
            before = await life.rows(now)
            await life.do(verb, what, now)
            after = await life.rows(now)
            for slot in before.values():
                if slot.due_at < now or slot.nudges or slot.answered_by:
                    assert as_asked(after[slot.id]) == as_asked(slot) or let_go(verb, slot, after[slot.id], now)
                    assert after[slot.id].nudges >= slot.nudges
                    assert verb == "correct" or slot.answered_by in (None, after[slot.id].answered_by)
            await life.check_counts(now)
            await life.check_future(now)
    finally:
        await db.close()


@settings(max_examples=20)
@given(HISTORIES)
def test_in_every_history_the_past_stays_and_the_future_is_the_plan(template, history):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(template, folder, history))
