from datetime import date, timedelta

from diary import SYSTEM, PatientStatus, alerts
from diary.alerts import note_unreachable, raise_alert
from diary.enrolment import change_status, patient_id_of
from protocol.load import load_protocol
from reports.definitions import Figures
from reports.site import SilentPatient, adherence_table, grid, grid_page, open_alerts, silent, unreachable
from storage import contacts
from storage.closed import closed_slots
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import say, scored

FRIDAY = cairo("2026-11-27 10:00")


async def test_the_table_has_a_line_for_every_patient_with_its_denominator(stage: Stage, amina, elsewhere):
    main, coast = await adherence_table(stage.db, None, FRIDAY)

    assert (main.code, main.site, main.status, main.figures.answered, main.figures.expected) == (
        "P-001",
        "main",
        PatientStatus.ACTIVE,
        4,
        6,
    )
    assert main.last_answer_at == cairo("2026-11-26 23:00")
    assert (coast.code, coast.figures.answered, coast.figures.expected, coast.last_answer_at) == (
        "P-900",
        0,
        5,
        None,
    )
    assert await adherence_table(stage.db, elsewhere, FRIDAY) == [coast]
    assert await adherence_table(stage.db, frozenset(), FRIDAY) == []


async def test_silent_means_no_answer_on_the_days_the_protocols_rule_names(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "pain 2026-11-24", scored(3), "2026-11-24 20:00")
    assert load_protocol("magnesium-clbp").protocol.alert_of("silent-days").days == 3

    # Nothing on the 25th and 26th; of the 27th the infusion closes at 23:00, and that makes three.
    assert await silent(stage.db, None, cairo("2026-11-27 22:59")) == []
    assert await silent(stage.db, None, cairo("2026-11-27 23:00")) == [
        SilentPatient("P-001", "main", 3, date(2026, 11, 24), cairo("2026-11-24 20:00"))
    ]


async def test_silence_is_what_the_alert_rule_says_it_is(stage: Stage, amina, elsewhere):
    codes = {"P-001": amina.id, "P-900": await patient_id_of(stage.db, "P-900")}
    seen = set()
    for hours in range(0, 8 * 24, 3):
        now = cairo("2026-11-24 00:30") + timedelta(hours=hours)
        called = set()
        for code, patient_id in codes.items():
            async with stage.db.read() as conn:
                closed = await closed_slots(conn, patient_id, now=now)
            if alerts._silent(closed, 3):
                called.add(code)
        assert {patient.code for patient in await silent(stage.db, None, now)} == called
        seen.add(frozenset(called))
    assert seen == {frozenset(), frozenset({"P-900"}), frozenset({"P-001", "P-900"})}


async def test_who_never_answered_is_silent_from_the_beginning(stage: Stage, elsewhere):
    [found] = await silent(stage.db, elsewhere, FRIDAY)
    assert (found.code, found.days, found.answered_on, found.last_answer_at) == ("P-900", 3, None, None)


async def test_who_paused_is_not_called_silent(stage: Stage, elsewhere):
    patient_id = await patient_id_of(stage.db, "P-900")
    await change_status(
        stage.db, patient_id=patient_id, status=PatientStatus.PAUSED, actor=SYSTEM, reason="rests", now=FRIDAY
    )
    assert await silent(stage.db, None, FRIDAY) == []


async def test_unreachable_names_the_patient_and_why(stage: Stage, amina, elsewhere):
    async with stage.db.read() as conn:
        contact = await contacts.contact_of_patient(conn, amina.id)
    assert await unreachable(stage.db, None) == []
    await note_unreachable(stage.db, contact_id=contact.id, reachable="blocked", now=FRIDAY)

    assert [(who.code, who.site, who.because) for who in await unreachable(stage.db, None)] == [
        ("P-001", "main", "blocked")
    ]
    assert await unreachable(stage.db, elsewhere) == []


async def test_open_alerts_are_those_of_the_site_that_nobody_closed(stage: Stage, amina, elsewhere):
    async with stage.db.write() as conn:
        for key in ("one", "two"):
            await raise_alert(conn, patient_id=amina.id, rule="note", key=key, details={}, now=FRIDAY)
    newest, oldest = await open_alerts(stage.db, None)
    assert (newest.key, oldest.key, newest.code) == ("two", "one", "P-001")
    assert await open_alerts(stage.db, elsewhere) == []


async def test_the_grid_has_a_cell_for_each_day_on_which_something_was_due(stage: Stage, amina):
    found = await grid(stage.db, None, FRIDAY, 5)

    assert found.days[0] == date(2026, 11, 23)
    assert found.days[-1] == date(2026, 11, 27)
    [row] = found.rows
    assert row.days == {
        date(2026, 11, 24): Figures(on_time=2),
        date(2026, 11, 25): Figures(late=1, missed=1),
        date(2026, 11, 26): Figures(late=1, missed=1),
        date(2026, 11, 27): Figures(open=1),
    }
    assert (row.total.answered, row.total.expected) == (4, 6)


async def test_a_grid_of_nobody_has_its_days_all_the_same(stage: Stage):
    found = await grid(stage.db, None, T0, 7)
    assert (len(found.days), found.rows) == (7, ())


async def test_a_page_of_the_grid_has_the_days_of_the_grid_and_every_patient_of_its_sites(
    stage: Stage, amina, elsewhere
):
    await stage.add("P-002", start=START + timedelta(days=90))  # asked nothing yet
    whole = await grid(stage.db, None, FRIDAY, 5)
    pages = [await grid_page(stage.db, None, FRIDAY, 5, site=None, page=n, per_page=2) for n in (1, 2, 9)]
    assert [[row.code for row in one.grid.rows] for one in pages] == [["P-001", "P-002"], ["P-900"], ["P-900"]]
    assert [(one.page, one.pages) for one in pages] == [(1, 2), (2, 2), (2, 2)]
    assert pages[0].grid.days == whole.days
    assert [row for one in pages[:2] for row in one.grid.rows if row.days] == list(whole.rows)
    coast = await grid_page(stage.db, elsewhere, FRIDAY, 5, site="coast", page=1, per_page=2)
    assert [row.code for row in coast.grid.rows] == ["P-900"]
