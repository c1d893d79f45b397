from datetime import date, timedelta

import pytest

from diary import SYSTEM, PatientStatus
from diary.alerts import close_alert, note_unreachable
from diary.enrolment import change_status, move_phase
from diary.joining import choose_zone
from protocol.errors import UnknownCodeError
from reports.definitions import Figures
from reports.patient import overview
from reports.roster import roster
from storage import alerts, contacts
from tests.cast import START, Stage, at, cairo
from tests.reports.diary_of import correct, say, scored

FRIDAY = cairo("2026-11-27 10:00")


async def codes(stage: Stage, scope=None, now=FRIDAY, **asked):
    return [row.code for row in (await roster(stage.db, scope, now, **asked)).rows]


async def test_a_row_tells_what_staff_look_for_first(stage: Stage, amina):
    await stage.alert(amina, now=FRIDAY)
    found = await roster(stage.db, None, FRIDAY)

    assert (found.total, found.page, found.pages) == (1, 1, 1)
    [row] = found.rows
    assert (row.code, row.site, row.status) == ("P-001", "main", PatientStatus.ACTIVE)
    assert (row.phase, row.day, row.reachable, row.open_alerts) == ("iv", 4, "yes", 1)
    assert row.figures == Figures(on_time=2, late=2, missed=2, open=1, doses=3, taken=1, not_taken=1)
    assert row.last_answer_at == cairo("2026-11-26 23:00")
    assert (row.pain_now, row.pain_on, row.pains) == (5, None, (*[None] * 10, 7, None, 5, None))


async def test_a_row_says_the_same_as_the_page_of_its_patient(stage: Stage, amina, elsewhere):
    for row in (await roster(stage.db, None, FRIDAY)).rows:
        alone = await overview(stage.db, row.code, None, FRIDAY)
        assert (row.site, row.status, row.figures) == (alone.site, alone.status, alone.figures)
        assert (row.phase, row.day) == (alone.trial_day.phase, alone.trial_day.day)
        assert (row.last_answer_at, row.reachable) == (alone.last_answer_at, alone.reachable)


async def test_pain_is_the_score_that_holds_and_not_the_one_it_replaced(stage: Stage, amina):
    await correct(stage, amina.id, "pain 2026-11-26", scored(2), "2026-11-26 23:30")
    [row] = (await roster(stage.db, None, FRIDAY)).rows
    assert (row.pain_now, row.pains[-2]) == (2, 2)


async def test_pain_now_may_be_older_than_the_days_that_are_shown(stage: Stage, amina):
    [row] = (await roster(stage.db, None, FRIDAY + timedelta(days=30))).rows
    assert (row.pain_now, row.pain_on, row.pains) == (5, date(2026, 11, 26), (None,) * 14)


async def test_the_last_of_the_days_is_the_patients_own_today(stage: Stage):
    amina = await stage.joined()
    await choose_zone(stage.db, patient_id=amina.id, zone="Asia/Tokyo", actor=SYSTEM, now=cairo("2026-11-24 03:00"))
    await say(stage, amina.id, "pain 2026-11-25", scored(6), "2026-11-25 13:10")  # 20:10 in Tokyo

    before, after = at("2026-11-25 14:59"), at("2026-11-25 15:00")
    assert (await roster(stage.db, None, before)).rows[0].pains[-1] == 6
    assert (await roster(stage.db, None, after)).rows[0].pains[-2:] == (6, None)


async def test_who_has_most_alerts_comes_first_then_unreachable_then_the_longest_silence(stage: Stage):
    alarmed = await stage.joined("P-009", chat=1009)
    blocked = await stage.joined("P-008", chat=1008)
    paused = await stage.joined("P-007", chat=1007)
    quiet = await stage.joined("P-006", chat=1006)
    await stage.joined("P-005", chat=1005)
    await stage.joined("P-004", chat=1004)
    for text in ("dizzy", "sick"):
        await stage.alert(alarmed, text)
    await change_status(
        stage.db, patient_id=paused.id, status=PatientStatus.PAUSED, actor=SYSTEM, reason="rests", now=FRIDAY
    )
    await say(stage, quiet.id, "pain 2026-11-25", scored(3), "2026-11-25 20:05")
    async with stage.db.read() as conn:
        contact = await contacts.contact_of_patient(conn, blocked.id)
    await note_unreachable(stage.db, contact_id=contact.id, reachable="blocked", now=FRIDAY)
    # To be unreachable is an alert as well; once it is dealt with, the chat alone counts.
    assert await codes(stage) == ["P-009", "P-008", "P-004", "P-005", "P-006", "P-007"]

    actor = await stage.actor()
    async with stage.db.read() as conn:
        [called] = [alert for alert in await alerts.alerts(conn) if alert.patient_id == blocked.id]
    await close_alert(stage.db, alert_id=called.id, actor=actor, now=FRIDAY)
    assert await codes(stage) == ["P-009", "P-008", "P-004", "P-005", "P-006", "P-007"]


async def test_what_staff_typed_in_does_not_end_a_silence(stage: Stage, amina):
    async with stage.db.write() as conn:
        await conn.exec_driver_sql("DROP TRIGGER entries_no_update")
        await conn.exec_driver_sql("UPDATE entries SET source = 'staff' WHERE received_at > '2026-11-26'")
    [row] = (await roster(stage.db, None, FRIDAY)).rows
    assert row.last_answer_at == cairo("2026-11-25 18:30")


async def test_a_patient_of_another_site_is_in_no_list_and_no_count(stage: Stage, amina, elsewhere):
    assert await codes(stage) == ["P-900", "P-001"]
    found = await roster(stage.db, elsewhere, FRIDAY)
    assert ([row.code for row in found.rows], found.total) == (["P-900"], 1)
    assert await codes(stage, frozenset()) == []
    assert await codes(stage, elsewhere, search="P-001") == []
    assert await codes(stage, None, site="main") == ["P-001"]
    for site in ("main", "nowhere"):
        with pytest.raises(UnknownCodeError):
            await roster(stage.db, elsewhere, FRIDAY, site=site)


async def test_the_list_is_narrowed_by_status_and_by_a_part_of_the_code(stage: Stage, amina):
    await stage.add("Q_002")
    assert await codes(stage, status=PatientStatus.INVITED) == ["Q_002"]
    assert await codes(stage, search=" p-0 ") == ["P-001"]
    assert await codes(stage, search="_") == ["Q_002"]
    assert await codes(stage, search="%") == []


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        ("2026-11-23 23:59", None),
        ("2026-11-24 00:00", "iv"),
        ("2026-12-07 23:59", "iv"),
        ("2026-12-08 00:00", "oral"),
        ("2027-05-24 12:00", "follow-up"),
        ("2027-05-26 12:00", None),
    ],
)
async def test_who_is_in_a_phase_is_what_the_patients_own_days_say(stage: Stage, moment, phase):
    await stage.joined()
    now = cairo(moment)
    assert (await roster(stage.db, None, now)).rows[0].phase == phase
    for one in ("iv", "oral", "follow-up"):
        assert bool(await codes(stage, now=now, phase=one)) == (one == phase)
    assert await codes(stage, now=now, phase="nonsense") == []


async def test_a_phase_that_staff_moved_counts_from_its_new_day(stage: Stage):
    await stage.joined()
    await move_phase(
        stage.db,
        code="P-001",
        phase="oral",
        start=START + timedelta(days=3),
        actor=SYSTEM,
        reason="early",
        now=cairo("2026-11-24 12:00"),
    )
    now = cairo("2026-11-27 12:00")
    assert (await roster(stage.db, None, now)).rows[0].phase == "oral"
    assert (await codes(stage, now=now, phase="oral"), await codes(stage, now=now, phase="iv")) == (["P-001"], [])


async def test_a_long_list_comes_in_pages_and_a_page_too_far_is_the_last(stage: Stage):
    for number in range(5):
        await stage.add(f"P-00{number}")
    first = await roster(stage.db, None, FRIDAY, per_page=2)
    assert ([row.code for row in first.rows], first.total, first.pages) == (["P-000", "P-001"], 5, 3)
    last = await roster(stage.db, None, FRIDAY, per_page=2, page=99)
    assert ([row.code for row in last.rows], last.page) == (["P-004"], 3)
    assert (await roster(stage.db, None, FRIDAY, page=-1)).page == 1


async def test_a_diary_without_patients_has_one_empty_page(stage: Stage):
    found = await roster(stage.db, None, FRIDAY)
    assert (found.rows, found.total, found.page, found.pages) == ((), 0, 1, 1)
