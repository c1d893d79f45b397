"""How many messages there were: by day, by hour, in the busiest hour and second."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from protocol.calendar import zone_of
from rehearsal.simulation.transcript import COUNTED, MESSAGE, Line

COLUMNS: Final = (
    "span", "begins_local", "begins_utc", "messages_to_patients", "messages_to_staff", "changes_of_messages",
    "from_patients", "from_staff",
)  # fmt: skip
_SPANS: Final = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in a stretch of time."""

    begins: datetime
    to_patients: int
    to_staff: int
    changes: int
    from_patients: int
    from_staff: int

    @property
    def counted(self) -> int:
        """What Telegram's limits count."""
        return self.to_patients + self.to_staff + self.changes


@dataclass(frozen=True, slots=True)
class Load:
    """Every day and hour in order, and the busiest hour and second."""

    days: Sequence[Span]
    hours: Sequence[Span]
    busiest_hour: Span
    busiest_second: Span


def load_of(lines: Sequence[Line], zone: str) -> Load:
    """Count, by the wall of the trial's own zone."""
    tz = zone_of(zone)

    def day(at: datetime) -> datetime:
        return at.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)

    def hour(at: datetime) -> datetime:
        return at.replace(minute=0, second=0, microsecond=0).astimezone(tz)

    def second(at: datetime) -> datetime:
        return at.replace(microsecond=0).astimezone(tz)

    hours = _spans(lines, hour)
    return Load(
        days=_spans(lines, day),
        hours=hours,
        busiest_hour=max(hours, key=lambda span: span.counted),
        busiest_second=max(_spans(lines, second), key=lambda span: span.counted),
    )


def _spans(lines: Iterable[Line], begins: Callable[[datetime], datetime]) -> list[Span]:
    counts: dict[datetime, Counter[tuple[bool, bool, str]]] = {}
    for line in lines:
        if not line.to_phone or line.kind in COUNTED:
            kind = line.kind if line.to_phone else ""
            counts.setdefault(begins(line.at), Counter())[line.to_phone, line.staff, kind] += 1
    return [_span(at, counts[at]) for at in sorted(counts)]


def _span(at: datetime, counted: Counter[tuple[bool, bool, str]]) -> Span:
    sent = {key: times for key, times in counted.items() if key[0]}
    return Span(
        begins=at,
        to_patients=counted[True, False, MESSAGE],
        to_staff=counted[True, True, MESSAGE],
        changes=sum(times for (_, _, kind), times in sent.items() if kind != MESSAGE),
        from_patients=counted[False, False, ""],
        from_staff=counted[False, True, ""],
    )


def write_load(path: Path, load: Load) -> None:
    """Write all of it as CSV."""
    rows = [("day", span) for span in load.days] + [("hour", span) for span in load.hours]
    rows += [("busiest hour", load.busiest_hour), ("busiest second", load.busiest_second)]
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(name, span) for name, span in rows)


def _row(name: str, span: Span) -> tuple[object, ...]:
    utc = span.begins.astimezone(zone_of("UTC"))
    return (
        name, f"{span.begins:%Y-%m-%d %H:%M:%S}", f"{utc:%Y-%m-%dT%H:%M:%SZ}", span.to_patients, span.to_staff,
        span.changes, span.from_patients, span.from_staff,
    )  # fmt: skip
