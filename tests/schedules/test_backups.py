"""When the service makes a backup, what it does when that fails, and which of them it keeps."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import structlog.testing

from diary.backups import last_proven_at
from protocol.errors import BackupError
from schedules import backups
from schedules.backups import Backups, is_due, name_at, superfluous
from tests.cast import T0, at, cairo

CAIRO = ZoneInfo("Africa/Cairo")


class Moved:
    """A clock that is set by hand."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Moved(T0)


@pytest.fixture
def made(stage, tmp_path, clock):
    folder = tmp_path / "backups"
    folder.mkdir()
    return Backups(stage.db, folder, clock, asyncio.Lock())


def names(made):
    return sorted(path.name for path in made.folder.iterdir())


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (None, "2026-11-25 15:00", True),
        ("2026-11-24 02:31", "2026-11-25 02:29", False),
        ("2026-11-24 02:31", "2026-11-25 02:30", True),
        ("2026-11-25 02:30", "2026-11-25 02:31", False),
        ("2026-11-24 20:00", "2026-11-25 02:30", True),  # a backup by hand in the evening is not the night's
        ("2026-11-24 20:00", "2026-11-25 09:00", False),  # it is no night any more, and the last one is young
        ("2026-11-24 07:59", "2026-11-25 09:00", True),
        ("2026-11-25 23:00", "2026-11-26 00:30", False),
        ("2027-11-25 02:31", "2026-11-25 15:00", True),  # made while the clock was wrong
    ],
)
def test_it_is_time_at_night_at_the_site_and_after_a_day_without(last, now, due):
    assert is_due(last and cairo(last), now=cairo(now), zone=CAIRO) is due


def test_in_every_zone_each_local_night_of_a_year_has_one_backup():
    for zone in map(ZoneInfo, ("Africa/Cairo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")):
        now, last, nights = datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC), []
        while now < datetime(2027, 1, 1, 12, tzinfo=UTC):
            if is_due(last, now=now, zone=zone):
                last = now
                nights.append(now.astimezone(zone))
            now += timedelta(minutes=10)
        assert len(nights) == len({night.date() for night in nights}) == 365
        assert {night.hour for night in nights} <= {1, 2, 3}


async def test_a_start_after_a_day_without_makes_one_and_then_each_night_another(made, clock):
    await made.look()
    assert names(made) == ["daybook-20261123T080000Z.backup"]
    clock.now = cairo("2026-11-24 02:29")
    await made.look()
    assert len(names(made)) == 1
    for day in (24, 25, 26):
        for minute in (30, 31, 45):
            clock.now = cairo(f"2026-11-{day} 02:{minute}")
            await made.look()
    assert len(names(made)) == 4
    assert await last_proven_at(made.db) == cairo("2026-11-26 02:30")


async def test_a_failure_is_logged_raises_nothing_and_is_tried_again_in_an_hour(made, clock):
    made.folder.rmdir()
    with structlog.testing.capture_logs() as logs:
        await made.look()
        for minutes in (1, 30, 59):
            clock.now = T0 + timedelta(minutes=minutes)
            await made.look()
    assert [(line["event"], line["log_level"]) for line in logs] == [("backup_failed", "error")]
    assert "No such file or directory" in logs[0]["because"]
    made.folder.mkdir()
    await made.look()
    assert names(made) == []
    clock.now = T0 + timedelta(minutes=60)
    await made.look()
    assert names(made) == ["daybook-20261123T090000Z.backup"]


async def test_a_clock_that_was_set_back_after_a_failure_does_not_put_the_next_try_off(made, clock, monkeypatch):
    really = backups.back_up

    async def fails(*_args, **_named):
        raise BackupError("no")

    monkeypatch.setattr(backups, "back_up", fails)
    await made.look()
    monkeypatch.setattr(backups, "back_up", really)
    clock.now = T0 - timedelta(days=3)
    await made.look()
    assert len(names(made)) == 1


async def test_what_nobody_foresaw_is_logged_by_its_kind_and_goes_no_further(made, monkeypatch):
    async def surprises(*_args, **_named):
        raise ZeroDivisionError("what a patient wrote")

    monkeypatch.setattr(backups, "back_up", surprises)
    with structlog.testing.capture_logs() as logs:
        await made.look()
    assert logs[0]["because"] == "ZeroDivisionError"


async def test_it_looks_at_once_when_it_begins_and_breaks_off_when_it_ends(made, monkeypatch):
    broken_off = asyncio.Event()
    begun = asyncio.Event()

    async def lasts(*_args, **_named):
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            broken_off.set()
            raise

    monkeypatch.setattr(backups, "back_up", lasts)
    async with made.running():
        async with asyncio.timeout(10):
            await begun.wait()
    assert broken_off.is_set()


async def test_it_waits_for_the_tick_that_is_under_way(made):
    async with made.quiet:
        looking = asyncio.create_task(made.look())
        await asyncio.sleep(0.1)
        assert not looking.done()
        assert names(made) == []
    await looking
    assert len(names(made)) == 1


def nights(first, count):
    return [
        name_at(datetime(first.year, first.month, first.day, 0, 30, tzinfo=UTC) + n * timedelta(days=1))
        for n in range(count)
    ]


def kept_of(there, *, keep=14):
    return sorted(set(there) - set(superfluous(there, newest=max(there), keep=keep)))


def test_of_a_year_and_more_two_weeks_of_nights_and_twelve_months_stay():
    there = nights(date(2025, 8, 1), 480)  # to 23 November 2026
    kept = kept_of(there)
    assert max(there) == "daybook-20261123T003000Z.backup"
    assert kept[-14:] == there[-14:]
    assert [name[8:16] for name in kept[:-14]] == [
        "20251231", "20260131", "20260228", "20260331", "20260430", "20260531",
        "20260630", "20260731", "20260831", "20260930", "20261031",
    ]  # fmt: skip


def test_night_after_night_the_same_files_stay_as_when_all_are_looked_at_at_once():
    there, every = set(), nights(date(2025, 8, 1), 480)
    for name in every:
        there.add(name)
        there -= set(superfluous(there, newest=name, keep=14))
        assert name in there
        assert len(there) <= 14 + 12
    assert sorted(there) == kept_of(every)


def test_several_of_one_day_leave_the_last_and_days_without_any_do_not_count():
    there = [name_at(at(f"2026-11-{day:02} {hour:02}:00")) for day in (1, 2, 20) for hour in (3, 9, 15)]
    assert kept_of(there, keep=3) == [name_at(at(f"2026-11-{day:02} 15:00")) for day in (1, 2, 20)]


def test_the_newest_proven_one_stays_though_others_claim_to_be_from_later():
    future = [name_at(at(f"2031-01-{day:02} 03:00")) for day in range(1, 32)]
    newest = name_at(at("2026-11-23 03:00"))
    gone = superfluous([*future, newest], newest=newest, keep=1)
    assert newest not in gone
    assert len(gone) == 30


def test_what_others_put_there_is_never_touched():
    foreign = [
        "notes.txt", "daybook.db", "daybook-20200101T000000Z.backup.copy", "my-daybook-20200101T000000Z.backup",
        "daybook-20200101.backup", "a.backup", "a.backup.not-proven", ".a.backup.partial-12", "daybook-2020.zip",
    ]  # fmt: skip
    newest = name_at(T0)
    assert superfluous([*foreign, newest], newest=newest, keep=1) == []


async def test_a_years_files_are_cleared_from_the_folder_after_a_backup_and_the_rest_stays(made):
    old = nights(date(2025, 11, 1), 380)
    unproven = ["daybook-20261120T003000Z.backup.not-proven", "daybook-20261121T003000Z.backup.not-proven"]
    partial = ".daybook-20261119T003000Z.backup.partial-77"
    for name in (*old, *unproven, partial, "protocol.pdf"):
        (made.folder / name).write_bytes(b"")
    await made.look()
    found = names(made)
    assert {"protocol.pdf", "daybook-20261123T080000Z.backup", unproven[1]} <= set(found)
    assert not {unproven[0], partial} & set(found)
    assert len([name for name in found if name.endswith(".backup")]) == 14 + 11
