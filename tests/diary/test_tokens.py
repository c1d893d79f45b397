"""Tokens for machines: made, held, noted and ended."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM
from diary.roles import actor_of
from diary.team import change_staff, disable_staff
from diary.tokens import MOST_DAYS, holder_of, list_tokens, make_token, mark_token, revoke_token
from protocol.errors import AlreadyThereError, NotAllowedError, UnknownCodeError, WrongCallError
from storage import tables
from tests.cast import T0, Stage

NAME = "statistics server"
BY = {"actor": SYSTEM, "now": T0}


async def made(stage, code="nour", name=NAME, days=90, **by):
    return await make_token(stage.db, code=code, name=name, days=days, **{**BY, **by})


async def kept(stage, code="nour"):
    return await list_tokens(stage.db, code=code, actor=SYSTEM)


async def lines(stage, verb):
    async with stage.db.read() as conn:
        a = tables.audit
        found = await conn.execute(select(a.c.actor, a.c.details, a.c.reason).where(a.c.verb == verb))
        return [tuple(row) for row in found]


async def test_a_token_acts_for_its_member_with_the_role_and_sites_of_the_moment(stage: Stage):
    nour = await stage.nurse()
    token = (await made(stage)).token
    holder = await holder_of(stage.db, token=token, now=T0)
    assert holder.actor == await actor_of(stage.db, await stage.member(nour))
    change = {"code": "nour", "role": "administrator", "sites": [], "reason": "r", **BY}
    await change_staff(stage.db, **change)
    holder = await holder_of(stage.db, token=token, now=T0)
    assert (holder.actor.role, holder.actor.sites) == ("administrator", None)


async def test_a_token_is_shown_once_and_cannot_be_guessed_from_what_is_kept(stage: Stage):
    await stage.nurse()
    first = await made(stage)
    assert first.token not in repr(first)
    other = await made(stage, name="other")
    assert len({first.token, other.token}) == 2
    assert len(first.token) == len("daybook_") + 43  # 32 bytes
    async with stage.db.read() as conn:
        [row, _] = (await conn.execute(select(tables.api_tokens))).all()
    assert first.token not in repr(row)
    assert len(row.token_hash) == 32


@pytest.mark.parametrize("token", ["", "daybook_", "daybook_x", "é", "x" * 10_000])
async def test_what_was_never_made_leads_nowhere(stage: Stage, token):
    await stage.nurse()
    await made(stage)
    assert await holder_of(stage.db, token=token, now=T0) is None


async def test_a_token_holds_until_its_day_and_no_longer(stage: Stage):
    await stage.nurse()
    token = await made(stage, days=1)
    assert token.expires_at == T0 + timedelta(days=1)
    assert await holder_of(stage.db, token=token.token, now=token.expires_at - timedelta(seconds=1))
    assert await holder_of(stage.db, token=token.token, now=token.expires_at) is None


@pytest.mark.parametrize(("name", "days"), [(NAME, 0), (NAME, -1), (NAME, MOST_DAYS + 1), ("x" * 81, 90)])
async def test_a_token_of_more_than_a_year_or_an_endless_name_is_refused(stage: Stage, name, days):
    await stage.nurse()
    with pytest.raises(WrongCallError):
        await made(stage, name=name, days=days)


async def test_two_tokens_that_work_have_two_names(stage: Stage):
    await stage.nurse()
    first = await made(stage)
    with pytest.raises(AlreadyThereError, match="of that name"):
        await made(stage)
    await made(stage, now=first.expires_at)
    assert [one.name for one in await kept(stage)] == [NAME, NAME]


async def test_who_is_shut_out_gets_no_token_and_loses_those_there_are(stage: Stage):
    await stage.nurse()
    token = (await made(stage)).token
    await disable_staff(stage.db, code="nour", **BY)
    assert await holder_of(stage.db, token=token, now=T0) is None
    assert [one.revoked_at for one in await kept(stage)] == [T0]
    with pytest.raises(NotAllowedError, match="disabled"):
        await made(stage)


async def test_making_and_ending_a_token_stand_in_the_trail_without_it(stage: Stage):
    await stage.nurse()
    token = await made(stage)
    [one] = await kept(stage)
    for _ in range(2):
        await revoke_token(stage.db, code="nour", token_id=one.id, reason="the server is gone", **BY)
    until = token.expires_at.isoformat()
    assert await lines(stage, "make token") == [("system", {"code": "nour", "name": NAME, "until": until}, None)]
    assert await lines(stage, "revoke token") == [("system", {"code": "nour", "name": NAME}, "the server is gone")]
    assert await holder_of(stage.db, token=token.token, now=T0) is None


async def test_a_token_of_one_member_is_not_ended_under_the_name_of_another(stage: Stage):
    await stage.nurse()
    await stage.nurse("omar", chat=2009)
    await made(stage)
    [one] = await kept(stage)
    for code, token_id in (("omar", one.id), ("nour", 99)):
        with pytest.raises(UnknownCodeError):
            await revoke_token(stage.db, code=code, token_id=token_id, **BY)


async def test_its_member_hears_of_a_token_that_somebody_else_made(stage: Stage):
    nour = await stage.nurse()
    await made(stage)
    async with stage.db.read() as conn:
        n = tables.notices
        found = (await conn.execute(select(n.c.staff_id, n.c.details).where(n.c.kind == "way-in"))).all()
    assert [tuple(row) for row in found] == [(nour, {"what": "token"})]


async def test_its_use_is_noted_and_the_first_of_a_day_is_told(stage: Stage):
    await stage.nurse()
    token = (await made(stage)).token
    for after, unmarked in ((0, True), (59, False), (60, True), (86_400, True)):
        now = T0 + timedelta(seconds=after)
        holder = await holder_of(stage.db, token=token, now=now)
        assert holder.unmarked is unmarked
        if unmarked:
            await mark_token(stage.db, token_id=holder.token_id, now=now)
    [one] = await kept(stage)
    assert one.used_at == now
    assert await lines(stage, "use token") == [("staff", {"code": "nour", "name": NAME}, None)] * 2
