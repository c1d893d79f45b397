"""The way in over HTTP: links, tickets, passphrases, cookies, headers, and forms from elsewhere."""

import asyncio

import pytest

from diary import SYSTEM
from diary.team import add_staff, disable_staff
from tests.cast import T0
from tests.web.desk import HOST, PASSPHRASE, csrf_in, taken, words_of

PREVIEW = {"User-Agent": "TelegramBot (like TwitterBot)"}


@pytest.fixture
async def nour(desk):
    """The code of a member who has not been here yet."""
    await add_staff(
        desk.stage.db, code="nour", role="coordinator", sites=["main"], language="en", actor=SYSTEM, now=T0
    )
    return "nour"


async def enter(browser, passphrase=PASSPHRASE, again=PASSPHRASE):
    page = await browser.get("/sign-in")
    return await browser.post(
        "/sign-in", data={"csrf": csrf_in(page.text), "passphrase": passphrase, "again": again}
    )


async def test_a_link_a_tap_and_a_passphrase_open_the_pages(desk, nour):
    browser, link = desk.browser(), await desk.link(nour)
    opened = await browser.get(link)
    assert "signs you in once" in words_of(opened.text)
    tapped = await taken(browser, link)
    assert (tapped.status_code, tapped.headers["location"]) == (303, "/sign-in")
    assert "Choose a passphrase of at least 12" in words_of((await browser.get("/sign-in")).text)
    entered = await enter(browser)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "Open alerts" in words_of((await browser.get("/")).text)


async def test_the_second_time_asks_for_the_passphrase_that_was_chosen(desk, nour):
    await desk.signed_in(nour)
    browser = desk.browser()
    await taken(browser, await desk.link(nour))
    wrong = await enter(browser, "four other words here")
    assert (wrong.status_code, "is another one" in words_of(wrong.text)) == (403, True)
    assert (await enter(browser)).status_code == 303


async def test_previews_of_a_link_spend_nothing(desk, nour):
    link = await desk.link(nour)
    for _ in range(5):
        assert (await desk.browser().get(link, headers=PREVIEW)).status_code == 200
        assert (await desk.browser().head(link, headers=PREVIEW)).status_code == 200
    assert (await taken(desk.browser(), link)).status_code == 303


async def test_a_link_is_good_once_and_for_ten_minutes(desk, nour):
    link = await desk.link(nour)
    assert (await taken(desk.browser(), link)).status_code == 303
    again = await desk.browser().get(link)
    assert (again.status_code, "used already" in words_of(again.text)) == (403, True)
    late = await desk.link(nour)
    desk.later(minutes=10, seconds=1)
    old = await desk.browser().get(late)
    assert (old.status_code, "too old" in words_of(old.text)) == (403, True)


async def test_of_two_who_tap_at_once_one_gets_in(desk, nour):
    link = await desk.link(nour)
    found = await asyncio.gather(*(taken(desk.browser(), link) for _ in range(4)))
    assert sorted(answer.status_code for answer in found) == [303, 403, 403, 403]


async def test_who_never_opened_a_link_cannot_take_it(desk, nour):
    link, browser = await desk.link(nour), desk.browser()
    opened = await browser.get(link)
    form = {"csrf": csrf_in(opened.text)}
    thief = desk.browser()
    for data in ({}, form, {"csrf": "AAAA"}):
        refused = await thief.post(link, data=data)
        assert (refused.status_code, "in this browser first" in words_of(refused.text)) == (403, True)
    assert (await browser.post(link, data={})).status_code == 403
    other = await desk.link(nour)  # a link that was opened is no word for another one
    assert (await browser.post(other, data=form)).status_code == 403
    assert (await taken(browser, other)).status_code == 303


async def test_another_browser_cannot_go_on_with_a_link_that_was_taken(desk, nour):
    browser = desk.browser()
    await taken(browser, await desk.link(nour))
    elsewhere = desk.browser()
    assert "Send /dashboard" in words_of((await elsewhere.get("/sign-in")).text)
    assert (await enter(elsewhere)).status_code == 403


@pytest.mark.parametrize(
    ("passphrase", "again", "said"),
    [
        ("short", "short", "longer one"),
        ("111111111111111", "111111111111111", "too easy"),
        ("nour nour nour", "nour nour nour", "too easy"),
        (PASSPHRASE, "something else entirely", "not the same"),
    ],
)
async def test_a_passphrase_that_protects_nothing_is_refused_and_may_be_chosen_again(
    desk, nour, passphrase, again, said
):
    browser = desk.browser()
    await taken(browser, await desk.link(nour))
    refused = await enter(browser, passphrase, again)
    assert (refused.status_code, said in words_of(refused.text)) == (403, True)
    assert (await enter(browser)).status_code == 303


async def test_five_wrong_passphrases_lock_the_account_for_a_quarter_of_an_hour(desk, nour):
    await desk.signed_in(nour)
    browser = desk.browser()
    await taken(browser, await desk.link(nour))
    for _ in range(5):
        await enter(browser, "four other words here")
    locked = await enter(browser)
    assert "locked" in words_of(locked.text)
    desk.later(minutes=16)
    again = desk.browser()
    await taken(again, await desk.link(nour))
    assert (await enter(again)).status_code == 303


async def test_one_address_may_not_try_without_end(desk, nour):
    browser = desk.browser()
    answers = [await browser.post("/sign-in/made-up") for _ in range(25)]
    assert {answer.status_code for answer in answers[:20]} == {403}
    assert {answer.status_code for answer in answers[20:]} == {429}


async def test_only_failures_are_counted_and_none_that_another_site_sent(desk, nour):
    browser, away = desk.browser(), {"Sec-Fetch-Site": "cross-site"}
    for _ in range(25):
        assert (await browser.post("/sign-in/made-up", headers=away)).status_code == 403
    for _ in range(25):
        member = await desk.signed_in(nour)
        assert (await member.sends("/sign-out")).status_code == 303
    assert (await taken(browser, await desk.link(nour))).status_code == 303


async def test_whoever_was_signed_out_reads_why_and_comes_back_to_the_page_they_wanted(desk, nour):
    await desk.stage.joined()
    member = await desk.signed_in(nour)
    desk.later(minutes=31)
    assert (await member.client.get("/patients?status=active")).status_code == 303
    assert "You were signed out" in words_of((await member.client.get("/sign-in")).text)
    await taken(member.client, await desk.link(nour))
    assert (await enter(member.client)).headers["location"] == "/patients?status=active"
    await member.sends("/sign-out")
    await taken(member.client, await desk.link(nour))
    assert (await enter(member.client)).headers["location"] == "/"


async def test_what_was_typed_too_late_or_in_another_session_is_shown_to_be_copied(desk, nour):
    await desk.stage.joined()
    member = await desk.signed_in(nour)
    csrf = await member.csrf()
    again = await desk.signed_in(nour)
    crossed = await again.sends("/patients/P-001/pause", csrf=csrf, reason="she asked for a rest")
    assert (crossed.status_code, "she asked for a rest" in words_of(crossed.text)) == (403, True)
    desk.later(minutes=31)
    late = await member.sends("/patients/P-001/pause", csrf=csrf, reason="she asked for a rest")
    assert (late.status_code, "You were signed out" in words_of(late.text)) == (403, True)
    assert "she asked for a rest" in words_of(late.text)
    assert csrf not in late.text
    await taken(member.client, await desk.link(nour))
    assert (await enter(member.client)).headers["location"] == "/patients/P-001/pause"


async def test_a_session_ends_when_idle_after_twelve_hours_and_when_told_to(desk, nour):
    member = await desk.signed_in(nour)
    for _ in range(23):
        desk.later(minutes=29)
        assert (await member.client.get("/")).status_code == 200
    desk.later(minutes=60)
    assert (await member.client.get("/")).status_code == 303
    member = await desk.signed_in(nour)
    desk.later(minutes=31)
    assert (await member.client.get("/")).status_code == 303
    member = await desk.signed_in(nour)
    assert (await member.sends("/sign-out")).status_code == 303
    assert (await member.client.get("/")).headers["location"] == "/sign-in"


async def test_who_is_shut_out_is_out_at_once(desk, nour):
    member = await desk.signed_in(nour)
    link = await desk.link(nour)
    await disable_staff(desk.stage.db, code=nour, actor=SYSTEM, now=desk.now)
    assert (await member.client.get("/")).status_code == 303
    assert (await taken(desk.browser(), link)).status_code == 403


async def test_a_stolen_old_cookie_opens_nothing_after_signing_out(desk, nour):
    member = await desk.signed_in(nour)
    stolen = dict(member.client.cookies)
    await member.sends("/sign-out")
    thief = desk.browser()
    thief.cookies.update(stolen)
    assert (await thief.get("/")).status_code == 303


async def test_over_https_cookies_belong_to_this_host_and_no_script(desk, nour):
    desk.pages_url = "https://pages.test"
    browser = desk.browser()
    browser.base_url = "https://pages.test"
    answers = [await taken(browser, await desk.link(nour)), await enter(browser)]
    assert {cookie.name for cookie in browser.cookies.jar} >= {"__Host-daybook"}
    for answer in answers:
        for cookie in answer.headers.get_list("set-cookie"):
            assert cookie.startswith("__Host-")
            assert {"secure", "httponly", "path=/", "samesite=lax"} <= set(cookie.lower().split("; ")[1:])
            assert "domain" not in cookie.lower()
    assert "max-age=31536000" in answers[0].headers["strict-transport-security"]


async def test_every_answer_carries_the_headers_and_is_not_kept(desk, nour):
    member = await desk.signed_in(nour)
    paths = (
        "/",
        "/patients",
        "/nothing",
        "/sign-in",
        "/sign-in/x",
        "/static/daybook.css",
        "/healthz",
        "/patients/X",
    )
    for path in paths:
        headers = (await member.client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")


async def test_a_form_from_elsewhere_or_without_the_token_changes_nothing(desk, nour):
    await desk.stage.joined()
    member = await desk.signed_in(nour)
    other = await desk.member("omar")
    foreign = [
        {"csrf": ""},
        {"csrf": "AAAA"},
        {"csrf": "not base64 ü"},
        {"csrf": await other.csrf()},
    ]
    for wrong in foreign:
        answer = await member.sends("/patients/P-001/pause", reason="r", **wrong)
        assert (answer.status_code, "does not belong to your session" in words_of(answer.text)) == (403, True)
    for headers in (
        {"Origin": "https://evil.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ):
        data = {"csrf": await member.csrf(), "reason": "r"}
        answer = await member.client.post("/patients/P-001/pause", data=data, headers=headers)
        assert answer.status_code == 403
    assert "taking part" in await member.sees("/patients/P-001")
    fine = await member.client.post("/patients/P-001/pause", data=data, headers={"Origin": HOST})
    assert fine.status_code == 303


async def test_what_is_no_form_is_refused_and_harms_nothing(desk, nour):
    member = await desk.signed_in(nour)
    large = await member.client.post("/patients/P-001/pause", data={"csrf": "x", "reason": "y" * 70_000})
    assert large.status_code == 413
    for content, kind in ((b"{}", "application/json"), (b"\xff\xfe", "application/x-www-form-urlencoded")):
        answer = await member.client.post("/patients/P-001/pause", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 403
    torn = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await member.client.post("/patients/P-001/pause", content=b"--y\r\n", headers=torn)).status_code < 500
    assert (await member.client.put("/patients")).status_code == 405


async def test_the_language_is_chosen_and_leads_nowhere_else(desk, nour):
    member = await desk.signed_in(nour)
    for back, to in (
        ("/patients", "/patients"),
        ("//evil.test", "/"),
        ("https://evil.test", "/"),
        ("/\\evil", "/"),
    ):
        answer = await member.client.post("/language", data={"language": "ar", "back": back})
        assert answer.headers["location"] == to
    page = (await member.client.get("/")).text
    assert '<html lang="ar" dir="rtl">' in page
    assert "تنبيهات مفتوحة" in page


async def test_a_page_that_breaks_says_so_without_its_reasons(desk, nour, monkeypatch):
    member = await desk.signed_in(nour)

    async def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("web.today.today", broken)
    answer = await member.client.get("/")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert "on our side" in words_of(answer.text)


async def test_the_last_resort_has_the_headers_too(desk, nour, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("web.signing_in.sign_out", broken)
    member = await desk.signed_in(nour)
    answer = await member.sends("/sign-out")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_what_was_refused_stands_in_the_log_without_a_code_or_a_token(desk, nour, amina, capsys):
    member = await desk.signed_in("nour")
    await member.sees("/patients/P-404", 404)
    await member.sees("/team/new", 403)
    await member.sends("/patients/P-001/pause", csrf="forged", reason="r")
    await desk.browser().get("/sign-in/no-such-token")
    told = capsys.readouterr().out
    assert told.count("page_refused") == 3
    assert told.count("sign_in_refused") == 1
    assert "/patients/{code}" in told
    for secret in ("P-404", "P-001", "no-such-token", "forged"):
        assert secret not in told


async def test_the_token_of_the_forms_is_another_one_on_each_page_and_each_is_good(desk, nour):
    member = await desk.signed_in("nour")
    tokens = {await member.csrf() for _ in range(3)}
    assert len(tokens) == 3
    for token in tokens:
        assert (await member.sends("/patients/P-404/pause", csrf=token, reason="r")).status_code == 404
    for forged in ("", "====", min(tokens)[:-4], max(tokens)[:40] + min(tokens)[40:]):
        assert (await member.sends("/patients/P-404/pause", csrf=forged, reason="r")).status_code == 403
