"""Where a request comes from: what a proxy says counts only where it is a trusted one."""

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from web.guard import who_asks
from web.server import Server


async def _who(scope, receive, send):
    await PlainTextResponse(who_asks(Request(scope)))(scope, receive, send)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "who"),
    [
        (["127.0.0.0/8"], "192.0.2.7", "192.0.2.7"),
        (["127.0.0.0/8"], "203.0.113.9, 192.0.2.7", "192.0.2.7"),  # the first is what the browser wrote
        (["127.0.0.0/8", "192.0.2.0/24"], "203.0.113.9, 192.0.2.7", "203.0.113.9"),
        (["10.0.0.0/8"], "192.0.2.7", "127.0.0.1"),
    ],
)
async def test_what_a_proxy_says_counts_where_it_is_trusted(trusted, forwarded, who):
    async with Server(_who, "127.0.0.1", 0, forwarded_allow_ips=trusted) as server, httpx.AsyncClient() as browser:
        answer = await browser.get(server.url, headers={"X-Forwarded-For": forwarded})
    assert answer.text == who
