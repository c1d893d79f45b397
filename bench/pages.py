"""Every staff page, and the API, at 80 and at 10,000 patients: server time beside that of their SQL by sqlite3."""

import re
import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from sqlalchemy import event

from bench.figures import Figure, percentile
from bench.ledgers import SITE, Ledgers, code_of
from bench.standin import TOKEN
from cli.wiring import clock
from diary import SYSTEM, Database
from diary.service import tally
from diary.signing_in import make_link
from diary.team import add_staff, list_staff
from diary.tokens import make_token
from web.app import web_app
from web.cursors import cursor_at

_PASSPHRASE: Final = "four plain words here"
_HOST: Final = "http://pages.test"
_DAYS_OF_STARTS, _DAYS_BETWEEN = 180, 4
_LEAST_ROUNDS, _LONGEST_SECONDS = 8, 6.0
_AIMS: Final = {80: 100, 10_000: 300}  # milliseconds, p95
_PATHS: Final = (
    "/",
    "/patients",
    "/grid",
    "/grid?by=days",
    "/visits",
    "/progress",
    "/heatmap",
    "/adherence",
    "/adherence?by=patient",
    "/adherence?by=week",
    "/alerts",
    "/trail",
    "/outages",
    "/exports",
    "/team",
    "/patients/P-00001",
)


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """A small trial and a large one, each with an administrator at the pages."""
    figures = []
    for patients in (80, 1_000) if quick else (80, 10_000):
        figures += await _at(folder / f"{patients}.db", patients, rounds=_LEAST_ROUNDS if quick else 60)
    return figures


async def _at(path: Path, patients: int, *, rounds: int) -> list[Figure]:
    now = clock()
    days = range(5 - _DAYS_OF_STARTS, 5, _DAYS_BETWEEN)
    ledgers = Ledgers(path, int(TOKEN.partition(":")[0]), [now.date() + timedelta(days=day) for day in days])
    await ledgers.set_up()
    ledgers.fill(patients, as_of=now)
    _miss_some(path)
    db = ledgers.database()
    await db.open()
    # As old as a tally gets: all that came in since is counted slot by slot.
    while await tally(db, now=now - timedelta(days=1)):
        pass
    try:
        figures = []
        asked = ((await _browser(db, now), _PATHS), (await _machine(db, now), _of_machines(db, patients)))
        for client, pages in asked:
            figures += [await _page(client, db, path, page, patients, rounds) for page in pages]
            await client.aclose()
        return figures
    finally:
        await db.close()


def _miss_some(path: Path) -> None:
    """Take every tenth answer back: a trial in which nobody misses anything has short lists."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE slots SET answered_by = NULL, answered_as = NULL WHERE id % 10 = 0")
        # Entries cannot be deleted while their trigger stands, and these belong to no slot any more.
        connection.execute("DROP TRIGGER entries_no_delete")
        connection.execute("DELETE FROM entries WHERE slot_id % 10 = 0")
        connection.execute("ANALYZE")
    connection.close()


async def _browser(db: Database, now: datetime) -> httpx.AsyncClient:
    """An administrator who has signed in."""
    await add_staff(db, code="root", role="administrator", sites=[SITE], language="en", actor=SYSTEM, now=now)
    [(root, _)] = await list_staff(db)
    link = await make_link(db, staff_id=root.id, actor=SYSTEM, now=now)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=web_app(db, lambda: now)), base_url=_HOST)
    opened = f"/sign-in/{link.token}"
    await client.post(opened, data={"csrf": await _csrf(client, opened)})
    form = {"csrf": await _csrf(client, "/sign-in"), "passphrase": _PASSPHRASE, "again": _PASSPHRASE}
    answer = await client.post("/sign-in", data=form)
    assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
    return client


async def _machine(db: Database, now: datetime) -> httpx.AsyncClient:
    """A program with a token of the administrator's, whose questions are seconds apart by its own clock."""
    made = await make_token(db, code="root", name="bench", days=1, actor=SYSTEM, now=now)
    moments = count()
    app = web_app(db, lambda: now, sessions=lambda: now + timedelta(seconds=next(moments)))
    headers = {"Authorization": f"Bearer {made.token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=_HOST, headers=headers)


def _of_machines(db: Database, patients: int) -> list[str]:
    """The largest pages of rows, from the first one on and from the middle of all."""
    amid = cursor_at(db.keys, "entries?", orjson.dumps([code_of(patients // 2), "", 0]))
    return [f"/api/v1/{name}?limit=1000" for name in ("patients", "slots", "entries")] + [
        f"/api/v1/entries?limit=1000&cursor={amid}",
        "/api/v1/adherence?by=phase",
    ]


async def _csrf(client: httpx.AsyncClient, path: str) -> str:
    """The token of the form on a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get(path)).text)
    assert found is not None
    return unescape(found[1])


async def _page(  # noqa: PLR0917 - a benchmark's own parts
    browser: httpx.AsyncClient, db: Database, path: Path, page: str, patients: int, rounds: int
) -> Figure:
    statements = await _statements(browser, db, page)
    ours, bare = [], []
    ends = time.monotonic() + _LONGEST_SECONDS
    for turn in range(rounds):
        if turn >= _LEAST_ROUNDS and time.monotonic() > ends:
            break
        began = time.perf_counter()
        answer = await browser.get(page)
        ours.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == httpx.codes.OK, f"{page}: {answer.status_code}"
        bare.append(_replayed(path, statements))
    slow, floor = percentile(ours, 0.95), percentile(bare, 0.95)
    aim = _AIMS.get(patients)
    return Figure(
        f"page {page.partition('&cursor')[0]}{', amid' * ('cursor' in page)}, {patients:,} patients: p95",
        f"{slow:.0f} ms, {len(answer.content) / 1000:.0f} kB",
        f"{floor:.1f} ms: its {len(statements)} statements by sqlite3",
        f"{slow / floor:.1f}",
        f"< {aim} ms" if aim else "",
        slow < aim if aim else None,
    )


async def _statements(browser: httpx.AsyncClient, db: Database, page: str) -> list[tuple[str, Any]]:
    """What a page asks the database, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 - the event's own form
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            seen.append((statement, parameters))

    engine = db._read_engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await browser.get(page)
    event.remove(engine, "before_cursor_execute", note)
    return seen


def _replayed(path: Path, statements: Sequence[tuple[str, Any]]) -> float:
    connection = sqlite3.connect(path)
    connection.execute("SELECT count(*) FROM sites").fetchall()  # the schema is read by now
    began = time.perf_counter()
    for statement, parameters in statements:
        connection.execute(statement, parameters).fetchall()
    took = (time.perf_counter() - began) * 1000
    connection.close()
    return took
