"""Reads what was typed on the command line: codes, days, instants, times of day, reasons."""

import re
from datetime import UTC, date, datetime, time, timedelta

from protocol.calendar import instant, zone_of
from protocol.errors import WrongCallError
from protocol.typed import DAY_TOO_FAR, FIRST_DAY, code_of, plain_of, quoted
from protocol.values import parse_wall

__all__ = ["code_of", "day_of", "instant_of", "plain_text", "quoted", "start_of", "wall_of"]

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def plain_text(name: str, text: str) -> str:
    """A name or a reason: not empty, and nothing in it that would act on a terminal."""
    plain = plain_of(text)
    if plain is None:
        raise WrongCallError(f"{name} holds a control character; write plain text in one line.")
    if not plain:
        raise WrongCallError(f"{name} is empty; write a few words.")
    return plain


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
    if not FIRST_DAY <= found < DAY_TOO_FAR:
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
