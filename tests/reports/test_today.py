from datetime import date, timedelta

import pytest

from diary import SYSTEM, PatientStatus, alerts
from diary.alerts import close_alert, note_unreachable, raise_alert, see_alert
from diary.enrolment import change_status, patient_id_of
from diary.joining import choose_zone
from protocol.errors import UnknownCodeError
from reports import today as page
from reports.definitions import Figures
from reports.site import silent, unreachable
from reports.today import MissingDoses, open_alert, today
from storage import contacts, service
from storage.audit import Audit, write_audit
from storage.closed import closed_slots
from storage.silences import silences
from tests.cast import Stage, at, cairo
from tests.reports.diary_of import TAKEN, say, scored

FRIDAY = cairo("2026-11-27 10:00")


async def call(stage: Stage, patient, rule: str, key: str, hours: int):
    async with stage.db.write() as conn:
        return await raise_alert(
            conn, patient_id=patient.id, rule=rule, key=key, details={}, now=FRIDAY - timedelta(hours=hours)
        )


async def test_side_effects_come_first_and_then_what_has_waited_longest(stage: Stage, amina):
    await call(stage, amina, "pain-jump", "new", 1)
    await call(stage, amina, "silent-days", "old", 9)
    await stage.alert(amina, "dizzy", now=FRIDAY)
    await stage.alert(amina, "sick", now=FRIDAY - timedelta(hours=2))

    found = await today(stage.db, None, FRIDAY)
    assert [(one.alert.rule, one.text) for one in found.alerts] == [
        ("side-effect", "sick"),
        ("side-effect", "dizzy"),
        ("silent-days", None),
        ("pain-jump", None),
    ]
    assert found.alerts_total == 4


async def test_an_alert_names_who_took_it_and_goes_when_it_is_done(stage: Stage, amina):
    actor = await stage.actor()
    alert_id = await stage.alert(amina)
    assert [one.owner for one in (await today(stage.db, None, FRIDAY)).alerts] == [None]

    await see_alert(stage.db, alert_id=alert_id, actor=actor, now=FRIDAY)
    assert [one.owner for one in (await today(stage.db, None, FRIDAY)).alerts] == ["nour"]

    await close_alert(stage.db, alert_id=alert_id, actor=actor, now=FRIDAY)
    assert (await today(stage.db, None, FRIDAY)).alerts == ()
    one = await open_alert(stage.db, None, alert_id)
    assert (one.owner, one.text, one.alert.done_at) == ("nour", "dizzy", FRIDAY)


async def test_more_alerts_than_are_shown_are_still_counted(stage: Stage, amina, monkeypatch):
    monkeypatch.setattr(page, "ALERTS_SHOWN", 2)
    for number in range(3):
        await call(stage, amina, "pain-jump", f"at:{number}", number)
    found = await today(stage.db, None, FRIDAY)
    assert (len(found.alerts), found.alerts_total) == (2, 3)


async def test_nothing_of_another_site_is_on_the_page(stage: Stage, amina, elsewhere):
    alert_id = await stage.alert(amina)
    async with stage.db.read() as conn:
        contact = await contacts.contact_of_patient(conn, amina.id)
    await note_unreachable(stage.db, contact_id=contact.id, reachable="gone", now=FRIDAY)
    everywhere, coast = await today(stage.db, None, FRIDAY), await today(stage.db, elsewhere, FRIDAY)

    assert (len(everywhere.alerts), [one.code for one in everywhere.unreachable]) == (2, ["P-001"])
    assert (coast.alerts, coast.alerts_total, coast.unreachable) == ((), 0, ())
    assert [one.code for one in coast.silent] == [one.code for one in coast.missed_doses] == ["P-900"]
    assert coast.day_counts.yesterday == Figures(missed=1, open=1)
    for unknown in (alert_id, 99):
        with pytest.raises(UnknownCodeError, match=r"^There is no such alert\.$"):
            await open_alert(stage.db, elsewhere, unknown)


async def test_an_asker_without_sites_sees_an_empty_page(stage: Stage, amina):
    found = await today(stage.db, frozenset(), FRIDAY)
    assert (found.alerts, found.silent, found.unreachable, found.missed_doses) == ((), (), (), ())
    assert found.day_counts.yesterday == Figures()


async def test_silent_and_unreachable_are_what_the_chat_says(stage: Stage, amina, elsewhere):
    found = await today(stage.db, None, FRIDAY)
    assert list(found.silent) == await silent(stage.db, None, FRIDAY)
    assert list(found.unreachable) == await unreachable(stage.db, None)


async def test_missed_doses_are_those_the_alert_rule_calls_for(stage: Stage, elsewhere):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-25", TAKEN, "2026-11-25 09:30")
    await say(
        stage, amina.id, "pain 2026-11-28", scored(4), "2026-11-28 20:30"
    )  # no dose, and no end of missing some
    codes = {"P-001": amina.id, "P-900": await patient_id_of(stage.db, "P-900")}
    seen = set()
    for hours in range(0, 7 * 24, 5):
        now = cairo("2026-11-24 00:30") + timedelta(hours=hours)
        called = set()
        for code, patient_id in codes.items():
            async with stage.db.read() as conn:
                doses = [slot for slot in await closed_slots(conn, patient_id, now=now) if slot.kind == "dose"]
            if alerts._all_missed(doses, 3):
                called.add(code)
        assert {one.code for one in (await today(stage.db, None, now)).missed_doses} == called
        seen.add(frozenset(called))
    assert seen == {frozenset(), frozenset({"P-900"}), frozenset({"P-001", "P-900"})}


async def test_missed_doses_are_counted_since_the_last_one_that_was_answered(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    found = await today(stage.db, None, cairo("2026-11-28 23:00"))
    assert found.missed_doses == (MissingDoses("P-001", "main", 4, date(2026, 11, 25)),)


async def test_doses_that_are_over_are_nobodys_work_any_more(stage: Stage):
    await stage.joined()
    assert [one.doses for one in (await today(stage.db, None, cairo("2027-01-04 08:00"))).missed_doses] == [68]
    assert (await today(stage.db, None, cairo("2027-01-05 12:00"))).missed_doses == ()


async def test_who_paused_or_left_misses_nothing(stage: Stage, elsewhere):
    patient_id = await patient_id_of(stage.db, "P-900")
    await change_status(
        stage.db, patient_id=patient_id, status=PatientStatus.PAUSED, actor=SYSTEM, reason="rests", now=FRIDAY
    )
    found = await today(stage.db, None, FRIDAY)
    assert (found.silent, found.missed_doses) == ((), ())


async def test_one_day_of_silence_is_told_from_an_answer_of_the_same_day(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")

    async def days(now):
        async with stage.db.read() as conn:
            return [one.days for one in await silences(conn, now=now, at_least=1, site_ids=None)]

    # The evening's rating was missed, on a day with an answer.
    assert await days(cairo("2026-11-25 12:00")) == []
    assert await days(cairo("2026-11-25 23:00")) == [1]


async def test_silence_counts_days_where_a_journey_shifts_them(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-25 08:00")
    await say(stage, amina.id, "pain 2026-11-24", scored(3), "2026-11-24 20:05")
    await choose_zone(stage.db, patient_id=amina.id, zone="Pacific/Kiritimati", actor=SYSTEM, now=now)
    for hours in range(0, 6 * 24, 4):
        moment = now + timedelta(hours=hours)
        async with stage.db.read() as conn:
            closed = await closed_slots(conn, amina.id, now=moment)
        rule = bool(alerts._silent(closed, 3))
        assert bool(await silent(stage.db, None, moment)) == rule


async def test_the_figures_of_a_day_are_those_of_the_patients_own_day(stage: Stage, amina):
    counts = (await today(stage.db, None, FRIDAY)).day_counts
    assert (counts.today, counts.yesterday) == (Figures(open=1), Figures(late=1, missed=1))

    later = await stage.joined("P-002", chat=1002)
    await choose_zone(stage.db, patient_id=later.id, zone="Asia/Tokyo", actor=SYSTEM, now=cairo("2026-11-24 01:00"))
    # Midnight in Tokyo: the 28th has begun there, while in Cairo it is the afternoon of the 27th.
    counts = (await today(stage.db, None, at("2026-11-27 15:00"))).day_counts
    assert counts.yesterday == Figures(late=1, missed=2, open=1)


async def test_outages_of_the_last_week_are_shown_the_newest_first_with_what_they_touched_here(
    stage: Stage, elsewhere
):
    async with stage.db.write() as conn:
        audit = await write_audit(conn, Audit(FRIDAY, SYSTEM, "outage"))
        for days in (8, 6, 1):
            ended = FRIDAY - timedelta(days=days)
            began = ended - timedelta(hours=1)
            await service.add_outage(
                conn, kind="service", began_at=began, ended_at=ended, touched={1: days, 2: 9}, audit=audit
            )
    for scope, more in ((None, 9), (frozenset({1}), 0), (frozenset({1, 2}), 9), (frozenset({3}), None)):
        found = [one.slots_touched for one in (await today(stage.db, scope, FRIDAY)).outages]
        assert found == ([0, 0] if more is None else [1 + more, 6 + more])
