"""Experiments within one process: forged taps, every clock change, and whole trials by seed.

Each gives its failures in words. A mutant is a patch under which the same experiment must fail.
"""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from zoneinfo import ZoneInfo, available_timezones

from bot.buttons import Buttons
from bot.sender import NudgeSender
from diary import Keys
from rehearsal.simulation.outcome import simulate
from rehearsal.simulation.trial import Wanted
from tests.conftest import KEY
from tests.protocol.plans import planned, small
from tests.protocol.test_every_zone import WALLS, changes, hold
from tests.rehearsal.simulation.conftest import WEEK

BOTS, CHATS = (1, 2), (10, 11, 12)
_LETTERS = "abcXYZ019.~-_=\0é٧"
_DAYS = 5


def forged_taps(tries: int, seed: int) -> Iterator[str]:
    """Data that no button of a chat ever had is taken for none, however near it comes to one."""
    chance, keys = random.Random(seed), Keys([KEY])
    buttons = {bot: Buttons(keys, bot) for bot in BOTS}
    slots = {chat: range(20 * place, 20 * place + 20) for place, chat in enumerate(CHATS)}
    places = [(bot, chat) for bot in BOTS for chat in CHATS]
    real = {(bot, chat): {buttons[bot].data(chat, "s", slot, bot) for slot in slots[chat]} for bot, chat in places}
    meant = {where: {buttons[where[0]].read(where[1], data) for data in made} for where, made in real.items()}
    for _ in range(tries):
        where, other = chance.choice(places), chance.choice(places)
        data = _altered(chance.choice(sorted(real[other])), chance.choice(sorted(real[where])), chance)
        press = buttons[where[0]].read(where[1], data)
        if press is not None and press not in meant[where]:
            yield f"seed {seed}: {data!r} was taken in chat {where[1]} of bot {where[0]} for {press}"


def _altered(data: str, another: str, chance: random.Random) -> str:
    """Data as somebody would alter it: as it is from elsewhere, a character changed, halves of two put together."""
    payload, _, signature = data.rpartition("~")
    place = chance.randrange(len(data))
    return chance.choice(
        (
            data,
            data[:place] + chance.choice(_LETTERS) + data[place + 1 :],
            data[:place],
            f"{payload}~{another.rpartition('~')[2]}",
            f"s.{chance.randrange(10**6)}.{chance.randrange(11)}~{signature}",
            f"{payload}.{chance.randrange(10)}~{signature}",
        )
    )


def clock_changes(most: int, seed: int) -> Iterator[str]:
    """Around the clock changes of every zone in three years each date has its slots, at the right instant."""
    for zone, change in some_changes(most, seed):
        first = change.astimezone(ZoneInfo(zone)).date() - timedelta(days=2)
        try:
            hold(zone, planned(small(*WALLS, days=_DAYS), first, zone), first, _DAYS)
        except AssertionError as wrong:
            yield f"{zone}, {change:%Y-%m-%d}: {str(wrong).splitlines()[0]}"


def some_changes(most: int, seed: int) -> list[tuple[str, datetime]]:
    """So many of the clock changes there are, or all."""
    found = [(zone, change) for zone in sorted(available_timezones()) for change in changes(zone)]
    return random.Random(seed).sample(found, min(most, len(found)))


def whole_trials(seeds: int, seed: int) -> Iterator[str]:
    """Trials of a week with nine kinds of patients: the simulator's own book and the database agree."""
    for number in range(seed, seed + seeds):
        with tempfile.TemporaryDirectory(prefix="daybook-evidence-") as folder:
            outcome = simulate(Path(folder) / "trial", Wanted(WEEK, patients=9, seed=number))
        for fault in outcome.findings.faults:
            yield f"seed {number}: {fault.kind}: {fault.told}"


def _naive_instant(local_date: date, wall: time, zone: str) -> datetime:
    """The wall time as most programs take it, which asks nobody whether it exists."""
    return datetime.combine(local_date, wall, ZoneInfo(zone)).astimezone(UTC)


async def _sent_twice(self: NudgeSender, nudge: Any) -> Any:
    await _send(self, nudge)
    return await _send(self, nudge)


_send = NudgeSender.send
MUTANTS: Final[Mapping[str, Callable[[], AbstractContextManager[Any]]]] = {
    "signatures are not looked at": lambda: patch.object(Keys, "signed", lambda *_: True),
    "signatures forget the chat": lambda: patch.object(Buttons, "_signed", lambda _, __, payload: payload),
    "a wall time is taken as it is": lambda: patch("protocol.calendar.instant", _naive_instant),
    "a question is sent twice": lambda: patch.object(NudgeSender, "send", _sent_twice),
    "nights are as good as days": lambda: patch("schedules.dispatcher._quiet_until", lambda *_: None),
}
