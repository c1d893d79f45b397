"""The classifier, row by row: each failure is produced over HTTP where it can be, by both clients."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey
from conftest import TOKEN, ScriptedTelegram, Trouble
from telegram import InputFile
from telegram.error import BadRequest, Forbidden, NetworkError, TelegramError, TimedOut
from telegram.ext import ExtBot
from telegram.request import BaseRequest, HTTPXRequest
from telegram.warnings import PTBDeprecationWarning

from bot.outcomes import (
    FloodWaitError,
    classify,
    is_cannot_edit,
    is_cannot_parse,
    is_not_modified,
    is_query_too_old,
)
from bot.request import LeanRequest
from protocol.lifecycle import SendOutcome
from schedules.sending import PutBack, Refusal, Refused, Sent, Unknown

PATIENT_TEXT = "my back hurts"
CHAT = 987654321

FAST = {"read": 0.1, "connect": 0.1, "write": 0.1, "pool": 0.02}
CLIENTS: dict[str, Callable[[], BaseRequest]] = {
    "lean": lambda: LeanRequest(connections=1, **FAST),
    "stock": lambda: HTTPXRequest(1, **{f"{name}_timeout": value for name, value in FAST.items()}),
}


def refusal(status: int, description: str, **parameters: int) -> tuple[int, dict[str, Any]]:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    return status, body | ({"parameters": parameters} if parameters else {})


@pytest.fixture(params=CLIENTS)
async def bot(request: pytest.FixtureRequest, telegram: ScriptedTelegram) -> AsyncIterator[ExtBot[None]]:
    client = CLIENTS[request.param]()
    bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"{telegram.address}/bot", request=client)
    await client.initialize()
    yield bot
    telegram.release()
    await client.shutdown()


async def outcome_of_a_send(bot: ExtBot[None]) -> Any:
    try:
        message = await bot.send_message(CHAT, PATIENT_TEXT)
    except Exception as exc:  # noqa: BLE001
        return classify(exc)
    return Sent(message.message_id)


FLOOD = refusal(429, "Too Many Requests: retry after 7", retry_after=7)
DESCRIBED = {
    "blocked": (refusal(403, "Forbidden: bot was blocked by the user"), Refusal.BLOCKED),
    "kicked": (refusal(403, "Forbidden: bot was kicked from the group chat"), Refusal.BLOCKED),
    "deactivated": (refusal(403, "Forbidden: user is deactivated"), Refusal.GONE),
    "not started": (
        refusal(403, "Forbidden: bot can't initiate conversation with a user"),
        Refusal.NOT_STARTED,
    ),
    "chat not found": (refusal(400, "Bad Request: chat not found"), Refusal.GONE),
    "not modified": (refusal(400, "Bad Request: message is not modified"), Refusal.BAD_REQUEST),
    "unknown 400": (refusal(400, "Bad Request: something new"), Refusal.BAD_REQUEST),
    "migrated": (
        refusal(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001),
        Refusal.MIGRATED,
    ),
    "401": (refusal(401, "Unauthorized"), Refusal.TOKEN),
    "404": (refusal(404, "Not Found"), Refusal.TOKEN),
    "413": (refusal(413, "Request Entity Too Large"), Refusal.BAD_REQUEST),
    "413 page": ((413, b"<html>too large</html>"), Refusal.BAD_REQUEST),
}


@pytest.mark.parametrize("row", DESCRIBED)
async def test_a_4xx_of_telegram_is_a_definite_refusal(
    row: str, bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    answer, reason = DESCRIBED[row]
    telegram.script("sendMessage", answer)
    assert await outcome_of_a_send(bot) == Refused(reason)
    assert len(telegram.calls) == 1


@pytest.mark.parametrize("as_timedelta", ["0", "1"])
@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
async def test_a_flood_is_put_back_for_as_long_as_telegram_says(
    as_timedelta: str, bot: ExtBot[None], telegram: ScriptedTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", as_timedelta)
    telegram.script("sendMessage", FLOOD)
    assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=7), "flood")


@pytest.mark.filterwarnings("error")
async def test_warnings_as_errors_do_not_hide_a_flood_from_our_client(
    telegram: ScriptedTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PTB_TIMEDELTA", raising=False)
    telegram.script("sendMessage", FLOOD)
    async with LeanRequest() as client:
        bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"{telegram.address}/bot", request=client)
        assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=7), "flood")


@pytest.mark.parametrize(
    "answer",
    [
        refusal(429, "Too Many Requests"),
        refusal(429, "Too Many Requests", retry_after=0),
        (429, b"<html>slow down</html>"),
    ],
)
async def test_a_flood_that_names_no_pause_is_put_back_too(
    answer: Any, bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    telegram.script("sendMessage", answer)
    assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=5), "flood")


MAYBE_DELIVERED = {
    "500": (refusal(500, "Internal Server Error"), "server error"),
    "502 page": ((502, b"<html>Bad Gateway: Too Many Requests</html>"), "server error"),
    "accepted, answer lost": (Trouble.HANG, "answer lost"),
    "accepted, dropped": (Trouble.DROP, "connection lost"),
    "accepted, reset": (Trouble.RESET, "connection lost"),
    "200 page": ((200, b"<html>please log in</html>"), "unreadable answer"),
    "200 without result": ((200, {"ok": True}), "unreadable answer"),
    "redirect": ((302, b"<html>moved</html>"), "server error"),
}


@pytest.mark.parametrize("row", MAYBE_DELIVERED)
async def test_what_may_have_been_delivered_is_unknown_and_asked_once(
    row: str, bot: ExtBot[None], telegram: ScriptedTelegram
) -> None:
    step, reason = MAYBE_DELIVERED[row]
    telegram.script("sendMessage", step)
    assert await outcome_of_a_send(bot) == Unknown(reason)
    assert len(telegram.calls) == 1


async def test_an_answer_that_trickles_for_ever_is_unknown_in_bounded_time(telegram: ScriptedTelegram) -> None:
    telegram.script("sendMessage", Trouble.TRICKLE)
    async with CLIENTS["lean"]() as client:
        bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"{telegram.address}/bot", request=client)
        async with asyncio.timeout(2):
            assert await outcome_of_a_send(bot) == Unknown("answer lost")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
async def test_a_firewalls_page_blocks_nobody(status: int, bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    telegram.script("sendMessage", (status, b"<html>not allowed in this country</html>"))
    assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=10), "not telegram")


async def test_a_conflict_is_put_back(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    telegram.script("sendMessage", refusal(409, "Conflict: terminated by other getUpdates request"))
    assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=10), "conflict")


async def test_a_full_pool_sent_nothing(bot: ExtBot[None], telegram: ScriptedTelegram) -> None:
    telegram.script("sendMessage", Trouble.HANG)
    first = asyncio.create_task(outcome_of_a_send(bot))
    await telegram.arrived()
    assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=10), "not connected")
    assert await first == Unknown("answer lost")
    assert len(telegram.calls) == 1


@pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)
async def test_a_closed_port_sent_nothing(make: Callable[[], BaseRequest]) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with make() as client:
        bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"http://127.0.0.1:{port}/bot", request=client)
        assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=10), "not connected")


@pytest.mark.parametrize("make", CLIENTS.values(), ids=CLIENTS)
async def test_a_line_that_does_not_come_up_sent_nothing(make: Callable[[], BaseRequest], silent_port: int) -> None:
    async with make() as client:
        bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"https://127.0.0.1:{silent_port}/bot", request=client)
        assert await outcome_of_a_send(bot) == PutBack(timedelta(seconds=10), "not connected")


async def test_an_upload_that_stalls_is_unknown(silent_port: int) -> None:
    async with LeanRequest(connect=0.05, read=0.05, upload_write=0.05) as client:
        bot: ExtBot[None] = ExtBot(TOKEN, base_url=f"http://127.0.0.1:{silent_port}/bot", request=client)
        with pytest.raises(TimedOut) as failed:
            await bot.send_document(CHAT, InputFile(b"x" * 20_000_000, "big.bin"))
    assert classify(failed.value) == Unknown("answer lost")


def because(error: TelegramError, cause: BaseException) -> TelegramError:
    error.__cause__ = cause
    return error


KEY = ConnectionKey("api.telegram.org", 443, True, True, None, None, None)
REQUEST_INFO: Any = SimpleNamespace(real_url="http://proxy")
NEVER_CONNECTED: list[BaseException] = [
    aiohttp.ClientConnectorError(KEY, OSError(113, "no route")),
    aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "name unknown")),
    aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")),
    aiohttp.ClientConnectorSSLError(KEY, OSError(1, "tls")),
    aiohttp.ConnectionTimeoutError("late"),
    aiohttp.ClientHttpProxyError(REQUEST_INFO, (), status=407),
    aiohttp.InvalidURL("-"),
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("late"),
    httpx.PoolTimeout("full"),
    httpx.ProxyError("407"),
    httpx.UnsupportedProtocol("ftp"),
    ConnectionRefusedError(111, "refused"),
]
PERHAPS_DELIVERED: list[BaseException] = [
    aiohttp.ServerDisconnectedError(),
    aiohttp.ServerTimeoutError("late"),
    aiohttp.SocketTimeoutError("late"),
    aiohttp.ClientOSError(104, "reset"),
    aiohttp.ClientPayloadError("cut off"),
    httpx.ReadError("reset"),
    httpx.ReadTimeout("late"),
    httpx.WriteError("reset"),
    httpx.WriteTimeout("late"),
    httpx.RemoteProtocolError("hung up"),
    ConnectionResetError(104, "reset"),
    BrokenPipeError(32, "pipe"),
    TimeoutError(),
]


@pytest.mark.parametrize("cause", NEVER_CONNECTED, ids=lambda exc: type(exc).__name__)
def test_a_connection_never_made_is_put_back_alone_or_as_a_cause(cause: BaseException) -> None:
    expected = PutBack(timedelta(seconds=10), "not connected")
    assert classify(cause) == expected
    assert classify(because(NetworkError("-"), cause)) == expected
    assert classify(because(TimedOut(), cause)) == expected


@pytest.mark.parametrize("cause", PERHAPS_DELIVERED, ids=lambda exc: type(exc).__name__)
def test_a_connection_that_broke_is_unknown_alone_or_as_a_cause(cause: BaseException) -> None:
    for failure in (cause, because(NetworkError("-"), cause), because(TimedOut(), cause)):
        assert classify(failure).outcome is SendOutcome.UNKNOWN


@pytest.mark.parametrize("exc", [KeyError("result"), ValueError("?"), asyncio.CancelledError()])
def test_whatever_nobody_thought_of_is_unknown(exc: BaseException) -> None:
    assert classify(exc).outcome is SendOutcome.UNKNOWN


def test_the_kinds_of_bad_request_are_told_apart() -> None:
    too_old = "Bad Request: query is too old and response timeout expired or query ID is invalid"
    assert is_not_modified(BadRequest("Bad Request: message is not modified: same content"))
    assert is_query_too_old(BadRequest(too_old))
    assert is_cannot_edit(BadRequest("Bad Request: message to edit not found"))
    assert is_cannot_edit(BadRequest("Bad Request: message can't be edited"))
    assert is_cannot_parse(BadRequest("Bad Request: can't parse entities: unclosed tag"))
    for tell in (is_not_modified, is_query_too_old, is_cannot_edit, is_cannot_parse):
        assert not tell(BadRequest("Bad Request: chat not found"))
        assert not tell(ValueError("message is not modified"))


def test_reasons_repeat_nothing_of_the_failure() -> None:
    secret = f"{TOKEN} {CHAT} {PATIENT_TEXT}"
    failures = [
        BadRequest(secret),
        Forbidden(secret),
        NetworkError(secret),
        TelegramError(secret),
        KeyError(secret),
    ]
    for failure in failures:
        told = str(classify(failure))
        assert not any(part in told for part in (TOKEN, str(CHAT), PATIENT_TEXT))


@pytest.mark.filterwarnings("error")
def test_a_flood_wait_is_a_timedelta_whatever_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PTB_TIMEDELTA", raising=False)
    assert FloodWaitError(7).retry_after == timedelta(seconds=7)
    assert FloodWaitError(timedelta(seconds=0.5)).retry_after == timedelta(seconds=0.5)


def test_a_masked_flood_is_never_taken_for_sent() -> None:
    assert classify(PTBDeprecationWarning("v22.2", "retry_after")).outcome is SendOutcome.UNKNOWN
