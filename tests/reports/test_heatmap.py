"""Patients by days, and the pictures of the trial: what their marks say is what the figures say."""

from datetime import timedelta

import pytest

from reports.definitions import Figures, together
from reports.heatmap import MOST_ROWS, heatmap_picture, worst_first
from reports.marks import Boxes, Dot, Line, Picture, Text
from reports.png import SCALE, png
from reports.site import Grid, GridRow
from reports.site import grid as grid_of
from reports.trial_pictures import arrivals_picture, course_picture, trial_picture, weeks_picture
from tests.cast import START, Stage, cairo
from tests.reports.gallery import grid, nobody, trial

DAYS = tuple(START + timedelta(days=day) for day in range(7))


def boxes(picture: Picture, name: str):
    return [box for mark in picture.marks if isinstance(mark, Boxes) and mark.name == name for box in mark.boxes]


def words(picture: Picture, name: str) -> list[str]:
    return [mark.text for mark in picture.marks if isinstance(mark, Text) and mark.name == name]


def day(figures: Figures) -> Picture:
    return heatmap_picture(Grid(DAYS, (GridRow("P-001", {DAYS[2]: figures}),)), "en")


def test_a_day_is_filled_as_far_as_it_was_answered():
    whole = boxes(day(Figures(on_time=2, late=1)), "full")[0]
    picture = day(Figures(on_time=1, late=1, missed=6))
    [part], [rest] = boxes(picture, "part")[:1], boxes(picture, "rest")[:1]
    assert rest == whole
    assert (part.height, part.y + part.height) == (
        pytest.approx(whole.height / 4),
        pytest.approx(whole.y + whole.height),
    )
    assert boxes(day(Figures(missed=2)), "part") == []
    for figures, name in ((Figures(excused=1), "excused"), (Figures(open=2), "open")):
        assert len(boxes(day(figures), name)) == 2  # and its sample in the legend
        assert boxes(day(figures), "full") == []


async def test_each_patient_has_a_row_with_the_figures_of_the_days(stage: Stage, amina, elsewhere):
    found = await grid_of(stage.db, None, cairo("2026-11-27 10:00"), 7)
    picture = heatmap_picture(found, "en")
    assert words(picture, "subject") == ["P-001", "P-900"]
    assert words(picture, "total") == ["4/6", "0/5"]
    assert words(picture, "legend") == ["all answered", "in part", "nothing", "open"]


def test_of_many_the_picture_has_those_who_answered_the_least_and_says_so():
    many = grid(400)
    shown = worst_first(many)
    assert len(shown.rows) == MOST_ROWS
    left = {row.code for row in many.rows} - {row.code for row in shown.rows}
    worst = max(row.total.rate for row in shown.rows)
    assert all(row.total.rate >= worst for row in many.rows if row.code in left)
    assert "40 of 400 patients" in heatmap_picture(shown, "en", all_rows=400).subtitle
    assert worst_first(grid(40)) == grid(40)
    assert "of" not in heatmap_picture(grid(40), "en", all_rows=40).subtitle


@pytest.mark.parametrize("patients", [0, 1, 60, 1200])
def test_any_number_of_patients_fits_into_what_telegram_takes(patients):
    # The sides add up to 10,000 at most, and one is not 20 times the other.
    picture = heatmap_picture(grid(patients, days=3), "en")
    wide, high = picture.width * SCALE, picture.height * SCALE
    assert wide + high < 10_000
    assert high < 20 * wide < 400 * high


def test_a_picture_for_the_chat_stays_below_what_telegram_takes():
    for picture in (heatmap_picture(grid(60), "ar"), trial_picture(trial(104, 10_000), "ar")):
        assert len(png(picture)) < 2_000_000
        assert (picture.width + picture.height) * SCALE < 10_000


def test_a_week_is_filled_by_what_was_on_time_and_late_of_what_was_expected():
    told = trial(26, 80)
    picture = weeks_picture(told.weeks, "en")
    expected, on_time, late = (boxes(picture, name) for name in ("expected", "on-time", "late"))
    assert len(expected) == len(on_time) == len(late) == 26
    for row, ground, full, hollow in zip(told.weeks, expected, on_time, late, strict=True):
        f = row.figures
        assert full.height / ground.height == pytest.approx(f.on_time / f.expected)
        assert hollow.height / ground.height == pytest.approx(f.late / f.expected)
        assert hollow.y + hollow.height == pytest.approx(full.y)  # what is late stands on what is on time
    whole = together(told.weeks)
    assert picture.subtitle == f"{whole.rate * 100:.0f} % in all: {whole.answered} of {whole.expected}"
    assert words(picture, "count") == [str(row.figures.expected) for row in told.weeks]
    told_of = [mark.told for mark in picture.marks if isinstance(mark, Boxes) and mark.name == "expected"]
    assert told_of[0].startswith("Week 1: ")


def test_a_mean_lies_at_its_value_between_the_ends_of_its_interval():
    course = trial(26, 80).courses[0]
    picture = course_picture(course, "en", scale=(0, 10))
    ticks = {mark.text: mark.y - 4 for mark in picture.marks if isinstance(mark, Text) and mark.name == "tick"}

    def value(y: float) -> float:
        return (ticks["0"] - y) / (ticks["0"] - ticks["10"]) * 10

    dots = [mark for mark in picture.marks if isinstance(mark, Dot)]
    spans = [mark for mark in picture.marks if isinstance(mark, Line) and mark.name == "interval"]
    assert len(dots) == len(spans) == len(course.weeks)
    for week, dot, span in zip(course.weeks, dots, spans, strict=True):
        assert value(dot.y) == pytest.approx(week.mean)
        high, low = (value(y) for _, y in span.points)
        assert (low, high) == (pytest.approx(week.interval[0]), pytest.approx(week.interval[1]))
    assert words(picture, "count") == [str(week.patients.numerator) for week in course.weeks]
    assert len(words(picture, "value")) == 2


def test_means_are_joined_only_from_one_week_to_the_next():
    course = trial(26, 80).courses[0]
    gap = type(course)(course.item, course.name, tuple(one for one in course.weeks if one.week not in (8, 9)))
    joined = [mark for mark in course_picture(gap, "en", scale=(0, 10)).marks if mark.name == "line"]
    assert len(joined) == 22


def test_an_interval_that_leaves_the_scale_is_drawn_to_its_edge():
    course = trial(2, 4).courses[0]
    assert min(week.interval[0] for week in course.weeks if week.interval) < 0
    picture = course_picture(course, "en", scale=(0, 10))
    tick = {mark.text: mark.y - 4 for mark in picture.marks if isinstance(mark, Text) and mark.name == "tick"}
    for mark in picture.marks:
        if mark.name == "interval":
            assert all(tick["10"] - 0.01 <= y <= tick["0"] + 0.01 for _, y in mark.points)


def test_the_lines_of_recruitment_end_at_what_they_are_called():
    told = trial(26, 80)
    picture = arrivals_picture(told.arrivals, "en", today=told.today)
    assert words(picture, "line-end") == ["added 80", "joined 77"]
    added, joined = [mark for mark in picture.marks if isinstance(mark, Line) and mark.name in ("added", "joined")]
    assert bool(added.dashes) != bool(joined.dashes)  # told apart without a colour
    for steps in (added, joined):
        assert all(
            one[0] == two[0] or one[1] == two[1] for one, two in zip(steps.points, steps.points[1:], strict=False)
        )
        assert list(steps.points) == sorted(steps.points, key=lambda point: (point[0], -point[1]))


def test_a_trial_of_nobody_says_in_each_picture_that_there_is_nothing_yet():
    assert words(trial_picture(nobody(), "en"), "nothing") == ["Nothing to show yet."] * 2
