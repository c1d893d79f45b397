"""A patient's whole trial as planned slots: pure arithmetic of dates, zones and the protocol.

Rules of time (design §5): a wall time that does not exist that day falls at the first valid instant
after the gap; one that happens twice falls the first time; a local date that a zone leaves out has no
slot (Samoa, 30 December 2011). Windows are elapsed time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from protocol.model import Item, Phase, Protocol, in_quiet_hours

_DAY = timedelta(days=1)


class Standing(StrEnum):
    """What a patient's status means for the slots to come."""

    ASKED = "asked"
    NOT_JOINED = "not-joined"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"


class Label(StrEnum):
    """Why a slot does not lie at its plain wall time."""

    CLOCK_GAP = "clock-gap"
    ZONE_CHANGE = "zone-change"


@dataclass(frozen=True, slots=True)
class ZoneSince:
    """The zone a patient lives in from an instant (aware, UTC) on."""

    since: datetime
    zone: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """All that a patient's plan is made from, beside the protocol."""

    phase_starts: Mapping[str, date]
    zones: tuple[ZoneSince, ...]
    chosen_times: Mapping[str, time]
    standing: Standing = Standing.ASKED


@dataclass(frozen=True, slots=True)
class PlannedSlot:
    """One slot as it should exist; instants are aware UTC, `utc_offset` is in force at `due_at`."""

    phase: str
    item: str
    kind: str
    local_date: date
    n: int
    zone: str
    utc_offset: timedelta
    opens_at: datetime
    due_at: datetime
    on_time_until: datetime
    closes_at: datetime
    next_nudge_at: datetime | None
    label: Label | None = None
    excused_because: str | None = None
    cancelled_because: str | None = None

    @property
    def key(self) -> tuple[str, date, int]:
        """What names this slot for ever, for one patient."""
        return (self.item, self.local_date, self.n)


@dataclass(frozen=True, slots=True)
class VisitDate:
    """The day a visit falls on for one patient."""

    visit: str
    on: date


@dataclass(frozen=True, slots=True)
class PhaseDates:
    """The days of a phase for one patient, both ends in."""

    phase: str
    first: date
    last: date

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.last - self.first).days + 1


def phase_starts_from(protocol: Protocol, start: date) -> dict[str, date]:
    """Day 0 of each phase when the phases follow one another from `start`."""
    starts: dict[str, date] = {}
    for phase in protocol.phase:
        starts[phase.id] = start
        start += phase.days * _DAY
    return starts


def visit_dates(protocol: Protocol, starts: Mapping[str, date]) -> tuple[VisitDate, ...]:
    """Each visit's date: it keeps its distance from day 0 of the phase it falls into, so it moves with it."""
    return tuple(VisitDate(visit.id, _date_of_day(protocol, starts, visit.day)) for visit in protocol.visit)


def anchor_of(protocol: Protocol, day: int) -> tuple[str, int]:
    """The phase a day of the trial as planned falls into, and its days after that phase's day 0."""
    first_day = 0
    for phase in protocol.phase[:-1]:
        if day < first_day + phase.days:
            return phase.id, day - first_day
        first_day += phase.days
    return protocol.phase[-1].id, day - first_day


def phase_dates(protocol: Protocol, starts: Mapping[str, date]) -> tuple[PhaseDates, ...]:
    """The days of each phase, as long as planned but never into the next."""
    return tuple(
        PhaseDates(phase.id, starts[phase.id], _end_of(protocol, phase, starts) - _DAY) for phase in protocol.phase
    )


def _date_of_day(protocol: Protocol, starts: Mapping[str, date], day: int) -> date:
    phase, days = anchor_of(protocol, day)
    return starts[phase] + days * _DAY


def plan(protocol: Protocol, enrolment: Enrolment) -> tuple[PlannedSlot, ...]:
    """Every slot of the trial for one patient, in order of due time; the same input gives the same slots."""
    slots: list[PlannedSlot] = []
    for item_id in dict.fromkeys(item.id for _, item in protocol.items()):
        of_item = [
            slot
            for phase, item in protocol.items()
            if item.id == item_id
            for slot in _slots_of(protocol, phase, item, enrolment)
        ]
        of_item.sort(key=lambda slot: (slot.due_at, slot.local_date, slot.n))
        slots += _kept_apart(protocol, of_item, enrolment.zones)
    standing = enrolment.standing
    return tuple(sorted((_standing(slot, standing) for slot in slots), key=lambda slot: (slot.due_at, slot.item)))


def _slots_of(protocol: Protocol, phase: Phase, item: Item, enrolment: Enrolment) -> Iterator[PlannedSlot]:
    chosen = enrolment.chosen_times.get(item.id) if item.patient_may_choose else None
    walls = [chosen] if chosen else item.at
    for local_date in _dates(protocol, phase, item, enrolment.phase_starts):
        for n, wall in enumerate(walls):
            found = _due(local_date, wall, enrolment.zones)
            if found is None:
                continue
            due_at, zone, label = found
            closes_at = due_at + item.late
            yield PlannedSlot(
                phase=phase.id,
                item=item.id,
                kind=item.kind,
                local_date=local_date,
                n=n,
                zone=zone,
                utc_offset=due_at.astimezone(zone_of(zone)).utcoffset() or timedelta(),
                opens_at=due_at - item.early,
                due_at=due_at,
                on_time_until=due_at + item.on_time,
                closes_at=closes_at,
                next_nudge_at=next_nudge(protocol, item, due_at, closes_at, zone, after=None),
                label=label,
            )


def _dates(protocol: Protocol, phase: Phase, item: Item, starts: Mapping[str, date]) -> list[date]:
    """The local dates an item falls on: its rhythm within the phase, and the days before its visits."""
    start = starts[phase.id]
    end = _end_of(protocol, phase, starts)
    rhythm = {start + day * _DAY for day in range(item.first_day, phase.days, item.every_days)}
    if item.daily_before:
        visits = {visit.visit: visit.on for visit in visit_dates(protocol, starts)}
        for name in item.daily_before.visits:
            rhythm |= {visits[name] - days * _DAY for days in range(1, item.daily_before.days + 1)}
    return sorted(day for day in rhythm if start <= day < end)


def _end_of(protocol: Protocol, phase: Phase, starts: Mapping[str, date]) -> date:
    """The day after a phase's last: as long as planned, but never into a phase that staff began earlier."""
    later = [starts[other.id] for other in protocol.phase[protocol.phase.index(phase) + 1 :]]
    return min([starts[phase.id] + phase.days * _DAY, *later])


def _due(local_date: date, wall: time, zones: Sequence[ZoneSince]) -> tuple[datetime, str, Label | None] | None:
    """The instant of a wall time for a patient whose zone may have changed on the way.

    The first zone whose clock reaches the wall time while the patient lives in it decides, and no later journey
    does: the slot may have been asked for by then. A wall time that was jumped over by travelling east falls
    at the change itself, as in a clock's own gap.
    """
    for here, after in zip(zones, [*zones[1:], None], strict=True):
        if not date_exists(local_date, here.zone):
            continue
        due_at = instant(local_date, wall, here.zone)
        begins = here.since if here is not zones[0] else datetime.min.replace(tzinfo=UTC)
        ends = after.since if after else datetime.max.replace(tzinfo=UTC)
        if due_at < begins:
            return begins, here.zone, Label.ZONE_CHANGE
        if due_at < ends:
            plain = due_at.astimezone(zone_of(here.zone)).replace(tzinfo=None) == datetime.combine(local_date, wall)
            return due_at, here.zone, None if plain else Label.CLOCK_GAP
    return None


def _kept_apart(
    protocol: Protocol, slots: Sequence[PlannedSlot], zones: Sequence[ZoneSince]
) -> Iterator[PlannedSlot]:
    """One item's slots in order, no window running into the next; a slot crowded out by travel is excused.

    A dose less than its minimum gap from its neighbour, or any slot whose window would be empty, must not
    be asked for: two doses in one hour is the accident that a change of zone would otherwise cause. The later
    one gives way, since the earlier may have been asked for when the next journey begins; only a slot shifted
    to the journey itself leaves the place to a regular one of the same stay, which was known at that moment.
    """
    kept: list[PlannedSlot] = []
    for slot in slots:
        neighbour = next((other for other in reversed(kept) if other.excused_because is None), None)
        if neighbour is None or not _too_close(protocol, neighbour, slot):
            kept.append(slot)
        elif _is_makeshift(neighbour, slot) and _stay(zones, neighbour) == _stay(zones, slot):
            kept[kept.index(neighbour)] = _crowded_out(neighbour)
            kept.append(slot)
        else:
            kept.append(_crowded_out(slot))
    asked = [slot for slot in kept if slot.excused_because is None]
    clipped = {
        slot.key: _closing_by(slot, following.opens_at)
        for slot, following in pairwise(asked)
        if slot.closes_at > following.opens_at
    }
    for slot in kept:
        yield clipped.get(slot.key, slot)


def _is_makeshift(before: PlannedSlot, after: PlannedSlot) -> bool:
    return before.label is Label.ZONE_CHANGE and after.label is not Label.ZONE_CHANGE


def _stay(zones: Sequence[ZoneSince], slot: PlannedSlot) -> int:
    """Count the journeys before a slot falls due."""
    return sum(zone.since <= slot.due_at for zone in zones[1:])


def _too_close(protocol: Protocol, before: PlannedSlot, after: PlannedSlot) -> bool:
    """Tell whether a journey brings a slot so near its neighbour that asking for both would be wrong."""
    # What waits for the end of the night is asked for then, and it is the asking that must not come twice.
    between = after.due_at - max(before.due_at, before.next_nudge_at or before.due_at)
    if before.zone != after.zone or Label.ZONE_CHANGE in (before.label, after.label):
        return between < (protocol.item(after.phase, after.item).min_gap or timedelta(hours=1))
    return not between


def _crowded_out(slot: PlannedSlot) -> PlannedSlot:
    return replace(slot, excused_because=slot.label or Label.ZONE_CHANGE, next_nudge_at=None)


def _closing_by(slot: PlannedSlot, instant_: datetime) -> PlannedSlot:
    closes_at = max(instant_, slot.due_at)
    nudge = slot.next_nudge_at if slot.next_nudge_at and slot.next_nudge_at < closes_at else None
    return replace(slot, closes_at=closes_at, on_time_until=min(slot.on_time_until, closes_at), next_nudge_at=nudge)


def _standing(slot: PlannedSlot, standing: Standing) -> PlannedSlot:
    match standing:
        case Standing.ASKED:
            return slot
        case Standing.WITHDRAWN:
            return replace(slot, cancelled_because="withdrawn", next_nudge_at=None)
        case _:
            return replace(slot, excused_because=standing.value, next_nudge_at=None)


def next_nudge(
    protocol: Protocol,
    item: Item,
    due_at: datetime,
    closes_at: datetime,
    zone: str,
    *,
    after: datetime | None,
) -> datetime | None:
    """When the next message for a slot goes out: the first prompt, or the first repeat after an instant.

    A message that would fall into the patient's quiet hours waits for their end, if the window lasts.
    """
    for delay in (timedelta(), *item.nudge_after):
        at = out_of_quiet_hours(protocol, due_at + delay, zone)
        if at < closes_at and (after is None or at > after):
            return at
    return None


def out_of_quiet_hours(protocol: Protocol, at: datetime, zone: str) -> datetime:
    """This instant, or the end of the quiet hours it falls into."""
    quiet = protocol.trial.quiet_hours
    local = at.astimezone(zone_of(zone))
    if not in_quiet_hours(local.time().replace(tzinfo=None), quiet):
        return at
    ends = quiet[1]
    day = local.date() if local.time() < ends else local.date() + _DAY
    return instant(day, ends, zone)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of this name."""
    return ZoneInfo(name)


def instant(local_date: date, wall: time, zone: str) -> datetime:
    """The UTC instant of a wall time; the first valid one after a gap, the first of two."""
    tz = zone_of(zone)
    local = datetime.combine(local_date, wall, tz)
    found = local.astimezone(UTC)
    if found.astimezone(tz).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    return _end_of_gap(local.replace(fold=1).astimezone(UTC), found, tz)


def _end_of_gap(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """The transition between two instants on either side of it, by halving; zones change on whole seconds."""
    offset_before = before.astimezone(tz).utcoffset()
    seconds = int((after - before).total_seconds())
    low, high = 0, seconds
    while low < high:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(tz).utcoffset() == offset_before:
            low = middle + 1
        else:
            high = middle
    return before + timedelta(seconds=low)


@lru_cache(maxsize=65536)
def date_exists(local_date: date, zone: str) -> bool:
    """Tell whether this zone has this local date at all."""
    return instant(local_date, time(0), zone).astimezone(zone_of(zone)).date() == local_date
