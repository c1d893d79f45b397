"""Short codes of items and measures, for the standards that want at most eight capital letters and digits.

A code that stands in the protocol is kept. Else the id gives it: in capitals, without hyphens. Where that is longer
than eight characters or taken already, it is cut and gets a number at its end, the least one that makes it its own.
So every code is unique, and a protocol gives the same ones whenever they are asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from protocol.model import Protocol

_LONGEST: Final = 8


@dataclass(frozen=True, slots=True)
class Codes:
    """The code of each item and of each measure, by id."""

    items: dict[str, str]
    measures: dict[str, str]


def codes_of(protocol: Protocol) -> Codes:
    """Every code of a protocol, as written or by the rule above: items first, in the order of the file."""
    items = {item.id: item.code for _, item in protocol.items() if item.code}
    measures = {measure.id: measure.code for measure in protocol.measure if measure.code}
    taken = {*items.values(), *measures.values()}
    for codes, ids in (
        (items, dict.fromkeys(item.id for _, item in protocol.items())),
        (measures, dict.fromkeys(measure.id for measure in protocol.measure)),
    ):
        for name in ids:
            if name not in codes:
                codes[name] = _own(name, taken)
    return Codes(items, measures)


def _own(identifier: str, taken: set[str]) -> str:
    code = next(code for code in _candidates(identifier) if len(code) <= _LONGEST and code not in taken)
    taken.add(code)
    return code


def _candidates(identifier: str) -> Iterator[str]:
    plain = identifier.replace("-", "").upper()
    yield plain
    for number in count(1):
        yield f"{plain[: _LONGEST - len(str(number))]}{number}"
