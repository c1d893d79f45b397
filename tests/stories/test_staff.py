import re
from datetime import timedelta

from diary import SYSTEM
from diary.signing_in import check_link, make_link
from diary.team import add_site, disable_staff, list_staff
from reports.chain import Head, verify_trail
from storage.sends import add_notice
from tests.cast import T0, cairo
from tests.world import World

HOUR = timedelta(hours=1)


async def test_a_nurse_joins_by_her_own_invite_and_is_offered_her_commands(world: World):
    nour = await world.nurse()

    assert nour.sees("Welcome, nour.")
    assert "adherence" in [
        command["command"] for command in world.telegram.calls("setMyCommands")[-1].parameters["commands"]
    ]


async def test_the_figures_name_their_denominators(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.go_to(cairo("2026-11-24 09:00"))
    await world.tap(amina, "Taken")
    await world.go_to(cairo("2026-11-25 12:30"))
    await world.type(nour, "/adherence")

    table = next(m for m in reversed(nour.screen()) if "P-001" in m.text)
    assert "P-001: 1/2 50 %" in table.text  # the infusion answered, the evening missed
    assert nour.last.photo is not None


async def test_one_patient_is_shown_with_state_figures_and_last_answers(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.tap(amina, "7")
    await world.type(nour, "/patient P-001")

    told, picture = nour.screen()[-2:]
    assert "P-001: active" in told.text
    assert "pain 7 (on time)" in told.text
    assert picture.photo is not None
    await world.type(nour, "/patient p-001")
    assert "P-001: active" in nour.screen()[-2].text


async def test_another_sites_patient_does_not_exist(world: World):
    await add_site(world.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    await world.patient()
    other = await world.nurse("omar", site="north")
    for command in ("/patient P-001", "/patient P-999"):
        await world.type(other, command)
        assert other.last.text == "There is no such patient."
    await world.type(other, "/adherence", "/silent", "/alerts")

    assert not other.sees("P-001:")


async def test_a_statistician_sees_no_patients_in_the_chat(world: World):
    await world.patient()
    stella = await world.nurse("stella", role="statistician")
    await world.type(stella, "/patient P-001")
    assert stella.last.text == "Your role does not see patients here. Please use the export."


async def test_adherence_comes_with_the_days_and_the_trial_as_pictures_and_a_statistician_has_the_trial(
    world: World,
):
    await world.patient()
    nour, stella = await world.nurse(), await world.nurse("stella", role="statistician")
    await world.go_to(cairo("2026-11-27 10:00"))
    sent = []
    for member in (nour, stella):
        before = len(member.screen())
        await world.type(member, "/adherence")
        sent.append([message for message in member.screen()[before:] if not message.mine])
    assert [[message.photo is not None for message in one] for one in sent] == [[False, True, True], [False, True]]
    assert ["P-001" in one[0].text for one in sent] == [True, False]
    assert "All: 0/5" in sent[1][0].text


async def test_three_silent_days_call_the_team_once(world: World):
    nour = await world.nurse()
    await world.patient()
    await world.go_to(cairo("2026-12-01 23:00"))

    silent = [m.text.startswith("Nobody has taken") for m in nour.screen() if "has been silent" in m.text]
    assert silent == [False, True]  # and once more, since she did not take it
    await world.type(nour, "/silent")
    assert "P-001: no answer yet" in nour.last.text


async def test_a_member_reads_in_the_chat_what_somebody_else_did_to_their_way_in(world: World):
    nour = await world.nurse()
    member = next(member for member, _ in await list_staff(world.db) if member.code == "nour")
    await make_link(world.db, staff_id=member.id, actor=SYSTEM, now=world.clock())
    await world.tick()
    assert nour.last.text.startswith("Somebody in your team has made a link")


async def test_staff_commands_mean_nothing_in_a_patients_chat(world: World):
    amina = await world.patient()
    await world.type(amina, "/adherence")

    assert "I do not know this command" in amina.last.text


async def test_a_disabled_member_hears_and_sees_nothing(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await disable_staff(world.db, code="nour", actor=SYSTEM, now=world.clock())
    seen = len(nour.screen())
    await world.type(amina, "/sideeffect dizzy")
    await world.go_to(world.clock() + timedelta(hours=1))
    assert len(nour.screen()) == seen
    await world.type(nour, "/patient P-001")

    assert "P-001:" not in nour.last.text


async def test_alerts_come_one_by_one_with_their_words_and_can_be_taken_there(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.type(amina, "/sideeffect dizzy since noon")
    await world.tick()
    await world.type(nour, "/alerts")
    assert "dizzy since noon" in nour.last.text
    await world.tap(nour, "Seen")
    assert "Seen by nour" in nour.last.text
    await world.type(nour, "/alerts")
    assert "Seen by nour" in nour.last.text
    await world.tap(nour, "Done")
    assert "Done, nour" in nour.last.text
    await world.type(nour, "/alerts")
    assert nour.last.text == "No open alerts."


async def test_a_monitor_reads_alerts_and_takes_none(world: World):
    mona, amina = await world.nurse("mona", role="monitor"), await world.patient()
    await world.type(amina, "/sideeffect dizzy")
    await world.type(mona, "/alerts")
    assert "dizzy" in mona.last.text
    assert mona.last.buttons == ()


async def test_the_way_to_the_pages_is_a_link_and_a_copy_of_the_diary_is_no_file_in_the_chat(world: World):
    stella = await world.nurse("stella", role="statistician")
    await world.type(stella, "/dashboard")
    assert "The address of the pages is not set" in stella.last.text
    world.service.chat.pages_url = "https://pages.test"
    for command in ("/dashboard", "/export"):
        await world.type(stella, command)
        token = re.search(r"https://pages\.test/sign-in/([\w-]{20,})", stella.last.text)[1]
        await check_link(world.db, token=token, now=world.clock())
        assert "for 10 minutes" in stella.last.text
    assert world.telegram.calls("sendDocument") == []
    sent = world.telegram.calls("sendMessage")[-1].parameters
    assert sent["link_preview_options"] == {"is_disabled": True}


async def test_a_monitor_gets_no_copy_of_the_diary(world: World):
    mona = await world.nurse("mona", role="monitor")
    world.service.chat.pages_url = "https://pages.test"
    await world.type(mona, "/export")
    assert mona.last.text.startswith("Your role does not take copies of the diary.")
    await world.type(mona, "/dashboard")
    assert "https://pages.test/sign-in/" in mona.last.text


async def test_of_many_alerts_ten_are_shown_and_a_side_effect_is_among_them(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.type(amina, "/sideeffect dizzy", *(f"/note number {n}" for n in range(11)))
    seen = len(nour.screen())
    await world.type(nour, "/alerts")
    *shown, more = [m.text for m in nour.screen()[seen:] if not m.mine]
    assert (len(shown), more.startswith("Open alerts besides these: 2.")) == (10, True)
    assert "dizzy" in shown[0]


async def test_in_a_group_the_study_team_is_answered_nothing_about_patients(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.type(amina, "/sideeffect dizzy")
    group = nour.add_bot_to_group()
    nour.type("/alerts", group=group)
    nour.type("/dashboard", group=group)
    await world.settle()
    said = {message.text for message in group.visible() if message.sender.is_bot}
    assert said == {"This bot only works in a private chat."}


async def test_the_digest_says_in_the_morning_what_needs_a_person_and_once(world: World):
    nour, amina = await world.nurse(), await world.patient()
    await world.type(amina, "/sideeffect dizzy")
    await world.go_to(cairo("2026-11-29 07:59"))
    await world.go_to(cairo("2026-11-29 08:30"))
    morning = [m.text for m in nour.screen() if "What needs you today, Sun 29 Nov" in m.text]
    assert len(morning) == 1
    lines = ["Open alerts: ", "Silent: 1 (P-001)", "Missed doses: 1 (P-001)"]
    lines.append("Yesterday: 0 of 1 answered (0 %)")  # the evening's question may be answered until noon
    assert [line for line in lines if line not in morning[0]] == []
    await world.type(nour, "/digest")
    assert nour.last.text == morning[0]


async def test_the_digest_speaks_arabic_from_right_to_left_with_its_codes_whole(world: World):
    nour = await world.nurse(language="ar")
    await world.patient()
    await world.go_to(cairo("2026-11-29 07:59"))
    await world.go_to(cairo("2026-11-29 08:00"))
    title, *lines = nour.last.text.splitlines()
    assert title.startswith("ما يحتاج إليك اليوم، ")
    assert "بلا إجابات: ١ (\u2068P-001\u2069)" in lines
    assert [line for line in lines if re.search(r"[0-9]", line.replace("P-001", ""))] == []
    assert not re.search(r"[a-z]", nour.last.text)


async def test_an_administrators_digest_says_where_the_trail_ends_and_nobody_elses_does(world: World):
    nour, maha = await world.nurse(), await world.nurse("maha", role="administrator", language="ar")
    await world.patient()
    await world.go_to(cairo("2026-11-29 07:59"))
    await world.go_to(cairo("2026-11-29 08:00"))
    assert "Trail" not in nour.last.text
    lines, digits = re.search(r"سجل التدقيق: (\S+) سطرًا، \u2068([0-9a-f ]+)\u2069", maha.last.text).groups()
    said = Head.read(f"{int(lines)}:{digits}")
    assert (await verify_trail(world.db, [said])).fault is None
    assert len(digits.split()) == 4
    wrong = Head(said.lines - 1, said.sha256)
    assert (await verify_trail(world.db, [wrong])).fault is not None


async def test_a_quiet_morning_stays_quiet_until_it_is_asked(world: World):
    nour = await world.nurse()
    await world.go_to(cairo("2026-11-24 08:30"))
    assert not nour.sees("What needs you")
    await world.type(nour, "/digest")
    assert nour.last.text == "What needs you today, Tue 24 Nov\nNothing needs you today."
    seen = len(nour.screen())
    amina = await world.patient()
    await world.type(amina, "/note please call me")  # a morning that was found quiet does not begin anew
    await world.go_to(cairo("2026-11-25 07:00"))
    assert [m.text for m in nour.screen()[seen:] if "What needs you" in m.text] == []
    await world.go_to(cairo("2026-11-25 08:00"))
    assert "Open alerts: 1" in nour.last.text


async def test_whoever_may_not_take_alerts_any_more_gets_no_digest(world: World):
    stella, amina = await world.nurse("stella", role="statistician"), await world.patient()
    await world.type(amina, "/sideeffect dizzy")
    details, at = {"site": 1}, cairo("2026-11-24 08:00")
    async with world.db.write() as conn:
        member = next(one for one, _ in await list_staff(world.db) if one.code == "stella")
        await add_notice(
            conn, staff_id=member.id, kind="digest", key="k", details=details, at=at, expires_at=at + 4 * HOUR
        )
    await world.go_to(cairo("2026-11-24 11:00"))
    assert not stella.sees("Open alerts")


async def test_an_alert_nobody_takes_says_so_to_the_next_person(world: World):
    await world.nurse()
    ines, amina = await world.nurse("ines", role="investigator"), await world.patient()
    await world.type(amina, "/note please call me")
    assert not ines.sees("Nobody has taken this yet")
    await world.go_to(world.clock() + timedelta(hours=4, minutes=1))
    assert ines.sees("Nobody has taken this yet:\n")
