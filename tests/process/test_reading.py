"""A program reads a running diary with a token made on the command line, by HTTP."""

import asyncio
import json

import aiohttp

from tests.process.deployment import Deployment


async def test_a_program_reads_what_is_answered_while_the_service_runs(deployment: Deployment):
    added = await deployment.call("staff", "add", "stella", "--role", "statistician", "--site", "main")
    assert added.code == 0, added
    made = await deployment.call("staff", "token", "stella", "--name", "statistics server", "--json")
    token = json.loads(made.out)["token"]
    process = await deployment.listening(DAYBOOK_LOG_LEVEL="debug")
    address = (await process.logged("serving"))["address"]
    async with aiohttp.ClientSession(address, headers={"Authorization": f"Bearer {token}"}) as http:
        rows, following = [], "/api/v1/slots?limit=7"
        while following:
            async with http.get(following) as answer:
                assert (answer.status, answer.content_type) == (200, "application/json"), await answer.text()
                page = await answer.json()
            rows, following = rows + page["rows"], page["next"]
        async with http.get("/api/v1/adherence?by=phase") as answer:
            figures = (await answer.json())["rows"]
        async with http.head("/api/v1/slots") as head:
            assert (head.status, await head.read()) == (200, b"")
        async with http.post("/api/v1/slots", data=token) as posted:
            assert (posted.status, posted.headers["Allow"]) == (405, "GET, HEAD")
        told = await deployment.call("adherence", "--by", "phase", "--json")
        assert figures == json.loads(told.out)
        await deployment.until(lambda: deployment.count("SELECT count(*) FROM audit WHERE verb = 'use token'"))
        revoked = await deployment.call("staff", "revoke-token", "stella", "--name", "statistics server")
        assert revoked.code == 0, revoked
        async with http.get("/api/v1/slots") as refused:
            assert (refused.status, refused.content_type) == (401, "application/problem+json")
    assert len({row["slot"] for row in rows}) == len(rows) == 24
    async with asyncio.timeout(10):
        process.stop()
        assert await process.ended() == 0
    assert token not in process.said
    assert token not in made.err
