"""The pacer, on a moved clock: rates, lanes, the gate, and nothing that grows."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import structlog
from conftest import TOKEN, ScriptedTelegram
from telegram.error import RetryAfter
from telegram.ext import ExtBot

from bot.limiter import Lane, Pacer
from bot.outcomes import FloodWaitError, classify
from bot.request import LeanRequest
from protocol.lifecycle import SendOutcome

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass
class Api:
    """Stands behind a pacer, notes when each call arrives, and floods when told to."""

    pacer: Pacer
    took: float = 0.08
    calls: list[tuple[float, str, Any]] = field(default_factory=list)
    floods: list[float] = field(default_factory=list)
    flying: int = 0
    most_flying: int = 0

    async def call(
        self, chat: Any, lane: Lane | None = None, endpoint: str = "sendMessage", note: Any = None
    ) -> Any:
        data = {} if chat is None else {"chat_id": chat}
        return await self.pacer.process_request(self._answer, (endpoint, note or chat), {}, endpoint, data, lane)

    async def _answer(self, endpoint: str, note: Any) -> bool:
        self.calls.append((asyncio.get_running_loop().time() - 1000, endpoint, note))
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(self.took)
            if self.floods:
                raise FloodWaitError(timedelta(seconds=self.floods.pop(0)))
        finally:
            self.flying -= 1
        return True

    @property
    def times(self) -> list[float]:
        return [at for at, _, _ in self.calls]

    def notes(self) -> list[Any]:
        return [note for _, _, note in self.calls]


def busiest_second(times: list[float]) -> int:
    return max(sum(start <= at < start + 1 for at in times) for start in times)


@pytest.mark.parametrize("rate", [5.0, 25.0, 30.0, 1000.0])
def test_a_burst_leaves_evenly_and_uses_the_rate(rate: float, on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(per_bot=rate, in_flight=256))
        await asyncio.gather(*(api.call(chat, Lane.REMINDER) for chat in range(1, int(rate * 3) + 1)))
        return api

    api = on_moved_clock(scenario())
    assert busiest_second(api.times) <= rate * 1.05
    assert (len(api.times) - 1) / (api.times[-1] - api.times[0]) >= 0.95 * rate


def test_late_timers_are_made_good_within_the_limit(on_moved_clock: Run) -> None:
    late = random.Random(1)

    async def scenario() -> Api:
        loop = asyncio.get_running_loop()
        punctual = loop.call_later

        def sometimes_late(delay: float, *args: Any) -> asyncio.TimerHandle:
            return punctual(delay + late.choice([0.0, 0.0, 0.001, 0.004, 0.012]), *args)

        api = Api(Pacer(per_bot=25), took=0.0)
        loop.call_later = sometimes_late  # type: ignore[method-assign]
        await asyncio.gather(*(api.call(chat, Lane.REMINDER) for chat in range(1, 501)))
        return api

    api = on_moved_clock(scenario())
    assert busiest_second(api.times) <= 26
    assert 499 / (api.times[-1] - api.times[0]) >= 0.95 * 25


def test_a_long_silence_saves_up_no_burst(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        await asyncio.sleep(3600)
        await asyncio.gather(*(api.call(chat) for chat in range(1, 30)))
        return api

    api = on_moved_clock(scenario())
    assert min(b - a for a, b in pairwise(api.times)) >= 0.029


def test_one_chat_hears_us_once_a_second_and_in_order(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        await asyncio.gather(*(api.call(7, note=number) for number in range(1, 6)), api.call("7", note=6))
        return api

    api = on_moved_clock(scenario())
    assert api.notes() == [1, 2, 3, 4, 5, 6]
    assert all(b - a >= 1 - 1e-5 for a, b in pairwise(api.times))
    assert api.times[-1] == pytest.approx(5, abs=0.01)


def test_a_chat_that_must_rest_holds_up_no_other(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        await asyncio.gather(*(api.call(chat, Lane.REMINDER) for chat in (1, 1, 1, 2, 3)))
        return api

    assert on_moved_clock(scenario()).notes() == [1, 2, 3, 1, 1]


def test_a_group_hears_us_twenty_times_a_minute(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        await asyncio.gather(*(api.call(-100, Lane.NOTICE) for _ in range(4)))
        return api

    assert on_moved_clock(scenario()).times == pytest.approx([0, 3, 6, 9], abs=0.01)


def test_an_edit_shares_the_chats_limit_as_telegram_counts_it(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        await asyncio.gather(api.call(1), api.call(1, endpoint="editMessageText"))
        return api

    assert on_moved_clock(scenario()).times == pytest.approx([0, 1], abs=0.01)


@pytest.mark.parametrize("endpoint", ["getMe", "setMyCommands", "sendChatAction", "getFile", "deleteMessage"])
def test_what_is_no_message_is_not_paced(endpoint: str, on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        await asyncio.gather(*(api.call(1, endpoint=endpoint) for _ in range(40)))
        return api

    assert set(on_moved_clock(scenario()).times) == {0.0}


def test_both_limits_can_be_switched_off(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(per_bot=None, per_chat=None, in_flight=10_000))
        await asyncio.gather(*(api.call(1) for _ in range(500)))
        return api

    assert set(on_moved_clock(scenario()).times) == {0.0}


def test_replies_go_before_notices_and_notices_before_reminders(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer())
        lanes = (Lane.REMINDER, Lane.REMINDER, Lane.NOTICE, Lane.REPLY, None)
        await asyncio.gather(*(api.call(chat, lane) for chat, lane in enumerate(lanes, 1)))
        return api

    assert on_moved_clock(scenario()).notes() == [1, 4, 5, 3, 2]


def test_a_reply_waits_for_at_most_one_place_behind_a_thousand_reminders(on_moved_clock: Run) -> None:
    async def scenario() -> float:
        api = Api(Pacer())
        storm = [asyncio.create_task(api.call(chat, Lane.REMINDER)) for chat in range(1, 1001)]
        await asyncio.sleep(2)
        asked = asyncio.get_running_loop().time() - 1000
        await api.call(5000, Lane.REPLY, note="reply")
        for task in storm:
            task.cancel()
        await asyncio.gather(*storm, return_exceptions=True)
        return next(at for at, _, note in api.calls if note == "reply") - asked

    assert on_moved_clock(scenario()) <= 0.041


def test_an_answer_to_a_tap_waits_behind_nothing(on_moved_clock: Run) -> None:
    async def scenario() -> list[float]:
        api = Api(Pacer(in_flight=4), took=30)
        storm = [asyncio.create_task(api.call(chat, Lane.REMINDER)) for chat in range(1, 100)]
        await asyncio.sleep(2)
        api.pacer._close_gate(300, "sendMessage")
        tap = asyncio.create_task(api.call(None, endpoint="answerCallbackQuery"))
        await asyncio.sleep(0)
        await asyncio.gather(tap, *storm, return_exceptions=True)
        return [at for at, endpoint, _ in api.calls if endpoint == "answerCallbackQuery"]

    assert on_moved_clock(scenario()) == [2.0]


def test_only_a_flood_about_taps_holds_back_the_answers_to_taps(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(), took=0, floods=[4.0])
        await api.call(None, endpoint="answerCallbackQuery", note="retried")
        api.floods = [3600.0]
        with pytest.raises(RetryAfter):
            await api.call(None, endpoint="answerCallbackQuery", note="given up")
        with pytest.raises(RetryAfter):
            await api.call(None, endpoint="answerCallbackQuery", note="never asked")
        return api

    api = on_moved_clock(scenario())
    assert api.notes() == ["retried", "retried", "given up"]
    assert api.times == pytest.approx([0, 5, 5], abs=0.01)


def test_a_flood_puts_reminders_back_and_nothing_is_asked_until_it_is_over(on_moved_clock: Run) -> None:
    async def scenario() -> tuple[Api, list[Any]]:
        api = Api(Pacer(), floods=[7.0])
        results = await asyncio.gather(
            *(api.call(chat, Lane.REMINDER) for chat in range(1, 51)), return_exceptions=True
        )
        with pytest.raises(RetryAfter) as later:
            await api.call(99, Lane.NOTICE)
        assert 7 < later.value.retry_after.total_seconds() <= 8
        assert len(api.calls) <= 3
        await asyncio.sleep(7.9)
        with pytest.raises(RetryAfter):
            await api.call(99, Lane.REMINDER)
        await asyncio.sleep(0.1)
        await api.call(99, Lane.REMINDER)
        return api, results

    api, results = on_moved_clock(scenario())
    put_back = [result for result in results if isinstance(result, RetryAfter)]
    assert len(put_back) >= 47
    assert {classify(result).outcome for result in put_back} == {SendOutcome.PUT_BACK}
    quiet = [at for at in api.times if 0.2 < at < 8.08]
    assert quiet == []
    assert api.times[-1] == pytest.approx(8.1, abs=0.05)


def test_a_reply_is_sent_once_more_when_the_gate_opens_and_before_the_rest(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(), floods=[7.0], took=0)
        first = asyncio.create_task(api.call(1, Lane.REPLY))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(api.call(2, Lane.REPLY))
        assert await asyncio.gather(first, second) == [True, True]
        return api

    api = on_moved_clock(scenario())
    assert api.notes() == [1, 2, 1] or api.notes() == [1, 1, 2]
    assert api.times == pytest.approx([0, 8, 8.04], abs=0.02)


def test_a_reply_is_not_sent_a_third_time(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(), floods=[2.0, 2.0, 2.0], took=0)
        with pytest.raises(RetryAfter):
            await api.call(1, Lane.REPLY)
        return api

    assert len(on_moved_clock(scenario()).calls) == 2


def test_a_reply_gives_up_at_once_when_the_gate_stays_closed_for_too_long(on_moved_clock: Run) -> None:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        api = Api(Pacer(patience=60), floods=[3600.0], took=0.5)
        waiting = [asyncio.create_task(api.call(chat, Lane.REPLY)) for chat in range(1, 100)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(result, RetryAfter) for result in results) > 80
        with pytest.raises(RetryAfter):
            await api.call(500, Lane.REPLY)
        return loop.time() - began

    assert on_moved_clock(scenario()) < 2


def test_a_storm_of_floods_ends(on_moved_clock: Run) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(), floods=[1.0] * 100, took=0)
        sent = False
        while not sent:
            try:
                sent = await api.call(1, Lane.REMINDER)
            except RetryAfter as flood:
                await asyncio.sleep(flood.retry_after.total_seconds())  # type: ignore[union-attr]
        return api

    api = on_moved_clock(scenario())
    assert len(api.calls) == 101
    assert min(b - a for a, b in pairwise(api.times)) >= 2 - 1e-5


@pytest.mark.parametrize(("lane", "most"), [(Lane.REPLY, 8), (Lane.REMINDER, 6), (Lane.NOTICE, 6)])
def test_calls_in_flight_are_capped_with_places_kept_for_replies(
    lane: Lane, most: int, on_moved_clock: Run
) -> None:
    async def scenario() -> Api:
        api = Api(Pacer(per_bot=1000, in_flight=8), took=1)
        await asyncio.gather(*(api.call(chat, lane) for chat in range(1, 31)))
        return api

    assert on_moved_clock(scenario()).most_flying == most


def test_a_call_that_fails_or_is_cancelled_leaves_its_place(on_moved_clock: Run) -> None:
    async def scenario() -> None:
        pacer = Pacer(in_flight=1)
        api = Api(pacer, took=5)

        async def fail(*_args: Any) -> bool:
            raise ValueError("mistake")

        with pytest.raises(ValueError, match="mistake"):
            await pacer.process_request(fail, (), {}, "sendMessage", {"chat_id": 1}, None)
        for moment in (0.0, 0.01, 1.0, 6.0):
            tasks = [asyncio.create_task(api.call(chat)) for chat in range(2, 6)]
            await asyncio.sleep(moment)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            figures = pacer.figures()
            assert (figures.in_flight, figures.waiting) == (0, 0)
        assert await api.call(9) is True

    on_moved_clock(scenario())


def test_a_call_let_go_and_cancelled_in_the_same_moment_leaves_its_place(on_moved_clock: Run) -> None:
    async def scenario() -> None:
        pacer = Pacer(in_flight=1)
        api = Api(pacer, took=5)
        holding = asyncio.create_task(api.call(1))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(api.call(None, endpoint="getMe"))
        await asyncio.sleep(0)
        pacer._leave()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert pacer.figures().in_flight == 0
        pacer._in_flight = 1
        await holding

    on_moved_clock(scenario())


def test_chats_are_forgotten_and_no_timer_is_left(on_moved_clock: Run) -> None:
    async def scenario() -> None:
        pacer = Pacer(per_bot=1000)
        api = Api(pacer)
        most = 0
        for first in range(1, 20_001, 500):
            await asyncio.gather(*(api.call(chat) for chat in range(first, first + 500)))
            most = max(most, len(pacer._chats))
        assert most <= 1600
        await asyncio.sleep(5)
        assert pacer.figures().sent_in_last_second == 0
        assert (len(pacer._chats), pacer._chats._expiry, pacer._ready, pacer._resting) == (0, [], [], [])
        assert pacer._timer is None

    on_moved_clock(scenario())


def test_figures_say_how_busy_it_is(on_moved_clock: Run) -> None:
    async def scenario() -> None:
        pacer = Pacer()
        api = Api(pacer, took=0.5)
        tasks = [asyncio.create_task(api.call(chat, Lane.REMINDER)) for chat in range(1, 101)]
        await asyncio.sleep(1.51)
        busy = pacer.figures()
        assert 24 <= busy.sent_in_last_second <= 26
        assert 12 <= busy.in_flight <= 14
        assert busy.waiting == pytest.approx(62, abs=2)
        assert busy.gate_closed_for == timedelta(0)
        api.floods = [9.0]
        await asyncio.gather(*tasks, return_exceptions=True)
        assert pacer.figures().gate_closed_for > timedelta(seconds=8)

    on_moved_clock(scenario())


def test_a_shutdown_gives_back_what_waits(on_moved_clock: Run) -> None:
    async def scenario() -> None:
        pacer = Pacer()
        await pacer.initialize()
        api = Api(pacer, took=0)
        tasks = [asyncio.create_task(api.call(chat, Lane.REMINDER)) for chat in range(1, 6)]
        await asyncio.sleep(0.01)
        await pacer.shutdown()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] is True
        assert [classify(result).outcome for result in results[1:]] == [SendOutcome.PUT_BACK] * 4

    on_moved_clock(scenario())


def test_the_clock_can_be_given(on_moved_clock: Run) -> None:
    async def scenario() -> None:
        now = [50.0]
        pacer = Pacer(clock=lambda: now[0])
        api = Api(pacer, took=0)
        await api.call(1)
        assert pacer.figures().sent_in_last_second == 1
        now[0] += 2
        assert pacer.figures().sent_in_last_second == 0
        await api.call(1)

    on_moved_clock(scenario())


@pytest.mark.parametrize("as_timedelta", ["0", "1"])
@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
def test_the_librarys_own_flood_error_closes_the_gate_too(
    as_timedelta: str, on_moved_clock: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", as_timedelta)

    async def scenario() -> float:
        pacer = Pacer()

        async def flood(*_args: Any) -> bool:
            raise RetryAfter(7)

        with pytest.raises(RetryAfter):
            await pacer.process_request(flood, (), {}, "sendMessage", {"chat_id": 1}, Lane.REMINDER)
        return pacer.figures().gate_closed_for.total_seconds()

    assert on_moved_clock(scenario()) == pytest.approx(8)


async def test_a_bot_hands_its_lanes_through_and_the_log_names_nobody(telegram: ScriptedTelegram) -> None:
    flood = (429, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 7}})
    telegram.script("sendMessage", flood)
    pacer = Pacer()
    async with LeanRequest() as client:
        bot: ExtBot[Lane] = ExtBot(TOKEN, base_url=f"{telegram.address}/bot", request=client, rate_limiter=pacer)
        with structlog.testing.capture_logs() as logged, pytest.raises(RetryAfter):
            await bot.send_message(987654321, "my back hurts", rate_limit_args=Lane.REMINDER)
        await bot.answer_callback_query("1")
        with pytest.raises(RetryAfter):
            await bot.send_message(5, "-", rate_limit_args=Lane.REMINDER)
    assert [call.method for call in telegram.calls] == ["sendMessage", "answerCallbackQuery"]
    assert logged == [
        {
            "event": "flood_gate_closed",
            "log_level": "warning",
            "endpoint": "sendMessage",
            "seconds": 7.0,
            "waiting": 0,
        }
    ]
    await pacer.shutdown()
