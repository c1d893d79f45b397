"""What becomes of a member's way in: a passphrase of one's own, what others do to it, what is over."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM, Actor
from diary.joining import join
from diary.signing_in import (
    WRONG_TRIES,
    change_passphrase,
    forget_old_ways,
    make_link,
    reset_passphrase,
    session_of,
)
from diary.team import add_staff, id_of_staff
from storage import tables
from tests.cast import BOT, NOUR_CHAT, T0, Stage
from tests.diary.test_signing_in import GOOD, enter, trail, why

NEW = "summer on the Nile"


@pytest.fixture
async def nour(stage: Stage):
    return await stage.nurse()


async def told(stage):
    """What members were to be told of their way in."""
    n = tables.notices
    async with stage.db.read() as conn:
        rows = await conn.execute(select(n.c.staff_id, n.c.details).where(n.c.kind == "way-in").order_by(n.c.id))
        return [(row.staff_id, row.details["what"]) for row in rows]


async def test_a_member_hears_of_a_reset_and_of_a_link_that_somebody_else_made(stage: Stage, nour):
    own = Actor("staff", nour, role="coordinator", sites=frozenset({1}))
    await make_link(stage.db, staff_id=nour, actor=own, now=T0)
    assert await told(stage) == []
    await enter(stage, nour)
    await reset_passphrase(stage.db, code="nour", actor=SYSTEM, reason="forgotten", now=T0)
    assert await told(stage) == [(nour, "link"), (nour, "reset")]


async def test_whoever_has_no_chat_yet_does_not_find_such_news_when_they_join(stage: Stage):
    invite = await add_staff(
        stage.db, code="omar", role="monitor", sites=["main"], language="en", actor=SYSTEM, now=T0
    )
    omar = await id_of_staff(stage.db, code="omar", actor=SYSTEM)
    await make_link(stage.db, staff_id=omar, actor=SYSTEM, now=T0)
    await join(stage.db, bot_id=BOT, chat_id=NOUR_CHAT, token=invite.token, now=T0)
    assert await told(stage) == []


async def test_a_passphrase_is_changed_by_who_knows_it_and_ends_every_other_session(stage: Stage, nour):
    elsewhere, here = await enter(stage, nour), await enter(stage, nour)
    session = await session_of(stage.db, token=here, now=T0)
    who = {"member": session.member, "session_id": session.session_id, "now": T0}
    assert await why(change_passphrase(stage.db, passphrase=NEW, chosen="a" * 13, **who)) == ("too-common")
    assert await why(change_passphrase(stage.db, passphrase="not this one", chosen=NEW, **who)) == ("wrong")
    await change_passphrase(stage.db, passphrase=GOOD, chosen=NEW, **who)
    assert await session_of(stage.db, token=elsewhere, now=T0) is None
    assert await session_of(stage.db, token=here, now=T0) is not None
    assert await why(enter(stage, nour)) == "wrong"
    await enter(stage, nour, passphrase=NEW)
    assert "change passphrase" in await trail(stage)


async def test_guesses_at_the_passphrase_that_holds_lock_it_there_too(stage: Stage, nour):
    session = await session_of(stage.db, token=await enter(stage, nour), now=T0)
    who = {"member": session.member, "session_id": session.session_id, "now": T0}
    tries = [
        await why(change_passphrase(stage.db, passphrase="not this one", chosen=NEW, **who))
        for _ in range(WRONG_TRIES)
    ]
    assert tries == ["wrong"] * (WRONG_TRIES - 1) + ["locked"]
    assert await why(change_passphrase(stage.db, passphrase=GOOD, chosen=NEW, **who)) == "locked"


async def test_links_and_sessions_that_are_long_over_are_removed_and_none_that_hold(stage: Stage, nour):
    await enter(stage, nour)
    later = T0 + timedelta(days=31)
    token = await enter(stage, nour, now=later)
    await forget_old_ways(stage.db, now=later)
    async with stage.db.read() as conn:
        left = [
            len((await conn.execute(select(table.c.id))).all()) for table in (tables.sign_in_links, tables.sessions)
        ]
    assert left == [1, 1]
    assert await session_of(stage.db, token=token, now=later) is not None
