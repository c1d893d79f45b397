"""The loop whose time stands still."""

import asyncio

import pytest

from rehearsal.still import StillLoop, settle


def run(coroutine):
    with asyncio.Runner(loop_factory=StillLoop) as still:
        return still.run(coroutine)


async def _note(done, name, turns):
    for _ in range(turns):
        await asyncio.sleep(0)
    done.append(name)


def test_to_settle_is_to_let_everything_end_that_needs_no_time():
    async def go():
        done = []
        tasks = [asyncio.create_task(_note(done, name, turns)) for name, turns in (("slow", 20), ("quick", 2))]
        await settle()
        return done, [task.done() for task in tasks]

    assert run(go()) == (["quick", "slow"], [True, True])


def test_what_waits_for_time_waits_until_it_is_let_pass():
    async def go():
        loop = asyncio.get_running_loop()
        waiting = asyncio.create_task(asyncio.sleep(60, "awake"))
        await settle()
        before = (waiting.done(), loop.time())
        loop.let_pass(59)
        await settle()
        short = waiting.done()
        loop.let_pass(1)
        await settle()
        return before, short, await waiting

    assert run(go()) == ((False, 0.0), False, "awake")


def test_a_failure_in_a_task_comes_out_where_it_is_awaited():
    async def fails():
        await asyncio.sleep(0)
        raise ValueError("no")

    async def go():
        task = asyncio.create_task(fails())
        await settle()
        await task

    with pytest.raises(ValueError, match="no"):
        run(go())
