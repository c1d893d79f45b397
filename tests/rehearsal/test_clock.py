from datetime import UTC, datetime, timedelta, timezone

import pytest

from rehearsal.clock import Clock
from rehearsal.travel import TimeControls

EIGHT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_the_clock_stands_still_until_it_is_moved():
    clock = Clock(EIGHT)
    assert clock() == clock() == EIGHT
    clock.advance(HOUR)
    assert clock() == EIGHT + HOUR


def test_the_clock_answers_utc_whatever_zone_it_is_given():
    clock = Clock(EIGHT.astimezone(timezone(timedelta(hours=2))))
    assert clock().tzinfo is UTC


def test_the_clock_goes_back_only_when_told_so_explicitly():
    clock = Clock(EIGHT)
    with pytest.raises(ValueError, match="step_back"):
        clock.move_to(EIGHT - HOUR)
    assert clock.step_back(HOUR) == EIGHT - HOUR


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        Clock(datetime(2026, 3, 1, 8, 0))  # noqa: DTZ001


def controls(clock: Clock, *events: datetime) -> tuple[TimeControls, list[datetime]]:
    planned, met = sorted(events), []

    async def next_event():
        return planned[0] if planned else None

    async def moved(now):
        met.append(now)
        while planned and planned[0] <= now:
            planned.pop(0)

    return TimeControls(next_event, moved), met


async def test_a_day_stops_at_every_event_on_the_way_in_order_and_at_its_end():
    clock = Clock(EIGHT)
    time, met = controls(clock, EIGHT + 5 * HOUR, EIGHT + 2 * HOUR, EIGHT + 30 * HOUR)
    await time.forward(clock, timedelta(days=1))
    assert met == [EIGHT + 2 * HOUR, EIGHT + 5 * HOUR, EIGHT + 24 * HOUR]


async def test_next_event_moves_to_it_and_says_when_nothing_is_planned():
    clock = Clock(EIGHT)
    time, _ = controls(clock, EIGHT + HOUR)
    assert await time.to_next(clock) == EIGHT + HOUR
    assert await time.to_next(clock) is None
    assert clock() == EIGHT + HOUR


async def test_an_event_that_never_goes_away_does_not_hold_the_clock():
    clock = Clock(EIGHT)

    async def stuck():
        return EIGHT

    async def moved(_):
        pass

    await TimeControls(stuck, moved).forward(clock, HOUR)
    assert clock() == EIGHT + HOUR
