"""A look at the rules reads only those about whom something can have changed, and misses nothing by that."""

import shutil
from datetime import timedelta
from random import Random

import pytest

import diary.alerts
from diary import Actor, Database, Keys, PatientStatus
from diary.alerts import Watch, evaluate_everybody
from diary.answers import TAKEN, Arrival, enter_answer, record_answer, scored
from diary.enrolment import change_status
from storage import patients
from storage.alerts import alerts
from storage.slots import slots_of_patient
from tests.cast import START, Stage, cairo
from tests.conftest import KEY

MORNING = cairo("2026-11-24 08:30")
HOUR = timedelta(hours=1)


@pytest.fixture
async def amina(stage: Stage):
    return await stage.joined()


@pytest.fixture
async def watch(stage: Stage, amina):
    """One that has looked at everybody this morning."""
    watch = Watch()
    await evaluate_everybody(stage.db, now=MORNING, watch=watch)
    return watch


async def due(stage, watch, now):
    async with stage.db.read() as conn:
        codes = {one.id: one.code for one in await patients.patients(conn)}
        return [codes[patient_id] for patient_id in await watch.due(conn, codes, now=now)]


async def slot(stage, patient, item, day=START):
    async with stage.db.read() as conn:
        found = await slots_of_patient(conn, patient.id, now=MORNING, from_date=day, to_date=day)
    return next(one for one in found if one.item == item)


async def answer(stage, patient, item, what, now, day=START):  # noqa: PLR0917 - read as a sentence
    asked = await slot(stage, patient, item, day)
    return await record_answer(
        stage.db, patient_id=patient.id, slot_id=asked.id, answer=what, arrival=Arrival("button", now), now=now
    )


async def test_the_first_look_is_at_everybody(stage: Stage, amina):
    assert await due(stage, Watch(), MORNING) == ["P-001"]


async def test_while_nothing_happens_nobody_is_looked_at(stage: Stage, watch):
    assert await due(stage, watch, MORNING + 10 * HOUR) == []


async def test_an_answer_calls_for_a_look(stage: Stage, watch, amina):
    await answer(stage, amina, "infusion", TAKEN, cairo("2026-11-24 12:00"))
    assert await due(stage, watch, cairo("2026-11-24 13:00")) == ["P-001"]


async def test_a_window_that_closes_on_nothing_calls_for_a_look(stage: Stage, watch, amina):
    closes = (await slot(stage, amina, "infusion")).closes_at
    assert await due(stage, watch, closes - HOUR) == []
    assert await due(stage, watch, closes) == ["P-001"]


async def test_an_early_answer_calls_for_a_look_when_it_was_due(stage: Stage, amina):
    day = START + timedelta(days=14)  # capsules may be answered an hour early
    early = cairo("2026-12-08 08:10")
    await answer(stage, amina, "capsule", TAKEN, early, day)
    watch = Watch()
    for minutes in (5, 6):  # the first look calls staff, which is news itself
        await evaluate_everybody(stage.db, now=early + timedelta(minutes=minutes), watch=watch)
    assert await due(stage, watch, cairo("2026-12-08 08:50")) == []
    assert await due(stage, watch, cairo("2026-12-08 09:00")) == ["P-001"]


async def test_what_staff_enter_calls_for_a_look(stage: Stage, watch, amina):
    asked = await slot(stage, amina, "pain")
    now = cairo("2026-11-24 21:00")
    nour = await stage.actor()
    await due(stage, watch, now)  # that she joined is in the trail too
    await evaluate_everybody(stage.db, now=now, watch=watch)
    await enter_answer(
        stage.db, code="P-001", slot_id=asked.id, answer=scored(9), source="phone", said_at=now, actor=nour, now=now
    )
    assert await due(stage, watch, now + HOUR) == ["P-001"]


async def test_whoever_could_not_be_looked_at_is_due_again(stage: Stage, amina, monkeypatch):
    async def fails(*_: object, **__: object) -> list[str]:
        raise RuntimeError("broken")

    watch = Watch()
    with monkeypatch.context() as broken:
        broken.setattr(diary.alerts, "evaluate_rules", fails)
        assert await evaluate_everybody(stage.db, now=MORNING, watch=watch) == 0
    assert await due(stage, watch, MORNING + HOUR) == ["P-001"]


async def test_whoever_was_paused_is_looked_at_when_that_is_over(stage: Stage, watch, amina):
    me = Actor("patient", amina.id)
    said = {"patient_id": amina.id, "actor": me, "reason": "asked"}
    await change_status(stage.db, status=PatientStatus.PAUSED, now=cairo("2026-11-24 12:00"), **said)
    await evaluate_everybody(stage.db, now=cairo("2026-11-24 13:00"), watch=watch)
    await change_status(stage.db, status=PatientStatus.ACTIVE, now=cairo("2026-11-24 15:00"), **said)
    assert await due(stage, watch, cairo("2026-11-24 16:00")) == ["P-001"]


async def raised(db):
    async with db.read() as conn:
        return [(one.patient_id, one.rule, one.key, one.raised_at) for one in await alerts(conn, open_only=False)]


@pytest.mark.parametrize("seed", range(3))
async def test_hour_by_hour_it_finds_what_a_look_at_everybody_finds(template, tmp_path, seed):
    """Two diaries that live through the same ten days; only one of them has a watch."""
    found = []
    for watch in (None, Watch()):
        path = tmp_path / f"{'watched' if watch else 'read'}.db"
        shutil.copy(template, path)
        db = Database(f"sqlite:///{path}", Keys([KEY]))
        await db.open()
        stage, draws = Stage(db), Random(seed)
        await stage.set_up()
        people = [await stage.joined(f"P-{n}", chat=1000 + n) for n in (1, 2)]
        for hour in range(24 * 10):
            now = cairo("2026-11-24 00:20") + hour * HOUR
            day = START + timedelta(days=hour // 24)
            for patient in people:
                if hour % 24 in (10, 14, 20, 21) and draws.random() < (
                    0.25 if day < START + timedelta(days=5) else 0.7
                ):
                    rates = hour % 24 >= 20
                    what = scored(draws.choice((3, 8, 9))) if rates else TAKEN
                    await answer(stage, patient, "pain" if rates else "infusion", what, now, day)
            await evaluate_everybody(db, now=now + timedelta(minutes=30), watch=watch)
        found.append(await raised(db))
        await db.close()
    assert found[0] == found[1]
    assert len(found[0]) > 2
