"""What staff do on the pages, a form each: done with its reason, refused with what was typed still there."""

import io
import re
import zipfile
from pathlib import Path

import pytest

from diary.answers import Arrival, record_answer, scored
from storage import tables
from tests.cast import cairo
from tests.web.desk import rows, trail, words_of

EVENING = cairo("2026-11-24 20:05")


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
        ({"code": "a\u200bb"}, "plain words"),
        ({"code": "New"}, "a word of these pages"),
    ],
)
async def test_what_cannot_be_read_is_said_and_what_was_typed_stays(desk, wrong, said):
    nour = await desk.member("nour")
    right = {"code": "P-007", "site": "main", "start": "2026-12-01", "language": "en", "zone": "Africa/Cairo"}
    answer = await nour.sends("/patients/new", **(right | wrong))
    assert (answer.status_code, said in words_of(answer.text)) == (422, True), words_of(answer.text)
    kept = {"zone": "Africa/Cairo"} | wrong
    assert f'value="{kept["zone"]}"' in answer.text


@pytest.mark.parametrize(
    ("phase", "start", "said"),
    [("iv", "2020-01-01", "is past"), ("oral", "2026-12-10", "will begin on")],
)
async def test_a_phase_is_moved_when_its_effect_was_seen(stage, nour, phase, start, said):
    form = {"phase": phase, "start": start, "reason": "a holiday"}
    asked = await nour.sends("/patients/P-001/move", **form)
    assert (asked.status_code, said in words_of(asked.text), 'value="a holiday"' in asked.text) == (422, True, True)
    assert await trail(stage, "move phase") == []
    other = await nour.sends("/patients/P-001/move", **form, meant="oral 2026-12-09")
    assert other.status_code == 422  # a yes to something else
    sure = await nour.sends("/patients/P-001/move", **form, meant=f"{phase} {start}")
    assert sure.status_code == 303
    assert await trail(stage, "move phase") == [("staff", "a holiday")]


async def test_a_move_that_cuts_a_phase_short_says_by_how_much(nour):
    form = {"phase": "oral", "start": "2026-11-26", "reason": "r", "was-oral": "2026-12-08"}
    asked = await nour.sends("/patients/P-001/move", **form)
    assert "will be shorter: 2 days in place of 14" in words_of(asked.text)


@pytest.mark.parametrize(("start", "said"), [("2020-01-01", "is past"), ("2090-01-01", "more than a year away")])
async def test_a_patient_with_a_strange_first_day_is_added_when_it_was_seen(stage, desk, start, said):
    nour = await desk.member("nour")
    new = {"code": "P-007", "site": "main", "start": start, "language": "en", "zone": ""}
    asked = await nour.sends("/patients/new", **new)
    assert (asked.status_code, said in words_of(asked.text), f'value="{start}"' in asked.text) == (422, True, True)
    assert f'name="meant" value="{start}"' in asked.text
    await nour.sees("/patients/P-007", 404)
    assert (await nour.sends("/patients/new", **new, meant=start)).status_code == 303


async def test_nothing_is_planned_for_somebody_who_has_left(stage, nour):
    assert (await nour.sends("/patients/P-001/withdraw", reason="moved away")).status_code == 303
    move = {"phase": "oral", "start": "2026-12-10", "reason": "r"}
    for act, form in (("move", move), ("times", {"zone": "Asia/Tokyo"}), ("pause", {"reason": "r"})):
        await nour.sees(f"/patients/P-001/{act}", 403)
        assert (await nour.sends(f"/patients/P-001/{act}", **form)).status_code == 403
    assert [await trail(stage, verb) for verb in ("move phase", "choose zone")] == [[], []]


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
    said = words_of(other.text)
    assert "There is an answer to this question already" in said
    assert "Recorded now: 6" in said
    assert "told by phone (nour)" in said
    assert f'href="/patients/P-001/slots/{slot}/correct"' in other.text
    assert 'name="answer"' not in other.text  # sending it again would never help


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
    line = page[page.index(f'<tr id="slot-{slot}">') :]
    assert "<s>7</s> <strong>4</strong>" in line
    assert "7 4 nour : misread on the phone" in words_of(line)
    assert "corrected by staff (nour)" in words_of(page)
    stale = await nour.sends(f"/patients/P-001/slots/{slot}/correct", **(form | {"answer": "1", "reason": "x"}))
    assert stale.status_code == 409


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


async def test_a_visits_time_may_be_written_down_and_is_shown_again(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.member("nour")
    path, form = "/patients/P-001/visits/baseline", {"held_on": "2026-11-24", "m-lanss": "14"}
    for wrong in ("12:01", "25:00", "soon"):
        refused = await nour.sends(path, **form, began=wrong)
        assert (refused.status_code, f'value="{wrong}"' in refused.text) == (422, True)
    assert await rows(stage, tables.visits, "id") == []
    assert (await nour.sends(path, **form, began="10:30")).status_code == 303
    [(began_at,)] = await rows(stage, tables.visits, "began_at")
    assert began_at == cairo("2026-11-24 10:30")
    assert 'value="10:30"' in (await nour.client.get(path)).text
    assert "Tue 24 Nov 10:30" in await nour.sees(path)


WRONG_MEASURES = [
    ("m-lanss", "25"), ("m-lanss", "-1"), ("m-lanss", "12.5"), ("m-lanss", "many"), ("m-lanss", "nan"),
    ("m-flexion", "1e400"), ("held_on", "2027-11-24"), ("held_on", ""),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG_MEASURES)
async def test_a_measure_outside_its_range_is_refused_and_stays_in_the_field(stage, desk, amina, field, value):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.member("nour")
    form = {"held_on": "2026-11-24", "m-lanss": "14", "m-nrs": "7"} | {field: value}
    answer = await nour.sends("/patients/P-001/visits/baseline", **form)
    assert answer.status_code == 422, words_of(answer.text)
    assert 'value="7"' in answer.text
    assert await rows(stage, tables.visits, "id") == []


async def test_a_lanss_score_below_the_protocols_stops_the_enrolment_with_a_plain_reason(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.member("nour")
    path, form = "/patients/P-001/visits/baseline", {"held_on": "2026-11-24", "m-lanss": "9", "m-nrs": "7"}
    assert "At least 12: with a lower value the patient leaves" in await nour.sees(path)
    asked = await nour.sends(path, **form)
    assert (asked.status_code, "LANSS score 9 is below 12, the least at Baseline" in asked.text) == (422, True)
    assert 'name="meant" value="lanss:9" required' in asked.text
    assert 'value="7"' in asked.text  # what was typed is still there
    assert await rows(stage, tables.visits, "id") == []
    answer = await nour.sends(path, **form, meant="lanss:9")
    assert answer.headers["location"] == "/patients/P-001?done=stopped"
    page = await nour.sees("/patients/P-001?done=stopped")
    assert "LANSS score 9 is below 12, the least at Baseline" in page
    assert "left" in page


async def test_who_reads_arabic_is_told_in_arabic_why_a_patient_had_to_leave(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    await desk.add("nour", "coordinator", language="ar")
    nour = await desk.signed_in("nour")
    form = {"held_on": "2026-11-24", "m-lanss": "9", "meant": "lanss:9"}
    assert (await nour.sends("/patients/P-001/visits/baseline", **form)).status_code == 303
    assert "مقياس LANSS: ٩ أقل من ١٢" in await nour.sees("/patients/P-001")


async def test_a_visit_with_nothing_measured_is_refused_and_its_day_is_todays(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.member("nour")
    page = (await nour.client.get("/patients/P-001/visits/baseline")).text
    assert 'type="date" required value="2026-11-24"' in page
    empty = await nour.sends("/patients/P-001/visits/baseline", held_on="2026-11-24")
    assert (empty.status_code, "at least one value" in words_of(empty.text)) == (422, True)
    assert await rows(stage, tables.visits, "id") == []


async def test_a_visit_months_too_early_is_saved_only_when_it_is_meant(stage, desk, amina):
    desk.now = cairo("2026-12-24 12:00")
    nour = await desk.member("nour")
    form = {"held_on": "2026-12-24", "m-nrs": "7"}
    asked = await nour.sends("/patients/P-001/visits/month-6", **form)
    said = "Month 6 is planned for Tue 25 May 2027; Thu 24 Dec is nearer to Week 6 (Tue 5 Jan 2027)"
    assert (asked.status_code, said in words_of(asked.text)) == (422, True), words_of(asked.text)
    saved = await nour.sends("/patients/P-001/visits/month-6", **form, meant="day:2026-12-24")
    assert saved.headers["location"].endswith("done=visit")


async def test_doses_counted_far_from_those_said_are_told_at_once_and_at_the_visit(stage, desk, amina):
    desk.now = cairo("2027-01-06 12:00")
    nour = await desk.member("nour")
    form = {"held_on": "2027-01-05", "m-capsules-returned": "3"}
    saved = await nour.sends("/patients/P-001/visits/week-6", **form)
    assert saved.headers["location"] == "/patients/P-001?done=differs"
    page = (await nour.client.get("/patients/P-001?done=differs")).text
    visits = page[page.index('id="visits"') : page.index('id="calendar"')]
    assert "differ by more than 20 points" in words_of(visits)
    assert "capsule: taken as counted 95 % (53 of 56) up to Tue 5 Jan" in words_of(page)


async def test_what_was_saved_before_is_told_in_the_names_and_units_of_the_language(stage, desk, amina):
    desk.now = cairo("2026-11-24 12:00")
    await desk.add("nour", "coordinator", language="ar")
    nour = await desk.signed_in("nour")
    form = {"held_on": "2026-11-24", "m-lanss": "14", "m-flexion": "22.5"}
    assert (await nour.sends("/patients/P-001/visits/baseline", **form)).status_code == 303
    page = await nour.sees("/patients/P-001/visits/baseline")
    assert "ثني الفقرات القطنية ٢٢.٥ درجة" in page
    assert " deg" not in page


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
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as files:
        assert {Path(name).name for name in files.namelist()} >= {"entries.csv", "manifest.json"}
        assert not [name for name in files.namelist() if name.endswith(".xlsx")]
    assert await trail(stage, "export") == [("staff", None)]
    for foreign in ("north", ""):
        assert (await stat.sends("/exports", site=foreign)).status_code == 404


async def test_an_export_has_the_formats_that_were_ticked(desk, amina):
    stat = await desk.member("stat", "statistician")
    assert "Excel workbook" in await stat.sees("/exports")
    bundle = await stat.sends("/exports", site="main", format=["xlsx", "parquet"])
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as files:
        names = {name.partition("/")[2] for name in files.namelist()}
    assert {"daybook.xlsx", "parquet/entries.parquet", "manifest.json"} <= names
    assert "entries.csv" not in names
    assert (await stat.sends("/exports", site="main", format="doc")).status_code in {400, 404, 422}


async def test_words_of_patients_and_staff_are_shown_as_words(stage, desk, amina, nour):
    nasty = "<script>alert(1)</script> \" onload='x' {{ 7 * 7 }}"
    await stage.alert(amina, nasty)
    await nour.sends("/patients/P-001", text=nasty, form="f-2")
    await nour.sends("/patients/P-001/pause", reason=nasty)
    for path in ("/", "/patients/P-001", "/trail", f"/patients?search={nasty}"):
        page = (await nour.client.get(path)).text
        assert "<script>alert" not in page
        assert "49" not in page.replace("{{ 7 * 7 }}", "") or "{{ 7 * 7 }}" in page


async def test_direction_marks_of_a_keyboard_are_left_out_of_words_and_codes(stage, desk, nour):
    assert (await nour.sends("/patients/P-001/pause", reason="\u200fطلبت راحة\u200e")).status_code == 303
    assert await trail(stage, "change status") == [("staff", "طلبت راحة")]
    new = {"code": "P-007\u200f", "site": "main", "start": "2026-12-01", "language": "ar"}
    assert (await nour.sends("/patients/new", **new)).headers["location"] == "/patients/P-007?done=added"


async def test_the_last_administrator_who_can_sign_in_is_not_shut_out_and_nobody_without_a_reason(stage, desk):
    root = await desk.member("root", "administrator", ())
    await desk.add("ada", "administrator", ())  # invited, and has never signed in
    alone = await root.sends("/team/root/disable", reason="leaving")
    assert (alone.status_code, "last administrator" in words_of(alone.text)) == (422, True)
    ada = await desk.signed_in("ada")
    assert (await ada.sends("/team/root/disable")).status_code == 422
    assert (await ada.sends("/team/root/disable", reason="left the site")).status_code == 303
    assert await trail(stage, "disable staff") == [("staff", "left the site")]


@pytest.mark.parametrize("code", ["new", "site", "Site"])
async def test_a_code_that_is_an_address_of_the_pages_is_refused(desk, code):
    root = await desk.member("root", "administrator", ())
    member = {"code": code, "role": "monitor", "sites": ["main"], "language": "en"}
    refused = await root.sends("/team/new", **member)
    assert (refused.status_code, "a word of these pages" in words_of(refused.text)) == (422, True)


async def test_a_refusal_on_an_arabic_page_is_in_arabic(desk, amina, nour):
    desk.now = cairo("2026-11-24 12:00")
    nour = await desk.signed_in("nour")
    await nour.client.post("/language", data={"language": "ar"})
    for path, form in (
        ("/patients/P-001/visits/baseline", {"held_on": "2026-11-24", "m-lanss": "25"}),
        ("/patients/P-001/move", {"phase": "oral", "start": "2026-11-20", "reason": "س"}),
        ("/patients/P-001/times", {"zone": "Africa/Cairo", "time-pain": "03:00"}),
        ("/patients/new", {"code": "P-001", "site": "main", "start": "2026-12-01", "language": "ar"}),
    ):
        answer = await nour.sends(path, **form)
        said = re.search(r'role="alert" dir="auto">([^<]+)<', answer.text)[1]
        assert answer.status_code == 422
        of_the_trial = "\u2068[^\u2069]*\u2069"
        assert re.findall("[A-Za-z]{2,}", re.sub(of_the_trial, "", said)) == [], said
