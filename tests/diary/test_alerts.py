"""The rules that call staff, worked out by hand, and whom they call."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

import diary.alerts
from diary import SYSTEM, Actor, PatientStatus
from diary.alerts import (
    close_alert,
    evaluate_everybody,
    evaluate_rules,
    note_reachable,
    note_unreachable,
    see_alert,
)
from diary.answers import TAKEN, Arrival, correct_answer, not_taken, record_answer, scored
from diary.enrolment import change_status
from diary.joining import join
from diary.notes import keep_note, pass_note_on, text_of_note
from diary.team import add_site, add_staff
from protocol.errors import NotAllowedError, UnknownCodeError
from storage import contacts, tables
from storage import slots as ledger
from storage.alerts import alerts
from tests.cast import BOT, START, T0, Stage, cairo

DAY = timedelta(days=1)
EVENING = cairo("2026-11-24 20:10")


async def raised(stage):
    async with stage.db.read() as conn:
        return [alert.rule for alert in reversed(await alerts(conn, open_only=False))]


async def told(stage):
    async with stage.db.read() as conn:
        n = tables.notices
        rows = await conn.execute(select(n.c.staff_id, n.c.details).where(n.c.kind == "alert").order_by(n.c.id))
        return [(row.staff_id, row.details["rule"]) for row in rows]


async def days(stage, patient, scores, *, first=START, doses=True):
    """Live day by day: a score each evening (None for silence), the infusion each noon; rules looked at hourly."""
    for n, score in enumerate(scores):
        for hour in range(24):
            now = cairo(f"{first + n * DAY} 00:30") + timedelta(hours=hour)
            if hour == 12 and doses:
                await say(stage, patient, "infusion", first + n * DAY, TAKEN, now)
            if hour == 20 and score is not None:
                await say(stage, patient, "pain", first + n * DAY, scored(score), now)
            if hour in (0, 12, 21, 23):
                await evaluate_rules(stage.db, patient_id=patient.id, now=now)


async def say(stage, patient, item, on, answer, now):  # noqa: PLR0917 - read as a sentence
    async with stage.db.read() as conn:
        slots = await ledger.slots_of_patient(conn, patient.id, now=now, from_date=on, to_date=on)
    slot = next(slot for slot in slots if slot.item == item)
    return await record_answer(
        stage.db, patient_id=patient.id, slot_id=slot.id, answer=answer, arrival=Arrival("button", now), now=now
    )


# --- the rules ------------------------------------------------------------------------------------------------


async def test_three_silent_days_and_three_missed_doses_call_once_each(stage: Stage):
    amina = await stage.joined()
    await days(stage, amina, [None] * 3, doses=False)
    # The third day counts from 23:00 on, when the window of its infusion has closed.
    assert sorted(await raised(stage)) == ["missed-doses", "silent-days"]
    await days(stage, amina, [None] * 5, first=START + 3 * DAY, doses=False)
    assert sorted(await raised(stage)) == ["missed-doses", "silent-days"]


async def test_an_answer_ends_a_silence_and_the_next_one_calls_again(stage: Stage):
    amina = await stage.joined()
    await days(stage, amina, [None, None, None, None, 3, None, None, None, None], doses=False)
    rules = await raised(stage)
    assert rules.count("silent-days") == 2
    assert rules.count("missed-doses") == 1  # no dose was answered in between


async def test_two_silent_days_call_nobody(stage: Stage):
    amina = await stage.joined()
    await days(stage, amina, [None, None, 2, None, None, 2], doses=False)
    assert "silent-days" not in await raised(stage)


async def test_a_silence_of_four_months_is_one_call(stage: Stage):
    amina = await stage.joined()
    for day in range(120):
        await evaluate_rules(stage.db, patient_id=amina.id, now=cairo("2026-11-24 13:00") + day * DAY)
    assert sorted(await raised(stage)) == ["missed-doses", "silent-days"]


async def test_a_dose_said_not_to_be_taken_is_answered_and_not_missed(stage: Stage):
    amina = await stage.joined()
    for n in range(4):
        now = cairo(f"{START + n * DAY} 12:00")
        await say(stage, amina, "infusion", START + n * DAY, not_taken("unwell"), now)
        await evaluate_rules(stage.db, patient_id=amina.id, now=now + timedelta(hours=11, minutes=30))
    assert "missed-doses" not in await raised(stage)


@pytest.mark.parametrize(
    ("scores", "calls"),
    [
        ([8, 8, 8], 1),
        ([9, 8, 10], 1),
        ([8, 8, 7], 0),
        ([8, 8], 0),
        ([8, 8, 8, 9, 8, 8], 1),
        ([8, 8, 8, 5, 8, 8, 8], 2),
        ([8, None, 8, 8], 1),  # a day without a rating neither counts nor breaks the run
    ],
)
async def test_strong_pain_on_three_rated_days_calls_once_a_stretch(stage: Stage, scores, calls):
    amina = await stage.joined()
    await days(stage, amina, scores)
    assert (await raised(stage)).count("pain-at-least") == calls


@pytest.mark.parametrize(
    ("scores", "calls"),
    [([2, 6], 1), ([2, 5], 0), ([2, 4, 6], 0), ([6, 2], 0), ([1, 5, 1, 5], 2), ([1, None, 7], 1), ([0, 10, 10], 1)],
)
async def test_pain_that_jumps_by_four_calls_once_a_jump(stage: Stage, scores, calls):
    amina = await stage.joined()
    await days(stage, amina, scores)
    assert (await raised(stage)).count("pain-jump") == calls


async def test_a_corrected_score_is_the_one_that_counts(stage: Stage):
    amina = await stage.joined()
    await days(stage, amina, [2])
    now = cairo("2026-11-25 20:10")
    done = await say(stage, amina, "pain", START + DAY, scored(9), now)
    await correct_answer(
        stage.db,
        patient_id=amina.id,
        slot_id=done.slot.id,
        answer=scored(3),
        reason="wrong button",
        arrival=Arrival("button", now),
        now=now,
    )
    assert await evaluate_rules(stage.db, patient_id=amina.id, now=now) == []


async def test_nobody_is_called_about_somebody_who_is_paused(stage: Stage):
    amina = await stage.joined()
    await days(stage, amina, [None, None], doses=False)
    now, status = cairo("2026-11-26 08:00"), PatientStatus.PAUSED
    await change_status(stage.db, patient_id=amina.id, status=status, actor=SYSTEM, reason="r", now=now)
    assert await evaluate_everybody(stage.db, now=cairo("2026-12-20 08:00")) == 0


async def test_everybody_is_looked_at(stage: Stage):
    await stage.joined()
    await stage.joined("P-002", chat=1002)
    await stage.add("P-003")
    assert await evaluate_everybody(stage.db, now=cairo("2026-11-27 13:00")) == 4  # two silent, each by two rules
    assert await evaluate_everybody(stage.db, now=cairo("2026-11-27 13:00")) == 0


async def test_one_patient_whose_rules_fail_stops_no_other(stage: Stage, monkeypatch):
    amina = await stage.joined()
    await stage.joined("P-002", chat=1002)
    evaluate = diary.alerts.evaluate_rules

    async def fail_for_amina(db, *, patient_id, now):
        if patient_id == amina.id:
            raise RuntimeError
        return await evaluate(db, patient_id=patient_id, now=now)

    monkeypatch.setattr(diary.alerts, "evaluate_rules", fail_for_amina)
    assert await evaluate_everybody(stage.db, now=cairo("2026-11-27 13:00")) == 2


# --- whom they call -------------------------------------------------------------------------------------------


async def staff_of(stage, code, role, sites, chat):
    invite = await add_staff(stage.db, code=code, role=role, sites=sites, language="en", actor=SYSTEM, now=T0)
    if chat is not None:
        person = await join(stage.db, bot_id=BOT, chat_id=chat, token=invite.token, now=T0)
        return person.staff.id
    return None


async def side_effect(stage, patient, key="m1", text="my heart races"):
    return await keep_note(
        stage.db,
        patient_id=patient.id,
        kind="side-effect",
        text=text,
        arrival=Arrival("text", EVENING, EVENING),
        key=key,
        now=EVENING,
    )


async def test_a_side_effect_reaches_those_of_the_site_who_take_alerts_and_nobody_else(stage: Stage):
    await add_site(stage.db, code="other", name="Other", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    amina = await stage.joined()
    here = [
        await staff_of(stage, "coordinator", "coordinator", ["main"], 2101),
        await staff_of(stage, "investigator", "investigator", ["main", "other"], 2102),
        await staff_of(stage, "administrator", "administrator", [], 2103),
    ]
    await staff_of(stage, "elsewhere", "coordinator", ["other"], 2104)
    await staff_of(stage, "monitor", "monitor", ["main"], 2105)
    await staff_of(stage, "statistician", "statistician", ["main"], 2106)
    await staff_of(stage, "administrator-there", "administrator", ["other"], 2107)
    await staff_of(stage, "not-joined", "coordinator", ["main"], None)

    await side_effect(stage, amina)
    assert sorted(await told(stage)) == sorted((staff_id, "side-effect") for staff_id in here)


async def test_a_side_effect_told_twice_by_the_same_message_calls_once(stage: Stage):
    amina = await stage.joined()
    await stage.nurse()
    first, replay = await side_effect(stage, amina), await side_effect(stage, amina)
    second = await side_effect(stage, amina, key="m2")
    assert first == replay != second
    assert await raised(stage) == ["side-effect", "side-effect"]
    assert len(await told(stage)) == 2


async def test_a_notice_carries_a_code_and_no_words_of_the_patient(stage: Stage):
    amina = await stage.joined()
    await stage.nurse()
    await side_effect(stage, amina, text="call me on 0100 555")
    async with stage.db.read() as conn:
        (details,) = (await conn.execute(select(tables.notices.c.details))).scalars()
        (alert,) = await alerts(conn)
    assert details == {"alert": alert.id, "rule": "side-effect", "code": "P-001", "note": alert.details["note"]}
    assert await text_of_note(stage.db, details["note"]) == "call me on 0100 555"


async def test_what_could_not_be_read_is_kept_and_calls_nobody_until_it_is_passed_on(stage: Stage):
    amina = await stage.joined()
    basma = await stage.joined("P-002", chat=1002)
    kept = await keep_note(
        stage.db,
        patient_id=amina.id,
        kind="unread",
        text="7.5",
        arrival=Arrival("text", EVENING, EVENING),
        key="m1",
        now=EVENING,
    )
    assert await raised(stage) == []

    async def pass_on(patient):
        return await pass_note_on(
            stage.db, patient_id=patient.id, note_id=kept.note_id, side_effect=True, now=EVENING
        )

    assert [await pass_on(basma), await pass_on(amina), await pass_on(amina)] == [False, True, False]
    assert await raised(stage) == ["side-effect"]


async def test_a_note_is_dated_where_the_patient_is(stage: Stage):
    amina = await stage.joined()
    said = cairo("2026-11-25 00:30")  # still the 24th in UTC
    await keep_note(
        stage.db, patient_id=amina.id, kind="note", text="t", arrival=Arrival("text", said, said), key="k", now=said
    )
    async with stage.db.read() as conn:
        n = tables.notes
        row = (await conn.execute(select(n.c.local_date, n.c.zone, n.c.utc_offset_minutes))).one()
    assert tuple(row) == (date(2026, 11, 25), "Africa/Cairo", 120)


async def test_a_patients_own_pause_calls_and_that_of_staff_does_not(stage: Stage):
    amina = await stage.joined()
    moves = [
        (PatientStatus.PAUSED, SYSTEM),
        (PatientStatus.ACTIVE, SYSTEM),
        (PatientStatus.PAUSED, Actor("patient", amina.id)),
        (PatientStatus.ACTIVE, Actor("patient", amina.id)),
        (PatientStatus.WITHDRAWN, Actor("patient", amina.id)),
    ]
    for n, (status, actor) in enumerate(moves):
        now = T0 + timedelta(hours=n)
        await change_status(stage.db, patient_id=amina.id, status=status, actor=actor, reason="r", now=now)
    assert await raised(stage) == ["paused", "withdrawn"]


async def test_a_blocked_chat_calls_once_until_it_opens_and_the_call_was_dealt_with(stage: Stage):
    amina = await stage.joined()
    nour = await stage.actor()
    async with stage.db.read() as conn:
        contact = await contacts.contact_of_patient(conn, amina.id)
    for n in range(3):
        now = EVENING + n * DAY
        await note_unreachable(stage.db, contact_id=contact.id, reachable="blocked", now=now)
    assert await raised(stage) == ["unreachable"]
    for n in (3, 4):  # opened and blocked again while the first call waits for somebody
        await note_reachable(stage.db, contact_id=contact.id, now=EVENING + n * DAY)
        await note_unreachable(stage.db, contact_id=contact.id, reachable="gone", now=EVENING + n * DAY)
    assert await raised(stage) == ["unreachable"]
    async with stage.db.read() as conn:
        (alert,) = await alerts(conn)
    await close_alert(stage.db, alert_id=alert.id, actor=nour, now=EVENING + 4 * DAY)
    await note_reachable(stage.db, contact_id=contact.id, now=EVENING + 5 * DAY)
    await note_unreachable(stage.db, contact_id=contact.id, reachable="gone", now=EVENING + 6 * DAY)
    assert await raised(stage) == ["unreachable", "unreachable"]


def nurse(member_id, *sites, role="coordinator"):
    return Actor("staff", member_id, role=role, sites=frozenset(sites))


async def test_whoever_sees_an_alert_first_owns_it(stage: Stage):
    amina = await stage.joined()
    nour = await stage.nurse()
    omar = await stage.nurse("omar", chat=2003)
    await side_effect(stage, amina)
    async with stage.db.read() as conn:
        (alert,) = await alerts(conn)
    for who in (nour, omar):
        seen = await see_alert(stage.db, alert_id=alert.id, actor=nurse(who, amina.site_id), now=EVENING)
        assert seen.seen_by == nour
    later = EVENING + DAY
    for n, who in enumerate((omar, nour)):
        when = later + n * DAY
        done = await close_alert(stage.db, alert_id=alert.id, actor=nurse(who, amina.site_id), now=when)
        assert (done.seen_by, done.seen_at, done.done_by, done.done_at) == (nour, EVENING, omar, later)
    async with stage.db.read() as conn:
        trail = (await conn.execute(select(tables.audit.c.verb, tables.audit.c.actor_id))).all()
    assert [tuple(row) for row in trail if "alert" in row.verb] == [
        ("raise alert", None),
        ("see alert", nour),
        ("close alert", omar),
    ]


async def test_an_alert_of_another_site_is_none_at_all(stage: Stage):
    amina = await stage.joined()
    await side_effect(stage, amina)
    async with stage.db.read() as conn:
        (alert,) = await alerts(conn)
    for alert_id, site in ((alert.id, amina.site_id + 1), (999, amina.site_id)):
        for verb in (see_alert, close_alert):
            with pytest.raises(UnknownCodeError, match="no such alert"):
                await verb(stage.db, alert_id=alert_id, actor=nurse(1, site), now=EVENING)
    with pytest.raises(NotAllowedError, match="A monitor may not take alerts"):
        await see_alert(stage.db, alert_id=alert.id, actor=nurse(1, amina.site_id, role="monitor"), now=EVENING)
