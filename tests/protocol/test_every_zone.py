"""Every clock change of every zone in three years: each local date and n has its one slot, at the right instant.

What is right is found another way than in the calendar: a zone is cut into stretches of one offset, and a wall
time belongs to the first instant whose local time has reached it.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from protocol.calendar import Label
from tests.protocol.plans import planned, small

WALLS = ("00:00", "00:30", "02:30", "23:30")
FROM, UNTIL = datetime(2025, 12, 25, tzinfo=UTC), datetime(2029, 1, 8, tzinfo=UTC)
DAY = timedelta(days=1)
# Of each kind of change one: none, by an hour in the north and the south, at midnight, by half an hour, by two
# hours, in Ramadan, before midnight.
WHOLE = (
    "UTC",
    "Europe/Berlin",
    "America/Santiago",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "America/Nuuk",
)


@cache
def stretches(zone):
    """The stretches of one offset, as (from, until, offset)."""
    tz = ZoneInfo(zone)
    found, began, at = [], FROM, FROM
    while at < UNTIL:
        following = at + DAY / 2
        if at.astimezone(tz).utcoffset() != following.astimezone(tz).utcoffset():
            change = first_second_after(at, following, tz)
            found.append((began, change, at.astimezone(tz).utcoffset()))
            began = change
        at = following
    return [*found, (began, UNTIL, at.astimezone(tz).utcoffset())]


def first_second_after(before, after, tz):
    old = before.astimezone(tz).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(tz).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def right_instant(zone, wall):
    """The first instant whose local time has reached a wall time, and whether that wall time exists."""
    wall = wall.replace(tzinfo=UTC)
    for began, until, offset in stretches(zone):
        at = wall - offset
        if at < began:
            return began, False
        if at < until:
            return at, True
    raise AssertionError(wall)


def hold(zone, slots, first, days):
    found = {slot.key: slot for slot in slots}
    assert len(found) == len(slots)
    for day in range(days):
        on = first + day * DAY
        for n, wall in enumerate(WALLS):
            slot = found.pop(("asked", on, n))
            due_at, exists = right_instant(zone, datetime.combine(on, time.fromisoformat(wall)))
            assert slot.due_at == due_at, (zone, on, wall)
            assert slot.label == (None if exists else Label.CLOCK_GAP), (zone, on, wall)
            assert slot.utc_offset == due_at.astimezone(ZoneInfo(zone)).utcoffset()
    assert not found


def changes(zone):
    return [until for _, until, _ in stretches(zone)[:-1] if until.year in (2026, 2027, 2028)]


def test_around_every_change_of_every_zone_each_date_has_its_slots_at_the_right_instant():
    protocol = small(*WALLS, days=5)
    count = 0
    for zone in sorted(available_timezones()):
        for change in changes(zone):
            first = change.astimezone(ZoneInfo(zone)).date() - 2 * DAY
            hold(zone, planned(protocol, first, zone), first, 5)
            count += 1
    assert count > 800


@pytest.mark.parametrize("zone", WHOLE)
def test_on_every_day_of_three_years_each_date_has_its_slots_at_the_right_instant(zone):
    days = (date(2029, 1, 1) - date(2026, 1, 1)).days // 2
    protocol = small(*WALLS, days=days)
    for first in (date(2026, 1, 1), date(2026, 1, 1) + days * DAY):
        hold(zone, planned(protocol, first, zone), first, days)


def test_no_two_windows_of_an_item_overlap_across_a_change():
    protocol = small(*WALLS, days=5)
    for zone in WHOLE:
        for change in changes(zone):
            slots = [
                slot
                for slot in planned(protocol, change.astimezone(ZoneInfo(zone)).date() - 2 * DAY, zone)
                if slot.excused_because is None
            ]
            for slot, following in pairwise(slots):
                assert slot.closes_at <= following.opens_at
