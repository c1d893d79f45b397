"""What every picture holds to: nothing runs out of it, it is mirrored whole, both painters draw the same marks."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from itertools import combinations
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from babel.messages.pofile import read_po
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from PIL import Image

from reports import palette
from reports.marks import Area, Box, Boxes, Dot, Line, Picture, Shape, Text, wide
from reports.png import SCALE, png
from reports.svg import svg
from reports.words import languages_of
from tests.reports.gallery import LANGUAGES, gallery

PICTURES = {(language, name): picture for language in LANGUAGES for name, picture in gallery(language).items()}
# Those that are painted one by one: the rest are of the same marks.
PAINTED = [key for key in PICTURES if key[1] not in ("many by days", "two years", "half a year")]


def measured(text: str, size: float, *, bold: bool = False, rtl: bool = False) -> float:
    """How wide a text really is in the font of the PNG."""
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    shown = f"\u200f{text}" if rtl else text
    return RendererAgg(1, 1, 72 * SCALE).get_text_width_height_descent(shown, font, ismath=False)[0] / SCALE


def texts(picture: Picture, *names: str) -> list[Text]:
    return [mark for mark in picture.marks if isinstance(mark, Text) and (not names or mark.name in names)]


def points(mark):
    """Every corner of what is drawn of a mark that is no text."""
    match mark:
        case Line() | Area():
            return mark.points
        case Boxes():
            return [p for b in mark.boxes for p in ((b.x, b.y), (b.x + b.width, b.y + b.height))]
        case Dot():
            half = mark.size / 2
            return [(mark.x - half, mark.y - half), (mark.x + half, mark.y + half)]
    return []


@pytest.mark.parametrize("key", PICTURES, ids=": ".join)
def test_nothing_runs_out_of_its_picture(key):
    picture = PICTURES[key]
    out = [
        mark
        for mark in picture.placed
        for x, y in points(mark)
        if not (-0.5 <= x <= picture.width + 0.5 and -0.5 <= y <= picture.height + 0.5)
    ]
    out += [
        text
        for text in texts(picture)
        if not (
            text.ends[0] >= 0 and text.ends[1] <= picture.width and text.size * 0.7 <= text.y <= picture.height - 2
        )
    ]
    assert out == []


def test_no_word_is_cut_where_a_picture_is_as_wide_as_a_phone():
    assert [text.text for picture in PICTURES.values() for text in texts(picture) if "…" in text.text] == []


@pytest.mark.parametrize("key", PICTURES, ids=": ".join)
def test_no_text_runs_into_another(key):
    picture = PICTURES[key]
    # A figure over a dot may touch its neighbour's; what is read along an axis, in a row or in the legend may not.
    apart = [text for text in texts(picture) if text.name not in ("score", "value")]
    boxes = [(text, text.ends, (text.y - text.size * 0.72, text.y + text.size * 0.2)) for text in apart]
    crossing = [
        (one.text, other.text)
        for (one, across, down), (other, across_too, down_too) in combinations(boxes, 2)
        if min(across[1], across_too[1]) - max(across[0], across_too[0]) > 0.5
        and min(down[1], down_too[1]) - max(down[0], down_too[0]) > 0.5
    ]
    assert crossing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_text_takes_at_most_is_never_less_than_it_takes(language):
    said = {
        (t.text, t.size, t.bold) for (where, _), one in PICTURES.items() if where == language for t in texts(one)
    }
    short = {
        text: (wide(text, size, bold=bold), measured(text, size, bold=bold, rtl=language == "ar"))
        for text, size, bold in said
    }
    assert len(said) > 300
    assert {text: both for text, both in short.items() if both[0] < both[1] - 0.5} == {}
    # Nor so much more that labels would be left out for nothing.
    assert all(ours < 1.6 * real + 6 for text, (ours, real) in short.items()), max(short.items())


@pytest.mark.parametrize("name", gallery("en"))
def test_a_language_from_the_right_has_the_same_marks_on_the_other_side(name):
    english, arabic = PICTURES["en", name], PICTURES["ar", name]
    assert (english.rtl, arabic.rtl) == (False, True)
    assert english.placed == english.marks
    for plain, placed in zip(arabic.marks, arabic.placed, strict=True):
        match plain:
            case Text() | Dot():
                assert (placed.x, placed.y) == (pytest.approx(arabic.width - plain.x), plain.y)
            case Line() | Area():
                assert placed.points == tuple((arabic.width - x, y) for x, y in plain.points)
            case Boxes():
                for box, other in zip(plain.boxes, placed.boxes, strict=True):
                    assert other == replace(box, x=arabic.width - box.x - box.width)


def test_arabic_is_written_with_its_own_digits_and_words():
    for (language, name), picture in PICTURES.items():
        if language == "ar":
            own = [text.text for text in texts(picture) if text.name != "subject"]
            assert not [text for text in own if re.search("[0-9A-Za-z]", text)], name


def test_late_and_missed_differ_by_shape_or_by_being_hollow_and_not_by_colour_alone():
    seen = {}
    for picture in PICTURES.values():
        for mark in picture.marks:
            if isinstance(mark, Dot) and mark.name in ("taken", "late", "not-taken", "missed", "excused"):
                seen.setdefault(mark.name, set()).add((mark.shape, mark.fill == palette.PAPER))
    assert {name: len(looks) for name, looks in seen.items()} == dict.fromkeys(seen, 1)
    assert len(seen) == len(set().union(*seen.values())) == 5


# Both painters.


def drawn(picture: Picture, **how) -> ET.Element:
    return ET.fromstring(re.sub(r' xmlns="[^"]*"', "", svg(picture, **how)))


@pytest.mark.parametrize("key", PICTURES, ids=": ".join)
def test_the_pages_have_an_element_for_each_mark_and_no_other(key):
    picture = PICTURES[key]
    tags = {Line: "polyline", Area: "polygon", Boxes: "path", Text: "text"}
    expected = [
        tags.get(type(mark)) or ("circle" if mark.shape is Shape.CIRCLE else "polygon") for mark in picture.placed
    ]
    found = [element for element in drawn(picture) if element.tag not in ("title", "desc")]
    assert [element.tag for element in found] == expected
    for mark, element in zip(picture.placed, found, strict=True):
        if isinstance(mark, Text):
            assert (element.text, float(element.get("x")), element.get("fill")) == (
                mark.text,
                pytest.approx(mark.x, abs=0.06),
                mark.color,
            )


def at(pixels, x: float, y: float, scale: float = SCALE) -> tuple[int, ...]:
    return tuple(int(part) for part in pixels[round(y * scale), round(x * scale)][:3])


def rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("key", PAINTED, ids=": ".join)
def test_the_chat_has_the_same_marks_at_the_same_places(key):
    picture = PICTURES[key]
    pixels = np.asarray(Image.open(io.BytesIO(png(picture))))
    assert pixels.shape[:2] == (round(picture.height * SCALE), round(picture.width * SCALE))
    for mark in picture.placed:
        if isinstance(mark, Dot) and not _is_hidden(mark, picture):
            assert at(pixels, mark.x, mark.y) == rgb(mark.fill), mark
        if isinstance(mark, Boxes) and mark.name in ("full", "part", "on-time"):
            for box in mark.boxes:
                if box.height > 3 and box.width > 3:
                    assert at(pixels, box.x + box.width / 2, box.y + box.height / 2) == rgb(mark.fill), mark
        if isinstance(mark, Text):
            assert _darkest(pixels, mark, rtl=picture.rtl) < 60, mark


def _is_hidden(dot: Dot, picture: Picture) -> bool:
    """Whether something else is drawn over a dot's place, or may be."""
    dots = [mark for mark in picture.placed if isinstance(mark, Dot) and mark is not dot]
    uprights = [mark.points[0][0] for mark in picture.placed if isinstance(mark, Line) and mark.name == "today"]
    near = any(abs(one.x - dot.x) < 12 and abs(one.y - dot.y) < 12 for one in dots)
    return near or dot.size <= 5 or any(abs(x - dot.x) < 12 for x in uprights)


def _darkest(pixels, text: Text, *, rtl: bool) -> int:
    """How near the pixels under a text come to its colour."""
    wide_as = measured(text.text, text.size, bold=text.bold, rtl=rtl)
    before = {"start": 0, "middle": 0.5, "end": 1}[text.anchor]
    left = text.x - wide_as * (1 - before if rtl else before)
    top, foot = round((text.y - text.size) * SCALE), round((text.y + text.size * 0.3) * SCALE)
    under = pixels[top:foot, round(left * SCALE) : round((left + wide_as) * SCALE) + 1].astype(int)
    return np.abs(under - rgb(text.color)).sum(axis=2).min()


def test_a_picture_has_the_same_bytes_each_time_it_is_drawn():
    for name, picture in gallery("ar").items():
        assert svg(picture) == svg(PICTURES["ar", name]), name
    again = gallery("en")["four weeks"]
    assert png(again) == png(PICTURES["en", "four weeks"])
    assert b"Software" not in png(again)


def test_nothing_in_it_is_forbidden_by_a_strict_policy():
    for picture in PICTURES.values():
        assert not re.search(r"style=|<style|<script|\son\w+=|href|url\(", svg(picture))


def test_every_word_from_outside_is_escaped():
    bad = "<script>\"&'"
    text, dot = Text(5, 20, bad), Dot(9, 9, 4, Shape.CIRCLE, "#000000", "#000000", told=bad)
    boxes = Boxes((Box(0, 0, 2, 2),), "#000000", told=bad)
    written = svg(Picture("p", bad, bad, 50, 50, False, (text, dot, boxes)))
    assert "<script" not in written
    root = ET.fromstring(re.sub(r' xmlns="[^"]*"', "", written))
    assert [element.text for element in root.iter() if element.text] == [bad] * 5


def test_who_cannot_see_a_picture_is_told_its_title_and_description():
    root = drawn(PICTURES["en", "four weeks"])
    assert root.get("role") == "img"
    told = {
        part: root.find(f".//*[@id='{root.get(part)}']").text for part in ("aria-labelledby", "aria-describedby")
    }
    assert told["aria-labelledby"] == "Diary"
    assert told["aria-describedby"].startswith("Scores by day")
    assert drawn(PICTURES["en", "a small line"]).get("aria-label") == "1 5 – 10"


def test_a_page_that_has_a_heading_of_its_own_leaves_the_pictures_out():
    picture = PICTURES["en", "four weeks"]
    whole, rest = drawn(picture), drawn(picture, heading=False)
    said = [{text.text for text in root.iter("text")} for root in (whole, rest)]
    assert said[0] - said[1] == {"Diary", "24 Nov – 21 Dec"}
    assert float(rest.get("viewBox").split()[3]) == pytest.approx(picture.height - picture.head)


def test_the_painting_library_is_loaded_only_for_a_png():
    modules = "reports.trial_pictures, reports.heatmap, reports.history, reports.png, reports.svg"
    seen = f"import sys, {modules}; print('matplotlib' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# Colours, by what WCAG and models of colour vision say of them.

# Machado, Oliveira & Fernandes, IEEE TVCG 2009;15:1291, severity 1, on linear light.
VISION = {
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}


def light(color: str):
    """Linear light of a colour."""
    parts = np.array(rgb(color)) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(light(color) @ (0.2126, 0.7152, 0.0722)) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


# Ottosson 2020: linear light to cones, and these to lightness and two opponent axes.
CONES = (
    (0.41222147, 0.53633254, 0.05144599),
    (0.21190350, 0.68069955, 0.10739696),
    (0.08830246, 0.28171884, 0.62997870),
)
OKLAB = (
    (0.21045426, 0.79361778, -0.004072),
    (1.97799850, -2.42859221, 0.450594),
    (0.02590404, 0.78277177, -0.808676),
)


def oklab(linear):
    return np.array(OKLAB) @ np.cbrt(np.clip(np.array(CONES) @ linear, 0, None))


@pytest.mark.parametrize("ground", palette.GROUNDS)
def test_marks_stand_out_from_their_ground_and_words_more_so(ground):
    assert all(contrast(mark, ground) >= 3 for mark in palette.MARKS)
    assert all(contrast(word, ground) >= 4.5 for word in (*palette.WORDS, palette.BLUE))


@pytest.mark.parametrize("vision", VISION)
def test_marks_are_told_apart_with_any_kind_of_colour_vision(vision):
    seen = {mark: oklab(np.clip(np.array(VISION[vision]) @ light(mark), 0, 1)) for mark in palette.MARKS}
    # A just noticeable difference is about 0.02.
    assert all(np.linalg.norm(seen[one] - seen[other]) > 0.1 for one, other in combinations(seen, 2))


def test_only_colours_of_the_palette_are_used():
    known = {palette.PAPER, palette.BAND, palette.RULE, *palette.MARKS, *palette.WORDS, ""}
    for picture in PICTURES.values():
        for mark in picture.marks:
            used = {getattr(mark, part, "") for part in ("fill", "stroke", "color", "halo")}
            assert used <= known, mark


# Words.


def catalogue(language: str) -> dict[str, str]:
    with (files("reports") / "locale" / f"{language}.po").open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def test_the_pictures_speak_every_language_of_the_chat_and_the_pages():
    assert languages_of("reports") == languages_of("bot") == languages_of("web") == tuple(sorted(LANGUAGES))
    english = catalogue("en")
    for language in languages_of("reports"):
        other = catalogue(language)
        assert sorted(other) == sorted(english)
        assert all(text.strip() for text in other.values())
        for key, text in english.items():
            assert sorted(re.findall(r"\{\w+\}", other[key])) == sorted(re.findall(r"\{\w+\}", text)), key
