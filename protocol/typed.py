"""Reads what staff type, on the command line or on a page: codes, and words that act on no terminal."""

import re
import unicodedata
from datetime import date

from protocol.errors import WrongCallError

FIRST_DAY, DAY_TOO_FAR = date(2000, 1, 1), date(2200, 1, 1)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SHOWN = 40


def code_of(text: str) -> str:
    """A code of a patient, a site or a staff member, as it is printed on paper and typed in chats."""
    if not _CODE.fullmatch(text):
        raise WrongCallError(
            f"{quoted(text)} cannot be a code; use up to 32 letters, digits, dots, hyphens and underscores, "
            "beginning with a letter or a digit.",
            "code",
        )
    return text


def is_plain(text: str) -> bool:
    """Tell whether a text is plain words in one line, with nothing in it that would act on a terminal."""
    return not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text)


def quoted(text: str) -> str:
    """What was typed, safe to show on a terminal and not longer than a line."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return f'"{shown[:_SHOWN]}..."' if len(shown) > _SHOWN else f'"{shown}"'
