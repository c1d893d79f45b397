import asyncio
import json
from datetime import timedelta

import pytest

from rehearsal.rules import TWO_POLLERS, WEBHOOK_ACTIVE
from rehearsal.telegram import Telegram


@pytest.fixture
def texts(call):
    async def texts(**fields):
        return [update["message"]["text"] for update in await call("getUpdates", **fields)]

    return texts


async def test_updates_come_again_until_a_higher_offset_confirms_them(call, texts, amina):
    amina.type("7")
    amina.type("8")
    first, second = await call("getUpdates")
    assert second["update_id"] == first["update_id"] + 1
    assert await texts() == ["7", "8"]
    assert await texts(limit="1") == ["7"]
    assert await texts(offset=second["update_id"]) == ["8"]
    assert await texts() == ["8"]
    assert await texts(offset=second["update_id"] + 1) == []


async def test_an_update_is_the_same_bytes_at_every_delivery(telegram, bot, amina):
    amina.type("٧ and ü")
    answers = [await telegram.call(bot.token, "getUpdates", {}) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert "٧".encode() in answers[0].body


async def test_a_negative_offset_keeps_only_the_last_ones(texts, amina):
    for text in "789":
        amina.type(text)
    assert await texts(offset=-2) == ["8", "9"]
    assert await texts() == ["8", "9"]


async def test_a_long_poll_ends_when_something_is_written(texts, amina):
    poll = asyncio.create_task(texts(timeout=30))
    await asyncio.sleep(0)
    amina.type("7")
    assert await poll == ["7"]


async def test_a_second_poll_ends_the_first_with_409(call, amina):
    first = asyncio.create_task(call("getUpdates", timeout=30))
    await asyncio.sleep(0)
    second = asyncio.create_task(call("getUpdates", timeout=30))
    assert await first == {"ok": False, "error_code": 409, "description": f"Conflict: {TWO_POLLERS}"}
    amina.type("7")
    assert len(await second) == 1


async def test_polling_is_refused_while_a_webhook_is_set(call, bot):
    await call("setWebhook", url="https://daybook.example/hook")
    refusal = await call("getUpdates")
    assert (refusal["error_code"], refusal["description"]) == (409, f"Conflict: {WEBHOOK_ACTIVE}")
    await call("deleteWebhook")
    assert await call("getUpdates") == []


async def test_what_was_typed_is_kept_24_hours_and_a_tap_150_seconds(call, bot, amina, clock):
    markup = {"inline_keyboard": [[{"text": "7", "callback_data": "7"}]]}
    await call("sendMessage", chat_id=amina.id, text="?", reply_markup=markup)
    amina.type("7")
    amina.tap("7")
    clock.advance(timedelta(seconds=149))
    assert len(await call("getUpdates")) == 2
    clock.advance(timedelta(seconds=1))
    assert [list(update) for update in await call("getUpdates")] == [["update_id", "message"]]
    clock.advance(timedelta(hours=24))
    assert await call("getUpdates") == []
    assert bot.updates.expired == 2


async def test_only_the_kinds_asked_for_are_queued_from_then_on(call, amina):
    await call("getUpdates", allowed_updates='["callback_query"]')
    amina.type("7")
    assert await call("getUpdates") == []
    await call("getUpdates", allowed_updates=["message", "my_chat_member"])
    amina.type("8")
    amina.block()
    assert [list(update)[1] for update in await call("getUpdates")] == ["message", "my_chat_member"]


async def test_confirmed_updates_can_be_delivered_again(call, texts, bot, amina):
    amina.type("7")
    update = (await call("getUpdates"))[0]
    await call("getUpdates", offset=update["update_id"] + 1)
    assert bot.updates.again(1) == [update["update_id"]]
    assert await call("getUpdates") == [update]


async def test_any_json_can_be_put_into_the_queue(call, bot, amina):
    bot.updates.poison('{"update_id": 12345678901234567890, "message": {"text": 7}}')
    deep = "[" * 100 + "]" * 100
    bot.updates.poison(deep)
    amina.type("7")
    first, second, third = await call("getUpdates")
    assert first["update_id"] == 12345678901234567890
    assert json.dumps(second) == deep
    assert third["message"]["text"] == "7"
    assert await call("getUpdates", offset=third["update_id"] + 1) == []


async def test_numbers_may_begin_anew_after_an_idle_week(call, texts, bot, amina):
    bot.updates.next_id = 900
    amina.type("7")
    assert await texts(offset=901) == []
    bot.updates.next_id = 17
    amina.type("8")
    assert await texts(offset=901) == ["8"]


async def test_two_bots_have_their_own_chats_and_updates(clock):
    telegram = Telegram(clock)
    one, two = telegram.bot(), telegram.bot("7000000002:" + "x" * 35, "second_bot")
    person = telegram.person("Amina")
    person.press_start(one)
    assert (len(one.updates.pending()), len(two.updates.pending())) == (1, 0)
    refusal = json.loads((await telegram.call(two.token, "sendMessage", {"chat_id": person.id, "text": "x"})).body)
    assert refusal["description"] == "Forbidden: bot can't initiate conversation with a user"


async def test_quiet_waits_until_all_is_confirmed_and_no_call_is_under_way(telegram, call, amina):
    amina.type("7")
    with pytest.raises(AssertionError, match="1 updates not confirmed"):
        await telegram.quiet(seconds=0.05)

    async def poll():
        update = (await call("getUpdates", timeout=5))[-1]
        await call("getUpdates", offset=update["update_id"] + 1)
        await call("sendMessage", chat_id=amina.id, text="kept")

    work = asyncio.create_task(poll())
    await telegram.quiet()
    assert amina.last.text == "kept"
    await work


async def test_until_waits_for_anything_and_says_what_was_called_last(telegram, call, amina):
    writing = asyncio.create_task(call("sendMessage", chat_id=amina.id, text="kept"))
    await telegram.until(lambda: amina.sees("kept"))
    await writing
    with pytest.raises(AssertionError, match="sendMessage 200"):
        await telegram.until(lambda: False, seconds=0.02)
