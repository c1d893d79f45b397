"""Reads what staff type, on the command line or on a page: codes, and words that act on no terminal."""

import re
import unicodedata
from datetime import date

from protocol.errors import WrongCallError

FIRST_DAY, DAY_TOO_FAR = date(2000, 1, 1), date(2200, 1, 1)
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SHOWN = 40
_PAGES = frozenset({"new", "site"})
_MARKS = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def code_of(text: str) -> str:
    """A code of a patient, a site or a staff member, as it is printed on paper and typed in chats."""
    if not CODE.fullmatch(text):
        raise WrongCallError(
            f"{quoted(text)} cannot be a code; use up to 32 letters, digits, dots, hyphens and underscores, "
            "beginning with a letter or a digit.",
            "code",
        )
    return text


def check_no_page(code: str) -> None:
    """Refuse a new code that stands for a form in an address of the pages, where nobody could be found under it."""
    if code.lower() in _PAGES:
        raise WrongCallError(f'"{code}" is a word of the pages; choose another code.', "code-of-page", code=code)


def plain_of(text: str) -> str | None:
    """Plain words in one line; None where something in them would act on a terminal.

    Direction marks, which Arabic keyboards and pastes bring along unseen, are left out.
    """
    words = text.translate(_MARKS).strip()
    acts = any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in words)
    return None if acts else words


def quoted(text: str) -> str:
    """What was typed, safe to show on a terminal and not longer than a line."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return f'"{shown[:_SHOWN]}..."' if len(shown) > _SHOWN else f'"{shown}"'
