from datetime import UTC, date, time, timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM, PatientStatus
from diary.joining import choose_zone
from diary.visits import record_visit
from protocol.errors import ConflictError, UnknownCodeError, WrongCallError
from storage import patients, tables, visits
from tests.cast import START, T0, Stage, cairo

NOW = cairo("2026-11-24 11:00")
FORM = {"lanss": 14, "nrs": 7, "flexion": 22.5}


@pytest.fixture
async def amina(stage: Stage):
    return await stage.joined()


@pytest.fixture
async def nour(stage: Stage):
    return await stage.actor()


async def record(stage, actor, measured=None, **changed):
    form = {"visit": "baseline", "held_on": START, "supersedes": None, "reason": None, "now": NOW} | changed
    return await record_visit(
        stage.db, code="P-001", measured=FORM if measured is None else measured, actor=actor, **form
    )


async def rows(stage):
    async with stage.db.read() as conn:
        return await visits.visits_of_patient(conn, 1)


async def status(stage):
    async with stage.db.read() as conn:
        return (await patients.patient_by_id(conn, 1)).status


async def test_what_was_measured_is_kept_with_the_day_and_who_typed_it_in(stage, amina, nour):
    done = await record(stage, nour)
    [row] = await rows(stage)
    assert (done.id, done.already, done.stopped_because) == (row.id, False, None)
    assert (row.visit, row.held_on, row.measured, row.staff) == ("baseline", START, FORM, "nour")
    async with stage.db.read() as conn:
        line = (await conn.execute(select(tables.audit).where(tables.audit.c.verb == "record visit"))).one()
    assert (line.patient_id, line.details["measured"]) == (amina.id, FORM)


async def test_a_form_may_be_filled_in_part_and_corrected_with_a_reason(stage, amina, nour):
    first = await record(stage, nour, {"lanss": 14})
    second = await record(stage, nour, FORM, supersedes=first.id, reason="the rest")
    assert [(row.measured, row.supersedes, row.change_reason) for row in await rows(stage)] == [
        ({"lanss": 14}, None, None),
        (FORM, first.id, "the rest"),
    ]
    assert second.already is False


async def test_the_same_form_sent_twice_is_one_act(stage, amina, nour):
    first, again = await record(stage, nour), await record(stage, nour)
    assert (again.id, again.already) == (first.id, True)
    mend = {"supersedes": first.id, "reason": "misread"}
    second, again = [await record(stage, nour, {"lanss": 13}, **mend) for _ in range(2)]
    assert (again.id, again.already) == (second.id, True)
    assert (await record(stage, nour)).already
    assert len(await rows(stage)) == 2


async def test_of_two_who_write_the_same_visit_the_second_is_told_and_nothing_is_lost(stage, amina, nour):
    first = await record(stage, nour)
    with pytest.raises(ConflictError):
        await record(stage, nour, {"lanss": 15})
    await record(stage, nour, {"lanss": 16}, supersedes=first.id, reason="misread")
    with pytest.raises(ConflictError):
        await record(stage, nour, {"lanss": 17}, supersedes=first.id, reason="misread")
    assert [row.measured for row in await rows(stage)] == [FORM, {"lanss": 16}]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"measured": {"lanss": 25}}, "LANSS score lies from 0 to 24, whole numbers only"),
        ({"measured": {"nrs": 7.5}}, "Pain, NRS lies from 0 to 10, whole numbers only"),
        ({"measured": {"flexion": 120.1}}, "Lumbar flexion lies from 0 to 120 deg, at most one decimal place"),
        ({"measured": {"flexion": 22.55}}, "at most one decimal place"),
        ({"measured": {"flexion": float("nan")}}, "Lumbar flexion lies from"),
        ({"measured": {"nrs": float("inf")}}, "Pain, NRS lies from"),
        ({"measured": {"capsules-returned": 3}}, "capsules-returned is not measured at Baseline"),
        ({"measured": {}}, "something that was measured"),
        ({"measured": {"nrs": 7}}, "LANSS score must be measured at Baseline"),
        ({"held_on": date(2026, 11, 25)}, "still to come"),
        ({"held_on": T0.date() - timedelta(days=366)}, "more than a year before P-001 was added"),
        ({"supersedes": 1}, "says why"),
        ({"supersedes": 1, "reason": " "}, "says why"),
        ({"reason": "because"}, "a first record does neither"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_sentence(stage, amina, nour, wrong, why):
    with pytest.raises(WrongCallError, match=why):
        await record(stage, nour, **wrong)
    assert await rows(stage) == []


async def test_today_is_the_day_where_the_patient_lives(stage, amina, nour):
    late = cairo("2026-11-25 00:30")  # in UTC it is still the 24th
    assert (await record(stage, nour, held_on=date(2026, 11, 25), now=late)).already is False


async def test_a_visit_or_a_record_that_is_not_there_is_unknown(stage, amina, nour):
    with pytest.raises(UnknownCodeError, match="no visit month-9"):
        await record(stage, nour, visit="month-9")
    other = await record(stage, nour, {"nrs": 6}, visit="week-2", now=NOW, meant=["day:2026-11-24"])
    for seen in (other.id, 999):
        with pytest.raises(UnknownCodeError, match="no such record"):
            await record(stage, nour, supersedes=seen, reason="r")


async def test_below_the_protocols_least_the_visit_is_kept_and_the_enrolment_stops_at_once(stage, amina, nour):
    why = "LANSS score 9 is below 12, the least at Baseline"
    done = await record(stage, nour, {"lanss": 9, "nrs": 7}, meant=["lanss:9"])

    assert done.stopped_because == why
    assert await status(stage) is PatientStatus.WITHDRAWN
    assert [row.measured for row in await rows(stage)] == [{"lanss": 9, "nrs": 7}]
    async with stage.db.read() as conn:
        line = (await conn.execute(select(tables.audit).where(tables.audit.c.verb == "change status"))).all()[-1]
        waiting = await conn.execute(select(tables.slots.c.id).where(tables.slots.c.next_nudge_at.is_not(None)))
        assert waiting.all() == []
    assert (line.actor_id, line.reason, line.details["new"]) == (nour.id, why, "withdrawn")
    again = await record(stage, nour, {"lanss": 9, "nrs": 7})
    assert (again.already, again.stopped_because) == (True, why)


async def test_the_least_value_itself_and_a_low_one_at_another_visit_stop_nobody(stage, amina, nour):
    assert (await record(stage, nour, {"lanss": 12})).stopped_because is None
    assert await status(stage) is PatientStatus.ACTIVE


async def test_somebody_who_has_not_joined_yet_is_stopped_too(stage, nour):
    await stage.add()
    assert (await record(stage, nour, {"lanss": 3}, meant=["lanss:3"])).stopped_because is not None
    assert await status(stage) is PatientStatus.WITHDRAWN


async def test_a_visit_that_cannot_stop_the_enrolment_is_not_kept_either(stage, amina, nour, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise RuntimeError

    monkeypatch.setattr("diary.visits.status_changed", broken)
    with pytest.raises(RuntimeError):
        await record(stage, nour, {"lanss": 9}, meant=["lanss:9"])
    assert await rows(stage) == []


@pytest.mark.parametrize("meant", [(), ("lanss:9",), ("day:2026-11-24",)])
async def test_a_value_below_the_least_is_saved_only_when_that_value_is_meant(stage, amina, nour, meant):
    done = await record(stage, nour, {"lanss": 8}, meant=meant)
    assert (done.id, [str(doubt) for doubt in done.doubts]) == (
        None,
        ["LANSS score 8 is below 12, the least at Baseline"],
    )
    assert (await rows(stage), await status(stage)) == ([], PatientStatus.ACTIVE)
    assert (await record(stage, nour, {"lanss": 8}, meant=[done.doubts[0].key])).stopped_because
    assert await status(stage) is PatientStatus.WITHDRAWN


@pytest.mark.parametrize(
    ("visit", "held_on", "nearer"),
    [
        ("baseline", "2026-12-01", None),  # half way to week 2
        ("baseline", "2026-12-02", "week-2"),
        ("week-2", "2026-12-01", None),
        ("week-2", "2026-11-30", "baseline"),
        ("month-6", "2026-12-24", "week-6"),
        ("month-6", "2027-04-09", "month-3"),
        ("month-6", "2027-04-10", None),
        ("month-6", "2027-09-01", None),  # there is no visit after it
    ],
)
@pytest.mark.usefixtures("amina")
async def test_a_day_nearer_to_another_visit_is_asked_about(stage, nour, visit, held_on, nearer):
    form = {"visit": visit, "held_on": date.fromisoformat(held_on), "now": cairo("2027-09-01 12:00")}
    measured = FORM if visit == "baseline" else {"nrs": 7}
    done = await record(stage, nour, measured, **form)
    assert [doubt.other.id for doubt in done.doubts] == ([nearer] if nearer else [])
    assert (await record(stage, nour, measured, **form, meant=[f"day:{held_on}"])).id


async def test_a_visits_time_is_that_of_the_clinics_wall_whatever_the_patients_zone(stage, amina, nour):
    await choose_zone(stage.db, patient_id=amina.id, zone="Asia/Tokyo", actor=SYSTEM, now=T0)
    await record(stage, nour, began=time(10, 30))
    [row] = await rows(stage)
    assert row.began_at == cairo("2026-11-24 10:30")
    async with stage.db.read() as conn:
        line = (await conn.execute(select(tables.audit).where(tables.audit.c.verb == "record visit"))).one()
    assert line.details["began"] == cairo("2026-11-24 10:30").astimezone(UTC).isoformat()


async def test_a_time_written_down_afterwards_is_a_correction(stage, amina, nour):
    first = await record(stage, nour)
    again = await record(stage, nour, supersedes=first.id, reason="time added", began=time(10, 30))
    assert (again.already, again.id != first.id) == (False, True)
    assert [row.began_at for row in await rows(stage)] == [None, cairo("2026-11-24 10:30")]
    assert (await record(stage, nour, began=time(10, 30))).already


async def test_a_time_still_to_come_at_the_clinic_is_refused(stage, amina, nour):
    with pytest.raises(WrongCallError, match=r"11:01 on 2026-11-24 is still to come at the clinic"):
        await record(stage, nour, began=time(11, 1))
    assert await rows(stage) == []
    assert (await record(stage, nour, began=time(11))).id is not None
