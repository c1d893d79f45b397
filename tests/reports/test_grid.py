from datetime import timedelta

import pytest

from diary import SYSTEM, PatientStatus
from diary.enrolment import change_status, move_phase
from protocol.errors import UnknownCodeError
from reports.grid import Cell, Window, _cell, grid_page
from reports.site import grid
from storage.grids import _BITS
from storage.states import SlotState
from tests.cast import START, Stage, cairo
from tests.reports.diary_of import TAKEN, say, scored

FRIDAY = cairo("2026-11-27 10:00")
WHOLE = Window(1, 200)


async def test_a_row_has_a_cell_for_every_day_of_the_trial(stage: Stage, amina):
    found = await grid_page(stage.db, None, FRIDAY, WHOLE)

    assert (found.days, found.total, found.page, found.pages) == (182, 1, 1, 1)
    [row] = found.rows
    assert (row.code, row.site, row.status, row.start) == ("P-001", "main", PatientStatus.ACTIVE, START)
    assert row.phases == (("iv", 1, 14), ("oral", 15, 42), ("follow-up", 43, 182))
    assert len(row.cells) == 182
    # On the 25th the infusion was late and the rating missed, on the 26th the other way round.
    assert row.cells[:5] == (Cell.ANSWERED, Cell.PARTLY, Cell.PARTLY, Cell.OPEN, Cell.COMING)
    assert (row.cells[42], row.cells[43]) == (Cell.COMING, Cell.NOT_ASKED)


async def test_a_cell_says_the_same_as_the_figures_of_its_day(stage: Stage, amina):
    [row] = (await grid_page(stage.db, None, FRIDAY, WHOLE)).rows
    [figures] = (await grid(stage.db, None, FRIDAY, 10)).rows
    for day, counted in figures.days.items():
        cell = row.cells[(day - row.start).days]
        assert (cell is Cell.OPEN) == bool(counted.open)
        assert (cell is Cell.PARTLY) == bool(counted.answered and counted.missed and not counted.open)


async def test_a_day_with_a_late_answer_is_late_and_one_without_any_is_missed(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    await say(stage, amina.id, "pain 2026-11-24", scored(4), "2026-11-24 23:30")
    [row] = (await grid_page(stage.db, None, FRIDAY, WHOLE)).rows
    assert row.cells[:2] == (Cell.LATE, Cell.MISSED)


async def test_patients_are_compared_by_their_own_days(stage: Stage):
    for code, chat, start in (("P-001", 1001, START), ("P-002", 1002, START + timedelta(days=2))):
        patient = await stage.joined(code, chat=chat, start=start)
        for item, what, wall in (("infusion", TAKEN, "09:30"), ("pain", scored(3), "20:05")):
            await say(stage, patient.id, f"{item} {start}", what, f"{start} {wall}")
    first, second = (await grid_page(stage.db, None, cairo("2026-11-30 10:00"), WHOLE)).rows
    assert (second.start - first.start).days == 2
    assert first.cells[0] is second.cells[0] is Cell.ANSWERED
    assert (first.cells[6], second.cells[4]) == (Cell.OPEN, Cell.OPEN)


async def test_days_before_joining_and_after_leaving_look_different(stage: Stage):
    amina = await stage.joined(now=cairo("2026-11-26 01:00"))
    await change_status(
        stage.db,
        patient_id=amina.id,
        status=PatientStatus.WITHDRAWN,
        actor=SYSTEM,
        reason="stop",
        now=cairo("2026-11-28 01:00"),
    )
    [row] = (await grid_page(stage.db, None, cairo("2026-11-29 10:00"), WHOLE)).rows
    assert row.status is PatientStatus.WITHDRAWN
    assert row.cells[:6] == (
        Cell.EXCUSED,
        Cell.EXCUSED,
        Cell.MISSED,
        Cell.MISSED,  # the infusion; the rating that was open went with her
        Cell.CANCELLED,
        Cell.CANCELLED,
    )


async def test_a_moved_phase_is_marked_where_it_lies_and_a_longer_trial_is_shown_whole(stage: Stage):
    await stage.joined()
    await move_phase(
        stage.db,
        code="P-001",
        phase="oral",
        start=START + timedelta(days=20),
        actor=SYSTEM,
        reason="late",
        now=cairo("2026-11-24 12:00"),
    )
    found = await grid_page(stage.db, None, FRIDAY, WHOLE)
    assert found.rows[0].phases == (("iv", 1, 14), ("oral", 21, 48), ("follow-up", 49, 188))
    assert (found.days, len(found.rows[0].cells)) == (188, 188)
    assert found.rows[0].cells[14:21] == (*[Cell.NOT_ASKED] * 6, Cell.COMING)


async def test_a_phase_that_begins_early_ends_the_one_before(stage: Stage):
    await stage.joined()
    await move_phase(
        stage.db,
        code="P-001",
        phase="oral",
        start=START + timedelta(days=3),
        actor=SYSTEM,
        reason="early",
        now=cairo("2026-11-24 12:00"),
    )
    assert (await grid_page(stage.db, None, FRIDAY, WHOLE)).rows[0].phases[:2] == (("iv", 1, 3), ("oral", 4, 31))


async def test_a_patient_of_another_site_is_in_no_row_and_no_count(stage: Stage, amina, elsewhere):
    assert [row.code for row in (await grid_page(stage.db, None, FRIDAY, WHOLE)).rows] == ["P-001", "P-900"]
    found = await grid_page(stage.db, elsewhere, FRIDAY, WHOLE)
    assert ([row.code for row in found.rows], found.total) == (["P-900"], 1)
    assert [row.code for row in (await grid_page(stage.db, None, FRIDAY, WHOLE, site="main")).rows] == ["P-001"]
    for site in ("main", "nowhere"):
        with pytest.raises(UnknownCodeError):
            await grid_page(stage.db, elsewhere, FRIDAY, WHOLE, site=site)
    assert (await grid_page(stage.db, frozenset(), FRIDAY, WHOLE)).rows == ()


async def test_the_grid_comes_in_pages_and_from_a_day_on(stage: Stage, amina, elsewhere):
    second = await grid_page(stage.db, None, FRIDAY, Window(181, 42), per_page=1, page=2)
    assert ([row.code for row in second.rows], second.total, second.pages) == (["P-900"], 2, 2)
    assert len(second.rows[0].cells) == 2
    assert (await grid_page(stage.db, None, FRIDAY, WHOLE, per_page=1, page=9)).page == 2
    assert (await grid_page(stage.db, None, FRIDAY, Window(500, 42))).rows[0].cells == ()


async def test_by_dates_every_line_begins_on_the_same_day_whenever_the_trial_did(stage: Stage, amina):
    await stage.add("P-002", start=START + timedelta(days=2))
    found = await grid_page(stage.db, None, FRIDAY, Window(START - timedelta(days=1), 5))
    assert {row.first for row in found.rows} == {START - timedelta(days=1)}
    first, second = (row.cells for row in found.rows)
    assert first == (Cell.NOT_ASKED, Cell.ANSWERED, Cell.PARTLY, Cell.PARTLY, Cell.OPEN)
    assert second == (*[Cell.NOT_ASKED] * 3, Cell.EXCUSED, Cell.COMING)


async def test_a_window_of_trial_days_ends_with_the_longest_trial(stage: Stage, amina):
    [row] = (await grid_page(stage.db, None, FRIDAY, Window(169, 42))).rows
    assert (row.first, len(row.cells)) == (START + timedelta(days=168), 14)


async def test_a_grid_of_nobody_has_no_days(stage: Stage):
    found = await grid_page(stage.db, None, FRIDAY, WHOLE)
    assert (found.days, found.rows, found.pages) == (0, (), 1)


@pytest.mark.parametrize(
    ("states", "cell"),
    [
        ("on time", Cell.ANSWERED),
        ("on time + excused", Cell.ANSWERED),
        ("on time + cancelled", Cell.ANSWERED),
        ("on time + late", Cell.LATE),
        ("late + missed", Cell.PARTLY),
        ("missed + excused", Cell.MISSED),
        ("missed + open", Cell.OPEN),
        ("on time + coming", Cell.OPEN),
        ("missed + coming", Cell.OPEN),
        ("excused + coming", Cell.COMING),
        ("excused + cancelled", Cell.EXCUSED),
        ("cancelled", Cell.CANCELLED),
    ],
)
def test_the_states_of_a_day_make_one_cell(states, cell):
    assert _cell(sum(_BITS[state] for state in states.split(" + "))) is cell


def test_every_mixture_of_states_makes_a_cell():
    assert all(_cell(bits) in Cell for bits in range(1, 1 << len(SlotState)))
