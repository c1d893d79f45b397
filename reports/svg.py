"""Writes a picture as SVG for the pages: no script, no style of its own, every word from outside escaped.

The bytes depend on the picture alone. Who cannot see it is told its title and description, and the page has a table
of its figures below it.
"""

from collections.abc import Iterable
from html import escape

from reports.marks import Area, Boxes, Dot, Line, Mark, Picture, Point, Shape, Text


def svg(picture: Picture, *, heading: bool = True) -> str:
    """The picture; without its heading where the page has one."""
    top = 0.0 if heading else picture.head
    marks = [mark for mark in picture.placed if heading or not (isinstance(mark, Text) and mark.y <= picture.head)]
    return _tag(
        "svg",
        *_told(picture),
        *map(_element, marks),
        xmlns="http://www.w3.org/2000/svg",
        css=f"picture {picture.name}",
        viewBox=f"0 {_number(top)} {_number(picture.width)} {_number(picture.height - top)}",
        role="img",
        direction="rtl" if picture.rtl else "ltr",
        **_labelled(picture),
    )


def _told(picture: Picture) -> list[str]:
    """Title and description, by ids; a picture of which there are many on a page has only a title."""
    if not picture.description:
        return [_tag("title", escape(picture.title))]
    return [
        _tag("title", escape(picture.title), id=f"{picture.name}-title"),
        _tag("desc", escape(picture.description), id=f"{picture.name}-desc"),
    ]


def _labelled(picture: Picture) -> dict[str, str | float]:
    if not picture.description:
        return {"aria_label": picture.title}
    return {"aria_labelledby": f"{picture.name}-title", "aria_describedby": f"{picture.name}-desc"}


def _element(mark: Mark) -> str:
    match mark:
        case Line():
            return _tag(
                "polyline",
                points=_points(mark.points),
                fill="none",
                stroke=mark.stroke,
                stroke_width=mark.width,
                stroke_linejoin="round",
                stroke_dasharray=" ".join(map(_number, mark.dashes)),
                css=mark.name,
            )
        case Area():
            opacity = _opacity(mark.opacity)
            return _tag("polygon", points=_points(mark.points), fill=mark.fill, fill_opacity=opacity, css=mark.name)
        case Boxes():
            return _boxes(mark)
        case Dot():
            return _dot(mark)
        case Text():
            return _text(mark)


def _boxes(mark: Boxes) -> str:
    """One path for all of them, as a heatmap has thousands."""
    inset = 0.5 if mark.stroke else 0.0
    path = "".join(
        f"M{_number(box.x + inset)} {_number(box.y + inset)}h{_number(box.width - 2 * inset)}"
        f"v{_number(box.height - 2 * inset)}h{_number(2 * inset - box.width)}z"
        for box in mark.boxes
    )
    return _tag(
        "path",
        *_title(mark.told),
        d=path,
        fill=mark.fill or "none",
        fill_opacity=_opacity(mark.opacity),
        stroke=mark.stroke,
        css=mark.name,
    )


def _dot(mark: Dot) -> str:
    look: dict[str, str | float] = {"fill": mark.fill, "css": mark.name}
    if mark.stroke != mark.fill:
        look |= {"stroke": mark.stroke, "stroke_width": 1.6}
    if mark.shape is Shape.CIRCLE:
        return _tag("circle", *_title(mark.told), cx=mark.x, cy=mark.y, r=mark.size / 2, **look)
    return _tag("polygon", *_title(mark.told), points=_points(mark.outline), **look)


def _text(mark: Text) -> str:
    halo: dict[str, str | float] = {}
    if mark.halo:
        halo = {"stroke": mark.halo, "stroke_width": 3, "stroke_linejoin": "round", "paint_order": "stroke"}
    return _tag(
        "text",
        escape(mark.text),
        x=mark.x,
        y=mark.y,
        fill=mark.color,
        font_size=mark.size,
        font_weight="bold" if mark.bold else "",
        text_anchor="" if mark.anchor == "start" else mark.anchor.value,
        css=mark.name,
        **halo,
    )


def _title(told: str) -> list[str]:
    return [_tag("title", escape(told))] if told else []


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _tag(name: str, *inside: str, **attributes: str | float) -> str:
    """An element; `inside` is markup already, `css` stands for class and an underscore for a hyphen."""
    written = "".join(
        f' {"class" if key == "css" else key.replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value != ""
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def _opacity(value: float) -> str:
    return "" if value == 1 else f"{value:.2f}"
