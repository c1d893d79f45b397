from datetime import date, timedelta

import pytest

from diary import SYSTEM, PatientStatus
from diary.alerts import note_unreachable, raise_alert
from diary.enrolment import change_status
from diary.joining import choose_zone
from protocol.errors import UnknownCodeError
from reports.definitions import Figures
from reports.patient import (
    TrialDay,
    history,
    last_answers,
    next_due,
    overview,
    today,
)
from storage import contacts
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import TAKEN, correct, say, scored

FRIDAY = cairo("2026-11-27 10:00")


def named(lines):
    return [f"{line.slot.item} {line.slot.local_date:%d} {line.slot.state}" for line in lines]


async def test_today_is_the_patients_local_day_and_what_is_open_from_before(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-25", TAKEN, "2026-11-25 09:10")

    lines = await today(stage.db, amina.id, cairo("2026-11-25 09:30"))
    assert named(lines) == ["pain 24 open", "infusion 25 on time", "pain 25 coming"]
    assert [line.entry.answer if line.entry else None for line in lines] == [None, "taken", None]
    # At noon the rating of the day before closes, and is gone from today.
    assert named(await today(stage.db, amina.id, cairo("2026-11-25 12:00")))[0] == "infusion 25 on time"


async def test_today_changes_at_the_patients_midnight_not_at_utcs(stage: Stage):
    amina = await stage.joined()
    before = await today(stage.db, amina.id, cairo("2026-11-25 23:59"))
    after = await today(stage.db, amina.id, cairo("2026-11-26 00:00"))

    assert {line.slot.local_date.day for line in before if line.slot.state != "open"} == {25}
    assert {line.slot.local_date.day for line in after if line.slot.state != "open"} == {26}


async def test_today_follows_a_patient_who_travels(stage: Stage):
    amina = await stage.joined()
    await choose_zone(stage.db, patient_id=amina.id, zone="Asia/Tokyo", actor=SYSTEM, now=cairo("2026-11-24 08:00"))
    lines = await today(stage.db, amina.id, cairo("2026-11-25 17:30"))  # half past midnight of the 26th in Tokyo
    assert {line.slot.local_date.day for line in lines if line.slot.state == "coming"} == {26}


async def test_today_shows_nothing_that_was_cancelled(stage: Stage):
    amina = await stage.joined()
    await change_status(
        stage.db,
        patient_id=amina.id,
        status=PatientStatus.WITHDRAWN,
        actor=SYSTEM,
        reason="stop",
        now=cairo("2026-11-24 12:00"),
    )
    assert await today(stage.db, amina.id, cairo("2026-11-24 12:00")) == []


async def test_history_has_the_days_asked_for_with_states_and_answers(stage: Stage, amina):
    past = await history(stage.db, amina.id, FRIDAY, 3)

    assert (past.first_day, past.last_day, past.scale) == (date(2026, 11, 25), date(2026, 11, 27), (0, 10))
    assert named(past.lines) == [
        "infusion 25 late",
        "pain 25 missed",
        "infusion 26 missed",
        "pain 26 late",
        "infusion 27 open",
        "pain 27 coming",
    ]
    assert [line.entry.score for line in past.lines if line.entry] == [None, 5]


async def test_next_due_is_the_first_slot_still_to_be_asked(stage: Stage):
    amina = await stage.joined()
    due = await next_due(stage.db, amina.id, cairo("2026-11-24 09:00"))
    assert (due.item, due.local_date) == ("pain", START)

    assert await next_due(stage.db, amina.id, cairo("2027-12-01 09:00")) is None


async def test_last_answers_offers_what_may_still_be_corrected_the_newest_first(stage: Stage, amina):
    # The protocol gives 48 hours: on the 27th at 10, the answers of the 24th are out of reach.
    assert named(await last_answers(stage.db, amina.id, FRIDAY)) == ["pain 26 late", "infusion 25 late"]
    assert named(await last_answers(stage.db, amina.id, FRIDAY, timedelta(hours=12))) == ["pain 26 late"]
    assert await last_answers(stage.db, amina.id, FRIDAY, timedelta(minutes=1)) == []


async def test_last_answers_gives_the_value_that_holds(stage: Stage, amina):
    await correct(stage, amina.id, "pain 2026-11-26", scored(2), "2026-11-26 23:30")
    assert [line.entry.score for line in await last_answers(stage.db, amina.id, FRIDAY)] == [2, None]


async def test_overview_tells_staff_all_of_one_patient(stage: Stage, amina):
    async with stage.db.write() as conn:
        await raise_alert(
            conn, patient_id=amina.id, rule="pain-at-least", key="since:2026-11-26", details={}, now=FRIDAY
        )
    found = await overview(stage.db, "P-001", None, FRIDAY)

    assert (found.code, found.site, found.status, found.zone) == ("P-001", "main", "active", "Africa/Cairo")
    assert found.trial_day == TrialDay(4, 182, "iv", 4, 14)
    assert found.figures == Figures(on_time=2, late=2, missed=2, open=1, doses=3, taken=1, not_taken=1)
    assert found.last_answer_at == cairo("2026-11-26 23:00")
    assert named(found.last_entries) == [
        "pain 26 late",
        "infusion 25 late",
        "pain 24 on time",
        "infusion 24 on time",
    ]
    assert [alert.rule for alert in found.open_alerts] == ["pain-at-least"]
    assert (found.next_due.item, found.reachable) == ("pain", "yes")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23 12:00", TrialDay(0, 182, None, None, None)),
        ("2026-11-24 00:00", TrialDay(1, 182, "iv", 1, 14)),
        ("2026-12-08 00:00", TrialDay(15, 182, "oral", 1, 28)),
        ("2027-05-24 12:00", TrialDay(182, 182, "follow-up", 140, 140)),
        ("2027-05-26 12:00", TrialDay(184, 182, None, None, None)),
    ],
)
async def test_days_of_the_trial_and_of_the_phase_count_from_one(stage: Stage, moment, expected):
    await stage.joined()
    assert (await overview(stage.db, "P-001", None, cairo(moment))).trial_day == expected


async def test_a_patient_without_entries_has_an_overview_without_a_rate(stage: Stage):
    await stage.add()
    found = await overview(stage.db, "P-001", None, T0)

    assert (found.figures, found.figures.rate, found.last_answer_at) == (Figures(), None, None)
    assert (found.last_entries, found.open_alerts, found.reachable) == ((), (), None)


async def test_a_blocked_chat_is_in_the_overview(stage: Stage, amina):
    async with stage.db.read() as conn:
        contact = await contacts.contact_of_patient(conn, amina.id)
    await note_unreachable(stage.db, contact_id=contact.id, reachable="blocked", now=FRIDAY)
    assert (await overview(stage.db, "P-001", None, FRIDAY)).reachable == "blocked"


async def test_a_patient_of_another_site_looks_like_none_at_all(stage: Stage, amina, elsewhere):
    refusals = []
    for code in ("P-001", "P-404"):
        with pytest.raises(UnknownCodeError) as refusal:
            await overview(stage.db, code, elsewhere, FRIDAY)
        refusals.append(str(refusal.value).replace(code, ""))
    assert refusals[0] == refusals[1]
    assert (await overview(stage.db, "P-900", elsewhere, FRIDAY)).site == "coast"
