from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.calendar import (
    Enrolment,
    Label,
    Standing,
    ZoneSince,
    date_exists,
    instant,
    out_of_quiet_hours,
    phase_starts_from,
    plan,
    zone_of,
)
from protocol.load import load_protocol
from protocol.model import in_quiet_hours
from tests.protocol.plans import planned, small

TRIAL = load_protocol("magnesium-clbp").protocol
WEEK = load_protocol("postop-week").protocol
DAY = timedelta(days=1)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "on", "wall", "due", "label"),
    [
        # Egypt, last Friday of April: midnight itself does not exist.
        ("Africa/Cairo", "2026-04-24", "00:00", "2026-04-23 22:00", Label.CLOCK_GAP),
        ("Africa/Cairo", "2026-04-24", "00:30", "2026-04-23 22:00", Label.CLOCK_GAP),
        ("Africa/Cairo", "2026-04-24", "01:00", "2026-04-23 22:00", None),
        # and the last Thursday of October has 23:30 twice.
        ("Africa/Cairo", "2026-10-29", "23:30", "2026-10-29 20:30", None),
        # Half an hour only.
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03 15:30", Label.CLOCK_GAP),
        ("Australia/Lord_Howe", "2026-10-04", "02:30", "2026-10-03 15:30", None),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04 14:45", None),
        # Morocco goes back for Ramadan and forth after it.
        ("Africa/Casablanca", "2026-02-15", "02:30", "2026-02-15 01:30", None),
        ("Africa/Casablanca", "2026-03-22", "02:30", "2026-03-22 02:00", Label.CLOCK_GAP),
        # Midnight again, in the other hemisphere of politics.
        ("America/Havana", "2026-03-08", "00:00", "2026-03-08 05:00", Label.CLOCK_GAP),
        ("America/Havana", "2026-11-01", "00:30", "2026-11-01 04:30", None),
        # The gap ends with the day: the slot keeps its date and falls at the first moment of the next.
        ("America/Nuuk", "2026-03-28", "23:30", "2026-03-29 01:00", Label.CLOCK_GAP),
        # Two hours.
        ("Antarctica/Troll", "2026-03-29", "02:30", "2026-03-29 01:00", Label.CLOCK_GAP),
        ("Antarctica/Troll", "2026-10-25", "02:30", "2026-10-25 00:30", None),
        ("Asia/Beirut", "2026-03-29", "00:00", "2026-03-28 22:00", Label.CLOCK_GAP),
        ("Asia/Beirut", "2026-10-24", "23:30", "2026-10-24 20:30", None),
    ],
)
def test_a_wall_time_at_a_clock_change_falls_where_the_rule_says(zone, on, wall, due, label):
    (slot,) = planned(small(wall, days=1), date.fromisoformat(on), zone)
    assert (slot.due_at, slot.label, slot.local_date) == (utc(due), label, date.fromisoformat(on))


def test_a_local_date_that_samoa_left_out_has_no_slot():
    assert not date_exists(date(2011, 12, 30), "Pacific/Apia")
    slots = planned(small("20:00", days=3), date(2011, 12, 29), "Pacific/Apia")
    assert [slot.local_date for slot in slots] == [date(2011, 12, 29), date(2011, 12, 31)]


def test_a_whole_day_that_kwajalein_left_out_has_no_slot():
    slots = planned(small("08:00", "20:00", days=3), date(1993, 8, 20), "Pacific/Kwajalein")
    assert Counter(slot.local_date.day for slot in slots) == {20: 2, 22: 2}


@pytest.mark.parametrize("start", ["2028-02-28", "2028-02-29", "2027-02-28", "2026-12-31", "2026-01-31"])
def test_leap_days_and_ends_of_months_and_years_have_their_slots(start):
    first = date.fromisoformat(start)
    slots = planned(small("20:00", days=400), first, "Europe/Berlin")
    assert [slot.local_date for slot in slots] == [first + day * DAY for day in range(400)]


def test_the_same_enrolment_gives_the_same_plan():
    once, twice = (planned(TRIAL, date(2026, 11, 24), "Africa/Cairo") for _ in range(2))
    assert once == twice


def test_a_slot_knows_its_window_and_its_first_message():
    slot = next(s for s in planned(TRIAL, date(2026, 11, 24), "Africa/Cairo") if s.item == "capsule")
    assert (slot.local_date, slot.n, slot.utc_offset) == (date(2026, 12, 8), 0, timedelta(hours=2))
    assert slot.opens_at == utc("2026-12-08 06:00")
    assert slot.due_at == slot.next_nudge_at == utc("2026-12-08 07:00")
    assert slot.on_time_until == utc("2026-12-08 09:00")
    assert slot.closes_at == utc("2026-12-08 15:00")


@pytest.mark.parametrize(
    ("standing", "excused", "cancelled"),
    [
        (Standing.ASKED, None, None),
        (Standing.NOT_JOINED, "not-joined", None),
        (Standing.PAUSED, "paused", None),
        (Standing.WITHDRAWN, None, "withdrawn"),
    ],
)
def test_who_is_not_asked_is_nudged_never_and_the_reason_is_kept(standing, excused, cancelled):
    slots = planned(TRIAL, date(2026, 11, 24), "Africa/Cairo", standing=standing)
    assert {(slot.excused_because, slot.cancelled_because) for slot in slots} == {(excused, cancelled)}
    assert all((slot.next_nudge_at is not None) == (standing is Standing.ASKED) for slot in slots)


def test_a_phase_begun_early_ends_the_one_before():
    starts = phase_starts_from(TRIAL, date(2026, 11, 24)) | {"oral": date(2026, 12, 1)}
    zones = (ZoneSince(utc("2026-01-01 00:00"), "Africa/Cairo"),)
    slots = plan(TRIAL, Enrolment(starts, zones, {}))
    assert max(slot.local_date for slot in slots if slot.phase == "iv") == date(2026, 11, 30)
    assert Counter(slot.phase for slot in slots if slot.item == "infusion") == {"iv": 7}
    assert len({slot.key for slot in slots}) == len(slots)


def test_a_chosen_time_moves_the_item_in_every_phase_and_no_other():
    zones = (ZoneSince(utc("2026-01-01 00:00"), "Africa/Cairo"),)
    starts = phase_starts_from(TRIAL, date(2026, 11, 24))
    slots = plan(TRIAL, Enrolment(starts, zones, {"pain": time(18, 30), "capsule": time(7, 30)}))
    walls = {(slot.item, slot.due_at.astimezone(zone_of(slot.zone)).time()) for slot in slots}
    assert walls == {
        ("pain", time(18, 30)),
        ("infusion", time(9)),
        ("capsule", time(9)),
        ("capsule", time(21)),
    }


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-24 20:30", "2026-11-24 20:30"),  # 22:30 in Cairo: they begin after it
        ("2026-11-24 20:31", "2026-11-25 05:00"),
        ("2026-11-25 00:00", "2026-11-25 05:00"),
        ("2026-11-25 04:59", "2026-11-25 05:00"),
        ("2026-11-25 05:00", "2026-11-25 05:00"),
        ("2026-11-25 12:00", "2026-11-25 12:00"),
    ],
)
def test_a_message_in_the_quiet_hours_waits_for_their_end(at, until):
    assert out_of_quiet_hours(TRIAL, utc(at), "Africa/Cairo") == utc(until)


def test_a_repeat_in_the_quiet_hours_waits_for_the_morning():
    zones = (ZoneSince(utc("2026-01-01 00:00"), "Africa/Cairo"),)
    starts = phase_starts_from(TRIAL, date(2026, 11, 24))
    slot = next(slot for slot in plan(TRIAL, Enrolment(starts, zones, {"pain": time(22)})) if slot.item == "pain")
    assert slot.next_nudge_at == slot.due_at == instant(slot.local_date, time(22), "Africa/Cairo")
    assert slot.closes_at > instant(slot.local_date + DAY, time(7), "Africa/Cairo")


# --- travel ---------------------------------------------------------------------------------------------------


def test_flying_east_past_the_evening_asks_at_the_change_itself():
    left = utc("2026-11-25 17:00")  # 19:00 in Cairo, 02:00 of the next day in Tokyo
    slots = planned(small("20:00", days=3), date(2026, 11, 24), "Africa/Cairo", (left, "Asia/Tokyo"))
    assert [(slot.local_date.day, slot.zone, slot.due_at, slot.label) for slot in slots] == [
        (24, "Africa/Cairo", utc("2026-11-24 18:00"), None),
        (25, "Asia/Tokyo", left, Label.ZONE_CHANGE),
        (26, "Asia/Tokyo", utc("2026-11-26 11:00"), None),
    ]


def test_flying_west_over_the_date_line_asks_once_for_the_day_that_comes_twice():
    left = utc("2026-11-25 10:00")  # 20:00 of the 25th in Brisbane is just over; it is 00:00 of it in Honolulu
    slots = planned(small("20:00", days=3), date(2026, 11, 24), "Australia/Brisbane", (left, "Pacific/Honolulu"))
    assert [slot.local_date.day for slot in slots] == [24, 25, 26]
    assert len({slot.key for slot in slots}) == 3


def test_two_doses_that_travel_brings_too_near_are_asked_for_once():
    left = utc("2026-12-09 10:00")  # the morning capsule was due at 07:00 UTC; 21:00 in Tokyo is 12:00 UTC
    slots = planned(TRIAL, date(2026, 11, 24), "Africa/Cairo", (left, "Asia/Tokyo"))
    evening = next(s for s in slots if (s.item, s.local_date, s.n) == ("capsule", date(2026, 12, 9), 1))
    assert evening.due_at == utc("2026-12-09 12:00")
    assert (evening.excused_because, evening.next_nudge_at) == ("zone-change", None)


def test_what_was_asked_for_is_not_taken_back_by_a_later_journey():
    first, second = utc("2026-12-08 13:10"), utc("2026-12-08 15:00")
    zones = ("Africa/Cairo", (first, "Asia/Tokyo"), (second, "Pacific/Apia"))
    before = planned(TRIAL, date(2026, 11, 24), *zones[:2])
    after = planned(TRIAL, date(2026, 11, 24), *zones)
    asked = {slot.key for slot in before if slot.due_at < second and slot.excused_because is None}
    assert ("capsule", date(2026, 12, 8), 1) in asked  # it fell to the first landing
    assert asked <= {slot.key for slot in after if slot.excused_because is None}


ZONES = [
    "Africa/Cairo", "Africa/Casablanca", "Africa/Johannesburg", "Africa/Lagos", "America/Anchorage",
    "America/Argentina/Buenos_Aires", "America/Caracas", "America/Chicago", "America/Denver", "America/Halifax",
    "America/Havana", "America/Los_Angeles", "America/New_York", "America/Nuuk", "America/Santiago",
    "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "Asia/Dubai", "Asia/Hong_Kong",
    "Asia/Karachi", "Asia/Kathmandu", "Asia/Kolkata", "Asia/Tehran", "Asia/Tokyo", "Asia/Yangon",
    "Atlantic/Azores", "Australia/Adelaide", "Australia/Brisbane", "Australia/Eucla", "Australia/Lord_Howe",
    "Europe/Berlin", "Europe/London", "Europe/Moscow", "Pacific/Apia", "Pacific/Auckland", "Pacific/Chatham",
    "Pacific/Honolulu", "Pacific/Kiritimati", "Pacific/Marquesas", "Pacific/Pago_Pago",
]  # fmt: skip

START = date(2027, 2, 1)  # ninety days from here hold the spring changes of both hemispheres
BEGIN = datetime(2027, 1, 31, tzinfo=UTC)
JOURNEYS = st.lists(
    st.tuples(st.integers(0, 92 * 24 * 60), st.sampled_from(ZONES)), max_size=12, unique_by=lambda leg: leg[0]
).map(lambda legs: tuple((BEGIN + timedelta(minutes=minutes), zone) for minutes, zone in sorted(legs)))
TRIALS = {
    "clinic": small(
        "09:00",
        "21:00",
        days=90,
        kind="dose",
        quiet='"22:30", "07:00"',
        more='early = "1h"\n  on_time = "2h"\n  late = "8h"\n  nudge_after = ["40m", "85m"]\n  min_gap = "6h"',
    ),
    "ratings": small(
        "08:00",
        "14:00",
        "20:00",
        days=90,
        quiet='"22:00", "06:30"',
        more='on_time = "90m"\n  late = "4h"\n  nudge_after = ["30m"]',
    ),
    "night": small(
        "21:00",
        days=90,
        kind="dose",
        quiet='"22:00", "06:30"',
        more='on_time = "2h"\n  late = "10h"\n  nudge_after = ["45m"]\n  min_gap = "12h"',
    ),
}


def zone_in_force(zones, at):
    return [zone for since, zone in zones if since <= at][-1]


@settings(max_examples=400)
@given(trial=st.sampled_from(sorted(TRIALS)), home=st.sampled_from(ZONES), journeys=JOURNEYS)
@example("clinic", "Africa/Cairo", ((utc("2027-02-03 10:00"), "Asia/Tokyo"),))
@example("ratings", "Pacific/Honolulu", ((utc("2027-02-03 06:01"), "Pacific/Kiritimati"),))
def test_wherever_a_patient_travels_nothing_is_doubled_or_lost_or_too_near(trial, home, journeys):
    protocol = TRIALS[trial]
    item = protocol.item("only", "asked")
    zones = ((BEGIN - DAY, home), *journeys)
    slots = planned(protocol, START, home, *journeys)

    # Each local date and n exactly once: nothing is doubled and nothing vanishes.
    wanted = {("asked", START + day * DAY, n) for day in range(90) for n in range(len(item.at))}
    assert Counter(slot.key for slot in slots) == dict.fromkeys(wanted, 1)

    # Nothing is due before its zone was lived in, and only travel and clocks excuse.
    for slot in slots:
        assert slot.zone == zone_in_force(zones, slot.due_at)
        assert slot.excused_because in (None, Label.ZONE_CHANGE, Label.CLOCK_GAP)
        assert slot.opens_at <= slot.due_at <= slot.on_time_until <= slot.closes_at

    asked = [slot for slot in slots if slot.excused_because is None]
    for slot, following in pairwise(asked):
        assert slot.closes_at <= following.opens_at
        assert following.due_at - slot.due_at >= (item.min_gap or timedelta(hours=1))

    # No message at night where the patient is when it is planned.
    for slot in asked:
        if slot.next_nudge_at is not None and zone_in_force(zones, slot.next_nudge_at) == slot.zone:
            local = slot.next_nudge_at.astimezone(zone_of(slot.zone))
            assert not in_quiet_hours(local.time(), protocol.trial.quiet_hours)
            assert slot.due_at <= slot.next_nudge_at < slot.closes_at


@settings(max_examples=60)
@given(trial=st.sampled_from(sorted(TRIALS)), home=st.sampled_from(ZONES), journeys=JOURNEYS)
def test_no_journey_takes_back_what_was_asked_before_it(trial, home, journeys):
    protocol = TRIALS[trial]
    for legs in range(1, len(journeys) + 1):
        now = journeys[legs - 1][0]
        before = planned(protocol, START, home, *journeys[: legs - 1])
        after = planned(protocol, START, home, *journeys[:legs])
        asked = {(s.key, s.due_at) for s in before if s.due_at < now and s.excused_because is None}
        assert {(s.key, s.due_at) for s in before if s.due_at < now} <= {(s.key, s.due_at) for s in after}
        assert asked <= {(s.key, s.due_at) for s in after if s.excused_because is None}
