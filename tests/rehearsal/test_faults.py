"""Each fault as the product meets it: in process and over a real line."""

import asyncio
import itertools
import json

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    TelegramError,
    TimedOut,
)

from bot.outcomes import FloodWaitError
from bot.request import LeanRequest
from rehearsal import faults
from rehearsal.faults import Limits
from rehearsal.inprocess import API, InProcessRequest
from rehearsal.server import Server
from rehearsal.telegram import Telegram


@pytest.fixture(params=["in process", "over http"])
async def library(request, telegram, bot):
    """The library's bot, connected without a socket and with one."""
    if request.param == "in process":
        async with Bot(
            bot.token,
            base_url=f"{API}/bot",
            base_file_url=f"{API}/file/bot",
            request=InProcessRequest(telegram),
            get_updates_request=InProcessRequest(telegram),
        ) as library:
            yield library
        return
    async with (
        Server(telegram) as server,
        Bot(
            bot.token,
            base_url=f"{server.url}/bot",
            base_file_url=f"{server.url}/file/bot",
            request=LeanRequest(read=0.3),
            get_updates_request=LeanRequest(),
        ) as library,
    ):
        yield library


@pytest.mark.parametrize(
    ("fault", "raised", "delivered"),
    [
        (faults.flood(7), FloodWaitError, False),
        (faults.flood(None), FloodWaitError, False),
        (faults.blocked(), Forbidden, False),
        (faults.deactivated(), Forbidden, False),
        (faults.never_started(), Forbidden, False),
        (faults.bad("message is not modified"), BadRequest, False),
        (faults.migrated(-100), ChatMigrated, False),
        (faults.unauthorized(), InvalidToken, False),
        (faults.two_pollers(), Conflict, False),
        (faults.too_large(), NetworkError, False),
        (faults.broken(), NetworkError, False),
        (faults.broken(carried_out=True), NetworkError, True),
        (faults.bad_gateway(), NetworkError, False),
        (faults.bad_gateway(carried_out=True), NetworkError, True),
        (faults.captive_portal(), TelegramError, False),
        (faults.captive_portal(carried_out=True), TelegramError, True),
        (faults.no_result(), TelegramError, True),
        (faults.dropped(), NetworkError, True),
        (faults.dropped(carried_out=False), NetworkError, False),
        (faults.silent(), TimedOut, True),
        (faults.unreachable(), NetworkError, False),
    ],
)
async def test_a_fault_ends_alike_with_and_without_a_line(  # noqa: PLR0917 - a row of the table
    library, telegram, amina, fault, raised, delivered
):
    telegram.faults.next(fault)
    with pytest.raises(raised) as caught:
        await library.send_message(amina.id, "hello")
    assert type(caught.value) is raised
    assert amina.sees("hello") is delivered
    assert telegram.sent[-1].carried_out is delivered
    assert telegram.faults.waiting == 0
    await library.send_message(amina.id, "and now it works")


async def test_without_a_line_the_cause_says_whether_anything_was_sent(telegram, bot, amina):
    request = InProcessRequest(telegram)
    for fault, cause in (
        (faults.unreachable(), ConnectionRefusedError),
        (faults.dropped(), ConnectionResetError),
        (faults.silent(), TimeoutError),
    ):
        telegram.faults.next(fault)
        with pytest.raises(NetworkError) as caught:
            await request.do_request(f"{API}/bot{bot.token}/getMe", "POST")
        assert type(caught.value.__cause__) is cause


async def test_a_fault_meets_only_its_method_and_chat_and_in_turn(telegram, call, amina):
    other = telegram.person("Omar")
    other.press_start()
    telegram.faults.next(faults.bad("first"), faults.bad("second"), method="sendMessage", chat_id=amina.id)
    assert (await call("getMe"))["is_bot"]
    assert (await call("sendMessage", chat_id=other.id, text="x"))["text"] == "x"
    assert (await call("sendMessage", chat_id=amina.id, text="x"))["description"] == "Bad Request: first"
    assert (await call("sendMessage", chat_id=amina.id, text="x"))["description"] == "Bad Request: second"
    assert (await call("sendMessage", chat_id=amina.id, text="x"))["text"] == "x"


async def test_a_fault_can_last_or_be_picked_by_a_function(telegram, call, amina):
    telegram.faults.always(faults.broken(), method="sendMessage")
    assert {(await call("sendMessage", chat_id=amina.id, text="x"))["error_code"] for _ in range(3)} == {500}
    telegram.faults.clear()
    turn = itertools.count()
    telegram.faults.when(lambda call: call.method == "sendMessage" and next(turn) == 1, faults.blocked(), times=1)
    answers = [await call("sendMessage", chat_id=amina.id, text="x") for _ in range(3)]
    assert ["error_code" in answer for answer in answers] == [False, True, False]


async def test_a_fault_without_a_method_leaves_polling_alone(telegram, call):
    telegram.faults.always(faults.broken())
    assert await call("getUpdates") == []
    assert (await call("getMe"))["error_code"] == 500
    telegram.faults.next(faults.two_pollers(), method="getUpdates")
    telegram.faults.clear()


async def test_a_slow_answer_is_still_a_proper_one(telegram, call, amina):
    telegram.faults.always(faults.slow(0.02))
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert (await call("sendMessage", chat_id=amina.id, text="x"))["text"] == "x"
    assert loop.time() - before >= 0.02


async def test_a_refused_call_stays_refused_when_its_answer_would_be_lost(telegram, call, amina):
    telegram.faults.next(faults.no_result())
    assert (await call("sendMessage", chat_id=amina.id, text=""))["error_code"] == 400


async def test_strict_limits_refuse_a_second_message_in_a_second_and_the_31st_overall(clock):
    seconds = [0.0]
    telegram = Telegram(clock, limits=Limits(seconds=lambda: seconds[0]))
    bot = telegram.bot()
    people = [telegram.person(f"P{n}") for n in range(31)]
    for person in people:
        person.press_start(bot)

    async def send(person):
        answer = await telegram.call(bot.token, "sendMessage", {"chat_id": person.id, "text": "x"})
        return answer.status, json.loads(answer.body).get("parameters")

    assert [(await send(person))[0] for person in people] == [200] * 30 + [429]
    seconds[0] = 0.99
    assert await send(people[0]) == (429, {"retry_after": 1})
    seconds[0] = 1.0
    assert (await send(people[0]))[0] == 200
    assert (await send(people[0])) == (429, {"retry_after": 1})


async def test_the_whole_conversation_works_through_the_library(library, telegram, bot, amina):
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("7", callback_data="d7")]])
    sent = await library.send_message(amina.id, "<b>Pain?</b>", parse_mode="HTML", reply_markup=keyboard)
    amina.tap("7")
    (update,) = await library.get_updates(timeout=1, allowed_updates=["message", "callback_query"])
    await update.callback_query.answer("Kept")
    await update.callback_query.edit_message_text("✓ 7")
    await library.get_updates(offset=update.update_id + 1)
    await telegram.quiet()
    assert (amina.last.text, amina.last.labels, sent.message_id) == ("✓ 7", (), amina.last.id)
    document = await library.send_document(amina.id, b"a\r\n\n", filename="my diary ü.csv", caption="Yours")
    file = await document.document.get_file()
    assert bytes(await file.download_as_bytearray()) == b"a\r\n\n"
    assert (amina.last.document, amina.last.text) == ("my diary ü.csv", "Yours")
    assert (await library.get_chat(amina.id)).first_name == "Amina"
    assert (await library.get_me()).username == bot.username
    assert (await library.get_webhook_info()).pending_update_count == 0
    assert await library.send_chat_action(amina.id, "typing")
