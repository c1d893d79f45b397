import asyncio

import aiohttp
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from rehearsal import faults
from rehearsal.server import Server
from web.server import AddressTakenError


@pytest.fixture
async def server(telegram, bot):
    async with Server(telegram, routes=[Route("/more", lambda _: PlainTextResponse("more"))]) as server:
        yield server


@pytest.fixture
async def http(server):
    async with aiohttp.ClientSession(server.url) as http:
        yield http


async def test_parameters_come_as_query_form_json_or_multipart(http, bot, amina):
    path = f"/bot{bot.token}/sendMessage"
    given = {"chat_id": str(amina.id), "text": "a b+ü"}
    parts = aiohttp.FormData(given)
    parts.add_field("protect_content", "true", content_type="text/plain")
    ways = [
        http.get(path, params=given),
        http.post(path, params=given),
        http.post(path, data=given),
        http.post(path, json=given | {"chat_id": amina.id}),
        http.post(path, data=parts),
    ]
    for way in ways:
        async with way as answer:
            assert (answer.status, (await answer.json())["result"]["text"]) == (200, "a b+ü")


async def test_a_method_is_found_whatever_its_letters_case(http, bot):
    async with http.get(f"/bot{bot.token}/GETME") as answer:
        assert (await answer.json())["result"]["username"] == bot.username


@pytest.mark.parametrize(("token", "method", "status"), [("1:x", "getMe", 401), (None, "getMy", 404)])
async def test_refusals_have_telegrams_status_and_body(http, bot, token, method, status):
    async with http.get(f"/bot{token or bot.token}/{method}") as answer:
        assert answer.status == status
        assert (await answer.json())["error_code"] == status


async def test_a_body_that_is_no_json_is_refused(http, bot):
    for body in (b"{", b"[1]"):
        headers = {"Content-Type": "application/json"}
        async with http.post(f"/bot{bot.token}/getMe", data=body, headers=headers) as answer:
            assert answer.status == 400


async def test_files_need_the_token(http, bot, telegram):
    file = telegram.keep_file("a.csv", "text/csv", b"x", "documents")
    async with http.get(f"/file/bot{bot.token}/{file.path}") as answer:
        assert await answer.read() == b"x"
    async with http.get(f"/file/bot1:x/{file.path}") as answer:
        assert answer.status == 404


async def test_a_dropped_call_was_carried_out_and_the_next_one_works(http, telegram, bot, amina):
    telegram.faults.next(faults.dropped())
    path = f"/bot{bot.token}/sendMessage?chat_id={amina.id}&text=once"
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post(path)
    assert amina.sees("once")
    async with http.post(path) as answer:
        assert answer.status == 200


async def test_a_bot_that_hangs_up_is_not_listening_any_more(http, telegram, bot):
    poll = asyncio.create_task(http.get(f"/bot{bot.token}/getUpdates?timeout=50"))
    await telegram.until(lambda: telegram.counts()["getUpdates"])
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    await telegram.until(lambda: telegram.sent[-1].status is None)
    telegram.person("Amina").press_start(bot)
    async with http.get(f"/bot{bot.token}/getUpdates") as answer:
        assert len((await answer.json())["result"]) == 1


async def test_the_host_may_add_routes(http):
    async with http.get("/more") as answer:
        assert await answer.text() == "more"


async def test_a_taken_port_is_named_in_the_error(telegram, server):
    with pytest.raises(AddressTakenError, match=f"Cannot listen on 127.0.0.1:{server.port}.*another port"):
        await Server(telegram, port=server.port).start()


async def test_stopping_ends_polls_and_silent_answers_at_once(telegram, bot):
    loop = asyncio.get_running_loop()
    async with Server(telegram) as server, aiohttp.ClientSession(server.url) as http:
        telegram.faults.next(faults.silent())
        calls = [
            asyncio.create_task(http.get(f"/bot{bot.token}/{method}"))
            for method in ("getUpdates?timeout=50", "getMe")
        ]
        await telegram.until(lambda: len(telegram.sent) == 2)
        before = loop.time()
        await server.stop()
        assert loop.time() - before < 1
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError) for end in ended)
