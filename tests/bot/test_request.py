"""The lean client: what goes over the wire, its timeouts, and what never leaves it."""

import asyncio
import io
import json
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from conftest import TOKEN, ScriptedTelegram, Trouble
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputFile
from telegram.error import BadRequest, NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.ext import ExtBot

from bot.outcomes import LAST_LOOK, FloodWaitError, NotWantedError
from bot.request import LeanRequest

CHAT = 42
PATIENT_TEXT = "my back hurts"


@pytest.fixture
async def client(telegram: ScriptedTelegram) -> AsyncIterator[LeanRequest]:
    async with LeanRequest(connections=4, connect=0.2, read=0.1, write=0.2, pool=0.05) as client:
        yield client
        telegram.release()


@pytest.fixture
def bot(client: LeanRequest, telegram: ScriptedTelegram) -> ExtBot[None]:
    return ExtBot(TOKEN, base_url=f"{telegram.address}/bot", request=client)


async def test_a_message_goes_as_json_with_its_buttons(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    buttons = InlineKeyboardMarkup([[InlineKeyboardButton("٧", callback_data="v1:7")]])
    message = await bot.send_message(CHAT, "Ваша боль сегодня?", reply_markup=buttons)
    assert message.message_id == 7
    (call,) = telegram.calls
    assert call.content_type == "application/json"
    assert call.json == {
        "chat_id": CHAT,
        "text": "Ваша боль сегодня?",
        "reply_markup": {"inline_keyboard": [[{"text": "٧", "callback_data": "v1:7"}]]},
    }


def test_of_what_comes_back_only_what_is_looked_at_is_made_objects_of() -> None:
    sent = {"message_id": 7, "date": 1, "chat": {"id": CHAT, "type": "private"}}
    whole = {**sent, "text": "٧?", "reply_markup": {"inline_keyboard": []}}
    answers = {
        "sent": whole,
        "changed": {**whole, "edit_date": 2},
        "me": {"id": 1, "is_bot": True, "first_name": "Diary"},
    }
    read = {
        name: LeanRequest.parse_json_payload(json.dumps({"ok": True, "result": result}).encode())["result"]
        for name, result in answers.items()
    }
    assert read == {"sent": sent, "changed": True, "me": answers["me"]}


@pytest.mark.parametrize("why", [None, "left"])
async def test_what_became_unwanted_while_the_line_was_made_is_not_written(
    bot: ExtBot[None], telegram: ScriptedTelegram, why: str | None
) -> None:
    looked = []

    async def why_not() -> str | None:
        looked.append(len(telegram.calls))
        return why

    look = LAST_LOOK.set(why_not)
    if why is None:
        assert (await bot.send_message(CHAT, "٧?")).message_id == 7
    else:
        with pytest.raises(NotWantedError, match=why):
            await bot.send_message(CHAT, "٧?")
    LAST_LOOK.reset(look)
    await bot.get_me()
    assert looked == [0]
    assert [call.method for call in telegram.calls] == ["sendMessage"] * (why is None) + ["getMe"]


async def test_nobody_is_asked_before_there_is_a_line(client: LeanRequest) -> None:
    async def why_not() -> str | None:
        raise AssertionError("asked too early")

    bot = ExtBot(TOKEN, base_url="http://127.0.0.1:9/bot", request=client)  # nobody listens at the discard port
    look = LAST_LOOK.set(why_not)
    with pytest.raises(NetworkError):
        await bot.send_message(CHAT, "Ваша боль сегодня?")
    LAST_LOOK.reset(look)


async def test_a_call_without_parameters_has_no_body(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    await bot.delete_webhook()
    await bot.get_me()
    assert [call.method for call in telegram.calls] == ["deleteWebhook", "getMe"]


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_chart_is_uploaded_as_a_form(bot: ExtBot[None], telegram: ScriptedTelegram, size: int) -> None:
    await bot.send_photo(CHAT, InputFile(b"P" * size, "chart.png"), caption="Ваши 7 дней")
    (call,) = telegram.calls
    assert call.content_type.startswith("multipart/form-data; boundary=")
    assert b'name="caption"' in call.body
    assert "Ваши 7 дней".encode() in call.body
    assert b'name="photo"; filename="chart.png"' in call.body
    assert b"image/png" in call.body
    assert b"P" * size in call.body


async def test_an_export_is_uploaded_from_a_file_handle(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    await bot.send_document(CHAT, io.BytesIO(b"code,pain\n"), filename="экспорт.csv")
    assert b"code,pain\n" in telegram.calls[0].body
    assert "экспорт.csv".encode() in telegram.calls[0].body


async def test_a_file_is_fetched_as_bytes(client: LeanRequest, telegram: ScriptedTelegram) -> None:
    telegram.script("photo.jpg", (200, b"\xff\xd8"))
    assert await client.retrieve(f"{telegram.address}/file/bot{TOKEN}/photos/photo.jpg") == b"\xff\xd8"


async def test_connections_are_used_again(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    for _ in range(5):
        await bot.send_message(CHAT, "-")
    assert len(telegram.connections) == 1


async def test_no_more_connections_than_allowed(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    await asyncio.gather(*(bot.send_message(CHAT, "-", pool_timeout=5) for _ in range(40)))
    assert len(telegram.connections) <= 4


async def test_the_read_timeout_of_one_call_serves_a_long_poll(
    client: LeanRequest, bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    assert client.read_timeout == 0.1
    telegram.script("getMe", Trouble.HANG)
    patient_call = asyncio.create_task(bot.get_me(read_timeout=5))
    telegram.script("sendMessage", Trouble.HANG)
    with pytest.raises(TimedOut):
        await bot.send_message(CHAT, "-")
    assert not patient_call.done()
    patient_call.cancel()
    await asyncio.gather(patient_call, return_exceptions=True)


async def test_a_full_pool_fails_after_the_pools_timeout_not_the_connections(
    bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    telegram.script("getMe", *[Trouble.HANG] * 4)
    holding = [asyncio.create_task(bot.get_me(read_timeout=5)) for _ in range(4)]
    await telegram.arrived(4)
    with pytest.raises(TimedOut) as failed:
        await bot.send_message(CHAT, "-", connect_timeout=30, pool_timeout=0.01)
    assert isinstance(failed.value.__cause__, aiohttp.ConnectionTimeoutError)
    telegram.release()
    await asyncio.gather(*holding, return_exceptions=True)
    await bot.send_message(CHAT, "-")


async def test_a_call_cancelled_in_the_pools_queue_takes_no_place(
    bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    telegram.script("getMe", *[Trouble.HANG] * 4)
    holding = [asyncio.create_task(bot.get_me(read_timeout=5)) for _ in range(4)]
    await telegram.arrived(4)
    queued = asyncio.create_task(bot.send_message(CHAT, "-", pool_timeout=5))
    await asyncio.sleep(0.001)
    for task in (queued, *holding):
        task.cancel()
    await asyncio.gather(queued, *holding, return_exceptions=True)
    await asyncio.gather(*(bot.send_message(CHAT, "-") for _ in range(4)))


async def test_a_flood_is_told_with_its_pause(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    telegram.script("sendMessage", (429, {"ok": False, "parameters": {"retry_after": 7}}))
    with pytest.raises(RetryAfter) as flood:
        await bot.send_message(CHAT, "-")
    assert isinstance(flood.value, FloodWaitError)
    assert flood.value.retry_after == timedelta(seconds=7)


async def test_half_an_emoji_is_refused_by_telegram_and_read_from_it(
    bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    telegram.script("sendMessage", (400, {"ok": False, "description": "Bad Request: strings must be UTF-8"}))
    with pytest.raises(BadRequest):
        await bot.send_message(CHAT, "\ud83d")
    assert LeanRequest.parse_json_payload(b'{"result": "\\ud83d"}') == {"result": "\ud83d"}


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"[" * 100_000, b'"a"', b"\xff"])
def test_what_is_not_an_answer_is_said_without_quoting_it(body: bytes) -> None:
    with pytest.raises(TelegramError, match=r"^Invalid server response$") as failed:
        LeanRequest.parse_json_payload(body)
    assert failed.value.__cause__ is None


async def test_a_redirect_is_not_followed(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    telegram.script("sendMessage", (307, b"<html>elsewhere</html>", {"Location": f"{telegram.address}/portal"}))
    with pytest.raises(NetworkError):
        await bot.send_message(CHAT, "-")
    assert len(telegram.calls) == 1


async def test_after_shutdown_it_says_so_and_can_be_opened_again(telegram: ScriptedTelegram) -> None:
    client = LeanRequest()
    bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"{telegram.address}/bot", request=client)
    with pytest.raises(NetworkError, match="not initialized"):
        await bot.send_message(CHAT, "-")
    for _ in range(2):
        await client.initialize()
        await client.initialize()
        await bot.send_message(CHAT, "-")
        await client.shutdown()
        await client.shutdown()
    with pytest.raises(NetworkError, match="not initialized"):
        await bot.send_message(CHAT, "-")
    assert len(telegram.calls) == 2


TROUBLES = [Trouble.HANG, Trouble.DROP, Trouble.RESET, (200, b"<html>"), (502, b"<html>"), (401, {"ok": False})]


@pytest.mark.parametrize("step", [*TROUBLES, "refused", "silent"], ids=str)
async def test_no_failure_shows_the_token_in_text_traceback_or_log(
    step: object,
    client: LeanRequest,
    telegram: ScriptedTelegram,
    silent_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    addresses = {"refused": "http://127.0.0.1:1", "silent": f"https://127.0.0.1:{silent_port}"}
    telegram.script("sendMessage", step)
    bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"{addresses.get(str(step), telegram.address)}/bot", request=client)
    with pytest.raises(TelegramError) as failed:
        await bot.send_message(CHAT, PATIENT_TEXT)
    shown = "".join(traceback.format_exception(failed.value)) + repr(failed.value) + repr(failed.value.__cause__)
    ours = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("telegram"))
    assert TOKEN not in shown + ours
    assert PATIENT_TEXT not in shown + ours


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (aiohttp.ConnectionTimeoutError("Connection timeout to host {}"), aiohttp.ConnectionTimeoutError),
        (aiohttp.ClientOSError(32, "Can not write request body for {}"), aiohttp.ClientConnectionError),
        (aiohttp.InvalidURL("{}"), aiohttp.InvalidURL),
    ],
)
async def test_an_address_in_an_errors_words_is_withheld_and_its_kind_kept(
    failure: Exception, kind: type[Exception], client: LeanRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1/bot{TOKEN}/sendMessage"
    shown = {
        aiohttp.InvalidURL: lambda: aiohttp.InvalidURL(url),
        aiohttp.ClientOSError: lambda: aiohttp.ClientOSError(32, f"Can not write request body for {url}"),
        aiohttp.ConnectionTimeoutError: lambda: aiohttp.ConnectionTimeoutError(f"Connection timeout to host {url}"),
    }[type(failure)]()

    def fail(*_args: object, **_kwargs: object) -> None:
        raise shown

    assert client._session is not None
    monkeypatch.setattr(client._session, "request", fail)
    with pytest.raises(NetworkError) as failed:
        await client.post(url)
    cause = failed.value.__cause__
    assert isinstance(cause, kind)
    assert TOKEN not in f"{failed.value} {cause} {cause.__cause__}"


async def test_a_proxy_from_the_environment_is_used_with_its_password(
    telegram: ScriptedTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    async def proxy(request: web.Request) -> web.Response:
        seen.append((str(request.url), request.headers.get("Proxy-Authorization", "")))
        return web.json_response({"ok": True, "result": True})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy)
    server = TestServer(app)
    await server.start_server()
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://user:pass@127.0.0.1:{server.port}")
    async with LeanRequest() as client:
        assert await client.post("http://api.example.org/bot1:a/deleteWebhook") is True
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with LeanRequest() as client:
        await client.post(f"{telegram.address}/bot1:a/deleteWebhook")
    assert seen == [("http://api.example.org/bot1:a/deleteWebhook", "Basic dXNlcjpwYXNz")]
    assert len(telegram.calls) == 1
    await server.close()
