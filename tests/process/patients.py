"""Patients who answer what their phone shows: by tap, by typing, twice at times, and again when nothing happens."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rehearsal.chats import Message
from rehearsal.people import Person

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE_SECONDS = 6.0
_ANSWERS = {"s": "score", "t": "taken", "n": "not taken"}
_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer that a message on the screen offers."""

    message: Message
    data: str

    @property
    def slot_id(self) -> int:
        """The slot it is about."""
        return int(self.data.partition("~")[0].split(".")[1])

    @property
    def means(self) -> str:
        """The answer as a receipt words it."""
        act, *arguments = self.data.partition("~")[0].split(".")
        return arguments[1] if act == "s" else _ANSWERS[act]


@dataclass(slots=True)
class Patient:
    """One patient, and what this one remembers having said."""

    person: Person
    chance: random.Random
    types: bool = True
    tapped: defaultdict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    numbers: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)
    _touched: dict[int, float] = field(default_factory=dict)

    def questions(self) -> list[list[Choice]]:
        """The choices under each message that still asks for an answer, oldest message first."""
        shown = [message for message in self.person.chat().visible() if message.sender.is_bot]
        return [choices for message in shown if (choices := _choices(message))]

    async def live(self, stop: asyncio.Event) -> None:
        """Look at the phone now and then, and answer."""
        while not stop.is_set():
            await asyncio.sleep(self.chance.uniform(0.1, 1.2))
            self.look()

    def look(self) -> None:
        """Answer one of the questions on the screen, unless an answer to it has only just been given."""
        now = asyncio.get_running_loop().time()
        waiting = [
            choices
            for choices in self.questions()
            if now - self._touched.get(choices[0].message.id, -PATIENCE_SECONDS) >= PATIENCE_SECONDS
        ]
        if not waiting:
            return
        choices = self.chance.choice(waiting)
        self._touched[choices[0].message.id] = now
        what = self.chance.random()
        if self.types and what < 0.25 and len(choices) > 2:
            self.type_number(self.chance.randint(0, 10))
        elif self.types and what < 0.35:
            self.tell(f"a story that is told once, number {len(self.stories)} of {self.person.id}")
        else:
            self.tap(self.chance.choice(choices))
            if what > 0.9:
                self.tap(self.chance.choice(choices))

    def tap(self, choice: Choice) -> None:
        """Tap a button."""
        self.tapped[choice.slot_id].add(choice.means)
        self.person.tap(data=choice.data, message=choice.message)

    def type_number(self, score: int) -> None:
        """Write a score in one of the ways people write numbers."""
        self.numbers[str(score)] += 1
        self.person.type(
            self.chance.choice((f"{score}", f" {score}. ", f"{score}/10", f"{score}".translate(_ARABIC)))
        )

    def tell(self, story: str) -> None:
        """Write something that is no answer."""
        self.stories.append(story)
        self.person.type(story)


def _choices(message: Message) -> list[Choice]:
    data = [str(button.get("callback_data", "")) for row in message.keyboard or () for button in row]
    return [Choice(message, each) for each in data if each.partition(".")[0] in _ANSWERS]


@asynccontextmanager
async def living(patients: Sequence[Patient]) -> "AsyncIterator[None]":
    """Let them answer while the block runs."""
    stop = asyncio.Event()
    lives = [asyncio.create_task(patient.live(stop)) for patient in patients]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*lives)
