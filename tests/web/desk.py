"""A desk: the staff pages over a diary, and members of the team who have signed in there."""

import re
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape

import httpx
from sqlalchemy import select

from diary import SYSTEM, Actor
from diary.roles import actor_of
from diary.signing_in import make_link
from diary.team import add_site, add_staff, list_staff
from storage import tables
from tests.cast import T0, Stage
from web.app import web_app

PASSPHRASE = "four plain words here"
HOST = "http://pages.test"


@dataclass(slots=True)
class Desk:
    """The pages at a time that is moved by hand."""

    stage: Stage
    now: datetime = T0
    pages_url: str | None = HOST
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def browser(self) -> httpx.AsyncClient:
        """A browser nobody has signed in with."""
        app = web_app(self.stage.db, lambda: self.now, pages_url=self.pages_url)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=HOST)
        self.clients.append(client)
        return client

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()

    async def site(self, code: str = "north") -> None:
        await add_site(self.stage.db, code=code, name=code.title(), timezone="Africa/Cairo", actor=SYSTEM, now=T0)

    async def link(self, code: str) -> str:
        """A fresh link for a member."""
        found = next(member for member, _ in await list_staff(self.stage.db) if member.code == code)
        made = await make_link(self.stage.db, staff_id=found.id, actor=SYSTEM, now=self.now)
        return f"/sign-in/{made.token}"

    async def member(self, code: str, role: str = "coordinator", sites: tuple[str, ...] = ("main",)) -> "Member":
        """A new member of the team who has signed in."""
        await self.add(code, role, sites)
        return await self.signed_in(code)

    async def add(self, code: str, role: str, sites: tuple[str, ...] = ("main",), *, language: str = "en") -> None:
        """A new member of the team."""
        await add_staff(
            self.stage.db, code=code, role=role, sites=list(sites), language=language, actor=SYSTEM, now=self.now
        )

    async def signed_in(self, code: str) -> "Member":
        """A member at a browser of their own."""
        client = self.browser()
        await taken(client, await self.link(code))
        page = await client.get("/sign-in")
        answer = await client.post(
            "/sign-in", data={"csrf": csrf_in(page.text), "passphrase": PASSPHRASE, "again": PASSPHRASE}
        )
        assert answer.status_code == 303, answer.text
        return Member(self, client, code)

    async def actor(self, code: str) -> Actor:
        found = next(member for member, _ in await list_staff(self.stage.db) if member.code == code)
        return await actor_of(self.stage.db, found)

    def later(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


@dataclass(slots=True)
class Member:
    """Somebody of the team at their browser."""

    desk: Desk
    client: httpx.AsyncClient
    code: str

    async def sees(self, path: str, status: int = 200) -> str:
        """What a page shows, without its markup."""
        answer = await self.client.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code}\n{words_of(answer.text)}"
        return words_of(answer.text)

    async def csrf(self) -> str:
        return csrf_in((await self.client.get("/exports", follow_redirects=True)).text)

    async def sends(self, path: str, *, csrf: str | None = None, **fields: object) -> httpx.Response:
        """A form, with the session's own token; a field's name may hold hyphens as double underscores."""
        data = {name.replace("__", "-"): value for name, value in fields.items()}
        return await self.client.post(path, data={"csrf": csrf if csrf is not None else await self.csrf(), **data})


async def taken(browser: httpx.AsyncClient, link: str) -> httpx.Response:
    """Open a link and tap."""
    return await browser.post(link, data={"csrf": csrf_in((await browser.get(link)).text)})


def csrf_in(page: str) -> str:
    """The token of the forms on a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    return unescape(found[1]) if found else ""


def words_of(page: str) -> str:
    """A page's text on one line."""
    body = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", page)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


async def rows(stage, table, *columns):
    """Columns of a table, in order."""
    async with stage.db.read() as conn:
        found = await conn.execute(select(*(table.c[name] for name in columns)).order_by(table.c.id))
        return [tuple(row) for row in found]


async def trail(stage, verb):
    """Who did this, and why."""
    async with stage.db.read() as conn:
        a = tables.audit
        return [tuple(row) for row in await conn.execute(select(a.c.actor, a.c.reason).where(a.c.verb == verb))]


@asynccontextmanager
async def held(stage):
    """Somebody else writes for longer than the diary waits."""
    async with stage.db.write() as conn:
        await conn.exec_driver_sql("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(stage.db.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
