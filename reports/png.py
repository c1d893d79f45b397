"""Paints a picture as PNG, for the chat and for who saves one, with matplotlib's own painter and nothing above it.

Agg paints edges smooth and shapes Arabic; figures and axes would only be in the way. The first picture loads it,
which takes a good part of a second, and each takes a tenth of one: call this in a thread.
"""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from reports.marks import Anchor, Area, Boxes, Dot, Line, Mark, Picture, Point, Shape, Text
from reports.palette import PAPER

# Pixels of the file for one of the picture: a phone's screen is about that much finer than what is composed for it.
SCALE: Final = 2.7
_FONT: Final = "DejaVu Sans"  # comes with matplotlib, and has Arabic
_RLM: Final = "\u200f"
_AROUND: Final = tuple((x, y) for x in (-1.2, 0, 1.2) for y in (-1.2, 0, 1.2) if x or y)
# Text layout and font caches of matplotlib are not made for two threads at once.
_DRAWING: Final = threading.Lock()


def png(picture: Picture, *, scale: float = SCALE) -> bytes:
    """The picture's bytes; nothing in them says when or with what they were made."""
    from matplotlib.backends.backend_agg import RendererAgg  # noqa: PLC0415 - a second at start, for a picture
    from PIL import Image  # noqa: PLC0415 - the same

    wide, high = round(picture.width * scale), round(picture.height * scale)
    agg: Any = RendererAgg
    with _DRAWING:
        painter = _Painter(agg(wide, high, 72 * scale), scale, high, rtl=picture.rtl)
        painter.box(0, 0, picture.width, picture.height, PAPER)
        for mark in picture.placed:
            painter.draw(mark)
        image = Image.fromarray(painter.pixels).convert("RGB")
    out = io.BytesIO()
    image.save(out, format="png", optimize=False)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _Painter:
    """Marks in the space of a picture, painted into one of pixels that are counted from the foot."""

    agg: Any
    scale: float
    high: int
    rtl: bool

    @property
    def pixels(self) -> Any:
        """What was painted."""
        import numpy as np  # noqa: PLC0415 - as above

        return np.asarray(self.agg.buffer_rgba())

    def draw(self, mark: Mark) -> None:
        """Paint one mark."""
        match mark:
            case Line():
                self._path([mark.points], stroke=mark.stroke, width=mark.width, dashes=mark.dashes, closed=False)
            case Area():
                self._path([mark.points], fill=mark.fill, opacity=mark.opacity)
            case Boxes():
                self._boxes(mark)
            case Dot():
                self._dot(mark)
            case Text():
                self._text(mark)

    def box(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """Fill a rectangle."""
        self._path([_corners(x, y, width, height)], fill=fill)

    def _boxes(self, mark: Boxes) -> None:
        inset = 0.5 if mark.stroke else 0.0
        outlines = [
            _corners(box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset)
            for box in mark.boxes
        ]
        if outlines:
            self._path(outlines, fill=mark.fill, stroke=mark.stroke, opacity=mark.opacity)

    def _dot(self, mark: Dot) -> None:
        stroke = mark.stroke if mark.stroke != mark.fill else ""
        if mark.shape is not Shape.CIRCLE:
            self._path([mark.outline], fill=mark.fill, stroke=stroke, width=1.6)
            return
        from matplotlib.path import Path  # noqa: PLC0415 - as above
        from matplotlib.transforms import Affine2D  # noqa: PLC0415 - as above

        place = Affine2D().scale(mark.size / 2).translate(mark.x, mark.y)
        self._paint(place.transform_path(Path.unit_circle()), fill=mark.fill, stroke=stroke, width=1.6)

    def _path(
        self,
        outlines: Sequence[Sequence[Point]],
        *,
        fill: str = "",
        stroke: str = "",
        width: float = 1.0,
        opacity: float = 1.0,
        dashes: tuple[float, ...] = (),
        closed: bool = True,
    ) -> None:
        from matplotlib.path import Path  # noqa: PLC0415 - as above

        points: list[Point] = []
        codes: list[Any] = []
        for outline in outlines:
            points += [*outline, outline[0]] if closed else outline
            codes += [Path.MOVETO] + [Path.LINETO] * (len(outline) - 1) + [Path.CLOSEPOLY] * closed
        self._paint(Path(points, codes), fill=fill, stroke=stroke, width=width, opacity=opacity, dashes=dashes)

    def _paint(
        self,
        path: Any,
        *,
        fill: str = "",
        stroke: str = "",
        width: float = 1.0,
        opacity: float = 1.0,
        dashes: tuple[float, ...] = (),
    ) -> None:
        from matplotlib.colors import to_rgba  # noqa: PLC0415 - as above
        from matplotlib.transforms import Affine2D  # noqa: PLC0415 - as above

        pen = self.agg.new_gc()
        pen.set_antialiased(True)
        pen.set_snap(False)
        pen.set_linewidth(width if stroke else 0)  # points, which are the picture's pixels here
        pen.set_joinstyle("round")
        pen.set_foreground(to_rgba(stroke or fill), isRGBA=True)
        if dashes:
            pen.set_dashes(0, [length * self.scale for length in dashes])
        turned = Affine2D().scale(self.scale, -self.scale).translate(0, self.high)
        self.agg.draw_path(pen, path, turned, to_rgba(fill, opacity) if fill else None)
        pen.restore()

    def _text(self, mark: Text) -> None:
        from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - as above

        font = FontProperties(family=_FONT, size=mark.size, weight="bold" if mark.bold else "normal")
        # Figures and a per cent sign do not say by themselves which way they run.
        text = f"{_RLM}{mark.text}" if self.rtl else mark.text
        width, _, _ = self.agg.get_text_width_height_descent(text, font, ismath=False)
        before = {Anchor.START: 0.0, Anchor.MIDDLE: 0.5, Anchor.END: 1.0}[mark.anchor]
        left = mark.x * self.scale - width * (1 - before if self.rtl else before)
        for x, y in _AROUND if mark.halo else ():
            self._write(text, left + x * self.scale, (mark.y + y) * self.scale, font, mark.halo)
        self._write(text, left, mark.y * self.scale, font, mark.color)

    def _write(self, text: str, x: float, y: float, font: Any, color: str) -> None:
        pen = self.agg.new_gc()
        pen.set_foreground(color)
        self.agg.draw_text(pen, x, y, text, font, 0)
        pen.restore()


def _corners(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    return (x, y), (x + width, y), (x + width, y + height), (x, y + height)
