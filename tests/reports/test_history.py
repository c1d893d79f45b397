"""A patient's history as a picture, from a real diary."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status
from protocol.calendar import visit_dates
from reports.history import history_picture, small_line
from reports.marks import Dot, Line, Picture, Text
from reports.palette import PAPER
from reports.patient import Stretch, history
from reports.record import record, whole_history
from reports.sheet import DESK, in_rows
from reports.visits import clinic_days, visits_of
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import correct, say, scored
from tests.reports.gallery import line

FRIDAY = cairo("2026-11-27 10:00")
# From the first day of a phase to the last of the trial, on a desk's picture.
ACROSS = DESK - 14 - 26 - 14


async def whole(stage: Stage, now=FRIDAY, *, language="en", visits: tuple[Stretch, ...] | None = None) -> Picture:
    found = await record(stage.db, "P-001", None, now)
    days = clinic_days(await visits_of(stage.db, "P-001", None, now)) if visits is None else visits
    return history_picture(whole_history(found, days), language, width=DESK)


def named(picture: Picture, *names: str):
    return [mark for mark in picture.marks if mark.name in names]


def words(picture: Picture, name: str) -> list[str]:
    return [mark.text for mark in named(picture, name) if isinstance(mark, Text)]


def lines(picture: Picture) -> list[Line]:
    return [mark for mark in named(picture, "line") if isinstance(mark, Line)]


async def test_the_chat_and_the_page_draw_the_same_answers(stage: Stage, amina):
    chat = history_picture(await history(stage.db, amina.id, FRIDAY, 28), "en")
    page = await whole(stage)
    for picture in (chat, page):
        assert [dot.told for dot in named(picture, "on-time", "late")] == ["24 Nov: 7", "26 Nov: 5"]
        doses = [mark.name for mark in named(picture, "taken", "not-taken", "missed", "taken-late")]
        assert sorted(doses) == ["missed", "missed", "not-taken", "taken"]  # with the score that is missing
    assert words(chat, "panel") == words(page, "panel") == ["pain rating"]
    assert "infusion" in words(chat, "dose")


async def test_phases_are_named_bands_and_visits_named_lines(stage: Stage, amina):
    picture = await whole(stage)
    assert sorted(words(picture, "phase-name")) == ["Capsule weeks", "Follow-up", "Infusion weeks"]
    assert sorted(words(picture, "visit")) == ["Baseline", "Month 3", "Month 6", "Week 2", "Week 6"]
    bands = [box for mark in named(picture, "band")[:2] for box in mark.boxes]
    assert [box.width for box in bands] == pytest.approx([ACROSS * days / 183 for days in (14, 140)], abs=0.1)
    assert bands[1].x - bands[0].x == pytest.approx(ACROSS * 42 / 183, abs=0.1)


async def test_a_visit_that_took_place_stands_on_the_day_it_did(stage: Stage, amina):
    found = await record(stage.db, "P-001", None, FRIDAY)
    [visit] = [one for one in await visits_of(stage.db, "P-001", None, FRIDAY) if one.visit == "week-2"]
    planned = next(one.on for one in visit_dates(found.protocol, found.phase_starts) if one.visit == "week-2")
    assert [day.first for day in clinic_days([visit, replace(visit, held_on=date(2026, 12, 10))])] == [
        planned,
        date(2026, 12, 10),
    ]


async def test_points_are_the_scores_that_hold_and_late_ones_are_hollow(stage: Stage, amina):
    await correct(stage, amina.id, "pain 2026-11-26", scored(2), "2026-11-26 23:30")
    picture = await whole(stage)
    [on_time], [late] = named(picture, "on-time"), named(picture, "late")
    assert (on_time.told, late.told) == ("24 Nov: 7", "26 Nov: 2")
    assert (on_time.fill == on_time.stroke, late.fill) == (True, PAPER)
    ten, nothing = (text.y for text in named(picture, "tick") if text.text in ("10", "0"))
    assert abs(late.y - on_time.y) == pytest.approx(abs(nothing - ten) * 5 / 10)


async def test_no_line_crosses_a_day_that_was_missed(stage: Stage, amina):
    assert [len(run.points) for run in lines(await whole(stage))] == [1, 1]
    await say(stage, amina.id, "pain 2026-11-27", scored(4), "2026-11-27 20:10")
    assert [len(run.points) for run in lines(await whole(stage, cairo("2026-11-27 21:00")))] == [1, 2]


async def test_no_line_crosses_a_pause(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "pain 2026-11-24", scored(3), "2026-11-24 20:10")
    for status, wall in ((PatientStatus.PAUSED, "2026-11-25 08:00"), (PatientStatus.ACTIVE, "2026-11-26 08:00")):
        await change_status(
            stage.db, patient_id=amina.id, status=status, actor=SYSTEM, reason="rests", now=cairo(wall)
        )
    await say(stage, amina.id, "pain 2026-11-26", scored(4), "2026-11-26 20:10")
    picture = await whole(stage)
    assert len(lines(picture)) == 2
    assert [mark.name for mark in named(picture, "excused") if isinstance(mark, Dot)].count("excused") >= 1


async def test_today_is_marked_where_the_trial_is_and_not_outside_it(stage: Stage, amina):
    assert words(await whole(stage), "today") == ["today"]
    assert words(await whole(stage, cairo("2026-11-23 23:00")), "today") == []
    assert words(await whole(stage, cairo("2027-08-01 12:00")), "today") == []
    assert words(history_picture(await history(stage.db, amina.id, FRIDAY, 14), "en"), "today") == []


async def test_an_answer_changes_the_picture_and_a_slot_to_come_is_not_drawn(stage: Stage, amina):
    before = history_picture(await history(stage.db, amina.id, FRIDAY, 7), "en")
    assert not [mark for mark in before.marks if isinstance(mark, Dot) and not mark.name]
    await say(stage, amina.id, "pain 2026-11-27", scored(1), "2026-11-27 20:10")
    after = history_picture(await history(stage.db, amina.id, cairo("2026-11-27 20:10"), 7), "en")
    assert [len(named(one, "on-time")) for one in (before, after)] == [1, 2]


async def test_a_history_before_the_first_day_says_so(stage: Stage):
    amina = await stage.joined(start=START + timedelta(days=30))
    past = await history(stage.db, amina.id, FRIDAY, 14)
    assert past.lines == ()
    assert words(history_picture(past, "en"), "nothing") == ["Nothing to show yet."]


async def test_a_trial_without_any_answer_has_its_phases_all_the_same(stage: Stage):
    await stage.add()
    picture = await whole(stage, T0)
    assert (len(words(picture, "phase-name")), lines(picture), named(picture, "on-time")) == (3, [], [])


async def test_the_legend_explains_what_is_there_and_nothing_else(stage: Stage, amina):
    assert words(await whole(stage), "legend") == ["answered, taken", "late", "not taken", "no answer"]
    past = await history(stage.db, amina.id, FRIDAY, 14)
    only = replace(past, lines=(line("pain", "rating", START, "on time", 5),))
    assert words(history_picture(only, "en"), "legend") == ["answered"]
    only = replace(past, lines=(line("infusion", "dose", START, "late", "taken"),))
    assert words(history_picture(only, "en"), "legend") == ["late"]


def test_labels_that_would_run_into_one_another_stand_in_rows():
    labels = [Text(x, 10, "Week 2") for x in (0, 30, 60, 90, 200)]
    rows: dict[float, list[Text]] = {}
    for label in in_rows(labels, down=15):
        rows.setdefault(label.y, []).append(label)
    assert sorted(label.x for row in rows.values() for label in row) == [0, 30, 60, 90, 200]
    assert all(one.ends[1] <= other.ends[0] for row in rows.values() for one, other in pairwise(row))
    assert {label.y for label in in_rows([Text(0, 10, "a"), Text(500, 10, "b")], down=15)} == {10}


def small(pains, language="en") -> Picture:
    return small_line(pains, language, scale=(0, 10), told="x")


def test_a_small_line_joins_days_that_follow_one_another_and_marks_the_last():
    picture = small([0, 10, None, 5])
    assert len(lines(picture)) == 1
    [now] = named(picture, "now")
    assert (now.x, now.y) == (98, 14)
    assert [dot.y for dot in named(picture, "then")] == [25, 3]


def test_a_small_line_runs_from_the_right_where_the_language_does():
    [now] = [mark for mark in small([0, 10, None, 5], "ar").placed if mark.name == "now"]
    assert now.x == 14


def test_a_small_line_of_nothing_is_a_ground_line():
    for pains in ((), (None, None)):
        assert [mark.name for mark in small(pains).marks] == ["rule"]
