"""The audit trail in words: what was done, and the old and the new of it, as a monitor reads them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from diary.roles import Act
from protocol.model import Protocol
from protocol.values import Text
from reports.trail import VERBS, Told, told, trail
from web.asked import Asked
from web.pages import Page
from web.today import zone_for
from web.words import Words, instant

# Numbers of ours that nobody outside can look up; what they stand for is in the line's other words.
_HIDDEN: Final = {"key", "invite", "link", "session", "note"}
# Values that are ids of the program's own, by the sentences that say them.
_SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "answer": ("answer",),
    "because": ("chat",),
    "decision": ("consent",),
    "kind": ("entry", "note", "outage.kind"),
    "new": ("status", "language"),
    "old": ("status", "language"),
    "role": ("role",),
    "rule": ("rule",),
    "source": ("source",),
    "why": ("sign-in",),
}
# What a line is about comes first, then what was there, then what is there now.
_ORDER: Final = (
    "slot", "alert", "visit", "phase", "item", "held_on", "began", "measured", "answer", "score", "old", "new",
)  # fmt: skip
LABELS: Final = ("began", "ended", "held_on", "new", "old", "slots", "start", "until")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Reading:
    """A line being told: in whose words, on which wall, and by the year of which day."""

    words: Words
    told: Told
    zone: str
    today: date

    def name(self, names: Mapping[str, Text], id_: str) -> str:
        """A thing of the protocol by its name; what the protocol does not know stays as it is."""
        return names[id_].in_language(self.words.language) if id_ in names else id_

    def said(self, detail: str, value: Any) -> str:
        """Any other value: by its sentence where there is one, days and numbers as the language writes them."""
        text = str(value)
        for family in _SAID.get(detail, ()):
            if self.words.knows(f"{family}.{text}"):
                return self.words(f"{family}.{text}")
        if _DAY.fullmatch(text):
            return self.words.date(date.fromisoformat(text), today=self.today)
        return self.words.digits(text) if isinstance(value, int | float) else text


Way: TypeAlias = Callable[[Reading, Any], str]


def _question(reading: Reading, _: Any) -> str:
    asked, protocol = reading.told.question, reading.told.protocol
    if asked is None or protocol is None:
        return ""
    parts = reading.name(_items(protocol), asked.item), instant(reading.words, asked.due_at, asked.zone)
    return reading.words("list.comma").join(parts)


def _items(protocol: Protocol) -> dict[str, Text]:
    return {item.id: item.name for _, item in protocol.items()}


def _of_protocol(names: Callable[[Protocol], Mapping[str, Text]]) -> Way:
    return lambda reading, value: reading.name(names(reading.told.protocol) if reading.told.protocol else {}, value)


def _measured(reading: Reading, values: Mapping[str, float]) -> str:
    protocol = reading.told.protocol
    names = {one.id: one.name for one in protocol.measure} if protocol else {}
    order = [one for one in (*names, *(set(values) - set(names))) if one in values]
    shown = [f"{reading.name(names, one)} {reading.words.digits(f'{values[one]:g}')}" for one in order]
    return reading.words("list.comma").join(shown)


def _instant(reading: Reading, value: str) -> str:
    return instant(reading.words, datetime.fromisoformat(value), reading.zone)


def _either(reading: Reading, value: Any, detail: str) -> str:
    """The old or the new: a value, or what an answer or a visit was."""
    if isinstance(value, Mapping):
        return reading.words("list.comma").join(text for _, text in _parts(reading, value))
    return reading.said(detail, value)


_WAYS: Final[Mapping[str, Way]] = {
    "slot": _question,
    "alert": lambda reading, _: reading.said("rule", reading.told.rule or ""),
    "skip_reason": _of_protocol(lambda protocol: {one.id: one.name for one in protocol.reason}),
    "item": _of_protocol(_items),
    "phase": _of_protocol(lambda protocol: {one.id: one.name for one in protocol.phase}),
    "visit": _of_protocol(lambda protocol: {one.id: one.name for one in protocol.visit}),
    "measured": _measured,
    "began": _instant,
    "ended": _instant,
    "until": _instant,
    "sites": lambda reading, value: reading.words("list.comma").join(value),
    "side_effect": lambda reading, value: reading.words("note.side-effect") if value else "",
    "old": lambda reading, value: _either(reading, value, "old"),
    "new": lambda reading, value: _either(reading, value, "new"),
}


def _parts(reading: Reading, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(given, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER)):
        value = given[name]
        hidden = name in _HIDDEN or (name == "alert" and "rule" in given) or (name, value) == ("answer", "score")
        if value is None or hidden:
            continue
        way = _WAYS.get(name)
        text = way(reading, value) if way else reading.said(name, value)
        if text:
            yield reading.words(f"detail.{name}") if name in LABELS else "", text


def in_words(asked: Asked, one: Told, zone: str) -> dict[str, Any]:
    """A line as the pages show it."""
    words, line = asked.words, one.line
    reason = line.reason or "–"
    return {
        "line": line,
        "verb": words(f"verb.{line.verb}") if words.knows(f"verb.{line.verb}") else line.verb,
        "details": list(_parts(Reading(words, one, zone, asked.today), line.details)),
        "reason": words(f"change.{reason}") if words.knows(f"change.{reason}") else reason,
    }


async def _trail(asked: Asked) -> Response:
    lines = await trail(
        asked.db,
        asked.scope,
        code=asked.query("code") or None,
        staff=asked.query("staff") or None,
        verb=asked.query("verb") or None,
        before_id=asked.number("before"),
    )
    zone = await zone_for(asked)
    return asked.page(
        "trail.html",
        lines=[in_words(asked, one, zone) for one in await told(asked.db, lines)],
        verbs=sorted(((verb, asked.words(f"verb.{verb}")) for verb in VERBS), key=lambda pair: pair[1]),
        zone=zone,
    )


PAGES: Final = (Page("/trail", Act.SEE_AUDIT, _trail),)
