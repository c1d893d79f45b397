import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from diary import SYSTEM
from diary.alerts import close_alert, note_unreachable, raise_alert, see_alert
from diary.answers import Arrival
from diary.calling import ask_for_digests, remind_of_alerts
from diary.joining import join
from diary.notes import keep_note
from diary.protocols import adopt_protocol
from diary.roles import actor_called
from diary.team import add_site, add_staff
from protocol.load import load_protocol, read_protocol
from schedules.dispatcher import send_notices
from schedules.sending import PutBack
from storage import tables
from tests.cast import BOT, T0, Stage, cairo
from tests.schedules.senders import FakeSender

HOUR = timedelta(hours=1)


async def told(stage, kind="alert"):
    """Which members were to be told what, by code and key."""
    n, s = tables.notices, tables.staff
    async with stage.db.read() as conn:
        query = select(s.c.code, n.c.key, n.c.next_try_at).join(s, s.c.id == n.c.staff_id)
        rows = await conn.execute(query.where(n.c.kind == kind).order_by(n.c.id))
        return [(row.code, row.key, row.next_try_at) for row in rows]


async def team(stage):
    return {
        "nour": await stage.nurse("nour", chat=2001),
        "ines": await stage.nurse("ines", chat=2002, role="investigator"),
        "root": await stage.nurse("root", chat=2003, role="administrator"),
        "mona": await stage.nurse("mona", chat=2004, role="monitor"),
    }


async def silence(stage, patient, *, now=T0):
    async with stage.db.write() as conn:
        return await raise_alert(conn, patient_id=patient.id, rule="silent-days", key="k", details={}, now=now)


async def test_a_side_effect_reaches_everybody_who_takes_alerts_at_once(stage: Stage):
    amina = await stage.joined()
    await team(stage)
    await stage.alert(amina)
    assert [code for code, _, _ in await told(stage)] == ["ines", "nour", "root"]


async def test_anything_else_reaches_the_coordinators_first_and_the_next_when_nobody_takes_it(stage: Stage):
    amina = await stage.joined()
    await team(stage)
    await silence(stage, amina)
    assert [code for code, _, _ in await told(stage)] == ["nour"]
    assert await remind_of_alerts(stage.db, now=T0 + 4 * HOUR - timedelta(seconds=1)) == 0
    assert await remind_of_alerts(stage.db, now=T0 + 4 * HOUR) == 1
    assert await remind_of_alerts(stage.db, now=T0 + 9 * HOUR) == 0
    assert [(code, key.endswith("reminder")) for code, key, _ in await told(stage)] == [
        ("nour", False),
        ("ines", True),
        ("root", True),
    ]


async def test_who_took_an_alert_in_time_spares_the_others(stage: Stage):
    amina = await stage.joined()
    ids = await team(stage)
    alert_id = await silence(stage, amina)
    nour = await actor_called(stage.db, ids["nour"])
    await see_alert(stage.db, alert_id=alert_id, actor=nour, now=T0 + HOUR)
    assert await remind_of_alerts(stage.db, now=T0 + 24 * HOUR) == 0


async def test_where_no_coordinator_can_be_reached_the_investigators_are_first(stage: Stage):
    amina = await stage.joined()
    ids = await team(stage)
    await blocks(stage, ids["nour"])
    await silence(stage, amina)
    assert [code for code, _, _ in await told(stage)] == ["ines"]


async def test_where_nobody_else_is_there_the_same_people_are_reminded(stage: Stage):
    amina = await stage.joined()
    await stage.nurse()
    await silence(stage, amina)
    await remind_of_alerts(stage.db, now=T0 + 5 * HOUR)
    assert [code for code, _, _ in await told(stage)] == ["nour", "nour"]


async def reminded(stage):
    return [code for code, key, _ in await told(stage) if key.endswith("reminder")]


async def blocks(stage, staff_id):
    """A member's chat cannot be written to any more."""
    async with stage.db.read() as conn:
        found = await conn.execute(select(tables.contacts.c.id).where(tables.contacts.c.staff_id == staff_id))
        contact_id = found.scalar_one()
    await note_unreachable(stage.db, contact_id=contact_id, reachable="blocked", now=T0)


async def test_who_was_told_and_cannot_be_reached_since_does_not_stand_before_the_investigators(stage: Stage):
    amina = await stage.joined()
    ids = await team(stage)
    await silence(stage, amina)
    await blocks(stage, ids["nour"])
    await remind_of_alerts(stage.db, now=T0 + 4 * HOUR)
    assert await reminded(stage) == ["ines", "root"]


async def test_where_no_message_reaches_the_next_ones_everybody_is_reminded(stage: Stage):
    amina = await stage.joined()
    ids = await team(stage)
    await silence(stage, amina)
    await blocks(stage, ids["ines"])
    await blocks(stage, ids["root"])
    await remind_of_alerts(stage.db, now=T0 + 4 * HOUR)
    assert await reminded(stage) == ["ines", "nour", "root"]


async def test_a_side_effect_that_nobody_takes_reminds_all_who_were_told(stage: Stage):
    amina = await stage.joined()
    await team(stage)
    await stage.alert(amina)
    await remind_of_alerts(stage.db, now=T0 + 4 * HOUR)
    assert await reminded(stage) == ["ines", "nour", "root"]


async def test_of_two_who_remind_at_once_each_member_hears_once(stage: Stage):
    amina = await stage.joined()
    await team(stage)
    await silence(stage, amina)
    counts = await asyncio.gather(*(remind_of_alerts(stage.db, now=T0 + 4 * HOUR) for _ in range(2)))
    assert sorted(counts) == [0, 1]
    assert await reminded(stage) == ["ines", "root"]


async def test_at_night_only_a_side_effect_reminds(stage: Stage):
    amina = await stage.joined()
    await team(stage)
    evening = cairo("2026-11-23 21:00")
    await silence(stage, amina, now=evening)
    await stage.alert(amina, now=evening)
    assert await remind_of_alerts(stage.db, now=cairo("2026-11-24 02:00")) == 1  # the side effect
    assert await remind_of_alerts(stage.db, now=cairo("2026-11-24 06:59")) == 0
    assert await remind_of_alerts(stage.db, now=cairo("2026-11-24 07:00")) == 1


async def goes_out(stage, at):
    """The notices of alerts that are sent at a moment, by the rule they tell of."""
    sender = FakeSender()
    while await send_notices(stage.db, sender, now=cairo(at)):
        pass
    return [notice.details["rule"] for notice in sender.handed if notice.kind == "alert"]


async def test_at_night_only_a_side_effect_wakes_anybody(stage: Stage):
    amina = await stage.joined()
    await stage.nurse()
    night = cairo("2026-11-24 03:00")
    await silence(stage, amina, now=night)
    await keep_note(
        stage.db, patient_id=amina.id, kind="note", text="hot", arrival=Arrival("text", night), key="k", now=night
    )
    await stage.alert(amina, now=night)
    assert await goes_out(stage, "2026-11-24 03:00") == ["side-effect"]
    assert await goes_out(stage, "2026-11-24 06:59") == []
    assert sorted(await goes_out(stage, "2026-11-24 07:00")) == ["note", "silent-days"]


async def test_a_reminder_that_a_break_held_up_until_the_night_waits_for_the_morning(stage: Stage):
    amina = await stage.joined()
    await stage.nurse()
    await silence(stage, amina)
    assert await goes_out(stage, "2026-11-23 10:00") == ["silent-days"]
    assert await remind_of_alerts(stage.db, now=cairo("2026-11-24 02:00")) == 1
    assert await goes_out(stage, "2026-11-24 02:00") == []
    assert await goes_out(stage, "2026-11-24 07:00") == ["silent-days"]


async def test_what_is_dealt_with_before_the_morning_is_not_told_any_more(stage: Stage):
    amina = await stage.joined()
    nour = await stage.actor()
    alert_id = await silence(stage, amina, now=cairo("2026-11-24 03:00"))
    await close_alert(stage.db, alert_id=alert_id, actor=nour, now=cairo("2026-11-24 06:00"))
    assert await goes_out(stage, "2026-11-24 07:00") == []
    assert await goes_out(stage, "2026-11-24 09:00") == []


async def test_a_reminder_of_what_somebody_took_meanwhile_is_not_sent(stage: Stage):
    amina = await stage.joined()
    nour = await stage.actor()
    alert_id = await silence(stage, amina)
    assert await goes_out(stage, "2026-11-23 10:00") == ["silent-days"]
    await remind_of_alerts(stage.db, now=T0 + 4 * HOUR)
    await see_alert(stage.db, alert_id=alert_id, actor=nour, now=T0 + 4 * HOUR)
    assert await goes_out(stage, "2026-11-23 14:00") == []


async def test_a_member_who_may_no_longer_take_alerts_is_not_told_of_one_on_its_way(stage: Stage):
    amina = await stage.joined()
    nour = await stage.nurse()
    await silence(stage, amina)
    async with stage.db.write() as conn:
        staff = tables.staff
        await conn.execute(update(staff).where(staff.c.id == nour).values(role="monitor"))
    assert await goes_out(stage, "2026-11-23 10:00") == []


@pytest.mark.parametrize(("clock", "count"), [("07:59", 0), ("08:00", 3), ("11:59", 3), ("12:00", 0), ("20:00", 0)])
async def test_the_digest_comes_in_the_morning_of_the_site_and_not_after_noon(stage: Stage, clock, count):
    await team(stage)
    await ask_for_digests(stage.db, now=cairo(f"2026-11-24 {clock}"))
    assert len(await told(stage, "digest")) == count


async def test_the_digest_comes_once_a_day_however_often_it_is_asked_for(stage: Stage):
    await team(stage)
    for day in (24, 25):
        for minute in (0, 1, 59):
            await ask_for_digests(stage.db, now=cairo(f"2026-11-{day} 08:{minute:02}"))
    keys = [key for code, key, _ in await told(stage, "digest") if code == "nour"]
    assert keys == ["digest:2026-11-24", "digest:2026-11-25"]


@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25"])  # 02:30 in Berlin: does not exist, is there twice
async def test_a_clock_change_neither_doubles_nor_skips_a_digest(stage: Stage, change):
    at_night = load_protocol("magnesium-clbp").text.replace("[trial]", '[trial]\ndigest_at = "02:30"', 1)
    await adopt_protocol(stage.db, read_protocol("trial.toml", at_night), now=T0)
    await add_site(stage.db, code="berlin", name="Berlin", timezone="Europe/Berlin", actor=SYSTEM, now=T0)
    invite = await add_staff(
        stage.db, code="beate", role="coordinator", sites=["berlin"], language="en", actor=SYSTEM, now=T0
    )
    await join(stage.db, bot_id=BOT, chat_id=3001, token=invite.token, now=T0)
    middle = datetime.fromisoformat(f"{change} 12:00").replace(tzinfo=UTC)
    for quarter in range(-4 * 36, 4 * 36):
        await ask_for_digests(stage.db, now=middle + quarter * HOUR / 4)
    days = [(middle + timedelta(days=day)).date() for day in (-1, 0, 1)]
    assert [key for _, key, _ in await told(stage, "digest")] == [f"digest:{day}" for day in days]


async def test_a_digest_that_was_held_up_is_not_sent_after_noon(stage: Stage):
    await team(stage)
    await ask_for_digests(stage.db, now=cairo("2026-11-24 11:58"))
    sender = FakeSender(PutBack(timedelta(minutes=1), "flood"))
    await send_notices(stage.db, sender, now=cairo("2026-11-24 11:59"))
    handed = len(sender.handed)
    await send_notices(stage.db, sender, now=cairo("2026-11-24 12:00"))
    assert (handed, len(sender.handed)) == (3, 3)


async def test_a_member_of_several_sites_gets_one_digest(stage: Stage):
    await add_site(stage.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    await team(stage)
    await add_staff(
        stage.db, code="both", role="coordinator", sites=["main", "north"], language="en", actor=SYSTEM, now=T0
    )
    await ask_for_digests(stage.db, now=cairo("2026-11-24 08:00"))
    assert [code for code, _, _ in await told(stage, "digest")].count("root") == 1
