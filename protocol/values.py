"""How the protocol file writes a duration, a wall time and a text for people."""

import re
from datetime import time, timedelta
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, RootModel, WithJsonSchema

_DURATION = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?")
_WALL = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def parse_duration(value: Any) -> timedelta:
    """Read "9h", "45m", "1h30m" or "2d"; anything else is a ValueError that says so."""
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError('write a duration as "45m", "9h", "1h30m" or "2d"')
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def format_duration(value: timedelta) -> str:
    """Write a duration as the protocol file does: "1h30m"."""
    minutes = int(value.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")


def is_zone(name: str) -> bool:
    """Tell whether a name is an IANA time zone; two are in the lists of some machines and are no place's."""
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    """Read once: looking through the machine's files for them takes 12 ms."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


def parse_wall(value: Any) -> time:
    """Read "09:00"; anything else is a ValueError that says so."""
    if isinstance(value, time):
        return value
    found = _WALL.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('write a time of day as "09:00"')
    return time(int(found[1]), int(found[2]))


def format_wall(value: time) -> str:
    """Write a time of day as the protocol file does: "09:00"."""
    return value.strftime("%H:%M")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["45m", "9h"]}),
]
Wall = Annotated[
    time,
    BeforeValidator(parse_wall),
    PlainSerializer(format_wall),
    WithJsonSchema({"type": "string", "pattern": f"^{_WALL.pattern}$", "examples": ["09:00"]}),
]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
# What the standards of the authorities call by eight characters (SDTMIG 3.4, --TESTCD).
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{0,7}$")]


def _with_check_digit(code: str) -> str:
    """A code of LOINC, whose last digit checks the others (LOINC Users' Guide, "Mod 10 check digits")."""
    digits, _, check = code.partition("-")
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    if -sum(n - 9 if n > 9 else n for n in doubled) % 10 != int(check):  # noqa: PLR2004 - the digits of a number
        raise ValueError(f"{code} is no code of LOINC: its last digit does not check; look it up at loinc.org")
    return code


Loinc = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}-[0-9]$"), AfterValidator(_with_check_digit)]


class Text(RootModel[dict[str, str]]):
    """A sentence for people, by language code: { en = "...", ar = "..." }."""

    def in_language(self, language: str) -> str:
        """Give the sentence in this language, or in the first one the protocol names."""
        return self.root.get(language) or next(iter(self.root.values()), "")
