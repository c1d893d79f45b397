"""The intake: nothing is confirmed before it is kept, and nothing Telegram does stops the loop."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import structlog
from conftest import TOKEN, ScriptedTelegram, Trouble
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram.request import BaseRequest, HTTPXRequest

from bot.intake import Backoff, Intake, PollFailedError, RawUpdate, TokenRefusedError, pause_or_stop, updates_in
from bot.request import LeanRequest
from protocol.errors import DaybookError

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
CONFLICT = (409, {"ok": False, "error_code": 409, "description": "Conflict: terminated by other getUpdates"})
UNAUTHORIZED = (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
FLOOD = (429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 7}})


def update(number: int, text: str = "7") -> dict[str, Any]:
    chat = {"id": 987654321, "type": "private"}
    return {"update_id": number, "message": {"message_id": 1, "date": 0, "chat": chat, "text": text}}


def answer(*updates: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"ok": True, "result": list(updates)}


@dataclass
class Desk:
    """Everything around an intake: what it kept, how long it paused, and when to stop."""

    telegram: ScriptedTelegram
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    now: datetime = START
    batches: list[list[RawUpdate]] = field(default_factory=list)
    keep_fails: list[Exception] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    polled: list[datetime] = field(default_factory=list)
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)
    conflicts: int = 0
    clients: list[BaseRequest] = field(default_factory=list)

    async def keep(self, updates: Sequence[RawUpdate]) -> None:
        if self.keep_fails:
            raise self.keep_fails.pop(0)
        self.batches.append(list(updates))

    async def pause(self, stop: asyncio.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    async def gap(self, began: datetime, ended: datetime) -> None:
        self.gaps.append((began, ended))

    def conflict(self) -> None:
        self.conflicts += 1

    def client(self) -> BaseRequest:
        self.clients.append(LeanRequest())
        return self.clients[-1]

    def then_stop(self, step: Any = None) -> Callable[[], Any]:
        def stop() -> Any:
            self.stop.set()
            return step or answer()

        return stop

    async def run(self, *steps: Any, **settings: Any) -> None:
        """Answer the polls with these steps, then stop."""
        self.telegram.script("getUpdates", *steps, self.then_stop())
        arguments: dict[str, Any] = {
            "keep": self.keep,
            "fresh_client": self.client,
            "clock": lambda: self.now,
            "polled": self.polled.append,
            "gap": self.gap,
            "conflict": self.conflict,
            "pause": self.pause,
            "grace_seconds": 2.0,
        } | settings
        async with asyncio.timeout(10):
            await Intake(f"{self.telegram.address}/bot{TOKEN}", **arguments).run(self.stop)

    @property
    def kept(self) -> list[int | None]:
        return [update.update_id for batch in self.batches for update in batch]

    @property
    def offsets(self) -> list[int | None]:
        return [call.json.get("offset") for call in self.telegram.called("getUpdates")]


@pytest.fixture
def desk(telegram: ScriptedTelegram) -> Desk:
    return Desk(telegram)


async def test_the_offset_moves_only_after_the_updates_are_kept(desk: Desk) -> None:
    offsets_when_keeping: list[Any] = []

    async def keep(updates: Sequence[RawUpdate]) -> None:
        offsets_when_keeping.append(desk.offsets[-1])
        await desk.keep(updates)

    await desk.run(answer(update(900), update(901)), answer(update(902)), keep=keep)
    assert desk.kept == [900, 901, 902]
    assert desk.offsets == [None, 902, 903]
    assert offsets_when_keeping == [None, 902]


async def test_a_poll_asks_only_for_what_the_diary_handles_and_waits_for_long(desk: Desk) -> None:
    await desk.run(answer())
    _, call = desk.telegram.calls
    assert call.json == {
        "timeout": 25,
        "limit": 100,
        "allowed_updates": ["message", "edited_message", "callback_query", "my_chat_member"],
    }


async def test_the_first_poll_and_the_first_after_trouble_say_at_once_that_telegram_is_there(desk: Desk) -> None:
    await desk.run(answer(), answer(), (500, b""), answer())
    assert [call.json["timeout"] for call in desk.telegram.calls] == [0, 25, 25, 0, 25]


async def test_an_update_is_kept_as_telegram_wrote_it(desk: Desk) -> None:
    written = b'{"update_id": 5,  "message":{"text":"\\u0667 [,]{} \\" \\\\", "n":123456789012345678901234567890}}'
    await desk.run((200, b'{"ok":true,"result":[' + written + b"]}"))
    assert desk.batches == [[RawUpdate(5, written)]]


async def test_what_cannot_be_kept_is_not_confirmed_and_asked_for_again(desk: Desk) -> None:
    desk.keep_fails = [OSError(28, "disk full"), OSError(28, "disk full")]
    again = answer(update(900))
    with structlog.testing.capture_logs() as logged:
        await desk.run(again, again, again)
    assert desk.kept == [900]
    assert desk.offsets == [None, None, None, 901]
    assert len(desk.pauses) == 2
    assert [line["event"] for line in logged][:2] == ["updates_not_kept", "poll_failed"]
    assert len(desk.polled) == 2


async def test_numbers_that_start_anew_lose_nothing(desk: Desk) -> None:
    steps = [
        answer(update(900), update(901)),
        answer(),
        answer(update(17), update(18)),
        answer(),
        answer(update(900, text="other")),
    ]
    await desk.run(*steps)
    assert desk.kept == [900, 901, 17, 18, 900]
    assert desk.offsets == [None, 902, None, 19, None, 901]


async def test_a_whole_batch_is_confirmed_whatever_its_order(desk: Desk) -> None:
    await desk.run(answer(update(900), update(901), update(17)))
    assert desk.offsets[:2] == [None, 902]


POISON = [
    b'"nonsense"',
    b"null",
    b"[]",
    b"{}",
    b'{"update_id":"11"}',
    b'{"update_id":true}',
    b'{"update_id":-3}',
    b'{"update_id":99999999999999999999999999}',
    b'{"update_id":11,"x":NaN}',
    b'{"update_id":11,"x":"\xff\xfe"}',
    b'{"update_id":11,"x":"\\ud800"}',
    b'{"update_id":11,"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"update_id":11,"x":1e999999,"y":tru}',
    b'{"update_id":11,"x":{}',
    b'{"update_id":11,"x":"}',
    b'{"update_id":11,"x":]}',
    b'{"update_id":11 oops}',
]


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison[:30].decode("ascii", "replace"))
async def test_one_unreadable_update_stops_none_of_the_others(poison: bytes, desk: Desk) -> None:
    elements = [orjson.dumps(update(10)), poison, orjson.dumps(update(12))]
    await desk.run((200, b'{"ok":true,"result":[' + b",".join(elements) + b"]}"))
    (batch,) = desk.batches
    assert batch[0] == RawUpdate(10, elements[0])
    assert batch[-1] == RawUpdate(12, elements[2])
    assert b"".join(raw.body for raw in batch).count(poison) == 1
    assert desk.offsets == [None, 13]


async def test_an_update_without_a_number_is_kept_but_not_in_a_rush(desk: Desk) -> None:
    await desk.run((200, b'{"ok":true,"result":[{"message":1}]}'))
    assert desk.batches == [[RawUpdate(None, b'{"message":1}')]]
    assert len(desk.pauses) == 1


def test_an_answer_that_breaks_off_is_not_taken_apart() -> None:
    whole = orjson.dumps(answer(update(10), update(11))[1])
    for end in range(len(whole)):
        with pytest.raises(PollFailedError, match="unreadable answer"):
            updates_in(whole[:end])


@pytest.mark.parametrize(
    "payload",
    [b"", b"<html>", b"[]", b'{"ok":false,"result":[]}', b'{"ok":true}', b'{"ok":true,"result":{}}', b'"result":['],
)
def test_what_is_not_an_answer_with_updates_is_a_failed_poll(payload: bytes) -> None:
    with pytest.raises(PollFailedError):
        updates_in(payload)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.tuples(st.integers(0, 2**31), st.dictionaries(st.text(max_size=8), json_values)), max_size=6))
@settings(deadline=None, max_examples=30)
def test_any_answer_is_taken_apart_as_a_json_reader_would(written: list[tuple[int, dict[str, Any]]]) -> None:
    updates = [{**fields, "update_id": number} for number, fields in written]
    taken = updates_in(orjson.dumps({"ok": True, "result": updates}))
    assert [orjson.loads(raw.body) for raw in taken] == updates
    assert [raw.update_id for raw in taken] == [number for number, _ in written]


@given(st.binary(max_size=200) | st.text('[]{}",:\\ ok result update_id 1').map(str.encode))
@settings(deadline=None)
def test_no_bytes_make_the_reader_fail_otherwise_than_it_says(noise: bytes) -> None:
    for payload in (noise, b'{"ok":true,"result":[' + noise + b"]}"):
        try:
            updates_in(payload)
        except PollFailedError:
            continue


FAILURES = [
    Trouble.DROP,
    Trouble.RESET,
    (500, {"ok": False}),
    (502, b"<html>"),
    (200, b"<html>portal</html>"),
    (200, {"ok": True}),
    (404, b"<html>not telegram</html>"),
    (403, b"<html>"),
    (301, b""),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
async def test_after_any_failure_the_loop_lives_on(failure: Any, desk: Desk) -> None:
    await desk.run(failure, answer(update(1)), failure, answer(update(2)))
    assert desk.kept == [1, 2]
    assert len(desk.pauses) == 2


async def test_a_poll_that_is_never_answered_ends_in_bounded_time(desk: Desk) -> None:
    await desk.run(Trouble.HANG, Trouble.TRICKLE, answer(update(1)), poll_seconds=0, grace_seconds=0.03)
    assert desk.kept == [1]
    assert len(desk.pauses) == 2


async def test_every_third_failure_in_a_row_brings_a_fresh_client(desk: Desk) -> None:
    failures = [(500, b"")] * 7
    await desk.run(*failures, answer(update(1)), (500, b""), (500, b""))
    assert len(desk.clients) == 3
    assert all(client._session is None for client in desk.clients)  # type: ignore[attr-defined]


async def test_a_client_that_cannot_be_made_or_closed_does_not_stop_the_loop(desk: Desk) -> None:
    class Broken(LeanRequest):
        async def initialize(self) -> None:
            raise RuntimeError

    class Sticky(LeanRequest):
        async def shutdown(self) -> None:
            await super().shutdown()
            raise RuntimeError

    clients = [Broken(), Sticky(), LeanRequest()]
    failures = [(500, b"")] * 2
    await desk.run(*failures, answer(update(1)), fresh_client=lambda: clients.pop(0))
    assert desk.kept == [1]


async def test_pauses_grow_and_start_anew_after_a_success(desk: Desk) -> None:
    failures = [(500, b"")] * 9
    await desk.run(*failures, answer(), (500, b""), chance=lambda: 1.0)
    assert desk.pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5]


@pytest.mark.parametrize("failures", [0, 1, 5, 50, 10_000])
@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_every_pause_is_between_half_a_second_and_half_a_minute(failures: int, chance: float) -> None:
    assert 0.5 <= Backoff().seconds(failures, chance) <= 30


@pytest.mark.parametrize("client", [LeanRequest, HTTPXRequest])
@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
async def test_a_flood_is_waited_out(client: type[BaseRequest], desk: Desk) -> None:
    await desk.run(FLOOD, answer(update(1)), fresh_client=client)
    assert desk.pauses == [8]
    assert desk.kept == [1]


async def test_a_second_poller_is_reported_each_time_and_not_fought_in_a_rush(desk: Desk) -> None:
    with structlog.testing.capture_logs() as logged:
        await desk.run(CONFLICT, CONFLICT, answer(update(1)))
    assert desk.conflicts == 2
    assert len(desk.pauses) == 2
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["second_poller"] * 2
    assert desk.kept == [1]


@pytest.mark.parametrize("refusal", [UNAUTHORIZED, (404, {"ok": False, "error_code": 404})])
async def test_a_refused_token_stops_the_process_with_a_plain_sentence(refusal: Any, desk: Desk) -> None:
    with pytest.raises(TokenRefusedError, match="DAYBOOK_BOT_TOKEN") as refused:
        await desk.run(refusal)
    assert isinstance(refused.value, DaybookError)
    assert TOKEN not in str(refused.value)
    assert desk.clients[0]._session is None  # type: ignore[attr-defined]


async def test_each_success_is_a_sign_of_life_and_a_failure_none(desk: Desk) -> None:
    await desk.run(answer(), (500, b""), answer(update(1)), chance=lambda: 1.0)
    assert desk.polled == [START, START + timedelta(seconds=0.5), START + timedelta(seconds=0.5)]


async def test_a_silence_of_more_than_two_minutes_is_an_outage(desk: Desk) -> None:
    def after(seconds: int) -> Callable[[], Any]:
        def step() -> Any:
            desk.now += timedelta(seconds=seconds)
            return answer()

        return step

    await desk.run(after(0), after(120), after(121), after(5))
    assert desk.gaps == [(START + timedelta(seconds=120), START + timedelta(seconds=241))]


async def test_an_outage_across_a_restart_is_noticed(desk: Desk) -> None:
    before = START - timedelta(hours=3)
    await desk.run(answer(), last_polled=before)
    assert desk.gaps == [(before, START)]


async def test_an_outage_that_cannot_be_recorded_is_reported_again(desk: Desk) -> None:
    before = START - timedelta(hours=3)
    failing = [OSError("locked")]

    async def gap(began: datetime, ended: datetime) -> None:
        if failing:
            raise failing.pop()
        await desk.gap(began, ended)

    await desk.run(answer(update(1)), answer(), last_polled=before, gap=gap)
    assert [began for began, _ in desk.gaps] == [before]
    assert desk.kept == [1]


async def test_told_to_stop_it_leaves_a_long_poll_at_once(desk: Desk) -> None:
    desk.telegram.script("getUpdates", Trouble.HANG)
    intake = asyncio.create_task(desk.run())
    await desk.telegram.arrived()
    desk.stop.set()
    async with asyncio.timeout(1):
        await intake
    assert desk.offsets == [None]


async def test_told_to_stop_it_keeps_what_it_has_in_hand_and_confirms_it(desk: Desk) -> None:
    async def keep(updates: Sequence[RawUpdate]) -> None:
        desk.stop.set()
        await asyncio.sleep(0.002)
        await desk.keep(updates)

    await desk.run(answer(update(900)), answer(update(901)), keep=keep)
    assert desk.kept == [900]
    last = desk.telegram.calls[-1].json
    assert (last["offset"], last["timeout"], last["limit"]) == (901, 0, 1)
    assert len(desk.telegram.calls) == 2


@pytest.mark.parametrize("failure", [Trouble.DROP, UNAUTHORIZED, (500, b"")], ids=str)
async def test_a_stop_succeeds_even_if_the_last_confirmation_does_not(failure: Any, desk: Desk) -> None:
    await desk.run(desk.then_stop(answer(update(900))), failure)
    assert desk.kept == [900]


async def test_a_cancelled_intake_leaves_no_task_and_no_connection(desk: Desk) -> None:
    before = asyncio.all_tasks()
    intake = asyncio.create_task(desk.run(Trouble.HANG))
    await desk.telegram.arrived()
    intake.cancel()
    with pytest.raises(asyncio.CancelledError):
        await intake
    assert desk.clients[0]._session is None  # type: ignore[attr-defined]
    left = {
        task for task in asyncio.all_tasks() - before if "_handle" not in repr(task) and "start" not in repr(task)
    }
    assert left == set()


async def test_a_pause_ends_when_told_to_stop() -> None:
    stop = asyncio.Event()
    await pause_or_stop(stop, 0.001)
    stop.set()
    async with asyncio.timeout(1):
        await pause_or_stop(stop, 3600)


async def test_the_log_names_neither_token_nor_chat_nor_words(desk: Desk) -> None:
    desk.keep_fails = [OSError(f"{TOKEN} 987654321 my back hurts")]
    steps = [answer(update(1, "my back hurts")), *FAILURES, CONFLICT, FLOOD, answer(update(1, "my back hurts"))]
    with structlog.testing.capture_logs() as logged:
        await desk.run(*steps)
    assert len(logged) > len(FAILURES)
    assert not any(part in str(logged) for part in (TOKEN, "987654321", "my back hurts"))
