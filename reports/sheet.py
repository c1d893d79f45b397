"""A sheet on which a picture is composed from the top down: heading, plots with their axes, a legend below."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, TypeAlias

from reports.marks import Anchor, Box, Line, Mark, Picture, Text, wide
from reports.palette import QUIET, RULE
from reports.words import Words, words_of

# A phone's picture and a desk's, in pixels; a phone shows the first about as wide as it is.
PHONE: Final = 400.0
DESK: Final = 960.0
EDGE: Final = 14.0
TITLE, HEAD, LABEL, SMALL = 18.0, 13.0, 12.0, 11.0
_DAY: Final = timedelta(days=1)
_GAP: Final = 6.0  # between two labels of an axis, at least

# What the legend shows of a kind of mark, drawn at a place.
Sample: TypeAlias = Callable[[float, float], Sequence[Mark]]


def words_in(language: str) -> Words:
    """The words of the pictures in a language."""
    return words_of("reports", language)


@dataclass(slots=True)
class Sheet:
    """Marks gathered from the top down; `y` is where the next ones begin."""

    width: float
    words: Words
    y: float = 0.0
    head: float = 0.0
    title: str = ""
    subtitle: str = ""
    marks: list[Mark] = field(default_factory=list)

    def heading(self, title: str, subtitle: str = "") -> None:
        """The picture's title, and below it what it spans."""
        self.title, self.subtitle = title, subtitle
        self.y += 32
        self.add(Text(EDGE, self.y, fitted(title, TITLE, self.width - 2 * EDGE, bold=True), TITLE, bold=True))
        if subtitle:
            self.y += 20
            self.add(Text(EDGE, self.y, fitted(subtitle, HEAD, self.width - 2 * EDGE), HEAD, QUIET))
        self.y += 4
        self.head = self.y

    def panel(self, text: str) -> None:
        """What the next plot shows."""
        self.y += 24
        room = self.width - 2 * EDGE
        self.add(Text(EDGE, self.y, fitted(text, HEAD, room, bold=True), HEAD, bold=True, name="panel"))
        self.y += 10

    def add(self, *marks: Mark) -> None:
        """Put marks where they say."""
        self.marks += marks

    def say(self, text: str) -> None:
        """A quiet sentence in the place of a plot."""
        self.y += 34
        self.add(Text(EDGE, self.y, fitted(text, HEAD, self.width - 2 * EDGE), HEAD, QUIET, name="nothing"))
        self.y += 18

    def legend(self, entries: Iterable[tuple[Sample, str]]) -> None:
        """What the marks mean, in as many rows as it takes."""
        along, begun = EDGE, False
        for sample, word in entries:
            takes = 20 + wide(word, LABEL) + 12
            if not begun or along + takes > self.width - EDGE + 12:
                along, begun, self.y = EDGE, True, self.y + (20 if begun else 26)
            self.add(*sample(along + 7, self.y - 4), Text(along + 20, self.y, word, LABEL, QUIET, name="legend"))
            along += takes

    def picture(self, name: str, description: str) -> Picture:
        """The whole, with some room at the foot."""
        return Picture(
            name,
            self.title,
            description,
            self.width,
            self.y + 16,
            self.words.rtl,
            tuple(self.marks),
            self.subtitle,
            self.head,
        )


@dataclass(frozen=True, slots=True)
class Plot:
    """A field within a picture: `steps` places of equal width, and a scale from `low` at its foot to `high`."""

    left: float
    right: float
    top: float
    height: float
    steps: float
    low: float = 0.0
    high: float = 1.0

    @property
    def foot(self) -> float:
        """How far down it reaches."""
        return self.top + self.height

    @property
    def step(self) -> float:
        """How wide a place is."""
        return (self.right - self.left) / max(self.steps, 1)

    def x(self, place: float) -> float:
        """Where a place begins; its middle is half a place on."""
        return self.left + place * self.step

    def y(self, value: float) -> float:
        """How far down a value lies."""
        return self.foot - self.height * (value - self.low) / ((self.high - self.low) or 1)

    def box(self, place: float, span: float, low: float, high: float) -> Box:
        """A rectangle over places and between two values."""
        return Box(self.x(place), self.y(high), self.step * span, self.y(low) - self.y(high))

    def scale(self, ticks: Iterable[tuple[float, str]], *, ruled: bool = True) -> list[Mark]:
        """Values at the side on which reading begins, with a line across for each."""
        found: list[Mark] = []
        for value, text in ticks:
            y = self.y(value)
            if ruled:
                found.append(Line(((self.left, y), (self.right, y)), RULE, name="rule"))
            found.append(Text(self.left - 8, y + 4, text, LABEL, QUIET, Anchor.END, name="tick"))
        return found

    def days(self, first: date, words: Words, y: float) -> list[Mark]:
        """Dates below, as many as can be read, and always that of the last place."""
        count = int(self.steps)
        widest = max(wide(words.day(first + day * _DAY), LABEL) for day in range(0, count, 7)) + 2 * _GAP
        step = next((step for step in (1, 7, 14, 28, 56, 84, 182, 364) if step * self.step >= widest), count)
        shown = range((count - 1) % step, count, step)
        labels = [
            Text(self.x(day + 0.5), y, words.day(first + day * _DAY), LABEL, QUIET, Anchor.MIDDLE, name="day")
            for day in shown
        ]
        return [kept_in(label, self.right + EDGE - 2) for label in labels]

    def upright(self, x: float, color: str, *, dashes: tuple[float, ...] = (), name: str) -> Line:
        """A line from top to foot."""
        return Line(((x, self.top), (x, self.foot)), color, 1.2, dashes, name)


def kept_in(label: Text, right: float, left: float = 2.0) -> Text:
    """A label moved no further than it takes not to stick out of a picture."""
    begins, ends = label.ends
    return replace(label, x=label.x + max(left - begins, 0) - max(ends - right, 0))


def in_rows(labels: Iterable[Text], *, down: float) -> list[Text]:
    """Labels in as few rows as they need not to run into one another, each row further down."""
    rows: list[float] = []
    found = []
    for label in sorted(labels, key=lambda label: label.ends):
        row = next((row for row, ends in enumerate(rows) if ends + _GAP <= label.ends[0]), len(rows))
        rows[row : row + 1] = [label.ends[1]]
        found.append(replace(label, y=label.y + row * down))
    return found


def fitted(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """The text, cut where it does not fit."""
    if wide(text, size, bold=bold) <= room:
        return text
    while text and wide(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"
