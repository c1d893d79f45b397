"""Forms sent twice, or by two at once: one act, nobody overwritten unseen, no word lost."""

import asyncio
import re
from datetime import timedelta

from diary.joining import join
from storage import tables
from tests.web.desk import rows, trail, words_of


async def test_a_phase_is_moved_once_however_often_the_form_is_sent(stage, nour):
    form = {"phase": "oral", "start": "2026-12-10", "reason": "a holiday", "was-oral": "2026-12-08"}
    form |= {"meant": "oral 2026-12-10"}
    for _ in range(3):
        assert (await nour.sends("/patients/P-001/move", **form)).status_code == 303
    assert await trail(stage, "move phase") == [("staff", "a holiday")]


async def test_of_two_who_move_the_same_phase_the_second_is_told_and_nothing_is_lost(stage, desk, nour):
    omar = await desk.member("omar")
    was = {"phase": "oral", "was-oral": "2026-12-08"}
    first = {**was, "start": "2026-12-10", "reason": "r", "meant": "oral 2026-12-10"}
    assert (await nour.sends("/patients/P-001/move", **first)).status_code == 303
    second = await omar.sends("/patients/P-001/move", start="2026-12-12", reason="their words", **was)
    assert second.status_code == 409
    assert "Somebody else changed this in the meantime" in words_of(second.text)
    assert 'value="their words"' in second.text
    assert 'name="was-oral" value="2026-12-10"' in second.text  # what holds now, to be sent upon
    now = {"phase": "oral", "was-oral": "2026-12-10", "meant": "oral 2026-12-12"}
    assert (await omar.sends("/patients/P-001/move", start="2026-12-12", reason="r", **now)).status_code == 303


async def test_of_two_who_send_at_the_same_moment_one_is_told(stage, desk, nour):
    omar = await desk.member("omar")
    tokens = [await member.csrf() for member in (nour, omar)]
    for path, same, wanted in (
        (
            "move",
            {"phase": "oral", "reason": "r", "was-oral": "2026-12-08"},
            ("start", ("2026-12-10", "2026-12-12")),
        ),
        ("times", {"was-zone": "Africa/Cairo"}, ("zone", ("Asia/Tokyo", "Europe/Paris"))),
    ):
        field, values = wanted
        both = zip((nour, omar), tokens, values, strict=True)
        sent = (
            member.sends(f"/patients/P-001/{path}", csrf=csrf, **{**same, field: value}, meant=f"oral {value}")
            for member, csrf, value in both
        )
        assert sorted(answer.status_code for answer in await asyncio.gather(*sent)) == [303, 409]


async def test_zone_and_times_are_changed_together_or_not_at_all(stage, nour):
    form = {"zone": "Europe/Paris", "was-zone": "Africa/Cairo", "time-pain": "03:00", "was-time-pain": "-"}
    refused = await nour.sends("/patients/P-001/times", **form)
    assert refused.status_code == 422
    assert (await trail(stage, "choose zone"), await trail(stage, "choose time")) == ([], [])
    assert 'name="was-zone" value="Africa/Cairo"' in refused.text
    assert (await nour.sends("/patients/P-001/times", **(form | {"time-pain": "19:00"}))).status_code == 303
    assert (len(await trail(stage, "choose zone")), len(await trail(stage, "choose time"))) == (1, 1)


async def test_zone_and_times_change_only_where_they_differ(stage, nour):
    form = {"zone": "Africa/Cairo", "was-zone": "Africa/Cairo", "time-pain": "19:00", "was-time-pain": "-"}
    for _ in range(2):
        assert (await nour.sends("/patients/P-001/times", **form)).status_code == 303
    assert (len(await trail(stage, "choose time")), await trail(stage, "choose zone")) == (1, [])
    beyond = await nour.sends("/patients/P-001/times", **(form | {"time-pain": "23:30", "was-time-pain": "19:00"}))
    assert (beyond.status_code, "from 18:00 to 22:00" in words_of(beyond.text)) == (422, True)


async def test_a_comment_sent_twice_is_one_and_a_monitor_may_write_it(stage, desk, amina):
    mona = await desk.member("mona", "monitor")
    for _ in range(2):
        answer = await mona.sends("/patients/P-001", text="Source checked.\nFine.", form="f-1")
        assert answer.status_code == 303
    assert await rows(stage, tables.comments, "text") == [("Source checked.\nFine.",)]
    assert "Source checked." in await mona.sees("/patients/P-001")


async def test_other_words_in_a_form_that_was_sent_are_kept_for_a_comment_of_their_own(stage, desk, amina):
    mona = await desk.member("mona", "monitor")
    await stage.add("P-002")
    assert (await mona.sends("/patients/P-001", text="Source checked.", form="f-1")).status_code == 303
    other = await mona.sends("/patients/P-001", text="Source checked, two gaps.", form="f-1")
    assert (other.status_code, "with other words" in words_of(other.text)) == (409, True)
    assert ">Source checked, two gaps.</textarea>" in other.text
    assert 'name="form" value="f-1"' not in other.text  # sent again, it is another comment
    assert (await mona.sends("/patients/P-002", text="Source checked, two gaps.", form="f-1")).status_code == 303
    texts = [("Source checked.",), ("Source checked, two gaps.",)]
    assert await rows(stage, tables.comments, "text") == texts


async def test_the_same_form_from_two_windows_at_once_is_one_act(stage, nour):
    csrf = await nour.csrf()
    form = {"reason": "twice"}
    answers = await asyncio.gather(*(nour.sends("/patients/P-001/pause", csrf=csrf, **form) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert await trail(stage, "change status") == [("staff", "twice")]


def card_in(page):
    """The short code on an invite's card."""
    return re.search(r'class="typed">([A-Z0-9]{8})<', page)[1]


async def test_a_patient_added_twice_by_one_form_is_added_once(stage, desk):
    nour = await desk.member("nour")
    new = {"code": "P-007", "site": "main", "start": "2026-12-01", "language": "ar", "zone": "", "form": "f-1"}
    answers = [await nour.sends("/patients/new", **new) for _ in range(2)]
    assert [answer.headers.get("location") for answer in answers] == ["/patients/P-007?done=added"] * 2
    assert await trail(stage, "add patient") == [("staff", None)]
    for other in ({"start": "2026-12-02"}, {"form": "f-2"}, {"form": ""}):
        refused = await nour.sends("/patients/new", **(new | other))
        assert (refused.status_code, "already" in words_of(refused.text)) == (422, True), other


async def test_an_invite_asked_for_twice_by_one_form_is_one_and_stays_good(stage, desk, amina, nour):
    form = {"form": "f-1"}
    first, second = [await nour.sends("/patients/P-001/invite", **form) for _ in range(2)]
    assert card_in(first.text) == card_in(second.text)
    assert await trail(stage, "invite patient") == [("staff", None)]
    newer = await nour.sends("/patients/P-001/invite", form="f-2")
    assert card_in(newer.text) != card_in(first.text)
    over = await nour.sends("/patients/P-001/invite", **form)
    assert (over.status_code, "replaced by a newer one" in words_of(over.text)) == (409, True)
    joined = await join(stage.db, bot_id=1, chat_id=77, token=card_in(newer.text), now=desk.now)
    assert joined.patient.code == "P-001"


async def test_a_member_added_twice_by_one_form_is_one_and_the_invite_is_still_there(stage, desk):
    root = await desk.member("root", "administrator", ())
    new = {"code": "omar", "role": "monitor", "sites": ["main"], "language": "ar", "form": "f-1"}
    first, second = [await root.sends("/team/new", **new) for _ in range(2)]
    assert (first.status_code, card_in(first.text)) == (second.status_code, card_in(second.text))
    again = [await root.sends("/team/omar/invite", form="f-9") for _ in range(2)]
    assert card_in(again[0].text) == card_in(again[1].text) != card_in(first.text)
    other = await root.sends("/team/new", **(new | {"role": "coordinator", "form": "f-9"}))
    assert (other.status_code, "already" in words_of(other.text)) == (422, True)


async def test_who_is_shut_out_or_reset_twice_is_so_once(stage, desk):
    root = await desk.member("root", "administrator", ())
    await desk.member("omar")
    for act, verb in (("reset", "reset passphrase"), ("disable", "disable staff")):
        for _ in range(2):
            assert (await root.sends(f"/team/omar/{act}", reason="left the site")).status_code == 303
            desk.later(minutes=1)
        assert len(await trail(stage, verb)) == 1
    disabled = await rows(stage, tables.staff, "disabled_at")
    assert disabled == [(None,), (desk.now - timedelta(minutes=2),)]


async def test_a_second_pause_with_another_reason_is_not_said_to_be_done(stage, desk, nour):
    omar = await desk.member("omar")
    for _ in range(2):
        assert (await nour.sends("/patients/P-001/pause", reason="a holiday")).status_code == 303
    other = await omar.sends("/patients/P-001/pause", reason="fever")
    assert (other.status_code, "paused already" in words_of(other.text)) == (422, True)
    assert 'value="fever"' in other.text
    assert await trail(stage, "change status") == [("staff", "a holiday")]


async def test_a_site_added_twice_by_one_form_is_added_once(stage, desk):
    root = await desk.member("root", "administrator", ())
    north = {"code": "north", "name": "North", "timezone": "Africa/Cairo"}
    for _ in range(2):
        assert (await root.sends("/team/site", **north)).status_code == 303
    assert len(await rows(stage, tables.sites, "code")) == 2
    other = await root.sends("/team/site", **(north | {"name": "Northern"}))
    assert (other.status_code, "already" in words_of(other.text)) == (422, True)
