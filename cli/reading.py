"""Reads what was typed on the command line: codes, days, instants, times of day, reasons."""

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta

from protocol.calendar import instant, zone_of
from protocol.errors import WrongCallError
from protocol.values import parse_wall

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SHOWN = 40


def code_of(text: str) -> str:
    """A code of a patient, a site or a staff member, as it is printed on paper and typed in chats."""
    if not _CODE.fullmatch(text):
        raise WrongCallError(
            f"{quoted(text)} cannot be a code; use up to 32 letters, digits, dots, hyphens and underscores, "
            "beginning with a letter or a digit."
        )
    return text


def plain_text(name: str, text: str) -> str:
    """A name or a reason: not empty, and nothing in it that would act on a terminal."""
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text):
        raise WrongCallError(f"{name} holds a control character; write plain text in one line.")
    if not text.strip():
        raise WrongCallError(f"{name} is empty; write a few words.")
    return text.strip()


def start_of(text: str, *, zone: str, now: datetime) -> date:
    """A day as 2026-11-24, or `today` or `tomorrow` as they are in this zone."""
    here = now.astimezone(zone_of(zone)).date()
    match text.strip().lower():
        case "today":
            return here
        case "tomorrow":
            return here + timedelta(days=1)
    return day_of("--start", text)


def day_of(option: str, text: str) -> date:
    """A day as 2026-11-24."""
    try:
        found = date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise WrongCallError(f"{option} {quoted(text)} is not a day; write it as 2026-11-24.") from None
    if not date(2000, 1, 1) <= found < date(2200, 1, 1):
        raise WrongCallError(f"{option} {found} lies too far away; check the year.")
    return found


def instant_of(option: str, text: str, *, zone: str) -> datetime:
    """An instant as 2026-11-24 or 2026-11-24T20:00, on this zone's wall unless it says its own offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WrongCallError(
            f"{option} {quoted(text)} is not a time; write it as 2026-11-24 or 2026-11-24T20:00."
        ) from None
    if found.tzinfo is not None:
        return found.astimezone(UTC)
    return instant(found.date(), found.time(), zone)


def wall_of(option: str, text: str) -> time:
    """A time of day as 20:30."""
    try:
        return parse_wall(text)
    except ValueError:
        raise WrongCallError(f"{option} {quoted(text)} is not a time of day; write it as 20:30.") from None


def quoted(text: str) -> str:
    """What was typed, safe to show on a terminal and not longer than a line."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return f'"{shown[:_SHOWN]}..."' if len(shown) > _SHOWN else f'"{shown}"'
