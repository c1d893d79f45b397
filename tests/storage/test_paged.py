"""Pages of rows come off an index, however many rows there are and whatever is asked of them."""

from datetime import date

import pytest
from sqlalchemy import event

from storage import extracts
from storage.paged import Page, Sought, entry_page, slot_page, subject_page
from tests.cast import T0, Stage

DAY = date(2026, 11, 24)
TWO = frozenset({1, 2})
ASKED = {
    "all": Sought(),
    "one site": Sought(site_ids=frozenset({1})),
    "two sites": Sought(TWO),
    "a day": Sought(first_day=DAY, last_day=DAY),
    "an item of a day": Sought(first_day=DAY, last_day=DAY, item="pain", phase="iv"),
    "an item of a day at two sites": Sought(TWO, first_day=DAY, last_day=DAY, item="pain"),
    "an item at two sites": Sought(TWO, item="pain"),
    "a state": Sought(state="missed"),
    "a state at two sites": Sought(TWO, state="missed", item="pain", first_day=DAY),
    "what holds at two sites": Sought(TWO, holds="yes", item="pain", first_day=DAY),
    "what holds": Sought(holds="yes"),
    "what is new": Sought(recorded_from=T0),
    "a patient": Sought(patient_id=1),
}
PAGES = {
    subject_page: ("P-001",),
    slot_page: ("P-001", "pain", "2026-11-24", 0),
    entry_page: ("P-001", "2026-11-23T08:00:00.000000Z", 1),
}
# A handful of rows, which SQLite reads in any way it likes.
SMALL = ("sites", "protocols", "staff")


async def statements_of(stage, read, sought, page):
    """What a page asks the database."""
    seen = []
    engine = stage.db._read_engine.sync_engine

    def note(_conn, _cursor, statement, parameters, _context, _many):
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    async with stage.db.read() as conn:
        await read(conn, sought, page, now=T0)
    event.remove(engine, "before_cursor_execute", note)
    return [one for one in seen if one[0].startswith("SELECT")]


@pytest.mark.parametrize("counted", [False, True], ids=["as it grows", "with statistics"])
@pytest.mark.parametrize(
    ("read", "asked"),
    # One patient is no page.
    [(read, asked) for read in PAGES for asked in ASKED if (read, asked) != (subject_page, "a patient")],
)
async def test_a_page_is_read_by_patients_code_from_where_it_goes_on_and_nothing_is_scanned(
    stage: Stage, read, asked, counted
):
    await stage.lived()
    await stage.joined("P-002", chat=1002)
    if counted:
        async with stage.db.write() as conn:
            await conn.exec_driver_sql("ANALYZE")
            # As in a large trial: 10,000 patients with 144 slots and 100 answers each.
            for table, rows in (("patients", 10_000), ("slots", 1_440_000), ("entries", 1_000_000)):
                stat = f"'{rows}' || substr(stat, instr(stat, ' '))"
                await conn.exec_driver_sql(f"UPDATE sqlite_stat1 SET stat = {stat} WHERE tbl = '{table}'")
        await stage.db._read_engine.dispose()  # connections read them when they are opened
    for after in (None, PAGES[read]):
        [(statement, parameters)] = await statements_of(stage, read, ASKED[asked], Page(1000, after))
        assert "OFFSET ?" not in statement or parameters[-1] == 0
        async with stage.db.read() as conn:
            plan = [row.detail for row in await conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        by_code = [step for step in plan if step.startswith("SEARCH patients USING")]
        assert by_code, plan
        scanned = [step.split()[1] for step in plan if step.startswith("SCAN")]
        assert set(scanned) <= set(SMALL), plan
        # Of one patient's rows a few hundred may be sorted; all rows never are.
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan, plan


@pytest.mark.parametrize(
    ("read", "exported", "count"),
    [
        (subject_page, extracts.subjects, 1),
        (slot_page, extracts.slots, 144),
        (entry_page, extracts.entries, 3),
    ],
    ids=["patients", "slots", "entries"],
)
async def test_a_line_read_by_page_is_the_line_of_the_export(stage: Stage, read, exported, count):
    await stage.lived()
    async with stage.db.read() as conn:
        paged = await read(conn, Sought(), Page(1000), now=T0)
        [whole] = [batch async for batch in exported(extracts.Wanted(conn, None, T0))]
    assert set(paged) == set(whole)
    lines = [sorted(zip(*(batch[name] for name in whole), strict=True), key=repr) for batch in (paged, whole)]
    assert lines[0] == lines[1]
    assert len(lines[0]) == count
