from dataclasses import replace
from datetime import timedelta

import pytest

from diary import SYSTEM, PatientStatus, SlotState
from diary.enrolment import change_status, erase_patient
from diary.joining import record_consent
from protocol.errors import UnknownCodeError, WrongCallError
from reports.adherence import AdherenceRow, By, adherence
from reports.definitions import Figures, together
from storage import slots as ledger
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import TAKEN, correct, not_taken, say, scored

FRIDAY = cairo("2026-11-27 10:00")


async def test_the_worked_example_has_four_of_six_answered(stage: Stage, amina):
    [row] = await adherence(stage.db, now=FRIDAY)

    # on time: infusion and pain of the 24th; late: infusion of the 25th, pain of the 26th;
    # missed: pain of the 25th, infusion of the 26th; open: infusion of the 27th. 4 / 6.
    assert row.flat() == {
        "site": "main",
        "patient": "P-001",
        "expected": 6,
        "on_time": 2,
        "late": 2,
        "missed": 2,
        "excused": 0,
        "open": 1,
        "rate": 4 / 6,
        "doses": 3,
        "taken": 1,
        "not_taken": 1,
    }
    assert row.figures.said.rate == 1 / 3


async def test_by_item_the_same_slots_fall_into_two_groups(stage: Stage, amina):
    rows = await adherence(stage.db, now=FRIDAY, by=By.ITEM)

    assert [(row.key["item"], row.figures) for row in rows if row.figures.expected] == [
        ("infusion", Figures(on_time=1, late=1, missed=1, open=1, doses=3, taken=1, not_taken=1)),
        ("pain", Figures(on_time=1, late=1, missed=1)),
    ]
    assert together(rows) == (await adherence(stage.db, now=FRIDAY))[0].figures


async def test_phases_come_in_their_order_and_one_that_has_not_begun_has_no_rate(stage: Stage, amina):
    rows = await adherence(stage.db, now=FRIDAY, by=By.PHASE)

    assert [row.key["phase"] for row in rows] == ["iv", "oral", "follow-up"]
    assert [row.figures.rate for row in rows] == [4 / 6, None, None]


async def test_a_week_is_seven_days_from_the_patients_own_first_day(stage: Stage):
    early, late = await stage.joined(), await stage.joined("P-002", chat=1002, start=START + timedelta(days=7))
    await say(stage, early.id, "pain 2026-11-30", scored(3), "2026-11-30 20:00")  # day 6
    await say(stage, early.id, "pain 2026-12-01", scored(3), "2026-12-01 20:00")  # day 7
    await say(stage, late.id, "pain 2026-12-01", scored(3), "2026-12-01 20:00")  # her day 0

    rows = await adherence(stage.db, now=cairo("2026-12-01 20:30"), by=By.WEEK)
    assert [(row.key["week"], row.figures.on_time) for row in rows[:3]] == [(1, 2), (2, 1), (3, 0)]
    # Week 1 of the first patient: seven infusions and six ratings missed, one answered.
    assert rows[0].figures.missed == 7 + 6


@pytest.mark.parametrize(
    ("moment", "column"),
    [
        ("2026-11-24 19:59", None),  # still to come
        ("2026-11-24 20:00", "open"),
        ("2026-11-25 11:59", "open"),
        ("2026-11-25 12:00", "missed"),
    ],
)
async def test_a_slot_is_missed_once_its_window_has_closed_and_not_before(stage: Stage, moment, column):
    await stage.joined()
    rows = await adherence(stage.db, now=cairo(moment), by=By.ITEM)
    [pain] = [row.figures for row in rows if row.key == {"item": "pain"}]

    assert pain == (replace(Figures(), **{column: 1}) if column else Figures())


async def test_a_pause_is_excused_and_what_follows_a_withdrawal_counts_nowhere(stage: Stage):
    amina = await stage.joined()
    change = {"patient_id": amina.id, "actor": SYSTEM, "reason": "travels"}
    await change_status(stage.db, status=PatientStatus.PAUSED, now=cairo("2026-11-25 08:00"), **change)
    await change_status(stage.db, status=PatientStatus.ACTIVE, now=cairo("2026-11-26 08:00"), **change)
    await change_status(stage.db, status=PatientStatus.WITHDRAWN, now=cairo("2026-11-27 08:00"), **change)

    [row] = await adherence(stage.db, now=cairo("2027-06-01 08:00"))
    # Infusions: missed on the 24th and 26th, excused on the 25th, cancelled from the 27th on. Ratings, which are
    # open until noon of the next day: those of the 24th and 25th excused, that of the 26th cancelled.
    assert row.figures == Figures(missed=2, excused=3, doses=2)


async def test_before_joining_nothing_is_held_against_a_patient(stage: Stage):
    await stage.add()
    [row] = await adherence(stage.db, now=cairo("2026-11-25 08:00"))

    assert (row.figures, row.figures.rate) == (Figures(excused=2), None)


async def test_a_correction_changes_what_was_said_of_a_dose_and_not_its_punctuality(stage: Stage, amina):
    await correct(stage, amina.id, "infusion 2026-11-24", not_taken("unwell"), "2026-11-25 19:00")
    [row] = await adherence(stage.db, now=FRIDAY)

    assert (row.figures.on_time, row.figures.taken, row.figures.not_taken) == (2, 0, 2)


async def test_as_of_asks_what_was_known_then(stage: Stage, amina):
    [row] = await adherence(stage.db, now=FRIDAY, as_of=cairo("2026-11-26 10:00"))

    # Known on the 26th at 10: the 24th on time, the 25th's infusion late, its rating and today's infusion open.
    assert row.figures == Figures(on_time=2, late=1, open=2, doses=2, taken=1, not_taken=1)


async def test_as_of_leaves_out_an_answer_that_came_in_later_though_it_was_said_in_time(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "pain 2026-11-24", scored(4), "2026-11-25 15:00", said="2026-11-24 20:30")

    async def pain(**when):
        rows = await adherence(stage.db, now=cairo("2026-11-25 16:00"), by=By.ITEM, **when)
        return next(row.figures for row in rows if row.key == {"item": "pain"})

    assert await pain(as_of=cairo("2026-11-25 14:59")) == Figures(missed=1)
    assert await pain(as_of=cairo("2026-11-25 15:00")) == Figures(on_time=1)
    assert await pain() == Figures(on_time=1)


async def test_as_of_gives_the_value_that_held_then(stage: Stage, amina):
    await correct(stage, amina.id, "infusion 2026-11-24", not_taken("unwell"), "2026-11-25 19:00")
    await correct(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-26 10:00")

    async def said(at):
        [row] = await adherence(stage.db, now=FRIDAY, as_of=cairo(at))
        return row.figures.taken, row.figures.not_taken

    assert await said("2026-11-25 18:59") == (1, 1)
    assert await said("2026-11-25 19:00") == (0, 2)
    assert await said("2026-11-26 10:00") == (1, 1)


async def test_as_of_does_not_know_a_patient_added_later(stage: Stage, amina):
    assert await adherence(stage.db, now=FRIDAY, as_of=T0 - timedelta(seconds=1)) == []
    assert await adherence(stage.db, now=FRIDAY, by=By.PHASE, as_of=T0 - timedelta(seconds=1)) == []


@pytest.mark.parametrize("by", list(By))
async def test_as_of_now_is_now(stage: Stage, amina, by):
    assert await adherence(stage.db, now=FRIDAY, by=by, as_of=FRIDAY) == await adherence(
        stage.db, now=FRIDAY, by=by
    )


async def test_as_of_the_future_is_refused(stage: Stage):
    with pytest.raises(WrongCallError, match="future"):
        await adherence(stage.db, now=T0, as_of=T0 + timedelta(seconds=1))


async def test_a_site_has_its_own_patients_only(stage: Stage, amina, elsewhere):
    [main] = await adherence(stage.db, now=FRIDAY, site="main")
    [coast] = await adherence(stage.db, now=FRIDAY, site="coast")

    assert (main.key["patient"], main.figures.expected) == ("P-001", 6)
    assert (coast.key["patient"], coast.figures.rate) == ("P-900", 0.0)
    assert await adherence(stage.db, now=FRIDAY, scope=elsewhere) == [coast]
    [of_item, _] = [
        row for row in await adherence(stage.db, now=FRIDAY, by=By.ITEM, site="coast") if row.figures.expected
    ]
    assert of_item.figures == Figures(missed=3, open=1, doses=3)


async def test_another_sites_patient_and_site_are_as_unknown_as_none(stage: Stage, amina, elsewhere):
    refusals = []
    for asked in ({"patient": "P-001"}, {"patient": "P-404"}, {"site": "main"}, {"site": "none"}):
        with pytest.raises(UnknownCodeError) as refusal:
            await adherence(stage.db, now=FRIDAY, scope=elsewhere, **asked)
        refusals.append(str(refusal.value))

    assert refusals[0].replace("P-001", "P-404") == refusals[1]
    assert refusals[2].replace("main", "none") == refusals[3]


async def test_one_patient_can_be_asked_for_by_week(stage: Stage, amina, elsewhere):
    [week, *_] = await adherence(stage.db, now=FRIDAY, by=By.WEEK, patient="P-001")
    assert (week.key, week.figures.expected) == ({"week": 1}, 6)


async def test_an_empty_trial_has_no_rows_and_no_made_up_rate(stage: Stage):
    for by in By:
        assert await adherence(stage.db, now=FRIDAY, by=by) == []
    assert (together([]), together([]).rate) == (Figures(), None)


async def test_a_leaver_whose_identity_was_erased_stays_in_the_figures(stage: Stage, amina):
    change = {"actor": SYSTEM, "reason": "moved away", "now": FRIDAY}
    await change_status(stage.db, patient_id=amina.id, status=PatientStatus.WITHDRAWN, **change)
    await erase_patient(stage.db, code="P-001", **change)

    assert [row.figures.expected for row in await adherence(stage.db, now=FRIDAY)] == [6]


async def test_together_weighs_every_slot_alike(stage: Stage):
    rows = [AdherenceRow({}, Figures(on_time=1)), AdherenceRow({}, Figures(late=1, missed=8))]
    assert together(rows).rate == 2 / 10


@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-25", "2026-12-20", "2027-05-30"])
async def test_every_slot_is_in_exactly_one_state(stage: Stage, day):
    amina = await stage.joined()
    await say(stage, amina.id, "pain 2026-11-24", scored(4), "2026-11-24 20:30")
    basma = await stage.joined("P-002", chat=1002)
    await record_consent(stage.db, patient_id=basma.id, agreed=True, language="en", text="text", now=T0)
    await change_status(
        stage.db,
        patient_id=basma.id,
        status=PatientStatus.PAUSED,
        actor=SYSTEM,
        reason="rests",
        now=cairo("2026-11-26 08:00"),
    )
    now = cairo(f"{day} 21:00")
    counted = 0
    for patient in (amina, basma):
        async with stage.db.read() as conn:
            alone = [
                len(await ledger.slots_of_patient(conn, patient.id, now=now, states=(state,)))
                for state in SlotState
            ]
            everything = await ledger.slots_of_patient(conn, patient.id, now=now)
        assert sum(alone) == len(everything)
        counted += sum(slot.state not in ("coming", "cancelled") for slot in everything)
    whole = together(await adherence(stage.db, now=now))
    assert whole.expected + whole.excused + whole.open == counted
