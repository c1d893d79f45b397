"""The whole story in a real browser: invited on a page, joined on a phone, answered, corrected, withdrawn."""

import asyncio
import re
import sys
from contextlib import asynccontextmanager

from playwright.async_api import async_playwright, expect

from tests.web.desk import PASSPHRASE
from tests.web.test_browser import CHROMIUM, SIZES, pytestmark  # noqa: F401 - skipped where there is no browser


@asynccontextmanager
async def demo(folder):
    """`daybook demo` as anybody starts it, and the address it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from cli.main import main; main()", "demo", "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            said = await process.stdout.readuntil(b"in a browser")
        yield re.search(r"Open (http://\S+)", said.decode())[1]
    finally:
        process.terminate()
        await process.wait()


async def write(phone, text):
    await phone.get_by_label("Message", exact=True).fill(text)
    await phone.get_by_label("Message", exact=True).press("Enter")


async def a_day_later(page):
    """The clock moved by a day, with all that happens on the way."""
    day = await page.locator(".day").inner_text()
    await page.get_by_role("button", name="+1 day").click()
    await expect(page.locator(".day")).not_to_have_text(day, timeout=15_000)
    await expect(page.get_by_role("button", name="+1 day")).to_be_enabled(timeout=15_000)


async def signed_in(browser, page, nurse):
    """The nurse asks her chat for the way in and follows it in another window."""
    await write(nurse, "/dashboard")
    await expect(nurse.get_by_role("log")).to_contain_text("/sign-in/")
    link = re.search(r"http://127[^\s]+/sign-in/[\w-]+", await nurse.get_by_role("log").inner_text())[0]
    context = await browser.new_context(**SIZES["phone"])
    pages = await context.new_page()
    await pages.goto(link)
    await pages.locator("button.main").click()
    await pages.locator("#passphrase").fill(PASSPHRASE)
    await pages.locator("#again").fill(PASSPHRASE)
    await pages.keyboard.press("Enter")
    await expect(pages.locator("h1")).to_have_text("Today")
    return pages, link.partition("/sign-in/")[0]


async def test_a_patient_is_invited_answers_misses_is_flagged_corrected_and_withdrawn(tmp_path):
    async with demo(tmp_path) as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = await browser.new_page(**SIZES["desk"])
        await page.goto(address)
        amina, nurse = page.locator("#phone-0"), page.locator("#phone-1")
        await expect(nurse.get_by_role("log")).to_contain_text("Welcome, nurse")
        pages, base = await signed_in(browser, page, nurse)

        await pages.goto(f"{base}/patients/P-001")
        await pages.get_by_role("button", name="New invite").click()
        code = await pages.locator(".typed").inner_text()
        await amina.get_by_role("button", name="Start").click()
        await expect(amina.get_by_role("log")).to_contain_text("newer invitation")
        await write(amina, code)
        for label in ("English", "I agree", "Yes", "20:00"):
            await amina.get_by_role("button", name=re.compile(f"^{label}")).last.click()
        await expect(amina.get_by_role("log")).to_contain_text("Your next reminder")
        await page.get_by_role("button", name="Next event").click()
        await amina.get_by_role("button", name="7", exact=True).click()
        await expect(amina.get_by_role("log")).to_contain_text("7 recorded")

        for _ in range(4):
            await a_day_later(page)
        await pages.goto(f"{base}/")
        await expect(pages.locator("[aria-labelledby=silent]")).to_contain_text("P-001")

        await pages.goto(f"{base}/patients/P-001")
        await pages.get_by_text("earlier:").click()
        await pages.get_by_role("link", name="Correct").first.click()
        await pages.get_by_role("radio", name="4", exact=True).check()
        await pages.locator("#reason").fill("misread on the phone")
        await pages.locator("button.main").click()
        await expect(pages.locator(".done")).to_have_text("The answer is corrected.")
        assert "<s>7</s>" in await pages.content()

        await pages.get_by_role("link", name="Withdraw").click()
        await pages.locator("#reason").fill("moved away")
        await pages.locator("button.grave").click()
        await expect(pages.locator(".head")).to_contain_text("left")
        before = await amina.get_by_role("log").inner_text()
        await a_day_later(page)
        assert await amina.get_by_role("log").inner_text() == before
        await browser.close()
