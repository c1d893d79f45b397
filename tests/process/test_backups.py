"""The real service and its backups: made beside it, restored elsewhere, and never underneath a running one."""

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.process.deployment import DAYBOOK, Deployment


def kept(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(deployment: Deployment):
    folder = deployment.folder / "kept"
    folder.mkdir()
    return folder


async def test_a_service_makes_a_proven_backup_at_its_start_and_it_restores(deployment: Deployment, folder):
    process = await deployment.listening(DAYBOOK_BACKUP_DIR=str(folder))
    line = await process.logged("backed_up")
    assert kept(folder) == [line["file"]]
    assert deployment.ask("SELECT name, row_count FROM backups") == [(line["file"], line["rows"])]

    at_hand = await deployment.call("backup", str(deployment.folder / "by-hand.backup"))
    assert (at_hand.code, at_hand.err) == (0, "")
    here = await deployment.call("restore", str(deployment.folder / "by-hand.backup"), "--over")
    here.refuses("`daybook serve` works with this database")

    process.stop()
    assert await process.ended() == 0
    elsewhere = deployment.folder / "elsewhere" / "daybook.db"
    said = await deployment.call(
        "restore", str(folder / str(line["file"])), DAYBOOK_DATABASE_URL=f"sqlite:///{elsewhere}"
    )
    assert (said.code, said.err) == (0, "")
    with closing(sqlite3.connect(elsewhere)) as raw:
        assert raw.execute("SELECT count(*) FROM patients").fetchone() == (12,)
    again = await deployment.listening(DAYBOOK_BACKUP_DIR=str(folder))
    await again.logged("connected")
    assert len(kept(folder)) == 1  # the last one is minutes old


async def test_a_folder_that_is_away_is_an_error_in_the_log_and_the_service_goes_on(deployment: Deployment, folder):
    shutil.rmtree(folder)
    process = await deployment.listening(DAYBOOK_BACKUP_DIR=str(folder))
    line = await process.logged("backup_failed")
    assert (line["level"], line["again_in_minutes"]) == ("error", 60)
    assert "No such file or directory" in str(line["because"])
    deployment.people[0].press_start()
    await deployment.until(lambda: deployment.count("SELECT count(*) FROM inbox"))
    process.stop()
    assert await process.ended() == 0


def fill(deployment: Deployment, megabytes: int):
    """Let the database be so large that a backup takes a while."""
    with closing(sqlite3.connect(deployment.file)) as raw:
        raw.execute("CREATE TABLE filling (x BLOB)")
        raw.executemany("INSERT INTO filling VALUES (randomblob(?))", [(1 << 20,)] * megabytes)
        raw.commit()


def scratch(deployment: Deployment):
    return list(deployment.folder.glob(".daybook-scratch-*"))


async def test_a_backup_that_is_killed_at_any_moment_leaves_a_proven_file_or_none(deployment: Deployment, folder):
    fill(deployment, 30)
    chance, left = random.Random(11), 0
    for number in range(8):
        file = folder / f"{number}.backup"
        handle = await asyncio.create_subprocess_exec(
            DAYBOOK, "backup", str(file), cwd=deployment.folder, env=deployment.environment(),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        before = scratch(deployment)
        await deployment.until(
            lambda before=before, handle=handle: (
                set(scratch(deployment)) - set(before) or handle.returncode is not None
            )
        )
        await asyncio.sleep(chance.uniform(0, 0.4))
        if handle.returncode is None:
            handle.kill()
        await handle.wait()
        left += bool(scratch(deployment))
        if file.exists():
            to = deployment.folder / f"{number}.db"
            said = await deployment.call("restore", str(file), DAYBOOK_DATABASE_URL=f"sqlite:///{to}")
            assert said.code == 0
    assert left >= 3  # or it was killed at no moment that matters
    assert (await deployment.call("backup", str(folder / "whole.backup"))).code == 0
    assert scratch(deployment) == []


async def test_a_service_that_is_stopped_while_it_backs_up_ends_in_time_and_leaves_nothing(
    deployment: Deployment, folder
):
    fill(deployment, 150)
    process = await deployment.start(DAYBOOK_BACKUP_DIR=str(folder))
    await deployment.until(lambda: scratch(deployment))
    process.stop()
    assert await process.ended() == 0
    assert scratch(deployment) == []
    assert kept(folder) == []
    assert deployment.count("SELECT count(*) FROM backups") == 0
