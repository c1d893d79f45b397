"""Every page in a real browser, at a phone's and at a desk's size, in both languages, looked over by axe."""

import asyncio
import re
import sqlite3
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright, expect
from sqlalchemy.exc import OperationalError

from diary import SYSTEM
from diary.tokens import make_token
from tests.cast import Stage, cairo
from tests.reports.diary_of import say, scored
from tests.web.desk import PASSPHRASE
from web.app import web_app
from web.server import Server
from web.words import words_in

CHROMIUM = Path("/usr/bin/chromium")
SIZES = {
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "desk": {"viewport": {"width": 1440, "height": 900}},
}
OF_REFUSED = ("Failed to load resource", "Response Status Error", "htmx:sendError", "htmx:afterRequest")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not there to open the pages with")


@pytest.fixture
async def address(stage: Stage, desk):
    """The pages over HTTP, on the third evening of a patient with something of everything."""
    amina = await stage.lived()
    desk.now = cairo("2026-11-26 21:00")
    await stage.alert(amina, "dizzy in the morning", now=cairo("2026-11-26 09:00"))
    await desk.add("stella", "statistician")
    for name in ("statistics server", "the clinic's own dashboard in the hall"):
        await make_token(stage.db, code="stella", name=name, days=90, actor=SYSTEM, now=desk.now)
    async with Server(web_app(stage.db, lambda: desk.now), "127.0.0.1", 0) as server:
        yield server.url


@asynccontextmanager
async def browsing(address, desk, *, size, role="administrator", language="en", refused=False):
    """A member who signs in as people do; what is complained about fails the test, but a request meant to fail."""
    complaints = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = await browser.new_page(**SIZES[size])
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(address) else None
        )
        await desk.add(f"root-{language}", role, language=language)
        await page.goto(address + await desk.link(f"root-{language}"))
        await page.locator("button.main").click()
        await page.locator("#passphrase").fill(PASSPHRASE)
        await page.locator("#again").fill(PASSPHRASE)
        await page.keyboard.press("Enter")
        await expect(page).not_to_have_url(re.compile("sign-in"))
        await page.wait_for_load_state()
        yield page
        await browser.close()
    assert [one for one in complaints if not (refused and one.startswith(OF_REFUSED))] == []


# Each size and each language once: what axe looks at is the same in the other two.
AXE_RUNS = {("phone", "ar"), ("desk", "en")}
PATHS = (
    "/", "/patients", "/patients/new", "/grid", "/visits", "/adherence?by=patient", "/exports", "/outages",
    "/trail", "/alerts", "/team", "/team/new", "/team/site", "/passphrase", "/grid?by=days",
    "/grid?by=days&day=1", "/progress", "/heatmap", "/patients/P-001",
    "/patients/P-001/move", "/patients/P-001/times",
    "/patients/P-001/pause", "/patients/P-001/visits/baseline", "/team/stella/tokens",
)  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("size", SIZES)
async def test_every_page_fits_its_screen_and_axe_finds_nothing(address, desk, size, language):
    found = []
    async with browsing(address, desk, size=size, language=language) as page:
        for path in PATHS:
            await page.goto(address + path)
            width = await page.evaluate("document.documentElement.scrollWidth")
            if width > SIZES[size]["viewport"]["width"]:
                found.append((path, "too wide", width))
            found += [(path, *each) for each in await _violations(page)] if (size, language) in AXE_RUNS else []
            small = await page.evaluate(
                "[...document.querySelectorAll('button, .button, input:not([type=hidden]):not(.unseen), select')]"
                ".filter(e => e.offsetParent && !e.matches('[type=radio], [type=checkbox]') && e.offsetHeight < 40)"
                ".map(e => e.outerHTML.slice(0, 90))"
            )
            found += [(path, "too small to touch", each) for each in small]
    assert found == []


async def _violations(page):
    seen = await Axe().run(page)
    return [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
        for violation in seen.response["violations"]
    ]


async def test_whoever_takes_alerts_by_keyboard_stays_where_they_are_and_sees_the_count_fall(address, desk):
    async with browsing(address, desk, size="desk") as page:
        await page.goto(address + "/")
        count = page.locator("#alerts-open")
        before = int(await count.inner_text())
        line = page.locator(".list > li").first
        for button, said in (("Seen", "taken by root-en"), ("Done", "done")):
            await line.get_by_role("button", name=button).focus()
            await page.keyboard.press("Enter")
            await expect(line).to_be_focused()
            await expect(line).to_contain_text(said)
            # The browser may focus a new line before htmx has taken up its buttons, some 20 ms later.
            await expect(line).not_to_have_class(re.compile("htmx-added"))
        await expect(count).to_have_text(str(before - 1))


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_an_alert_that_cannot_be_taken_says_why_and_that_something_is_under_way(
    address, desk, monkeypatch, language
):
    waits = asyncio.Event()

    async def busy(*_, **__):
        await waits.wait()
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))

    monkeypatch.setattr("web.today.see_alert", busy)
    async with browsing(address, desk, size="phone", language=language, refused=True) as page:
        words = words_in(language)
        line = page.locator(".list > li").first
        seen = line.get_by_role("button", name=words("alert.seen"))
        await seen.focus()
        await page.keyboard.press("Enter")
        await expect(line.get_by_text(words("frame.waiting")).first).to_be_visible()
        waits.set()
        await expect(line.get_by_role("alert")).to_have_text(words("busy.text"))
        await expect(seen).to_be_focused()
        await expect(line.get_by_text(words("frame.waiting")).first).not_to_be_visible()

        await page.evaluate("document.querySelectorAll('[name=csrf]').forEach(e => e.value = 'x')")
        await seen.click()
        await expect(line.get_by_role("alert")).to_have_text(words("problem.form"))

        await page.context.set_offline(True)
        await seen.click()
        await expect(line.get_by_role("alert")).to_have_text(words("problem.unsent"))


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_the_grid_opens_at_today_keeps_its_names_and_a_tap_leads_to_that_day(address, desk, language):
    async with browsing(address, desk, size="phone", language=language) as page:
        await page.goto(address + "/grid")
        name, grid = page.locator(".grid tbody .name").first, page.locator(".grid")
        today = grid.locator("thead [aria-current=date]")
        before = await name.bounding_box()
        await expect(today).to_be_in_viewport(ratio=0.9)
        assert await grid.evaluate("e => { e.scrollLeft = -2000; e.scrollLeft ||= 2000; return e.scrollLeft }") != 0
        await expect(today).not_to_be_in_viewport()
        assert abs(before["x"] - (await name.bounding_box())["x"]) < 2
        await page.goto(address + "/grid")
        cell = grid.locator("td a").nth(1)
        said = words_in(language)("grid.cell", date=words_in(language).date(date(2026, 11, 25)), state="").strip()
        await expect(cell).to_have_accessible_name(re.compile(said))
        await cell.click()
        await expect(page.locator("#day-2026-11-25")).to_be_in_viewport()


async def test_the_grid_keeps_a_phase_named_while_its_days_are_in_sight(address, desk):
    async with browsing(address, desk, size="phone") as page:
        await page.goto(address + "/grid?by=days&day=1")
        await page.locator(".grid").evaluate("e => e.scrollBy(230, 0)")
        await expect(page.locator("thead .phase span").first).to_be_in_viewport(ratio=0.9)


async def test_the_pages_can_be_read_without_a_script(address, desk):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await desk.add("root", "administrator")
        await page.goto(address + await desk.link("root"))
        await page.locator("button.main").click()
        await page.locator("#passphrase").fill(PASSPHRASE)
        await page.locator("#again").fill(PASSPHRASE)
        await page.locator("button.main").click()
        await page.goto(address + "/patients")
        assert "P-001" in await page.locator("main").inner_text()
        await page.goto(address + "/")
        await page.get_by_role("button", name="Seen").first.click()
        assert "The alert is yours" in await page.locator("main").inner_text()
        await page.goto(address + "/grid")
        await page.locator(".grid td a").last.click()
        await expect(page.locator("#day-2026-11-26")).to_be_in_viewport()
        await browser.close()


# Of every word in a picture, as the browser writes it: is it inside, and apart from its neighbours on its line?
OVERFLOWS = """[...document.querySelectorAll('svg.picture')].flatMap(svg => {
  const whole = svg.viewBox.baseVal, apart = ['day', 'week', 'count', 'legend', 'phase-name', 'visit'];
  const texts = [...svg.querySelectorAll('text')].map(text => [text, text.getBBox()]);
  const out = texts.filter(([, box]) => box.x < whole.x - .5 || box.x + box.width > whole.x + whole.width + .5
      || box.y + box.height > whole.y + whole.height + 1);
  const axis = texts.filter(([text]) => apart.includes(text.className.baseVal));
  const crossing = axis.filter(([one, a], n) => axis.slice(n + 1).some(([other, b]) =>
      one.getAttribute('y') === other.getAttribute('y')
      && Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > .5));
  return [...out, ...crossing].map(([text]) => text.textContent);
})"""


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_no_word_of_a_picture_runs_out_of_it_or_into_another(address, stage, desk, language):
    for day in range(27, 31):
        await say(stage, 1, f"pain 2026-11-{day}", scored(day % 7), f"2026-11-{day} 20:10")
    desk.now = cairo("2026-12-12 21:00")
    async with browsing(address, desk, size="phone", language=language) as page:
        for path, pictures in (("/progress", 3), ("/heatmap", 1), ("/patients/P-001", 1)):
            await page.goto(address + path)
            assert await page.locator("svg.picture").count() == pictures
            assert await page.evaluate(OVERFLOWS) == [], path
