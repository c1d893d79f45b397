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
    codes = Codes({}, {})
    asked = [
        *((codes.items, item.id, item.code) for _, item in protocol.items()),
        *((codes.measures, measure.id, measure.code) for measure in protocol.measure),
    ]
    taken: set[str] = set()
    for owners, name, code in asked:
        if code and code not in taken and name not in owners:
            owners[name] = code
            taken.add(code)
    for owners, name, _ in asked:
        if name not in owners:
            owners[name] = next(one for one in _candidates(name) if len(one) <= _LONGEST and one not in taken)
            taken.add(owners[name])
    return codes


def _candidates(identifier: str) -> Iterator[str]:
    plain = identifier.replace("-", "").upper()
    yield plain
    for number in count(1):
        yield f"{plain[: _LONGEST - len(str(number))]}{number}"
