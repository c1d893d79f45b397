"""Pages while the database takes nothing: who reads goes on, who writes is told so and loses no word."""

import sqlite3

from sqlalchemy.exc import OperationalError

from tests.web.desk import PASSPHRASE, csrf_in, held, taken, words_of


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


async def test_who_reads_does_not_wait_for_who_writes_and_what_was_typed_stays(stage, desk, amina, nour):
    csrf = await nour.csrf()
    desk.later(minutes=5)
    async with held(stage):
        assert (await nour.client.get("/patients")).status_code == 200
        answer = await nour.sends("/patients/P-001/pause", csrf=csrf, reason="a rest")
    assert (answer.status_code, 'name="reason" value="a rest"' in answer.text) == (503, True)
    desk.later(minutes=26)
    assert (await nour.client.get("/patients")).status_code == 303  # never marked as seen: idle for 31 minutes


async def test_a_way_in_or_out_that_finds_the_database_busy_says_so_with_all_headers(stage, desk, amina, nour):
    browser, guest = desk.browser(), desk.browser()
    csrf = await nour.csrf()
    await taken(browser, await desk.link("nour"))
    page = csrf_in((await browser.get("/sign-in")).text)
    await desk.add("omar", "monitor")
    link = await desk.link("omar")
    opened = csrf_in((await guest.get(link)).text)
    async with held(stage):
        answers = [
            await browser.post("/sign-in", data={"csrf": page, "passphrase": PASSPHRASE}),
            await guest.post(link, data={"csrf": opened}),
            await nour.sends("/sign-out", csrf=csrf),
        ]
    for answer in answers:
        assert (answer.status_code, "busy" in words_of(answer.text)) == (503, True)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
