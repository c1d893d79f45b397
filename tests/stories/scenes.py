"""Faults by kind, and short ways into the scenes in which they happen."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import select, update

from bot.application import build_bot
from bot.limiter import Pacer
from bot.service import Service
from diary import Database
from rehearsal import faults
from rehearsal.inprocess import InProcessRequest
from storage import tables
from tests.cast import cairo
from tests.stories.test_answering import PAIN
from tests.world import World

EVENING = cairo("2026-11-24 20:00")  # Amina's first rating; its ladder: 20:45 and 21:30
MINUTE = timedelta(minutes=1)

REFUSED_FOR_GOOD = {
    "blocked": faults.blocked,
    "deactivated": faults.deactivated,
    "never started": faults.never_started,
    "chat not found": lambda: faults.bad("chat not found"),
}
REFUSED_THIS_ONCE = {
    "bad request": lambda: faults.bad("something else"),
    "migrated": lambda: faults.migrated(-100_5),
    "too large": faults.too_large,
}
CERTAINLY_NOT_SENT = {
    "flood": faults.flood,
    "flood without a time": lambda: faults.flood(None),
    "unauthorized": faults.unauthorized,
    "two pollers": faults.two_pollers,
    "unreachable": faults.unreachable,
}
NOBODY_KNOWS = {
    "broken": faults.broken,
    "broken after all was done": lambda: faults.broken(carried_out=True),
    "bad gateway": faults.bad_gateway,
    "bad gateway after all was done": lambda: faults.bad_gateway(carried_out=True),
    "captive portal": faults.captive_portal,
    "captive portal after all was done": lambda: faults.captive_portal(carried_out=True),
    "no result": faults.no_result,
    "dropped": faults.dropped,
    "dropped before": lambda: faults.dropped(carried_out=False),
    "silent": faults.silent,
    "silent before": lambda: faults.silent(carried_out=False),
}
SLOW = {"slow": lambda: faults.slow(0.02)}
EVERY_KIND = REFUSED_FOR_GOOD | REFUSED_THIS_ONCE | CERTAINLY_NOT_SENT | NOBODY_KNOWS | SLOW


async def entries_of(world: World):
    async with world.db.read() as conn:
        e = tables.entries
        return [(row.answer, row.score, row.kind) for row in await conn.execute(select(e).order_by(e.c.id))]


async def outcomes(world: World):
    async with world.db.read() as conn:
        s = tables.sends
        return [row.outcome for row in await conn.execute(select(s.c.outcome).order_by(s.c.id))]


def questions(person, *, until=None):
    return [m for m in person.screen() if PAIN in m.text and not m.mine and (until is None or m.at < until)]


def receipts(person, text="✓ 7 recorded"):
    return [m for m in person.screen() if m.text.startswith(text)]


async def only_pain(world: World):
    """Let the infusion's messages go, so that what is seen is the rating's."""
    async with world.db.write() as conn:
        s = tables.slots
        await conn.execute(
            update(s).where(s.c.item == "infusion").values(next_nudge_at=None, excused_because="test")
        )


async def asked(world: World):
    """Amina in front of her first rating."""
    amina = await world.patient()
    await only_pain(world)
    await world.go_to(EVENING)
    return amina


@asynccontextmanager
async def serving(world: World, db: Database | None = None, *, watches_outages: bool = False):
    """The service, started on this world's Telegram; `world.service` is the one that runs."""
    bot = build_bot(
        world.account.token,
        "http://telegram.invalid",
        pacer=Pacer(per_bot=None, per_chat=None),
        request=InProcessRequest(world.telegram),
    )
    world.service = Service(
        db or world.db,
        bot,
        world.clock,
        fresh_client=lambda: InProcessRequest(world.telegram),
        watches_outages=watches_outages,
    )
    stop = asyncio.Event()
    polls = len(world.telegram.calls("getUpdates"))
    running = asyncio.create_task(world.service.run(stop, heartbeat=False))
    try:
        # The second poll: by then the first has been heard, and an outage before it is on record.
        await world.telegram.until(lambda: len(world.telegram.calls("getUpdates")) > polls + 1)
        yield
    finally:
        stop.set()
        await running
