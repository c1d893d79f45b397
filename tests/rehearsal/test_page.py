"""The phone page: what it says over HTTP, and in a real browser on a phone and on a desk."""

from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import async_playwright, expect

from rehearsal.phone import PAGE, Link, Phone, PhonePage
from rehearsal.server import Server
from rehearsal.travel import TimeControls
from tests.rehearsal.toybot import ToyBot

CHROMIUM = Path("/usr/bin/chromium")
INVITE = "https://t.me/daybook_rehearsal_bot?start=TOKEN"
MOBILE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1440, "height": 900}}

in_a_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there to open the page with")


@pytest.fixture
def toy(telegram, bot):
    return ToyBot(telegram, bot)


@pytest.fixture
async def server(telegram, bot, clock, toy):
    patients = iter(range(2, 9))

    async def new_patient():
        number = next(patients)
        person = telegram.person(f"Patient {number}")
        return Phone(person, bot, f"Patient P-00{number}", f"https://t.me/x?start=T{number}")

    page = PhonePage(
        telegram,
        phones=[
            Phone(telegram.person("أمينة", language_code="ar"), bot, "Patient P-001", INVITE),
            Phone(telegram.person("Mona"), bot, "Study nurse"),
        ],
        clock=clock,
        controls=TimeControls(toy.next_event, toy.moved),
        zone="Africa/Cairo",
        new_patient=new_patient,
        links=[Link("Staff pages", "http://127.0.0.1:8080/")],
    )
    async with toy, Server(telegram, routes=page.routes()) as server:
        yield server


@pytest.fixture
async def http(server):
    async with aiohttp.ClientSession(server.url) as http:
        yield http


async def state(http):
    async with http.get("/rehearsal/state") as answer:
        return await answer.json()


async def post(http, path, content):
    async with http.post(path, json=content) as answer:
        await answer.read()


async def test_the_page_loads_only_from_itself_and_allows_nothing_inline(http):
    for path in ("/", "/rehearsal/page/phone.js", "/rehearsal/page/phone.css", "/rehearsal/page/icon.svg"):
        async with http.get(path) as answer:
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            text = await answer.text()
            assert "style=" not in text
            assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("https?:", "").replace(
                "`https://${address}`", ""
            )


def test_no_icon_of_the_page_needs_a_font_with_emoji():
    for path in (*PAGE.iterdir(), PAGE.parent / "view.py"):
        assert [letter for letter in path.read_text(encoding="utf-8") if ord(letter) >= 0x1F000] == [], path.name


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fphone.py", "%2Fetc%2Fpasswd"])
async def test_no_other_file_is_served(http, name):
    async with http.get(f"/rehearsal/page/{name}") as answer:
        assert answer.status == 404


async def test_an_act_must_be_a_known_one_and_json(http):
    async with http.post("/rehearsal/phones/0", data={"act": "start"}) as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "acts are JSON"})
    for wrong in ({"act": "dance"}, {"act": "start", "more": 1}, {"act": "tap", "message": 99}):
        async with http.post("/rehearsal/phones/0", json=wrong) as answer:
            assert answer.status == 400
    async with http.post("/rehearsal/phones/7", json={"act": "start"}) as answer:
        assert answer.status == 404
    async with http.get("/rehearsal/phones/0") as answer:
        assert answer.status == 405


async def test_a_whole_evening_over_the_routes(http, telegram, clock):
    assert (await state(http))["next"] == "2026-03-01T18:00:00+00:00"
    await post(http, "/rehearsal/phones/0", {"act": "start"})
    await telegram.quiet()
    phone = (await state(http))["phones"][0]
    assert phone["messages"][0]["text"] == "/start"
    assert telegram.people[phone["person"]["id"]].screen()[0].text == "/start TOKEN"
    asked = phone["messages"][-1]
    assert [len(row) for row in asked["buttons"]] == [6, 5]
    await post(http, "/rehearsal/phones/0", {"act": "tap", "message": asked["id"], "row": 1, "column": 1})
    await telegram.quiet()
    phone = (await state(http))["phones"][0]
    assert phone["messages"][-1]["text"].startswith("✓ تم تسجيل 7")
    assert (phone["toasts"], phone["toast"]) == (1, {"text": "تم التسجيل", "alert": False})
    async with http.post("/rehearsal/time", json={"to": "next"}) as answer:
        assert (await answer.json())["now"] == clock().isoformat() == "2026-03-01T18:00:00+00:00"
    async with http.post("/rehearsal/time", json={"to": "year"}) as answer:
        assert answer.status == 400


async def test_two_days_ask_twice_on_the_way(http, telegram, toy):
    await post(http, "/rehearsal/phones/0", {"act": "start"})
    await telegram.quiet()
    for _ in range(2):
        await post(http, "/rehearsal/time", {"to": "day"})
    assert [f"{moment:%d %H}" for moment in toy.asked_at] == ["01 08", "01 18", "02 18"]


async def test_what_a_phone_can_send_arrives(http, telegram, bot):
    await post(http, "/rehearsal/phones/1", {"act": "start"})
    for what in ("photo", "voice", "sticker", "location", "forward"):
        async with http.post("/rehearsal/phones/1", json={"act": "send", "text": what}) as answer:
            assert answer.status == 200
    await post(http, "/rehearsal/phones/1", {"act": "type", "text": "sewen"})
    await telegram.quiet()
    mine = [m for m in (await state(http))["phones"][1]["messages"] if m["mine"]]
    assert [m["note"] for m in mine[2:5]] == ["Voice message", "👍", "Location"]
    await post(http, "/rehearsal/phones/1", {"act": "edit", "message": mine[-1]["id"], "text": "seven"})
    await post(http, "/rehearsal/phones/1", {"act": "block"})
    phone = (await state(http))["phones"][1]
    assert phone["blocked"]
    assert [m["text"] for m in phone["messages"] if m["edited"]] == ["seven"]
    async with http.post("/rehearsal/phones/1", json={"act": "type", "text": "x"}) as answer:
        assert "blocked the bot" in (await answer.json())["error"]


async def test_a_document_is_saved_and_never_shown_as_a_page(http, telegram):
    file = telegram.keep_file("evil.html", "text/html", b"<script>", "documents")
    async with http.get(f"/rehearsal/files/{file.id}") as answer:
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["Content-Type"] == "application/octet-stream"


async def test_another_patient_takes_the_phone_and_the_first_one_can_come_back(http):
    await post(http, "/rehearsal/patients", {})
    phone = (await state(http))["phones"][0]
    assert (phone["title"], phone["titles"]) == ("Patient P-002", ["Patient P-001", "Patient P-002"])
    await post(http, "/rehearsal/phones/0", {"act": "show", "which": 0})
    assert (await state(http))["phones"][0]["title"] == "Patient P-001"


@asynccontextmanager
async def opened(server, options):
    """Open the page; whatever the browser complains about fails the test."""
    complaints = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = await browser.new_page(**options)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(server.url)
        yield page
        await browser.close()
    assert complaints == []


@in_a_browser
async def test_on_a_phone_one_chat_fills_the_screen_and_a_switch_shows_the_other(server):
    async with opened(server, MOBILE) as page:
        patient, nurse = page.locator("#phone-0"), page.locator("#phone-1")
        await expect(patient).to_be_visible()
        await expect(nurse).to_be_hidden()
        assert (await patient.bounding_box())["width"] == 390
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await page.get_by_role("button", name="Hide these hints").tap()
        await patient.get_by_role("button", name="Start").tap()
        await patient.get_by_role("button", name="7", exact=True).tap()
        await expect(patient.get_by_role("log")).to_contain_text("تم تسجيل 7")
        await page.get_by_role("button", name="Study nurse").tap()
        await nurse.get_by_role("button", name="Start").tap()
        await expect(nurse.get_by_role("log")).to_contain_text("Welcome")
        await page.get_by_role("button", name="Patient P-001").tap()
        await page.get_by_role("button", name="Next event").tap()
        await expect(page.locator(".hour")).to_have_text("20:00")
        await expect(page.get_by_role("button", name="Study nurse")).to_contain_text("1")
        small = await page.evaluate(
            "[...document.querySelectorAll('button, a, input')].filter(e => e.offsetParent && "
            "!e.closest('.words') && (e.offsetHeight < 40 || e.offsetWidth < 40)).map(e => e.outerHTML)"
        )
        assert small == []


@in_a_browser
async def test_on_a_desk_both_phones_stand_side_by_side_and_work_by_keyboard(server, telegram):
    async with opened(server, DESK) as page:
        patient, nurse = page.locator("#phone-0"), page.locator("#phone-1")
        left, right = await patient.bounding_box(), await nurse.bounding_box()
        assert left["x"] + left["width"] < right["x"]
        assert left["y"] + left["height"] <= 900
        await nurse.get_by_role("button", name="Start").focus()
        await page.keyboard.press("Enter")
        entry = nurse.get_by_label("Message", exact=True)
        await entry.fill("/")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(nurse.get_by_role("button", name="Picture; tap to enlarge")).to_be_visible()
        await nurse.get_by_role("button", name="Picture; tap to enlarge").press("Enter")
        await expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
        close = await page.get_by_role("button", name="Close").bounding_box()
        large = await page.get_by_role("img", name="Picture, enlarged").bounding_box()
        assert close["y"] + close["height"] <= large["y"]  # a title in Arabic begins in that corner
        await page.keyboard.press("Escape")
        await nurse.get_by_role("button", name="7", exact=True).click()
        await expect(nurse.locator(".toast")).to_have_text("Recorded")
        await nurse.get_by_role("button", name="Add a note").click()
        await expect(page.get_by_role("alertdialog")).to_contain_text("Write it here.")
        await page.get_by_role("button", name="OK").click()
        await entry.fill("sewen")
        await entry.press("Enter")
        await expect(nurse.get_by_role("log")).to_contain_text("You said: sewen")
        await entry.press("ArrowUp")
        await entry.fill("seven")
        await entry.press("Enter")
        await expect(nurse.locator(".mine", has_text="seven")).to_contain_text("edited")
        await page.get_by_role("button", name="+1 day").click()
        await expect(page.locator(".day")).to_have_text("Monday, 2 March 2026")
        await page.get_by_role("button", name="Another patient").click()
        await expect(patient.get_by_label("Which patient")).to_have_value("1")


@in_a_browser
async def test_words_are_drawn_as_text_whatever_they_contain(server, telegram, bot):
    async with opened(server, DESK) as page:
        nurse = page.locator("#phone-1")
        await nurse.get_by_role("button", name="Start").click()
        await expect(nurse.get_by_role("log")).to_contain_text("Welcome")
        nasty = (
            "<img src=x onerror=alert(1)> 😀 https://t.me/daybook_rehearsal_bot?start=OTHER and javascript:alert(1)"
        )
        await nurse.get_by_label("Message", exact=True).fill(nasty)
        await page.keyboard.press("Enter")
        await expect(nurse.get_by_role("log")).to_contain_text("You said: <img src=x onerror=alert(1)>")
        # An invite link is followed on this phone.
        await nurse.get_by_role("link", name="start=OTHER").last.click()
        await expect(nurse.locator(".mine", has_text="/start")).to_have_count(2)
        await telegram.until(lambda: any(person.sees("/start OTHER") for person in telegram.people.values()))


@in_a_browser
async def test_play_steps_from_event_to_event_until_somebody_acts(server):
    async with opened(server, DESK) as page:
        await page.get_by_role("button", name="Play").click()
        await expect(page.locator(".hour")).to_have_text("20:00")
        play = page.locator(".play")
        await expect(play).to_have_attribute("aria-pressed", "true")
        await page.locator("#phone-0").get_by_role("button", name="Start").click()
        await expect(play).to_have_attribute("aria-pressed", "false")


@in_a_browser
async def test_a_page_left_open_goes_on_with_the_next_rehearsal(server, bot):
    async with opened(server, DESK) as page:
        nurse = page.locator("#phone-1")
        await nurse.get_by_role("button", name="Start").click()
        await nurse.get_by_role("button", name="7", exact=True).click()
        await expect(nurse.locator(".toast")).to_have_text("Recorded")
        bot.taps.clear()  # a rehearsal that begins anew remembers no toast
        await nurse.get_by_label("Message", exact=True).fill("still here")
        await page.keyboard.press("Enter")
        await expect(nurse.get_by_role("log")).to_contain_text("You said: still here")
