"""The sheet a picture is drawn on: filled from the top down, mirrored where the language runs from the right.

Colours are from Okabe and Ito's palette, which can be told apart with any kind of colour vision.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from babel import Locale
from babel.dates import format_date

from reports.words import DIGITS

_DPI: Final = 100
_HEADING, _AROUND_PANEL, _FOOT = 112, 114, 66  # pixels
INK, QUIET, RULE = "#1f2933", "#6b7785", "#e4e8ec"
BLUE, GREEN, ORANGE, GREY = "#0072b2", "#009e73", "#d55e00", "#9aa5b1"
FONT: Final = "DejaVu Sans"  # comes with matplotlib, and has Arabic
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Script:
    """How a language is written: its digits and its direction."""

    language: str

    @property
    def rtl(self) -> bool:
        """Whether it runs from the right."""
        return Locale.parse(self.language, sep="-").text_direction == "rtl"

    def digits(self, text: object) -> str:
        """A text with the digits its readers write."""
        return str(text).translate(DIGITS.get(self.language.partition("-")[0], {}))

    def day(self, day: date) -> str:
        """A day such as 24 Nov."""
        return self.digits(format_date(day, "d MMM", locale=Locale.parse(self.language, sep="-")))

    def span(self, first: date, last: date) -> str:
        """Two days and what lies between."""
        return f"{self.day(first)} – {self.day(last)}"


class Page:
    """A sheet filled from the top down, measured in pixels, mirrored where the language is."""

    def __init__(
        self, width: float, panels: Sequence[float], script: Script, *, side: tuple[float, float] = (100, 56)
    ) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - a second at start, for a picture
        from matplotlib.figure import Figure  # noqa: PLC0415 - the same

        height = _HEADING + sum(panel + _AROUND_PANEL for panel in panels) + _FOOT
        self._width, self._height, self._script = width, height, script
        self._start, self._end = side
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self._figure)  # becomes the figure's canvas
        self._y = 0.0

    def heading(self, title: str, subtitle: str) -> None:
        """The picture's title, and below it what it spans."""
        self._y += 68
        self._write(title, size=21, weight="bold")
        self._y = _HEADING
        self._write(subtitle, size=15, color=QUIET)

    def panel(self, height: float, title: str) -> Any:
        """Axes of this height below what is there, with a title above them."""
        self._y += 52
        self._write(title, size=15.5, weight="bold", color=INK)
        self._y += 18
        left = self._end if self._script.rtl else self._start
        box = (
            left / self._width,
            1 - (self._y + height) / self._height,
            1 - (self._start + self._end) / self._width,
            height / self._height,
        )
        axes = self._figure.add_axes(box)
        self._y += height + _AROUND_PANEL - 70
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, labelsize=14, labelcolor=QUIET, labelfontfamily=FONT)
        if self._script.rtl:
            axes.invert_xaxis()
            axes.yaxis.tick_right()
        return axes

    def legend(self, marks: Sequence[tuple[Any, str]]) -> None:
        """What the marks mean, in one row at the foot; marks without a word are left out."""
        known = [(handle, word) for handle, word in marks if word]
        if not known:
            return
        if self._script.rtl:
            known.reverse()  # legends are laid out from the left
        legend = self._figure.legend(
            [handle for handle, _ in known],
            [word for _, word in known],
            loc="lower center",
            ncols=len(known),
            frameon=False,
            prop={"family": FONT, "size": 14},
            handletextpad=0.4,
            columnspacing=1.6,
            markerfirst=not self._script.rtl,
            bbox_to_anchor=(0.5, 12 / self._height),
        )
        for text in legend.get_texts():
            text.set_color(INK)

    def colour_bar(self) -> None:
        """The scale of the heatmap, from nothing to all answered."""
        wide = 240.0
        x = (self._width - self._start - wide if self._script.rtl else self._start) / self._width
        axes = self._figure.add_axes((x, 44 / self._height, wide / self._width, 16 / self._height))
        axes.imshow([[step / 60 for step in range(61)]], aspect="auto", cmap=colours(), extent=(0, 100, 0, 1))
        axes.set_yticks([])
        ticks = (0, 50, 100)
        axes.set_xticks(ticks, [self._script.digits(f"{tick} %") for tick in ticks], fontfamily=FONT)
        axes.tick_params(length=0, labelsize=12, labelcolor=QUIET)
        for spine in axes.spines.values():
            spine.set_visible(False)
        if self._script.rtl:
            axes.invert_xaxis()

    def png(self) -> bytes:
        """The picture's bytes; nothing in them says when or with what they were made."""
        out = io.BytesIO()
        self._figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()

    def _write(self, text: str, *, size: float, weight: str = "normal", color: str = INK) -> None:
        margin = 40 / self._width
        self._figure.text(
            1 - margin if self._script.rtl else margin,
            1 - self._y / self._height,
            text,
            ha="right" if self._script.rtl else "left",
            va="bottom",
            fontsize=size,
            fontweight=weight,
            color=color,
            family=FONT,
        )


def day_axis(axes: Any, first: date, last: date, script: Script) -> None:
    """Put days under axes, today's always named, as many others as can be read."""
    days = (last - first).days + 1
    step = 1 if days <= 8 else 7 if days <= 42 else 28  # noqa: PLR2004 - what fits on a phone
    shown = list(range((days - 1) % step, days, step))
    axes.set_xticks(shown, [script.day(first + day * _DAY) for day in shown], fontfamily=FONT)
    edges = (-0.7, days - 0.3)
    axes.set_xlim(*(reversed(edges) if script.rtl else edges))


def colours() -> Any:
    """Orange for nothing answered, blue for all: told apart with any kind of colour vision, and by lightness."""
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415 - as above

    return LinearSegmentedColormap.from_list("answered", [ORANGE, "#f2b98a", "#f3f1ec", "#8dbbdd", BLUE])
