"""Reads what a patient typed as a score; a text that is not plainly one whole number is never guessed at."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from protocol.model import Scale


class Unclear(StrEnum):
    """Why a text is not a score; the values are keys of the catalogue."""

    NOT_A_NUMBER = "not-a-number"
    NOT_WHOLE = "not-whole"
    OUT_OF_RANGE = "out-of-range"
    SEVERAL = "several"


@dataclass(frozen=True, slots=True)
class Score:
    """A whole number on the trial's scale."""

    value: int


# Marks people put around a number: a full stop, an exclamation mark, the Arabic comma, a keycap's frame.
# A point right before a digit is none of them: ".7" is a fraction and must not be read as 7.
_BEFORE = re.compile(r"(?:[\s!؛;:()'\"]|[.،,](?!\d))+")
_BLANKS = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
_AFTER = _BLANKS + ".!،,؛;:()'\"\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}"
_KEYCAP_TEN = "\N{KEYCAP TEN}"  # the one keycap that is not made of digits
_INVISIBLE = dict.fromkeys(
    map(ord, "\u200b\u200c\u200d\u200e\u200f\u061c\u2066\u2067\u2068\u2069\u202a\u202b\u202c\ufeff")
)
_NUMBER = re.compile(r"\d+")
_FRACTION = re.compile(r"[-−+]?\d*[.,٫]\d+")
_OF_MAX = re.compile(r"(\d{1,3})\s*/\s*(\d{1,3})")
_PLAIN = re.compile(r"0*(\d{1,2})")


def read_score(text: str, scale: Scale) -> Score | Unclear:
    """Understand `7`, `7/10`, `٧`, `７`, ` 7. `; refuse `12`, `7.5`, `-1`, `7 or 8`."""
    plain = _plain(text)
    if found := _OF_MAX.fullmatch(plain):
        if int(found[2]) != scale.max:
            return Unclear.SEVERAL
        plain = found[1]
    if found := _PLAIN.fullmatch(plain):
        value = int(found[1])
        return Score(value) if scale.min <= value <= scale.max else Unclear.OUT_OF_RANGE
    return _why_not(plain)


def looks_like_a_score(text: str) -> bool:
    """Tell whether a patient meant a number, however badly put, rather than a note."""
    plain = _plain(text)
    return bool(_NUMBER.search(plain)) and not re.search(r"[^\W\d_]{3,}", plain)


def _why_not(plain: str) -> Unclear:
    if _FRACTION.fullmatch(plain):
        return Unclear.NOT_WHOLE
    numbers = _NUMBER.findall(plain)
    if len(numbers) > 1:
        return Unclear.SEVERAL
    if numbers and re.fullmatch(r"[-−+]?\d+", plain):
        return Unclear.OUT_OF_RANGE
    return Unclear.NOT_A_NUMBER


def _plain(text: str) -> str:
    """The text with every script's digits as 0-9 and without the marks around it."""
    folded = unicodedata.normalize("NFKC", text.replace(_KEYCAP_TEN, "10")).translate(_INVISIBLE)
    digits = "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character for character in folded
    )
    began = _BEFORE.match(digits)
    return digits[began.end() if began else 0 :].rstrip(_AFTER)
