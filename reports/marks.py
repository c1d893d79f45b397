"""What a picture is made of: a few kinds of marks, in pixels from the side on which its language begins.

A picture is composed once, without a thought for who draws it: reports/svg.py for the pages, reports/png.py for the
chat. Where a language runs from the right the whole picture is mirrored, here and nowhere else; words are not, they
stand on the other side of their place. A mark's `name` says what it is, such as "late" or "rule".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias

from reports.palette import INK

Point: TypeAlias = tuple[float, float]


class Shape(StrEnum):
    """What a dot looks like, whatever its colour."""

    CIRCLE = "circle"
    CROSS = "cross"
    SQUARE = "square"
    DIAMOND = "diamond"
    DASH = "dash"


class Anchor(StrEnum):
    """Which end of a text stands at its place, in the direction in which it is read."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


# The outlines of the shapes that have corners, for a size of 1: half of it to each side of the place.
_ARM, _TIP = 0.17, 0.5
OUTLINES: Final[dict[Shape, tuple[Point, ...]]] = {
    Shape.SQUARE: ((-0.44, -0.44), (0.44, -0.44), (0.44, 0.44), (-0.44, 0.44)),
    Shape.DIAMOND: ((0, -0.5), (0.5, 0), (0, 0.5), (-0.5, 0)),
    Shape.DASH: ((-0.4, -0.12), (0.4, -0.12), (0.4, 0.12), (-0.4, 0.12)),
    Shape.CROSS: (
        *((-_TIP, -_TIP + _ARM), (-_TIP + _ARM, -_TIP), (0, -_ARM), (_TIP - _ARM, -_TIP), (_TIP, -_TIP + _ARM)),
        *((_ARM, 0), (_TIP, _TIP - _ARM), (_TIP - _ARM, _TIP), (0, _ARM), (-_TIP + _ARM, _TIP)),
        *((-_TIP, _TIP - _ARM), (-_ARM, 0)),
    ),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; `dashes` are lengths of stroke and gap."""

    points: tuple[Point, ...]
    stroke: str
    width: float = 1.0
    dashes: tuple[float, ...] = ()
    name: str = ""

    def placed(self, width: float) -> "Line":
        """The same seen from the other side of a picture of this width."""
        return replace(self, points=_mirrored(self.points, width))


@dataclass(frozen=True, slots=True)
class Area:
    """What lies within points, in a part of its colour."""

    points: tuple[Point, ...]
    fill: str
    opacity: float = 1.0
    name: str = ""

    def placed(self, width: float) -> "Area":
        """The same seen from the other side."""
        return replace(self, points=_mirrored(self.points, width))


@dataclass(frozen=True, slots=True)
class Box:
    """Where a rectangle lies: its first corner and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Boxes:
    """Rectangles of one look, filled, framed (inside of their edge), or both; `told` is for who points at them."""

    boxes: tuple[Box, ...]
    fill: str = ""
    stroke: str = ""
    opacity: float = 1.0
    told: str = ""
    name: str = ""

    def placed(self, width: float) -> "Boxes":
        """The same seen from the other side."""
        return replace(self, boxes=tuple(replace(box, x=width - box.x - box.width) for box in self.boxes))


@dataclass(frozen=True, slots=True)
class Dot:
    """A mark at a place; `fill` and `stroke` may be one colour, and a hollow one is filled with paper."""

    x: float
    y: float
    size: float
    shape: Shape
    fill: str
    stroke: str
    told: str = ""
    name: str = ""

    def placed(self, width: float) -> "Dot":
        """The same seen from the other side."""
        return replace(self, x=width - self.x)

    @property
    def outline(self) -> tuple[Point, ...]:
        """Its corners; a circle has none."""
        return tuple((self.x + x * self.size, self.y + y * self.size) for x, y in OUTLINES[self.shape])


@dataclass(frozen=True, slots=True)
class Text:
    """Words on a line; `halo` keeps them apart from what they stand on."""

    x: float
    y: float
    text: str
    size: float = 12
    color: str = INK
    anchor: Anchor = Anchor.START
    bold: bool = False
    halo: str = ""
    name: str = ""

    def placed(self, width: float) -> "Text":
        """The same seen from the other side, where the text's start is its right end."""
        return replace(self, x=width - self.x)

    @property
    def wide(self) -> float:
        """How much room it takes at most, in any of the fonts it may be drawn with."""
        return wide(self.text, self.size, bold=self.bold)

    @property
    def ends(self) -> Point:
        """From where to where it reaches, before any mirroring."""
        before = {Anchor.START: 0.0, Anchor.MIDDLE: self.wide / 2, Anchor.END: self.wide}[self.anchor]
        return self.x - before, self.x - before + self.wide


Mark: TypeAlias = Line | Area | Boxes | Dot | Text


@dataclass(frozen=True, slots=True)
class Picture:
    """Marks in a space; `head` is the height of the title within it, which a page that has its own leaves out."""

    name: str
    title: str
    description: str
    width: float
    height: float
    rtl: bool
    marks: tuple[Mark, ...]
    subtitle: str = ""
    head: float = 0.0

    @property
    def placed(self) -> tuple[Mark, ...]:
        """The marks where they are drawn."""
        return tuple(mark.placed(self.width) for mark in self.marks) if self.rtl else self.marks


def moved(mark: Mark, down: float) -> Mark:
    """The same mark further down."""
    match mark:
        case Line() | Area():
            return replace(mark, points=tuple((x, y + down) for x, y in mark.points))
        case Boxes():
            return replace(mark, boxes=tuple(replace(box, y=box.y + down) for box in mark.boxes))
        case Dot() | Text():
            return replace(mark, y=mark.y + down)


def stacked(name: str, pictures: Sequence[Picture]) -> Picture:
    """Pictures of one width and language, one below the other."""
    marks: list[Mark] = []
    height = 0.0
    for picture in pictures:
        marks += [moved(mark, height) for mark in picture.marks]
        height += picture.height
    title, told = (" · ".join(getattr(one, of) for one in pictures) for of in ("title", "description"))
    first = pictures[0]
    return Picture(name, title, told, first.width, height, first.rtl, tuple(marks), head=first.head)


def _mirrored(points: Iterable[Point], width: float) -> tuple[Point, ...]:
    return tuple((width - x, y) for x, y in points)


# Widths of letters in parts of the size, in DejaVu Sans, which is wider than what browsers write with. Arabic
# letters are taken as they mostly stand, joined.
_WIDTHS: Final = {
    letter: width
    for width, letters in (
        (0.0, "\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u200e\u200f\u2066\u2067\u2068\u2069"),
        (0.3, "'ijlIJاأإآ"),
        (0.37, ",. ·/:;|f-!،؛"),
        (0.42, "rt()[]"),
        (0.57, "–_*`szc?٪٠١٢٣٤٥٦٧٨٩"),
        (0.67, "LkFvxyTPaoYebdghnpquESß0123456789"),
        (0.75, "بتثف"),
        (0.86, "HNDGOQwM#+<=>^~"),
        (1.0, "mW@…%—سشصض"),
    )
    for letter in letters
}
_ARABIC, _LETTER = 0.6, 0.78
_BOLD: Final = 1.21


def wide(text: str, size: float, *, bold: bool = False) -> float:
    """How much room a text takes at most; reckoned, since a page has no font at hand, and a test measures."""
    letters = sum(_WIDTHS.get(one, _ARABIC if "\u0600" <= one <= "\u06ff" else _LETTER) for one in text)
    return letters * size * (_BOLD if bold else 1)
