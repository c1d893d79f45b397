import asyncio
import json

import pytest
from aiohttp import web

from rehearsal.telegram import Telegram


class Receiver:
    """A webhook that answers as it is told."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        self.headers: list[dict] = []
        self.answers: list[tuple[int, float | None]] = []

    async def __call__(self, url, headers, body):
        await asyncio.sleep(0)
        self.headers.append(dict(headers))
        answer = self.answers.pop(0) if self.answers else (200, None)
        if answer[0] == 0:
            raise ConnectionRefusedError
        self.got.append(json.loads(body) | {"status": answer[0]})
        return answer


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
async def telegram(clock, receiver):
    telegram = Telegram(clock, post=receiver, webhook_pause_seconds=0.001)
    yield telegram
    await telegram.close()


async def test_updates_are_pushed_with_the_secret_and_confirmed_by_2xx(telegram, call, amina, receiver):
    await call("setWebhook", url="https://daybook.example/hook", secret_token="s3cret")
    amina.type("7")
    await telegram.quiet()
    assert [update["message"]["text"] for update in receiver.got] == ["7"]
    assert receiver.headers[0]["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
    assert (await call("getWebhookInfo"))["pending_update_count"] == 0


async def test_what_waited_is_pushed_when_the_webhook_is_set(telegram, call, amina, receiver):
    amina.type("7")
    await call("setWebhook", url="https://daybook.example/hook")
    await telegram.quiet()
    assert len(receiver.got) == 1
    assert "X-Telegram-Bot-Api-Secret-Token" not in receiver.headers[0]


async def test_an_update_is_pushed_again_until_it_is_taken_and_the_next_waits(telegram, call, amina, receiver):
    receiver.answers = [(503, None), (0, None), (500, None), (200, None)]
    await call("setWebhook", url="https://daybook.example/hook")
    amina.type("7")
    amina.type("8")
    await telegram.quiet()
    assert [(update["message"]["text"], update["status"]) for update in receiver.got] == [
        ("7", 503),
        ("7", 500),
        ("7", 200),
        ("8", 200),
    ]
    info = await call("getWebhookInfo")
    assert info["last_error_message"] == "Wrong response from the webhook: 500"


async def test_a_chat_that_is_not_taken_does_not_hold_up_others(telegram, call, amina, receiver):
    omar = telegram.person("Omar")
    omar.press_start()
    telegram.only_bot().updates.clear()
    receiver.answers = [(503, 0.05)]
    await call("setWebhook", url="https://daybook.example/hook")
    amina.type("7")
    omar.type("3")
    await telegram.until(lambda: [u["message"]["text"] for u in receiver.got] == ["7", "3"])
    await telegram.quiet()
    assert [u["message"]["text"] for u in receiver.got] == ["7", "3", "7"]


async def test_deleting_the_webhook_stops_the_pushing(telegram, call, amina, receiver):
    await call("setWebhook", url="https://daybook.example/hook")
    await call("deleteWebhook")
    amina.type("7")
    assert len(await call("getUpdates")) == 1
    assert receiver.got == []
    await call("deleteWebhook", drop_pending_updates=True)
    assert await call("getUpdates") == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"url": "http://daybook.example/hook"}, "HTTPS URL must be provided"),
        ({"url": "https://daybook.example", "secret_token": "with space"}, "unallowed characters"),
    ],
)
async def test_a_bad_webhook_is_refused(call, bot, fields, reason):
    assert reason in (await call("setWebhook", **fields))["description"]
    assert (await call("getWebhookInfo"))["url"] == ""


async def test_updates_go_over_a_real_line_too(clock):
    telegram = Telegram(clock, webhook_pause_seconds=0.001)
    bot, got = telegram.bot(), []

    async def hook(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=503, headers={"Retry-After": "0"}) if len(got) == 1 else web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await telegram.call(bot.token, "setWebhook", {"url": f"http://127.0.0.1:{port}/hook"})
    telegram.person("Amina").press_start(bot)
    await telegram.quiet()
    assert [update["message"]["text"] for update in got] == ["/start", "/start"]
    await telegram.close()
    await runner.cleanup()
