"""A virtual patient: has a phone and habits, taps and types, and writes down what was truly said."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from random import Random
from typing import Final

from diary import Slot
from protocol.calendar import instant, zone_of
from protocol.model import Count, Protocol
from rehearsal.chats import Message
from rehearsal.people import Person
from rehearsal.simulation import reacting
from rehearsal.simulation import transcript as t
from rehearsal.simulation.book import Pages, Said, Saying, Shown
from rehearsal.simulation.effects import Body
from rehearsal.simulation.screen import Button, buttons_of
from rehearsal.simulation.stage import Stage
from rehearsal.simulation.temperament import Errand, Kind, Temperament
from rehearsal.simulation.transcript import Cause

_TAKEN_UNTOLD: Final = 0.75
_TIME_OF_DAY, _NUMBER = re.compile(r"\d+:\d+"), re.compile(r"\d+")
_WAKES, _SLEEPS = time(7), time(23, 30)


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who is to take part; `evening` is which of the offered times they will choose."""

    code: str
    site: str
    language: str
    home: str  # time zone
    start: date
    evening: int
    temperament: Temperament
    errands: tuple[Errand, ...]
    eligible: bool = True


@dataclass(frozen=True, slots=True)
class Means:
    """What a patient has to act with: stage, protocol, pages of the book, draws, a body, and ways to the diary."""

    stage: Stage
    protocol: Protocol
    pages: Pages
    draws: Random
    body: Body
    slots: Callable[[str], Awaitable[Mapping[int, Slot]]]
    agreed: Callable[["VirtualPatient"], None]


class VirtualPatient:
    """One patient with a phone."""

    staff = False

    def __init__(self, who: Who, person: Person, means: Means) -> None:
        self.who = who
        self.code = who.code
        self.language = who.language
        self.zone = who.home
        self.person = person
        self.read_up_to = 0
        self.stage = means.stage
        self.protocol = means.protocol
        self.pages = means.pages
        self.draws = means.draws
        self.told: Counter[str] = Counter()  # doses the diary was told of, by item
        self.taken: Counter[str] = Counter()  # and those of them that were truly taken
        self.wants = Kind.TODAY
        self.going_to = who.home
        self.has_hesitated = False
        self.silent_from = self.draws.randrange(10, 90) if who.temperament.falls_silent else None
        self.questions: dict[int, int] = {}  # by slot, the message that asked last
        self.noticed: dict[int, bool] = {}  # by slot, whether an answer is on its way
        self.body = means.body
        self.takes_part = False
        self._prompts = tuple(text for _, item in means.protocol.items() for text in item.prompt.root.values())
        self._slots: Mapping[int, Slot] = {}
        self._expecting: list[tuple[int | None, Saying]] = []
        self._means = means

    # Time, as the patient lives it.

    @property
    def now(self) -> datetime:
        """The time."""
        return self.stage.clock()

    @property
    def day(self) -> int:
        """The day of the trial where the patient is."""
        return (self.now.astimezone(zone_of(self.zone)).date() - self.who.start).days

    def later(
        self, seconds: tuple[float, float], act: Callable[[], Awaitable[None]], *, awake: bool = False
    ) -> None:
        """Do something after so many seconds, at night not before the morning."""
        at = self.now + timedelta(seconds=round(self.draws.uniform(*seconds)))
        self.stage.agenda.put(self._awake(at) if awake else at, act)

    def in_days(self, days: int, act: Callable[[], Awaitable[None]]) -> None:
        """Do something at some hour of the day in so many days."""
        on = self.now.astimezone(zone_of(self.zone)).date() + timedelta(days=days)
        self.stage.agenda.put(max(self.now, self.some_hour(on)), act)

    def some_hour(self, on: date) -> datetime:
        """An instant between ten and nine on a day where the patient is."""
        minutes = self.draws.randrange(11 * 60)
        return instant(on, time(10), self.zone) + timedelta(minutes=minutes, seconds=self.draws.randrange(60))

    def _awake(self, at: datetime) -> datetime:
        local = at.astimezone(zone_of(self.zone))
        if _WAKES <= local.time() < _SLEEPS:
            return at
        day = local.date() if local.time() < _WAKES else local.date() + timedelta(days=1)
        return instant(day, _WAKES, self.zone) + timedelta(seconds=self.draws.randrange(3600))

    # What comes to the phone.

    def sees(self, message: Message, *, cause: Cause) -> None:
        """Take note of a message that came or changed, and react to it."""
        buttons = buttons_of(message)
        if cause == "by itself":
            self.pages.by_themselves.append((self.now, self.zone))
            slots = {button.number(0) for button in buttons if button.act in ("s", "t", "o")}
            # After a break a question begins with why it comes again, also where it is the only one.
            merged = not message.text.startswith(self._prompts)
            self.pages.questions += [Shown(slot, self.now, merged=merged) for slot in sorted(slots)]
        if any(button.act == "a" for button in buttons):
            self._acknowledged(message, buttons[0].number(0))
        reacting.react(self, message, buttons)

    def is_refused(self) -> None:
        """The bot tried to write to a phone that lets nothing in."""
        self.pages.refused.append(self.now)

    def _acknowledged(self, message: Message, slot_id: int) -> None:
        """A receipt: it counts for the oldest answer it fits that had none, if it says what was said."""
        for place, (slot, saying) in enumerate(self._expecting):
            if slot in (slot_id, None):
                del self._expecting[place]
                self._note_down(slot_id, saying)
                if saying.score is not None and not self._reads(message.text, saying.score):
                    self.pages.misread.append((slot_id, saying, message.text))
                return

    def _note_down(self, slot_id: int, saying: Saying) -> None:
        """What says no more than what holds already is no new answer."""
        said = self.pages.acknowledged[slot_id]
        if not said or not said[-1].saying.covers(saying):
            said.append(Said(saying, "patient", self.now))

    def _reads(self, text: str, score: int) -> bool:
        """Whether the first line of a receipt names this score, its time of day apart."""
        told = _TIME_OF_DAY.sub("", text.partition("\n")[0])
        return [int(number) for number in _NUMBER.findall(told)] == [score]

    # What a patient does.

    async def slot(self, slot_id: int) -> Slot:
        """The slot behind a question."""
        if slot_id not in self._slots:
            self._slots = await self._means.slots(self.code)
        return self._slots[slot_id]

    async def left_over(self, count: Count) -> int:
        """How many doses are still in the box: of what the diary was not told, most were taken all the same."""
        slots = await self._means.slots(self.code)
        due = sum(slot.item == count.item and slot.due_at <= self.now for slot in slots.values())
        untold = max(0, due - self.told.get(count.item, 0))
        taken = self.taken.get(count.item, 0) + sum(self.draws.random() < _TAKEN_UNTOLD for _ in range(untold))
        return max(0, count.dispensed - taken)

    async def start(self, token: str | None) -> None:
        """Open the chat, by an invite or again."""
        if token:
            self.stage.says(self, t.TEXT, "/start")
            self.person.press_start(self.stage.account, token)
            await self.stage.settle()
        else:
            await self.type("/start")

    def agree(self) -> None:
        """Take part, and get a kit."""
        if not self.takes_part:
            self.takes_part = True
            self._means.agreed(self)

    async def tap(self, message_id: int, data: str, *, saying: tuple[int, Saying] | None = None) -> None:
        """Tap a button, if it is still there."""
        message = self.person.chat(self.stage.account).messages[message_id]
        button = next((one for one in buttons_of(message) if one.data == data), None)
        if button is None or self.has_blocked:
            return
        if saying is not None and self.stage.up:
            self._expecting.append(saying)
        elif saying is not None:
            self.pages.unanswered.append(saying)  # nobody hears it: Telegram keeps a tap for moments only
        self.stage.says(self, t.TAP, button.label, message_id)
        self.person.tap(data=data, message=message, bot=self.stage.account)
        await self.stage.settle()
        self.give_up()

    async def type(self, text: str, *, saying: Saying | None = None, kept: bool = False) -> None:
        """Write a text; `kept` says that it must be found among the notes."""
        if self.has_blocked:
            return
        if saying is not None:
            self._expecting.append((None, saying))
        if kept:
            self.pages.texts.append(text.partition(" ")[2] if text.startswith("/") else text)
        self.stage.says(self, t.TEXT, text)
        self.person.type(text, bot=self.stage.account)
        await self.stage.settle()
        self.give_up()

    def give_up(self) -> None:
        """Count what was said and not acknowledged apart, unless the service is away and may answer a text yet."""
        if self.stage.up:
            self.pages.unanswered += self._expecting
            self._expecting = []

    @property
    def has_blocked(self) -> bool:
        """Whether the bot is shut out."""
        return self.person.chat(self.stage.account).blocked

    def block(self) -> None:
        """Shut the bot out."""
        self.stage.says(self, t.BLOCKED, "")
        self.pages.blocked.append((self.now, None))
        self.person.block(self.stage.account)

    def unblock(self) -> None:
        """Let it in again."""
        self.stage.says(self, t.UNBLOCKED, "")
        self.pages.blocked[-1] = (self.pages.blocked[-1][0], self.now)
        self.person.unblock(self.stage.account)

    def soon(
        self, message: Message, button: Button, seconds: tuple[float, float] = (3, 25),
        *, saying: tuple[int, Saying] | None = None,
    ) -> None:  # fmt: skip
        """Tap a button in a moment."""
        self.later(seconds, partial(self.tap, message.id, button.data, saying=saying))
