"""Starting: what cannot work is said in one plain sentence; what may yet work is waited for."""

import asyncio
import os
import socket
import sqlite3
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from cli.wiring import clock
from diary import new_secret_key
from rehearsal.server import Server
from rehearsal.telegram import TOKEN
from tests.process.deployment import Deployment, deployed


@pytest.fixture
async def alone(tmp_path: Path, template: Path):
    """A deployment without patients."""
    async with deployed(tmp_path, template) as deployment:
        yield deployment


async def test_settings_that_cannot_work_are_refused_in_one_sentence(alone: Deployment):
    other = alone.folder / "other.toml"
    other.write_text("[trial]\nid = 7\n")
    serve = alone.call
    refused = await asyncio.gather(
        serve("serve", DAYBOOK_BOT_TOKEN="7000000002:not-a-bot-of-this-telegram-000000001"),
        serve("serve", DAYBOOK_BOT_TOKEN=None),
        serve("serve", DAYBOOK_PROTOCOL=str(other)),
        serve("serve", DAYBOOK_PROTOCOL=str(alone.folder / "nowhere.toml")),
        serve("serve", DAYBOOK_SECRET_KEY="too-short"),
        serve("serve", DAYBOOK_WEB_PORT="many"),
        serve("serve", DAYBOOK_SECRET_KEY=new_secret_key()),
    )
    wrong_token, no_token, wrong_protocol, no_protocol, wrong_key, wrong_port, other_key = refused
    assert [said.code for said in refused] == [2, 2, 1, 1, 2, 2, 2], refused
    assert "Telegram refuses the bot's token" in wrong_token.err.splitlines()[-1]
    assert "Traceback" not in wrong_token.err
    no_token.refuses("DAYBOOK_BOT_TOKEN is missing", code=2)
    wrong_protocol.refuses("other.toml", "trial.id")
    no_protocol.refuses("nowhere.toml")
    wrong_key.refuses("DAYBOOK_SECRET_KEY", code=2)
    wrong_port.refuses("DAYBOOK_WEB_PORT", "8080", code=2)
    other_key.refuses("another DAYBOOK_SECRET_KEY", "add the old key back", code=2)
    assert all(TOKEN not in said.err for said in refused)


async def test_a_database_that_cannot_be_used_is_refused_in_one_sentence(alone: Deployment):
    folder = alone.folder
    (folder / "a-file").write_text("")
    (folder / "noise.db").write_bytes(os.urandom(8192))
    old = folder / "old.db"
    old.write_bytes(alone.file.read_bytes())
    with sqlite3.connect(old) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '0000'")
    conn.close()
    sqlite3.connect(folder / "empty.db").close()
    names = {
        "missing.db": (1, "There is no database", "daybook init"),
        "a-file/daybook.db": (1, "a-file"),
        "noise.db": (2, "noise.db", "not a database"),
        "old.db": (1, "old.db", "daybook migrate"),
        "empty.db": (1, "empty.db", "daybook init"),
    }
    refused = await asyncio.gather(
        *(alone.call("serve", DAYBOOK_DATABASE_URL=f"sqlite:///{folder / name}") for name in names)
    )
    for said, (code, *words) in zip(refused, names.values(), strict=True):
        said.refuses(*words, code=code)


async def test_a_port_that_is_taken_is_named_in_one_sentence(alone: Deployment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await alone.call("serve", DAYBOOK_WEB_PORT=str(port))
    said.refuses(f"127.0.0.1:{port}", "choose another port")


async def test_an_unreachable_telegram_is_waited_for(alone: Deployment):
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        port = closed_soon.getsockname()[1]
    process = await alone.start(DAYBOOK_TELEGRAM_API=f"http://127.0.0.1:{port}")
    await process.logged("telegram_not_reached", times=2)
    async with Server(alone.telegram, port=port):
        await process.logged("connected")
        await alone.polls(process, after=0)
        process.stop()
        assert await process.ended() == 0


async def test_health_is_told_while_it_runs_and_after_it_died(alone: Deployment):
    process = await alone.listening()
    address = (await process.logged("serving"))["address"]
    await alone.until(lambda: alone.count("SELECT count(*) FROM heartbeats WHERE part = 'poll'"))
    async with aiohttp.ClientSession() as session, session.get(f"{address}/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"healthy": True, "wrong": []})
    said = await alone.call("health")
    assert (said.code, said.out) == (0, "healthy\n")

    process.kill()
    await process.ended()
    for part in ("serve", "poll"):
        await alone.beaten_last(part, clock() - timedelta(minutes=2))
    said = await alone.call("health")
    assert said.code == 1
    assert "the service was last seen 12" in said.out
