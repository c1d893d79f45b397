"""Breaks in service, journeys, clock changes and changed protocols: asked once, by day, and never for nothing."""

import re
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from diary import SYSTEM, Actor, PatientStatus
from diary.enrolment import add_patient, change_status, patient_id_of
from diary.joining import choose_zone, who_is
from diary.protocols import adopt_protocol
from diary.service import record_outage
from protocol.calendar import zone_of
from protocol.load import load_protocol
from rehearsal import faults
from storage import tables
from tests.cast import T0, Stage, at, cairo
from tests.stories.scenes import MINUTE, asked, entries_of, only_pain, questions, receipts, serving
from tests.stories.test_answering import PAIN
from tests.world import World, living

pytestmark = pytest.mark.usefixtures("short_pauses")

EVENING = cairo("2026-11-24 20:00")
DOSE = "Have you taken this capsule?"
OUT = "The diary was out of service"


def reasks(person):
    return [m for m in person.screen() if m.text.startswith(OUT)]


async def outage(world: World, began: datetime, ended: datetime):
    world.clock.move_to(ended)
    count = await record_outage(world.db, kind="intake", began_at=began, ended_at=ended, now=ended)
    await world.tick()
    return count


@pytest.mark.parametrize("minutes", [2, 10, 24 * 60, 26 * 60])
async def test_after_a_break_of_any_length_there_is_one_message_by_day_that_says_why(world: World, minutes):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 09:30"))
    await world.tap(amina, "Taken")
    began = EVENING - MINUTE  # the rating falls due while nobody can ask
    world.clock.move_to(began)
    await outage(world, began, began + timedelta(minutes=minutes))
    await world.go_to(began + timedelta(minutes=minutes + 20))

    (again,) = reasks(amina)
    assert PAIN in again.text or "pain rating" in again.text or minutes > 16 * 60
    assert "from today 19:59" in again.text or "19:59" in again.text
    for m in amina.screen():
        assert m.mine or 7 <= m.at.astimezone(zone_of("Africa/Cairo")).hour < 22.5


async def test_the_ladder_goes_on_after_the_merged_message(world: World):
    amina = await asked(world)
    await outage(world, EVENING + 40 * MINUTE, EVENING + 50 * MINUTE)
    assert len(reasks(amina)) == 1
    await world.go_to(EVENING + 100 * MINUTE)

    assert [m.at - EVENING for m in questions(amina)[1:]] == [50 * MINUTE, 90 * MINUTE]


async def test_several_breaks_in_one_night_are_one_message_in_the_morning(world: World):
    amina = await asked(world)
    first = cairo("2026-11-24 23:00")
    for hours in (0, 1, 3):
        began = first + timedelta(hours=hours)
        await outage(world, began, began + 5 * MINUTE)
    await world.go_to(cairo("2026-11-25 08:30"))

    (again,) = reasks(amina)
    assert again.at == cairo("2026-11-25 07:00")
    assert "23:00" in again.text


async def test_what_was_asked_a_moment_before_the_break_was_noticed_is_not_asked_again(world: World):
    amina = await asked(world)
    await outage(world, EVENING - 10 * MINUTE, EVENING + timedelta(seconds=20))

    assert reasks(amina) == []
    assert len(questions(amina)) == 1


async def test_a_break_does_not_wake_somebody_who_travels(world: World):
    amina = await asked(world)
    await moved(world, "Asia/Tokyo")  # 03:00 there
    await outage(world, EVENING - 10 * MINUTE, EVENING + 10 * MINUTE)
    assert reasks(amina) == []
    await world.go_to(cairo("2026-11-25 08:00"))

    tokyo = [m.at.astimezone(zone_of("Asia/Tokyo")) for m in questions(amina)[1:]]
    assert tokyo
    assert all(7 <= t.hour < 23 for t in tokyo)


async def test_a_merged_message_that_telegram_put_off_does_not_go_out_at_night(world: World):
    amina = await asked(world)
    ended = cairo("2026-11-24 22:25")
    world.telegram.faults.always(faults.unreachable(), method="sendMessage", chat_id=amina.id)
    await outage(world, ended - 30 * MINUTE, ended)
    await world.go_to(cairo("2026-11-24 22:55"))
    world.telegram.faults.clear()
    await world.go_to(cairo("2026-11-25 06:59"))
    assert reasks(amina) == []
    await world.go_to(cairo("2026-11-25 07:30"))

    assert len(reasks(amina)) == 1


async def test_a_pause_while_a_merged_message_waits_withholds_it(world: World):
    amina = await asked(world)
    await outage(world, cairo("2026-11-24 23:00"), cairo("2026-11-24 23:30"))
    await stand(world, PatientStatus.PAUSED)
    await world.go_to(cairo("2026-11-25 07:10"))
    assert reasks(amina) == []
    await stand(world, PatientStatus.ACTIVE)
    await world.tick()

    assert not any(m.labels for m in reasks(amina))  # what was open went with the pause


async def test_who_leaves_while_a_merged_message_waits_hears_nothing(world: World):
    amina = await asked(world)
    await outage(world, cairo("2026-11-24 23:00"), cairo("2026-11-24 23:30"))
    await stand(world, PatientStatus.WITHDRAWN)
    seen = len(amina.screen())
    await world.go_to(cairo("2026-11-27 12:00"))

    assert len(amina.screen()) == seen


async def test_who_blocks_while_a_merged_message_waits_is_asked_once_on_return(world: World):
    amina = await asked(world)
    await outage(world, cairo("2026-11-24 23:00"), cairo("2026-11-24 23:30"))
    amina.block()
    await world.settle()
    await world.go_to(cairo("2026-11-25 06:30"))
    seen = len(amina.screen())
    amina.unblock()
    await world.settle()
    await world.go_to(cairo("2026-11-25 08:30"))

    assert len([m for m in amina.screen()[seen:] if PAIN in m.text or OUT in m.text]) == 1


async def test_who_blocks_through_it_all_is_asked_on_return_for_what_fell_due_meanwhile(world: World):
    amina = await world.patient()
    await only_pain(world)
    world.clock.move_to(EVENING - MINUTE)
    amina.block()
    await world.settle()
    await outage(world, EVENING - MINUTE, EVENING + 10 * MINUTE)
    await world.go_to(cairo("2026-11-25 08:30"))
    amina.unblock()
    await world.settle()
    await world.tick()

    assert amina.last.text.startswith(PAIN)


async def test_an_answer_that_an_outage_made_late_is_marked_so(stopped: World):
    world = stopped
    async with serving(world, watches_outages=True):
        amina = await asked(world)
        question = amina.last
    world.clock.move_to(EVENING + timedelta(hours=3))  # 23:00, an hour too late to be on time
    amina.tap("7", message=question)
    world.clock.move_to(EVENING + timedelta(hours=3, seconds=100))
    async with serving(world, watches_outages=True):
        await world.settle()
        await world.go_to(cairo("2026-11-25 09:00"))

        assert await entries_of(world) == [("score", 7, "after outage")]
        assert await outages(world) == 1
        assert not any(m.labels for m in reasks(amina))  # answered: nothing to ask again


async def test_a_break_across_a_restart_is_noticed_and_asked_for_once(stopped: World):
    world = stopped
    async with serving(world, watches_outages=True):
        amina = await asked(world)
    for minutes in (10, 12, 30):  # the second is too short to be an outage
        world.clock.move_to(EVENING + minutes * MINUTE)
        async with serving(world, watches_outages=True):
            await world.tick()
    assert await outages(world) == 2
    assert [m.at - EVENING for m in reasks(amina)] == [10 * MINUTE, 30 * MINUTE]


async def outages(world: World) -> int:
    async with world.db.read() as conn:
        return len((await conn.execute(select(tables.outages.c.id))).all())


async def stand(world: World, status: PatientStatus, code: str = "P-001"):
    await change_status(
        world.db,
        patient_id=await patient_id_of(world.db, code),
        status=status,
        actor=SYSTEM,
        reason="test",
        now=world.clock(),
    )


async def moved(world: World, zone: str, code: str = "P-001"):
    patient_id = await patient_id_of(world.db, code)
    await choose_zone(
        world.db, patient_id=patient_id, zone=zone, actor=Actor("patient", patient_id), now=world.clock()
    )


JOURNEYS = {
    "east across the date line": ("Pacific/Honolulu", "Pacific/Kiritimati"),
    "west across the date line": ("Pacific/Kiritimati", "Pacific/Honolulu"),
    "east": ("Africa/Cairo", "Asia/Tokyo"),
    "west": ("Africa/Cairo", "America/Los_Angeles"),
    "there and back": ("Africa/Cairo", "Pacific/Auckland", "Africa/Cairo"),
}


@pytest.mark.parametrize(("journey", "hour"), [(j, h) for j in JOURNEYS for h in (3, 7, 9, 12, 19, 21, 22)])
async def test_no_journey_brings_two_first_dose_messages_together_or_one_at_night(stage: Stage, journey, hour):
    zones = JOURNEYS[journey]
    async with living(stage) as world:
        amina = await world.patient(timezone=zones[0])
        day = datetime(2026, 12, 10, hour, 5, tzinfo=zone_of(zones[0]))
        await skip_to(world, day - timedelta(days=1))
        told: list[tuple[datetime, str]] = []
        stays = [(day, zones[0])] + [(day + timedelta(hours=14 * n), zone) for n, zone in enumerate(zones[1:])]
        for moment, zone in stays[1:]:
            await world.go_to(moment)
            await moved(world, zone)
        await world.go_to(day + timedelta(days=4))

        def zone_then(moment: datetime) -> str:
            return [zone for since, zone in [(T0, zones[0]), *stays[1:]] if since <= moment][-1]

        told = [(m.at, m.text) for m in amina.screen() if not m.mine and (DOSE in m.text or PAIN in m.text)]
        for moment, text in told:
            local = moment.astimezone(zone_of(zone_then(moment)))
            assert 7 <= local.hour + local.minute / 60 <= 22.67, (local, text)
        firsts: dict[str, datetime] = {}
        for moment, text in told:
            if DOSE in text:
                firsts.setdefault(re.search(r"or (\w{3} \d+ \w{3}, \d\d:\d\d)", text).group(1), moment)
        gaps = [b - a for a, b in zip(list(firsts.values()), list(firsts.values())[1:], strict=False)]
        assert all(gap >= timedelta(hours=6) for gap in gaps), firsts


async def skip_to(world: World, moment: datetime):
    """Live on without the messages on the way."""
    async with world.db.write() as conn:
        s = tables.slots
        await conn.execute(update(s).where(s.c.closes_at <= moment).values(next_nudge_at=None))
    await world.go_to(moment)


CAIRO_NIGHTS = {"spring": date(2026, 4, 24), "autumn": date(2026, 10, 29)}


@pytest.mark.parametrize("night", CAIRO_NIGHTS)
async def test_a_night_in_which_the_clock_changes_asks_for_everything_once(db, night):
    changes = CAIRO_NIGHTS[night]
    stage = Stage(db)
    await stage.set_up()
    began = datetime(2026, changes.month, 1, 8, tzinfo=T0.tzinfo)
    async with living(stage, start=began) as world:
        invite = await add_patient(
            world.db,
            code="P-001",
            start=changes - timedelta(days=16),
            site="main",
            protocol_id=stage.protocol_id,
            timezone=None,
            language="en",
            actor=SYSTEM,
            now=world.clock(),
        )
        amina = world.telegram.person("Amina", language_code="en")
        amina.press_start(world.account, invite.token)
        await world.settle()
        await world.tap(amina, "English", "I agree", "Yes", "20:00")
        await skip_to(
            world,
            datetime(changes.year, changes.month, changes.day, tzinfo=zone_of("Africa/Cairo")) - timedelta(days=1),
        )
        await world.go_to(world.clock() + timedelta(days=3))
        cairo_zone = zone_of("Africa/Cairo")
        firsts = Counter(
            m.at.astimezone(cairo_zone).strftime("%d %H:%M")
            for m in amina.screen()
            if not m.mine and (DOSE in m.text or PAIN in m.text) and "ignore" not in m.text
        )
        days = sorted({key.split()[0] for key in firsts})
        assert set(firsts.values()) == {1}
        assert {f"{d} {t}" for d in days[1:-1] for t in ("09:00", "20:00", "21:00")} <= set(firsts)


async def test_a_changed_protocol_is_for_new_patients_and_old_buttons_still_work(stage: Stage, tmp_path: Path):
    async with living(stage) as world:
        amina = await asked(world)
        file = load_protocol("magnesium-clbp")
        changed = file.text.replace('version = "1"', 'version = "2"').replace(
            "How strong is your pain now?", "And now?"
        )
        path = tmp_path / "changed.toml"
        path.write_text(changed, encoding="utf-8")
        newer = await adopt_protocol(world.db, load_protocol(str(path)), now=world.clock())
        assert newer != stage.protocol_id
        stage.protocol_id = newer
        basma = await world.patient("P-002")
        await world.tap(amina, "7")
        assert await entries_of(world) == [("score", 7, "on time")]
        await world.go_to(cairo("2026-11-25 20:00"))

        assert amina.last.text.startswith(PAIN)
        assert basma.last.text.startswith("And now?")


async def test_sixty_patients_due_in_one_minute_are_each_asked_once_and_answer_once(stage: Stage):
    async with living(stage) as world:
        people = [await world.patient(f"P-{n:03}") for n in range(60)]
        await only_pain(world)
        await world.go_to(EVENING)
        assert [len(questions(p)) for p in people] == [1] * 60
        for n, p in enumerate(people):
            p.tap(str(n % 11))
        await world.telegram.quiet(idle=lambda: world.service.idle, seconds=60)
        assert len(await entries_of(world)) == 60
        await world.go_to(EVENING + 100 * MINUTE)

        assert [len(questions(p)) for p in people] == [0] * 60
        person = await who_is(world.db, bot_id=world.account.profile.id, chat_id=people[7].id)
        assert person.patient.code == "P-007"
        assert at("2026-11-24 18:00") == EVENING
        assert receipts(people[7])
