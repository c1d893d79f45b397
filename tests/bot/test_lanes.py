"""Lanes: order within a patient, none between patients, and nothing left behind."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.lanes import Lanes

Failures = list[tuple[Hashable, BaseException]]


def lanes_with(failures: Failures, at_once: int = 32) -> Lanes:
    return Lanes(failed=lambda key, exc: failures.append((key, exc)), at_once=at_once)


def after(steps: int, done: list[object], what: object) -> Callable[[], Awaitable[None]]:
    async def job() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        done.append(what)

    return job


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), max_size=60),
    st.integers(1, 4),
)
def test_each_patients_updates_are_done_in_order_and_none_is_lost(
    jobs: list[tuple[int, int]], at_once: int
) -> None:
    async def scenario() -> tuple[list[tuple[int, int]], Lanes]:
        done: list[object] = []
        lanes = lanes_with([], at_once)
        for number, (patient, steps) in enumerate(jobs):
            lanes.put(patient, after(steps, done, (patient, number)))
        assert await lanes.drain() == 0
        return done, lanes  # type: ignore[return-value]

    done, lanes = asyncio.run(scenario())
    for patient in range(6):
        mine = [number for who, number in done if who == patient]
        assert mine == sorted(mine)
    assert len(done) == len(jobs)
    assert len(lanes) == 0
    assert not lanes._lanes
    assert not lanes._ready
    assert not lanes._running


async def test_a_slow_patient_holds_up_nobody_else() -> None:
    done: list[object] = []
    lanes = lanes_with([])
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        done.append("slow")

    lanes.put("A", slow)
    lanes.put("A", after(0, done, "A again"))
    lanes.put("B", after(0, done, "B"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["B"]
    gate.set()
    await lanes.drain()
    assert done == ["B", "slow", "A again"]


async def test_no_more_than_the_allowed_number_run_at_once() -> None:
    running = most = 0

    async def job() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    lanes = lanes_with([], at_once=3)
    for patient in range(20):
        lanes.put(patient, job)
    await lanes.drain()
    assert most == 3


async def test_a_busy_patient_does_not_starve_the_others() -> None:
    done: list[object] = []
    lanes = lanes_with([], at_once=1)
    for number in range(3):
        lanes.put("busy", after(0, done, f"busy {number}"))
    lanes.put("quiet", after(0, done, "quiet"))
    await lanes.drain()
    assert done == ["busy 0", "quiet", "busy 1", "busy 2"]


async def test_a_failing_job_stops_neither_its_lane_nor_the_others() -> None:
    done: list[object] = []
    failures: Failures = []
    lanes = lanes_with(failures)
    mistake = ValueError("a mistake")

    async def failing() -> None:
        raise mistake

    async def waiting_for_something_cancelled() -> None:
        raise asyncio.CancelledError

    lanes.put("A", failing)
    lanes.put("A", waiting_for_something_cancelled)
    lanes.put("A", after(0, done, "A"))
    lanes.put("B", after(0, done, "B"))
    await lanes.drain()
    assert sorted(map(str, done)) == ["A", "B"]
    assert failures[0] == ("A", mistake)
    assert isinstance(failures[1][1], asyncio.CancelledError)


async def test_a_report_that_fails_is_logged_without_its_words_and_stops_nothing() -> None:
    done: list[object] = []

    def report(_key: Hashable, _exc: BaseException) -> None:
        raise RuntimeError("chat 987654321 said: my back hurts")

    async def failing() -> None:
        raise ValueError

    lanes = Lanes(failed=report)
    with structlog.testing.capture_logs() as logged:
        lanes.put("A", failing)
        lanes.put("A", after(0, done, "A"))
        await lanes.drain()
    assert done == ["A"]
    assert [line["event"] for line in logged] == ["lane_report_failed"]
    assert "987654321" not in str(logged)


async def test_a_drain_with_a_limit_drops_what_hangs_and_counts_it() -> None:
    done: list[object] = []
    failures: Failures = []
    lanes = lanes_with(failures, at_once=2)
    for patient in "ABC":
        lanes.put(patient, asyncio.Event().wait)  # type: ignore[arg-type]
        lanes.put(patient, after(0, done, patient))
    assert await lanes.drain(within=0.005) == 6
    assert (done, failures, len(lanes)) == ([], [], 0)
    lanes.put("D", after(0, done, "D"))
    assert await lanes.drain() == 0
    assert done == ["D"]


async def test_a_job_may_put_another() -> None:
    done: list[object] = []
    lanes = lanes_with([])

    async def first() -> None:
        lanes.put("A", after(0, done, "second"))
        done.append("first")

    lanes.put("A", first)
    await lanes.drain()
    assert done == ["first", "second"]


@pytest.mark.parametrize("at_once", [1, 4])
async def test_what_one_job_binds_to_the_log_never_marks_anothers(at_once: int) -> None:
    seen: list[dict[str, object]] = []

    async def job() -> None:
        seen.append(dict(structlog.contextvars.get_contextvars()))
        structlog.contextvars.bind_contextvars(subject="P-001")

    lanes = lanes_with([], at_once)
    for patient in range(3):
        lanes.put(patient, job)
        lanes.put(patient, job)
    await lanes.drain()
    assert seen == [{}] * 6


async def test_what_the_caller_bound_to_the_log_goes_along() -> None:
    seen: list[object] = []

    async def job() -> None:
        seen.append(structlog.contextvars.get_contextvars()["update"])

    lanes = lanes_with([])
    for number in range(3):
        with structlog.contextvars.bound_contextvars(update=number):
            lanes.put("A", job)
    await lanes.drain()
    assert seen == [0, 1, 2]
