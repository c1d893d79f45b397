"""The page staff begin with: whose an alert is, what its buttons are called, what needs nobody any more."""

import re
from datetime import timedelta
from functools import partial
from html import unescape

from diary import SYSTEM, PatientStatus
from diary.alerts import raise_alert
from diary.backups import back_up
from diary.enrolment import change_status
from storage import service
from storage.audit import Audit, write_audit
from tests.cast import T0
from tests.web.desk import words_of
from web.app import web_app


async def call(stage, patient, rule):
    async with stage.db.write() as conn:
        return await raise_alert(conn, patient_id=patient.id, rule=rule, key="k", details={}, now=T0)


async def leaves(stage, patient):
    await change_status(
        stage.db, patient_id=patient.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="stop", now=T0
    )


async def test_whoever_takes_an_alert_too_late_is_told_whose_it_is(stage, desk, amina, nour):
    alert, omar = await stage.alert(amina), await desk.member("omar")
    assert (await nour.sends(f"/alerts/{alert}/seen")).headers["location"] == "/?done=seen"
    late = await omar.sends(f"/alerts/{alert}/seen")
    assert late.headers["location"] == f"/?theirs={alert}"
    assert "The alert about P-001 is with nour already." in await omar.sees(late.headers["location"])
    again = await nour.sends(f"/alerts/{alert}/seen")
    assert "The alert is yours." in await nour.sees(again.headers["location"])


async def test_an_alert_of_another_site_is_nobodys_in_an_address_either(stage, desk, nour):
    await desk.site("north")
    basma = await stage.joined("P-900", chat=1002, site="north")
    await nour.sees(f"/?theirs={await stage.alert(basma)}", status=404)


async def test_no_two_buttons_for_alerts_have_the_same_name(stage, amina, nour):
    basma = await stage.joined("P-002", chat=1002)
    for patient in (amina, basma):
        await stage.alert(patient)
        await call(stage, patient, "silent-days")
    page = (await nour.client.get("/")).text
    buttons = [words_of(one) for one in re.findall(r"<button>.*?</button>", page) if "unseen" in one]
    assert len(buttons) == len(set(buttons)) == 8
    assert "Seen : P-001, side effect, today 10:00" in buttons


async def test_a_script_gets_the_line_with_the_focus_and_the_new_count_where_there_is_one(stage, amina, nour):
    alert, other = await stage.alert(amina), await call(stage, amina, "silent-days")
    data = {"csrf": await nour.csrf()}
    for number, page, counted in ((alert, "http://pages.test/?done=x", True), (other, "/patients/P-001", False)):
        headers = {"HX-Request": "true", "HX-Current-URL": page}
        line = (await nour.client.post(f"/alerts/{number}/done", data=data, headers=headers)).text
        assert line.lstrip().startswith(f'<li id="alert-{number}" tabindex="-1" autofocus>')
        assert re.findall(r'hx-swap-oob="true">(.*?)<', line) == (["1"] if counted else [])


async def test_of_patients_who_left_only_what_still_needs_somebody_is_among_the_open_alerts(stage, amina, nour):
    for rule in ("silent-days", "missed-doses", "note", "withdrawn"):
        await call(stage, amina, rule)
    await stage.alert(amina)
    await leaves(stage, amina)
    page = (await nour.client.get("/")).text
    needed, folded = page.partition("<details>")[::2]
    rules = re.findall(r'<span class="badge (?:alarm|warn)">([a-z ]+)</span>', needed)
    assert sorted(rules) == ["left by own wish", "note", "side effect"]
    assert 'id="alerts-open" class="badge alarm">3<' in needed
    assert "of patients who left: 2" in words_of(folded)


async def test_a_break_in_service_of_late_has_a_card_of_its_own_before_the_lists(stage, nour):
    assert "Outages of the last 7 days" not in await nour.sees("/")
    async with stage.db.write() as conn:
        audit = await write_audit(conn, Audit(T0, SYSTEM, "outage"))
        began, ended = T0 - timedelta(hours=9), T0 - timedelta(hours=7)
        await service.add_outage(conn, kind="service", began_at=began, ended_at=ended, touched={}, audit=audit)
    page = unescape((await nour.client.get("/")).text)
    headings = re.findall(r'aria-labelledby="([a-z-]+)"', page)
    assert headings == ["alerts", "outages", "unreachable", "silent", "doses", "due-visits", "figures"]


async def test_administrators_alone_are_told_of_an_old_backup_where_backups_are_to_be_made(
    stage, desk, nour, tmp_path, monkeypatch
):
    monkeypatch.setattr("tests.web.desk.web_app", partial(web_app, makes_backups=True))
    root = await desk.member("root", "administrator", ())
    await desk.add("sara", "administrator", (), language="ar")
    sara, omar = await desk.signed_in("sara"), await desk.member("omar")
    never, old = "There is no proven backup yet.", "The last proven backup is from today 10:00."
    assert never in await root.sees("/")
    assert "لا توجد نسخة احتياطية مُثبتة بعد" in await sara.sees("/")
    assert never not in await omar.sees("/")

    await back_up(stage.db, tmp_path / "a.backup", clock=lambda: T0)
    assert "proven backup" not in await root.sees("/")
    desk.later(hours=26, minutes=1)
    root, omar = await desk.signed_in("root"), await desk.signed_in("omar")
    assert old.replace("today", "yesterday") in await root.sees("/")
    assert "proven backup" not in await omar.sees("/")


async def test_without_a_folder_for_backups_the_pages_say_nothing_of_them(desk, nour):
    root = await desk.member("root", "administrator", ())
    assert "backup" not in await root.sees("/")
