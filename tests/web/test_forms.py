"""What staff do on the pages: each act once however often it is sent, nothing lost, nothing overwritten unseen."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from diary.answers import Arrival, record_answer, scored
from storage import tables
from tests.cast import Stage, cairo
from tests.web.desk import words_of

EVENING = cairo("2026-11-24 20:05")


@pytest.fixture
async def amina(stage: Stage):
    return await stage.joined()


@pytest.fixture
async def nour(desk, amina):
    return await desk.member("nour")


async def rows(stage, table, *columns):
    async with stage.db.read() as conn:
        found = await conn.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))
        return [tuple(row) for row in found]


async def trail(stage, verb):
    async with stage.db.read() as conn:
        a = tables.audit
        return [tuple(row) for row in await conn.execute(select(a.c.actor, a.c.reason).where(a.c.verb == verb))]


async def test_a_patient_is_added_and_invited_with_a_card_to_print(stage, desk):
    nour = await desk.member("nour")
    new = {"code": "P-007", "site": "main", "start": "2026-12-01", "language": "ar", "zone": ""}
    answer = await nour.sends("/patients/new", **new)
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients/P-007?done=added")
    assert "P-007" in await nour.sees("/patients/P-007?done=added")
    card = await nour.sends("/patients/P-007/invite")
    assert '<section class="card-print" lang="ar" dir="rtl">' in card.text
    again = await nour.sends("/patients/new", **new)
    assert (again.status_code, "already" in words_of(again.text)) == (422, True)
    assert 'value="P-007"' in again.text  # what was typed is still there


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"code": "Amina Hassan"}, "A code has up to 32"),
        ({"start": "yesterday"}, "Write the day as"),
        ({"start": "0001-01-01"}, "Write the day as"),
        ({"start": ""}, "Choose the first day"),
        ({"zone": "Atlantis"}, "not a time zone"),
        ({"language": "xx"}, "no words in xx"),
        ({"code": "a\u202eb"}, "plain words"),
    ],
)
async def test_what_cannot_be_read_is_said_and_what_was_typed_stays(desk, wrong, said):
    nour = await desk.member("nour")
    right = {"code": "P-007", "site": "main", "start": "2026-12-01", "language": "en", "zone": "Africa/Cairo"}
    answer = await nour.sends("/patients/new", **(right | wrong))
    assert (answer.status_code, said in words_of(answer.text)) == (422, True), words_of(answer.text)
    kept = {"zone": "Africa/Cairo"} | wrong
    assert f'value="{kept["zone"]}"' in answer.text


async def test_a_phase_is_moved_once_however_often_the_form_is_sent(stage, nour):
    form = {"phase": "oral", "start": "2026-12-10", "reason": "a holiday", "was-oral": "2026-12-08"}
    for _ in range(3):
        assert (await nour.sends("/patients/P-001/move", **form)).status_code == 303
    assert await trail(stage, "move phase") == [("staff", "a holiday")]


async def test_of_two_who_move_the_same_phase_the_second_is_told_and_nothing_is_lost(stage, desk, nour):
    omar = await desk.member("omar")
    was = {"phase": "oral", "was-oral": "2026-12-08"}
    assert (await nour.sends("/patients/P-001/move", start="2026-12-10", reason="r", **was)).status_code == 303
    second = await omar.sends("/patients/P-001/move", start="2026-12-12", reason="their words", **was)
    assert second.status_code == 409
    assert "Somebody else changed this in the meantime" in words_of(second.text)
    assert 'value="their words"' in second.text
    assert 'name="was-oral" value="2026-12-10"' in second.text  # what holds now, to be sent upon
    now = {"phase": "oral", "was-oral": "2026-12-10"}
    assert (await omar.sends("/patients/P-001/move", start="2026-12-12", reason="r", **now)).status_code == 303


async def test_zone_and_times_change_only_where_they_differ(stage, nour):
    form = {"zone": "Africa/Cairo", "was-zone": "Africa/Cairo", "time-pain": "19:00", "was-time-pain": "-"}
    for _ in range(2):
        assert (await nour.sends("/patients/P-001/times", **form)).status_code == 303
    assert (len(await trail(stage, "choose time")), await trail(stage, "choose zone")) == (1, [])
    beyond = await nour.sends("/patients/P-001/times", **(form | {"time-pain": "23:30", "was-time-pain": "19:00"}))
    assert (beyond.status_code, "from 18:00 to 22:00" in words_of(beyond.text)) == (422, True)


async def test_of_two_who_set_the_same_time_the_second_sees_what_holds_now(nour):
    form = {"zone": "Africa/Cairo", "was-zone": "Africa/Cairo", "time-pain": "19:00", "was-time-pain": "-"}
    assert (await nour.sends("/patients/P-001/times", **form)).status_code == 303
    second = await nour.sends("/patients/P-001/times", **(form | {"time-pain": "21:00"}))
    assert (second.status_code, "Set now: 19:00" in words_of(second.text)) == (409, True)
    assert 'value="21:00"' in second.text


async def test_pause_resume_withdraw_and_the_two_ways_after(stage, desk, amina):
    mona = await desk.member("mona", "investigator")
    for act in ("pause", "resume", "withdraw", "stop-use"):
        answer = await mona.sends(f"/patients/P-001/{act}", reason=f"because {act}")
        assert answer.status_code == 303, words_of(answer.text)
        await mona.sees(f"/patients/P-001?done={act}")
    without = await mona.sends("/patients/P-001/erase", reason="asked for", surely="P-002")
    assert (without.status_code, "another one" in words_of(without.text)) == (422, True)
    assert (await mona.sends("/patients/P-001/erase", reason="asked for", surely="P-001")).status_code == 303
    page = await mona.sees("/patients/P-001")
    assert "identity erased" in page
    assert "data no longer used" in page


async def test_no_act_goes_without_a_reason(nour):
    for act in ("pause", "withdraw", "move"):
        refused = await nour.sends(f"/patients/P-001/{act}", reason="  ", phase="oral", start="2026-12-10")
        assert (refused.status_code, "Write a reason" in words_of(refused.text)) == (422, True)


async def test_an_answer_told_by_phone_is_marked_as_entered_by_staff(stage, desk, amina, nour):
    desk.now = cairo("2026-11-26 10:00")
    nour = await desk.signed_in("nour")
    slot = await stage.first_slot(amina)
    form = {"answer": "6", "source": "phone", "said_at": "2026-11-24T20:10"}
    for _ in range(2):
        assert (await nour.sends(f"/patients/P-001/slots/{slot}/enter", **form)).status_code == 303
    entries = await rows(stage, tables.entries, "score", "kind", "source", "said_at")
    assert entries == [(6, "staff", "phone", cairo("2026-11-24 20:10"))]
    assert "entered by staff" in await nour.sees("/patients/P-001")
    other = await nour.sends(f"/patients/P-001/slots/{slot}/enter", **(form | {"answer": "2"}))
    assert other.status_code == 409
    assert "Recorded now: 6" in words_of(other.text)
    assert f'href="/patients/P-001/slots/{slot}/correct"' in other.text


async def test_an_answer_is_corrected_once_and_the_old_one_stays_in_sight(stage, desk, amina, nour):
    slot = await stage.first_slot(amina)
    first = await record_answer(
        stage.db,
        patient_id=amina.id,
        slot_id=slot,
        answer=scored(7),
        arrival=Arrival("button", EVENING),
        now=EVENING,
    )
    desk.now = cairo("2026-11-25 10:00")
    nour = await desk.signed_in("nour")
    form = {"answer": "4", "entry": first.entry.id, "reason": "misread on the phone"}
    for _ in range(2):
        assert (await nour.sends(f"/patients/P-001/slots/{slot}/correct", **form)).status_code == 303
    assert await rows(stage, tables.entries, "score", "change_reason") == [(7, None), (4, "misread on the phone")]
    page = (await nour.client.get("/patients/P-001")).text
    assert "<s>7</s>" in page
    stale = await nour.sends(f"/patients/P-001/slots/{slot}/correct", **(form | {"answer": "1", "reason": "x"}))
    assert stale.status_code == 409


async def test_forged_forms_are_not_found_or_not_understood(stage, desk, amina, nour):
    slot = await stage.first_slot(amina)
    desk.now = cairo("2026-11-25 10:00")
    nour = await desk.signed_in("nour")
    enter, correct = (f"/patients/P-001/slots/{slot}/{act}" for act in ("enter", "correct"))
    for path, form, status in (
        (enter, {"answer": "11", "source": "phone"}, 422),
        (enter, {"answer": "taken", "source": "phone"}, 422),
        (enter, {"answer": "-1", "source": "phone"}, 422),
        (enter, {"answer": "5", "source": "button"}, 422),
        (enter, {"answer": "5"}, 422),
        (enter, {"answer": "5", "source": "phone", "said_at": "then"}, 422),
        (correct, {"answer": "5", "entry": "9999", "reason": "r"}, 409),
        (correct, {"answer": "5", "entry": "x", "reason": "r"}, 404),
    ):
        answer = await nour.sends(path, **form)
        assert answer.status_code in (status, 404), (path, form, answer.status_code)
    assert await rows(stage, tables.entries, "id") == []


async def test_a_visit_is_kept_corrected_and_never_overwritten_unseen(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    nour, omar = await desk.member("nour"), await desk.member("omar")
    path = "/patients/P-001/visits/baseline"
    form = {"held_on": "2026-11-24", "m-lanss": "14", "m-nrs": "7", "m-flexion": "22,5"}
    for _ in range(2):
        assert (await nour.sends(path, **form)).status_code == 303
    ((row, measured),) = await rows(stage, tables.visits, "id", "measured")
    assert measured == {"lanss": 14, "nrs": 7, "flexion": 22.5}
    first = {**form, "m-nrs": "8", "supersedes": row, "reason": "read again"}
    assert (await nour.sends(path, **first)).status_code == 303
    stale = await omar.sends(path, **(first | {"m-nrs": "3", "reason": "mine"}))
    assert (stale.status_code, 'value="mine"' in stale.text, 'value="3"' in stale.text) == (409, True, True)
    assert len(await rows(stage, tables.visits, "id")) == 2
    assert "read again" in await nour.sees(path)


WRONG_MEASURES = [
    ("m-lanss", "25"), ("m-lanss", "-1"), ("m-lanss", "12.5"), ("m-lanss", "many"), ("m-lanss", "nan"),
    ("m-flexion", "1e400"), ("held_on", "2027-11-24"), ("held_on", ""),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG_MEASURES)
async def test_a_measure_outside_its_range_is_refused_and_stays_in_the_field(stage, desk, amina, field, value):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.member("nour")
    form = {"held_on": "2026-11-24", "m-nrs": "7"} | {field: value}
    answer = await nour.sends("/patients/P-001/visits/baseline", **form)
    assert answer.status_code == 422, words_of(answer.text)
    assert 'value="7"' in answer.text
    assert await rows(stage, tables.visits, "id") == []


async def test_a_lanss_score_below_the_protocols_stops_the_enrolment_with_a_plain_reason(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.member("nour")
    answer = await nour.sends("/patients/P-001/visits/baseline", held_on="2026-11-24", m__lanss="9")
    assert answer.headers["location"] == "/patients/P-001?done=stopped"
    page = await nour.sees("/patients/P-001?done=stopped")
    assert "is below 12" in page
    assert "left" in page


async def test_a_comment_sent_twice_is_one_and_a_monitor_may_write_it(stage, desk, amina):
    mona = await desk.member("mona", "monitor")
    for _ in range(2):
        answer = await mona.sends("/patients/P-001", text="Source checked.\nFine.", form="f-1")
        assert answer.status_code == 303
    assert await rows(stage, tables.comments, "text") == [("Source checked.\nFine.",)]
    assert "Source checked." in await mona.sees("/patients/P-001")


async def test_alerts_are_taken_and_done_with_and_without_a_script(stage, desk, amina, nour):
    alert = await stage.alert(amina, "<b>dizzy</b> since noon")
    page = (await nour.client.get("/")).text
    assert "&lt;b&gt;dizzy&lt;/b&gt; since noon" in page
    data = {"csrf": await nour.csrf()}
    line = await nour.client.post(f"/alerts/{alert}/seen", data=data, headers={"HX-Request": "true"})
    assert line.text.lstrip().startswith("<li")
    assert "taken by nour" in words_of(line.text)
    done = await nour.sends(f"/alerts/{alert}/done")
    assert (done.status_code, done.headers["location"]) == (303, "/?done=alert")
    assert "No open alerts" in await nour.sees("/")


async def test_an_administrator_brings_in_a_site_and_a_member(stage, desk):
    root = await desk.member("root", "administrator", ())
    assert (await root.sends("/team/site", code="north", name="North", timezone="Africa/Cairo")).status_code == 303
    new = {"code": "omar", "role": "investigator", "sites": ["main", "north"], "language": "ar"}
    made = await root.sends("/team/new", **new)
    assert (made.status_code, "omar" in words_of(made.text)) == (200, True)
    assert "main, north" in await root.sees("/team")
    for act in ("reset", "disable"):
        assert (await root.sends(f"/team/omar/{act}", reason="r")).status_code == 303
    assert "shut out" in await root.sees("/team")


async def test_an_export_is_a_bundle_of_ones_own_site_and_stands_in_the_trail(stage, desk, amina):
    stat = await desk.member("stat", "statistician")
    bundle = await stat.sends("/exports", site="main")
    assert (bundle.status_code, bundle.headers["content-type"]) == (200, "application/zip")
    assert bundle.content[:2] == b"PK"
    assert await trail(stage, "export") == [("staff", None)]
    for foreign in ("north", ""):
        assert (await stat.sends("/exports", site=foreign)).status_code == 404


async def test_a_busy_database_gives_a_page_that_sends_what_was_typed_again(stage, desk, amina, nour, monkeypatch):
    async def busy(*_, **__):
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr("web.acts.change_status", busy)
    answer = await nour.sends("/patients/P-001/pause", reason="she asked for a rest")
    assert answer.status_code == 503
    assert 'name="reason" value="she asked for a rest"' in answer.text
    assert 'name="csrf"' in answer.text
    monkeypatch.undo()
    assert (await nour.sends("/patients/P-001/pause", reason="she asked for a rest")).status_code == 303


async def test_a_database_that_is_gone_gives_a_page_that_says_so(stage, desk, nour, monkeypatch):
    async def gone(*_, **__):
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("unable to open database file"))

    monkeypatch.setattr("web.pages.session_of", gone)
    answer = await nour.client.get("/")
    assert (answer.status_code, "Nothing is lost" in words_of(answer.text)) == (503, True)


async def test_the_same_form_from_two_windows_at_once_is_one_act(stage, nour):
    csrf = await nour.csrf()
    form = {"reason": "twice"}
    answers = await asyncio.gather(*(nour.sends("/patients/P-001/pause", csrf=csrf, **form) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    assert await trail(stage, "change status") == [("staff", "twice")]


async def test_words_of_patients_and_staff_are_shown_as_words(stage, desk, amina, nour):
    nasty = "<script>alert(1)</script> \" onload='x' {{ 7 * 7 }}"
    await stage.alert(amina, nasty)
    await nour.sends("/patients/P-001", text=nasty, form="f-2")
    await nour.sends("/patients/P-001/pause", reason=nasty)
    for path in ("/", "/patients/P-001", "/trail", f"/patients?search={nasty}"):
        page = (await nour.client.get(path)).text
        assert "<script>alert" not in page
        assert "49" not in page.replace("{{ 7 * 7 }}", "") or "{{ 7 * 7 }}" in page
