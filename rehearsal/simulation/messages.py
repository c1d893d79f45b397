"""Every message of a simulation as a table, and every distinct text once, as an ethics board reads them."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import Final

from bot.words import Words, words_in
from protocol.calendar import zone_of
from protocol.model import Protocol
from rehearsal.simulation.transcript import CHANGED, MESSAGE, TOAST, Line
from reports.columns import guarded
from reports.paper import as_document

COLUMNS: Final = (
    "utc", "local", "zone", "subject", "language", "direction", "kind", "comes", "text", "buttons", "message",
)  # fmt: skip
_KINDS: Final = {MESSAGE: "message", CHANGED: "message that changes in place", TOAST: "line that fades after a tap"}


def write_messages(path: Path, lines: Iterable[Line]) -> int:
    """Write what each patient got and sent, in order, as CSV; give how many lines there are."""
    count = 0
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for count, line in enumerate((line for line in lines if not line.staff), start=1):  # noqa: B007 - counted
            writer.writerow(_row(line))
    return count


def _row(line: Line) -> tuple[object, ...]:
    local = line.at.astimezone(zone_of(line.zone))
    return (
        f"{line.at:%Y-%m-%dT%H:%M:%SZ}", f"{local:%Y-%m-%d %H:%M:%S}", line.zone, line.code, line.language,
        "to patient" if line.to_phone else "from patient", line.kind, line.cause, guarded(line.text),
        json.dumps(line.buttons, ensure_ascii=False) if line.buttons else "",
        "" if line.message is None else line.message,
    )  # fmt: skip


@dataclass(slots=True)
class Text:
    """A text that patients got, as it was sent first, and how often it came with other dates, times and numbers."""

    kind: str
    text: str
    buttons: tuple[str, ...]
    times: int = 0
    patients: int = 0
    by_itself: bool = False


class Texts:
    """The distinct texts of one language, in the order in which patients first met them."""

    def __init__(self, language: str, first: date, last: date) -> None:
        self.language = language
        self._forms = _Forms(words_in(language), first, last)
        self._found: dict[tuple[str, str, tuple[str, ...]], Text] = {}
        self._by: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}

    def add(self, line: Line) -> None:
        """Count a line."""
        key = (line.kind, self._forms.of(line.text), tuple(map(self._forms.of, line.buttons)))
        text = self._found.setdefault(key, Text(line.kind, line.text, line.buttons))
        text.times += 1
        text.by_itself = text.by_itself or line.cause == "by itself"
        self._by.setdefault(key, set()).add(line.code)

    def __iter__(self) -> Iterator[Text]:
        for key, text in self._found.items():
            text.patients = len(self._by[key])
            yield text


class _Forms:
    """What is left of a text without its dates, times and numbers, by which two of them are the same text."""

    def __init__(self, words: Words, first: date, last: date) -> None:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        shown = {words.date(day) for day in days} | {words.date(day, today=date(1, 1, 1)) for day in days}
        dates = "|".join(map(re.escape, sorted(shown, key=len, reverse=True)))
        moments = [words(f"moment.{day}", time="@") for day in ("today", "tomorrow", "yesterday")]
        self._date = re.compile(dates)
        self._time = re.compile(r"\d{1,2}:\d{2}")
        self._moment = re.compile("|".join(map(re.escape, [*moments, words("moment.date", date="#", time="@")])))
        self._number = re.compile(r"\d+")

    def of(self, text: str) -> str:
        plain = self._time.sub("@", self._date.sub("#", text))
        return self._number.sub("9", self._moment.sub("@", plain))


def texts_of(lines: Iterable[Line], protocol: Protocol, first: date, last: date) -> list[Texts]:
    """What patients read, by language."""
    found = {language: Texts(language, first, last) for language in protocol.trial.languages}
    for line in lines:
        if line.to_phone and not line.staff and line.kind in _KINDS and line.language in found:
            found[line.language].add(line)
    return list(found.values())


_HOW_TO_READ: Final = (
    "Every text that patients of this simulation got, once, in the order in which they first met it. It stands as "
    "it was first sent; where only dates, times and numbers differed it is the same text. Buttons stand in "
    "brackets. Texts that nobody of the simulation met are in bot/locale and in the protocol."
)


def as_markdown(title: str, found: Sequence[Texts]) -> str:
    """All texts to be read as they are."""
    parts = [f"# Messages of {title}", _HOW_TO_READ]
    for texts in found:
        parts.append(f"## {words_in(texts.language)('language.name')}")
        for number, text in enumerate(texts, start=1):
            quoted = "\n".join(f"> {line}" for line in text.text.split("\n"))
            shown = " ".join(f"[{label}]" for label in text.buttons)
            parts += [f"### {number}. {_said(text)}", f"{quoted}\n>\n> {shown}" if shown else quoted]
    return "\n\n".join(parts) + "\n"


def _said(text: Text) -> str:
    comes = "comes by itself" if text.by_itself else "a reply"
    times = "once" if text.times == 1 else f"{text.times:,} times"
    patients = "one patient" if text.patients == 1 else f"{text.patients:,} patients"
    return f"{_KINDS[text.kind].capitalize()}, {comes}; {times}, to {patients}"


_STYLE: Final = """
body { font: 16px/1.5 system-ui, "Noto Sans", "Noto Sans Arabic", sans-serif; color: #1b1f24; background: #fff;
       margin: 2rem auto; max-width: 46rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.25rem; margin-top: 3rem } p.about { color: #444c56 }
article { margin: 1.5rem 0; break-inside: avoid }
article > p { margin: 0 0 .4rem; color: #57606a; font-size: .85rem }
blockquote { margin: 0; padding: .7rem 1rem; background: #f3f6f8; border-radius: .6rem; white-space: pre-line;
       overflow-wrap: anywhere }
.buttons { display: flex; flex-wrap: wrap; gap: .35rem; margin-top: .4rem }
.buttons span { border: 1px solid #b6c2cd; border-radius: .5rem; padding: .15rem .6rem; font-size: .85rem }
@media print { body { margin: 0 } blockquote { border: 1px solid #b6c2cd } }
"""


def as_page(title: str, found: Sequence[Texts]) -> str:
    """The same as a page that can be printed."""
    parts = [_html_of(texts) for texts in found]
    heading = f"Messages of {title}"
    about = f'<h1>{escape(heading)}</h1>\n<p class="about">{escape(_HOW_TO_READ)}</p>\n'
    return as_document(heading, _STYLE, f"{about}{''.join(parts)}")


def _html_of(texts: Texts) -> str:
    words = words_in(texts.language)
    where = f'lang="{texts.language}" dir="{words.direction}"'
    articles = [
        f"<article><p>{number}. {escape(_said(text))}</p><blockquote {where}>{escape(text.text)}</blockquote>"
        f"{_buttons(text, where)}</article>\n"
        for number, text in enumerate(texts, start=1)
    ]
    return f"<h2 {where}>{escape(words('language.name'))}</h2>\n{''.join(articles)}"


def _buttons(text: Text, where: str) -> str:
    shown = "".join(f"<span>{escape(label)}</span>" for label in text.buttons)
    return f'<div class="buttons" {where}>{shown}</div>' if shown else ""
