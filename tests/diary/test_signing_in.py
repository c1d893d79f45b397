import asyncio
from datetime import timedelta

import pytest
from argon2 import PasswordHasher, Type
from sqlalchemy import select

from diary import SYSTEM, Actor, signing_in
from diary.signing_in import (
    IDLE,
    LINK_LASTS,
    LOCKED_FOR,
    LONGEST,
    WRONG_TRIES,
    check_link,
    make_link,
    mark_session,
    reset_passphrase,
    session_of,
    sign_in,
    sign_out,
    take_link,
    ticket_of,
)
from diary.team import add_site, add_staff, disable_staff, id_of_staff
from protocol.errors import NotAllowedError, SignInError, UnknownCodeError
from storage import tables
from tests.cast import T0, Stage
from tests.conftest import HASHER

GOOD = "winter on the Nile"
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


async def link(stage, staff_id, *, now=T0):
    return (await make_link(stage.db, staff_id=staff_id, actor=SYSTEM, now=now)).token


async def ticket(stage, staff_id, *, now=T0):
    return await take_link(stage.db, token=await link(stage, staff_id, now=now), now=now)


async def enter(stage, staff_id, *, passphrase=GOOD, now=T0):
    return await sign_in(stage.db, ticket=await ticket(stage, staff_id, now=now), passphrase=passphrase, now=now)


async def why(asked):
    with pytest.raises(SignInError) as caught:
        await asked
    return caught.value.why


async def trail(stage):
    """The verbs of the audit trail about signing in, oldest first, with why one failed."""
    async with stage.db.read() as conn:
        lines = await conn.execute(select(tables.audit).order_by(tables.audit.c.id))
        found = [(line.verb, line.details.get("why")) for line in lines]
    return [
        f"{verb}: {because}" if because else verb for verb, because in found if "sign" in verb or "pass" in verb
    ]


async def row_of(stage, table):
    async with stage.db.read() as conn:
        return (await conn.execute(select(table))).one()


@pytest.fixture
async def nour(stage: Stage):
    return await stage.nurse()


async def test_a_link_then_a_passphrase_open_a_session(stage: Stage, nour):
    mine = await ticket(stage, nour)
    found = await ticket_of(stage.db, ticket=mine, now=T0)
    assert (found.code, found.language, found.chooses) == ("nour", "en", True)
    session = await session_of(
        stage.db, token=await sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0), now=T0
    )
    assert (session.member.code, session.actor.role) == ("nour", "coordinator")
    assert not (await ticket_of(stage.db, ticket=await ticket(stage, nour), now=T0)).chooses
    assert await why(enter(stage, nour, passphrase="summer on the Nile")) == "wrong"
    assert await enter(stage, nour)


async def test_a_link_alone_opens_nothing(stage: Stage, nour):
    token = await link(stage, nour)
    mine = await take_link(stage.db, token=token, now=T0)
    assert await session_of(stage.db, token=token, now=T0) is None
    assert await session_of(stage.db, token=mine, now=T0) is None


async def test_looking_at_a_link_does_not_spend_it(stage: Stage, nour):
    token = await link(stage, nour)
    before = await trail(stage)
    for _ in range(3):
        await check_link(stage.db, token=token, now=T0)
    assert await trail(stage) == before
    assert await take_link(stage.db, token=token, now=T0)


async def test_a_link_works_once_and_its_replay_stands_in_the_trail(stage: Stage, nour):
    token = await link(stage, nour)
    mine = await take_link(stage.db, token=token, now=T0)
    assert await why(take_link(stage.db, token=token, now=T0)) == "used"
    assert await why(check_link(stage.db, token=token, now=T0)) == "used"
    assert await sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0)
    assert await why(take_link(stage.db, token=token, now=T0)) == "used"
    assert (await trail(stage))[:3] == ["make sign-in link", "use sign-in link", "sign in failed: used"]


async def test_of_two_who_take_a_link_at_once_one_gets_it(stage: Stage, nour):
    token = await link(stage, nour)
    tries = [take_link(stage.db, token=token, now=T0) for _ in range(5)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, str) for end in ended) == 1
    assert [end.why for end in ended if isinstance(end, SignInError)] == ["used"] * 4


async def test_in_the_eleventh_minute_neither_link_nor_ticket_holds(stage: Stage, nour):
    token, last = await link(stage, nour), T0 + LINK_LASTS - SECOND
    await check_link(stage.db, token=token, now=last)
    assert await why(take_link(stage.db, token=token, now=T0 + LINK_LASTS)) == "expired"
    mine = await take_link(stage.db, token=token, now=last)
    assert await ticket_of(stage.db, ticket=mine, now=last)
    assert await why(ticket_of(stage.db, ticket=mine, now=T0 + LINK_LASTS)) == "expired"
    assert await why(sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0 + LINK_LASTS)) == "expired"


async def test_another_browser_has_no_ticket(stage: Stage, nour):
    token = await link(stage, nour)
    await take_link(stage.db, token=token, now=T0)
    for stranger in ("", "guessed", token):
        assert await why(ticket_of(stage.db, ticket=stranger, now=T0)) == "unknown"
        assert await why(sign_in(stage.db, ticket=stranger, passphrase=GOOD, now=T0)) == "unknown"
    assert await why(check_link(stage.db, token="guessed", now=T0)) == "unknown"


async def test_a_newer_link_ends_the_older_ones_and_their_tickets(stage: Stage, nour):
    taken = await ticket(stage, nour)
    older = await link(stage, nour)
    assert await why(ticket_of(stage.db, ticket=taken, now=T0)) == "expired"
    newest = await link(stage, nour)
    assert await why(take_link(stage.db, token=older, now=T0)) == "expired"
    assert await take_link(stage.db, token=newest, now=T0)


@pytest.mark.parametrize("knows", [False, True])
async def test_of_several_sign_ins_at_once_with_one_ticket_one_succeeds(stage: Stage, nour, knows):
    if knows:
        await enter(stage, nour)
    mine = await ticket(stage, nour)
    tries = [sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0) for _ in range(3)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, str) for end in ended) == 1
    assert {end.why for end in ended if isinstance(end, SignInError)} == {"unknown"}
    assert (await trail(stage)).count("sign in") == 1 + knows
    assert await why(ticket_of(stage.db, ticket=mine, now=T0)) == "unknown"


@pytest.mark.parametrize(
    ("passphrase", "expected"),
    [
        ("", "too-short"),
        ("eleven char", "too-short"),
        ("aaaaaaaaaaaaaa", "too-common"),
        ("AaAaAaAaAaAaAa", "too-common"),
        ("              ", "too-common"),
        ("1234 5678 9012", "too-common"),
        ("١٢٣٤٥٦٧٨٩٠١٢", "too-common"),
        ("my name is Nour", "too-common"),
    ],
)
async def test_a_passphrase_that_is_guessed_first_cannot_be_chosen(stage: Stage, nour, passphrase, expected):
    mine = await ticket(stage, nour)
    assert await why(sign_in(stage.db, ticket=mine, passphrase=passphrase, now=T0)) == expected
    assert (await ticket_of(stage.db, ticket=mine, now=T0)).chooses
    assert await sign_in(stage.db, ticket=mine, passphrase="شتاء على النيل", now=T0)


async def test_the_same_letters_from_another_keyboard_are_the_same_passphrase(stage: Stage, nour):
    await enter(stage, nour, passphrase="caf\u00e9 on the Nile")
    assert await enter(stage, nour, passphrase="cafe\u0301 on the Nile")


async def test_too_many_wrong_tries_lock_the_account_for_a_while(stage: Stage, nour):
    await enter(stage, nour)
    mine = await ticket(stage, nour)
    for _ in range(WRONG_TRIES - 1):
        assert await why(sign_in(stage.db, ticket=mine, passphrase="no", now=T0)) == "wrong"
    assert await why(sign_in(stage.db, ticket=mine, passphrase="no", now=T0)) == "locked"
    assert await why(sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0)) == "locked"
    wrong, locked = ["sign in failed: wrong"] * WRONG_TRIES, ["lock sign-in", "sign in failed: locked"]
    assert (await trail(stage))[-WRONG_TRIES - 2 :] == [*wrong, *locked]
    assert await why(enter(stage, nour, now=T0 + LOCKED_FOR - SECOND)) == "locked"
    assert await enter(stage, nour, now=T0 + LOCKED_FOR)


async def test_a_lock_that_ends_leaves_all_tries_and_a_success_too(stage: Stage, nour):
    await enter(stage, nour)
    for now in (T0, T0 + LOCKED_FOR):
        for _ in range(WRONG_TRIES - 1):
            assert await why(enter(stage, nour, passphrase="no", now=now)) == "wrong"
        if now == T0:
            assert await enter(stage, nour, now=now)
    assert await why(enter(stage, nour, passphrase="no", now=T0 + LOCKED_FOR)) == "locked"
    later = T0 + 2 * LOCKED_FOR
    assert await why(enter(stage, nour, passphrase="no", now=later)) == "wrong"


async def test_guesses_sent_side_by_side_are_no_more_than_those_sent_one_by_one(stage: Stage, nour):
    await enter(stage, nour)
    mine = await ticket(stage, nour)
    guesses = ["no"] * (2 * WRONG_TRIES)
    ended = await asyncio.gather(*[why(sign_in(stage.db, ticket=mine, passphrase=no, now=T0)) for no in guesses])
    assert ended.count("wrong") == WRONG_TRIES - 1
    assert ended.count("locked") == len(guesses) - WRONG_TRIES + 1
    assert await why(sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0)) == "locked"


async def test_a_lock_does_not_end_what_its_owner_is_doing(stage: Stage, nour):
    token = await enter(stage, nour)
    mine = await ticket(stage, nour)
    for _ in range(WRONG_TRIES):
        await why(sign_in(stage.db, ticket=mine, passphrase="no", now=T0))
    assert await session_of(stage.db, token=token, now=T0)


async def test_a_passphrase_kept_in_an_older_way_is_kept_in_todays(stage: Stage, nour):
    await enter(stage, nour)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    async with stage.db.write() as conn:
        await conn.execute(tables.staff.update().values(passphrase=weak))
    assert await enter(stage, nour)
    kept = (await row_of(stage, tables.staff)).passphrase
    assert kept != weak
    assert not signing_in._HASHER.check_needs_rehash(kept)
    assert await enter(stage, nour)


def test_a_passphrase_is_hashed_as_the_field_asks_for():
    """OWASP's password storage cheat sheet: argon2id with at least 46 MiB and one turn, or more turns."""
    assert (HASHER.type, HASHER.memory_cost >= 46 * 1024, HASHER.time_cost >= 1) == (Type.ID, True, True)


async def used(stage, token, now):
    """Whether a session holds; where it does, it is marked as the pages do."""
    session = await session_of(stage.db, token=token, now=now)
    if session and session.unmarked:
        await mark_session(stage.db, session_id=session.session_id, now=now)
    return session is not None


async def test_a_session_ends_when_nobody_uses_it(stage: Stage, nour):
    token = await enter(stage, nour)
    assert await used(stage, token, T0 + IDLE - SECOND)
    assert await used(stage, token, T0 + 2 * IDLE - 2 * SECOND)
    assert not await used(stage, token, T0 + 3 * IDLE - 2 * SECOND)


async def test_a_session_ends_after_twelve_hours_however_busy(stage: Stage, nour):
    token, now = await enter(stage, nour), T0
    while now < T0 + LONGEST:
        assert await used(stage, token, now)
        now += IDLE - MINUTE
    assert now - IDLE < T0 + LONGEST
    assert not await used(stage, token, T0 + LONGEST)


async def test_a_session_in_use_is_written_down_once_a_minute(stage: Stage, nour):
    token = await enter(stage, nour)
    await used(stage, token, T0 + MINUTE - SECOND)
    assert (await row_of(stage, tables.sessions)).seen_at == T0
    await used(stage, token, T0 + MINUTE)
    assert (await row_of(stage, tables.sessions)).seen_at == T0 + MINUTE


async def test_who_signs_out_is_out_and_others_stay(stage: Stage, nour):
    here, there = await enter(stage, nour), await enter(stage, nour)
    assert here != there
    for _ in range(2):
        await sign_out(stage.db, token=here, now=T0)
    await sign_out(stage.db, token="guessed", now=T0)
    assert await session_of(stage.db, token=here, now=T0) is None
    assert await session_of(stage.db, token=there, now=T0)
    assert (await trail(stage)).count("sign out") == 1


async def test_a_disabled_member_is_out_of_the_pages_at_once(stage: Stage, nour):
    session = await enter(stage, nour)
    mine = await ticket(stage, nour)
    await disable_staff(stage.db, code="nour", actor=SYSTEM, now=T0)
    assert await session_of(stage.db, token=session, now=T0) is None
    assert (await row_of(stage, tables.sessions)).ended_at == T0
    assert await why(ticket_of(stage.db, ticket=mine, now=T0)) == "disabled"
    assert await why(sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0)) == "disabled"
    assert await why(link(stage, nour)) == "disabled"


async def test_a_disabled_member_cannot_use_a_link_from_before(stage: Stage, nour):
    token = await link(stage, nour)
    await disable_staff(stage.db, code="nour", actor=SYSTEM, now=T0)
    assert await why(check_link(stage.db, token=token, now=T0)) == "disabled"
    assert await why(take_link(stage.db, token=token, now=T0)) == "disabled"


async def test_a_change_of_role_or_sites_holds_at_the_next_page(stage: Stage, nour):
    token = await enter(stage, nour)
    before = await session_of(stage.db, token=token, now=T0)
    async with stage.db.write() as conn:
        await conn.execute(tables.staff.update().values(role="monitor"))
        await conn.execute(tables.staff_sites.delete())
    after = await session_of(stage.db, token=token, now=T0)
    assert (before.actor.role, len(before.actor.sites)) == ("coordinator", 1)
    assert (after.actor.role, after.actor.sites) == ("monitor", frozenset())


async def test_a_reset_forgets_the_passphrase_and_ends_what_was_open(stage: Stage, nour):
    session = await enter(stage, nour)
    mine = await ticket(stage, nour)
    await reset_passphrase(stage.db, code="nour", actor=SYSTEM, reason="forgotten", now=T0)
    assert await session_of(stage.db, token=session, now=T0) is None
    assert await why(sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0)) == "expired"
    assert await enter(stage, nour, passphrase="summer on the Nile")
    assert await why(enter(stage, nour)) == "wrong"


async def test_a_link_is_made_for_oneself_or_by_who_may_change_the_member(stage: Stage, nour):
    await add_site(stage.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    site = next(iter((await session_of(stage.db, token=await enter(stage, nour), now=T0)).actor.sites))
    here, there = frozenset({site}), frozenset({site + 1})
    may = [
        SYSTEM,
        Actor("staff", nour),
        Actor("staff", 99, role="administrator"),
        Actor("staff", 99, role="administrator", sites=here),
    ]
    for actor in may:
        assert await make_link(stage.db, staff_id=nour, actor=actor, now=T0)
    may_not = [
        Actor("staff", 99, role="coordinator", sites=here),
        Actor("staff", 99, role="administrator", sites=there),
        Actor("staff", 99),
        Actor("patient", nour),
    ]
    for actor in may_not:
        with pytest.raises((NotAllowedError, UnknownCodeError)):
            await make_link(stage.db, staff_id=nour, actor=actor, now=T0)
        with pytest.raises((NotAllowedError, UnknownCodeError)):
            await reset_passphrase(stage.db, code="nour", actor=actor, reason="r", now=T0)
    herself = Actor("staff", nour, role="coordinator")
    with pytest.raises((NotAllowedError, UnknownCodeError)):
        await reset_passphrase(stage.db, code="nour", actor=herself, reason="r", now=T0)
    with pytest.raises(UnknownCodeError):
        await make_link(stage.db, staff_id=98, actor=SYSTEM, now=T0)


async def test_one_members_passphrase_is_of_no_use_to_another(stage: Stage, nour):
    await add_staff(stage.db, code="mona", role="monitor", sites=["main"], language="en", actor=SYSTEM, now=T0)
    mona = await id_of_staff(stage.db, code="mona", actor=SYSTEM)
    await enter(stage, nour)
    await enter(stage, mona, passphrase="summer on the Nile")
    assert await why(enter(stage, mona)) == "wrong"
    assert await enter(stage, nour)


async def test_neither_tokens_nor_passphrases_are_in_the_database(stage: Stage, nour, tmp_path):
    token = await link(stage, nour)
    mine = await take_link(stage.db, token=token, now=T0)
    unused = "wrong but telling guess"
    session = await sign_in(stage.db, ticket=mine, passphrase=GOOD, now=T0)
    assert await why(enter(stage, nour, passphrase=unused)) == "wrong"
    open_ticket = await ticket(stage, nour)
    await stage.db.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("daybook.db*"))
    for secret in (token, mine, session, open_ticket, GOOD, unused):
        assert secret.encode() not in kept
    assert b"$argon2id$" in kept


async def test_the_trail_tells_how_somebody_came_in_and_left(stage: Stage, nour):
    await sign_out(stage.db, token=await enter(stage, nour), now=T0)
    await why(enter(stage, nour, passphrase="no"))
    await enter(stage, nour)
    await reset_passphrase(stage.db, code="nour", actor=SYSTEM, reason="forgotten", now=T0)
    way_in = ["make sign-in link", "use sign-in link"]
    assert await trail(stage) == [
        *way_in, "choose passphrase", "sign in", "sign out",
        *way_in, "sign in failed: wrong",
        *way_in, "sign in",
        "reset passphrase",
    ]  # fmt: skip
    async with stage.db.read() as conn:
        line = (await conn.execute(select(tables.audit).where(tables.audit.c.verb == "sign in"))).first()
    assert (line.actor, line.actor_id, line.at) == ("staff", nour, T0)
