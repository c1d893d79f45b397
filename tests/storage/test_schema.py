import re
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, exc, insert, inspect, select, text, update

from diary import SYSTEM, SendOutcome
from diary.answers import Arrival, correct_answer, record_answer, scored
from protocol.errors import SchemaError
from schedules.dispatcher import send_due
from storage import slots as ledger
from storage import tables
from storage.audit import Audit, write_audit
from tests.cast import START, T0, Stage, cairo
from tests.schedules.senders import FakeSender

NOW = cairo("2026-11-24 20:05")
# What a lower(code) is indexed by is compared by its words below.
NO_EXPRESSIONS = pytest.mark.filterwarnings("ignore:.*expression-based index")


@pytest.fixture
async def answered(stage: Stage):
    """A slot with its first entry, and a row of every table that only grows."""
    amina = await stage.joined()
    async with stage.db.read() as conn:
        slots = await ledger.slots_of_patient(conn, amina.id, now=NOW)
    slot = next(s for s in slots if s.item == "pain" and s.local_date == START)
    return await record_answer(
        stage.db, patient_id=amina.id, slot_id=slot.id, answer=scored(7), arrival=Arrival("button", NOW), now=NOW
    )


async def entry_like(stage, entry_id, **changed):
    """Insert an entry equal to another but for what is changed."""
    async with stage.db.write() as conn:
        found = await conn.execute(select(tables.entries).where(tables.entries.c.id == entry_id))
        values = dict(found.one()._mapping) | changed
        del values["id"]
        await conn.execute(insert(tables.entries), values)


@NO_EXPRESSIONS
async def test_the_tables_are_what_the_migrations_make(db):
    async with db.write() as conn:
        differences = await conn.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}),
                tables.metadata,
            )
        )
    assert differences == []


async def test_the_constraints_are_what_the_migrations_make(db, tmp_path):
    """What alembic does not compare: checks, and every other word of a table's definition."""
    async with db.read() as conn:
        migrated = await _definitions(conn) | await _definitions(conn, "index")
    made = sqlite3.connect(tmp_path / "made.db")
    engine = create_engine("sqlite://", creator=lambda: made)
    tables.metadata.create_all(engine)
    direct = dict(
        made.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    )
    engine.dispose()
    made.close()
    assert {name: _parts(sql) for name, sql in migrated.items()} == {
        name: _parts(sql) for name, sql in direct.items()
    }


async def _definitions(conn, kind="table"):
    rows = await conn.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type = :kind AND name NOT LIKE 'sqlite_%'"), {"kind": kind}
    )
    return {row.name: row.sql for row in rows if row.name != "alembic_version"}


def _parts(sql):
    """The parts of a definition without their order and blanks; a column added later shares a line with others."""
    plain = re.sub(r"\s+", " ", sql).replace('"', "")
    body, _, after = plain.partition("(")[2].rpartition(")")
    return sorted(part.strip() for part in [*re.split(r",(?![^()]*\))", body), after])


async def test_every_table_is_strict(db):
    async with db.read() as conn:
        definitions = await _definitions(conn)
    assert set(definitions) == set(tables.metadata.tables)
    assert [name for name, sql in definitions.items() if not sql.rstrip().endswith("STRICT")] == []


async def test_there_is_no_column_for_a_treatment_arm_and_no_name(db):
    columns = {f"{table.name}.{column.name}" for table in tables.metadata.tables.values() for column in table.c}
    forbidden = re.compile(r"\.(arm|treatment|allocation|randomi.*|first_name|last_name|phone|birth.*|chat_id)$")
    assert [column for column in columns if forbidden.search(column)] == []


async def test_every_clinical_row_points_at_its_line_in_the_trail():
    for name in (
        "entries", "notes", "consents", "patients", "patient_zones", "patient_phases", "patient_times", "visits",
        "comments",
    ):  # fmt: skip
        assert not tables.metadata.tables[name].c.audit_id.nullable


async def seen_at_the_clinic(stage, patient_id):
    """A visit and a comment, as rows."""
    nour = await stage.nurse()
    row = {"patient_id": patient_id, "recorded_at": NOW, "audit_id": 1}
    visit = {"protocol_id": 1, "visit": "baseline", "held_on": START, "measured": {"lanss": 14}}
    async with stage.db.write() as conn:
        await conn.execute(insert(tables.visits), row | visit)
        await conn.execute(insert(tables.comments), row | {"staff_id": nour, "text": "Why?", "form": "f1"})


@pytest.mark.parametrize("table", ["entries", "audit", "consents", "visits", "comments"])
@pytest.mark.parametrize("act", ["UPDATE {} SET id = id", "DELETE FROM {}"])
async def test_what_may_only_grow_refuses_to_be_changed(stage, answered, table, act):
    await seen_at_the_clinic(stage, answered.slot.patient_id)
    with pytest.raises(exc.IntegrityError, match="only grows"):
        async with stage.db.write() as conn:
            await conn.execute(text(act.format(table)))


async def test_a_note_stays_as_it_was_written(stage, answered):
    async with stage.db.write() as conn:
        audit = await write_audit(conn, Audit(NOW, SYSTEM, "keep"))
        await conn.execute(
            insert(tables.notes),
            {
                "patient_id": answered.slot.patient_id, "kind": "note", "text": "dizzy", "received_at": NOW,
                "recorded_at": NOW, "local_date": START, "zone": "UTC", "utc_offset_minutes": 0, "audit_id": audit,
            },
        )  # fmt: skip
    with pytest.raises(exc.IntegrityError, match="stays as it was written"):
        async with stage.db.write() as conn:
            await conn.execute(update(tables.notes).values(text="fine"))


@pytest.mark.parametrize("table", ["patients", "sites", "staff"])
async def test_a_code_that_differs_only_by_case_is_refused_by_the_table_itself(stage, answered, table):
    await stage.nurse()
    rows = tables.metadata.tables[table]
    async with stage.db.read() as conn:
        values = dict((await conn.execute(select(rows))).first()._mapping)
    del values["id"]
    with pytest.raises(exc.IntegrityError, match=f"{table}_code_in_any_case"):
        async with stage.db.write() as conn:
            await conn.execute(insert(rows), values | {"code": values["code"].swapcase()})


async def test_foreign_keys_are_on(stage, answered):
    with pytest.raises(exc.IntegrityError, match="FOREIGN KEY"):
        await entry_like(stage, answered.entry.id, slot_id=999_999)


async def test_a_score_that_is_no_number_is_refused_by_the_table_itself(stage, answered):
    with pytest.raises(exc.IntegrityError, match="cannot store TEXT value in INTEGER column"):
        async with stage.db.write() as conn:
            await conn.execute(
                text(
                    "INSERT INTO entries (patient_id, slot_id, answer, score, kind, source, due_at, received_at,"
                    " recorded_at, local_date, zone, utc_offset_minutes, audit_id)"
                    " SELECT patient_id, slot_id, answer, 'seven', kind, source, due_at, received_at,"
                    " recorded_at, local_date, zone, utc_offset_minutes, audit_id FROM entries"
                )
            )


@pytest.mark.parametrize(
    ("changed", "constraint"),
    [
        ({"score": 11}, "entries_score_range"),
        ({"score": -1}, "entries_score_range"),
        ({"score": None}, "entries_score_given"),
        ({"answer": "taken"}, "entries_score_given"),
        ({"answer": "perhaps", "score": None}, "entries_answer"),
        ({"kind": "sooner or later"}, "entries_kind"),
        ({"change_reason": None}, "entries_changed_with_reason"),
        ({"supersedes": None}, "entries_changed_with_reason"),
    ],
)
async def test_an_entry_that_makes_no_sense_is_refused_by_the_table_itself(stage, answered, changed, constraint):
    correction = {"supersedes": answered.entry.id, "change_reason": "r"} | changed
    with pytest.raises(exc.IntegrityError, match=constraint):
        await entry_like(stage, answered.entry.id, **correction)


async def test_a_slot_has_one_first_entry(stage, answered):
    with pytest.raises(exc.IntegrityError, match=r"UNIQUE.*entries.slot_id"):
        await entry_like(stage, answered.entry.id)


async def test_an_entry_is_superseded_once(stage, answered):
    await correct_answer(
        stage.db,
        patient_id=answered.slot.patient_id,
        slot_id=answered.slot.id,
        answer=scored(3),
        reason="wrong button",
        arrival=Arrival("button", NOW),
        now=NOW,
    )
    with pytest.raises(exc.IntegrityError, match=r"UNIQUE.*entries.supersedes"):
        await entry_like(stage, answered.entry.id, supersedes=answered.entry.id, change_reason="again")


@pytest.mark.parametrize("live", ["claimed", "sent", "unknown"])
async def test_a_nudge_cannot_be_sent_twice(stage, live):
    await stage.joined()
    await send_due(stage.db, FakeSender(), now=cairo("2026-11-24 20:00"))
    async with stage.db.read() as conn:
        sent = dict((await conn.execute(select(tables.sends))).first()._mapping)
    assert sent.pop("outcome") == SendOutcome.SENT
    del sent["id"]
    with pytest.raises(exc.IntegrityError, match=r"UNIQUE.*sends.slot_id, sends.nudge"):
        async with stage.db.write() as conn:
            await conn.execute(insert(tables.sends), sent | {"outcome": live})
    async with stage.db.write() as conn:  # what certainly was not sent may stand beside it
        await conn.execute(insert(tables.sends), sent | {"outcome": "put back"})


async def test_a_slot_that_is_answered_or_excused_cannot_wait_to_be_nudged(stage, answered):
    s = tables.slots
    with pytest.raises(exc.IntegrityError, match="nudged_only_while_open"):
        async with stage.db.write() as conn:
            await conn.execute(update(s).where(s.c.id == answered.slot.id).values(next_nudge_at=NOW))


async def test_a_failed_transaction_leaves_nothing_behind(stage):
    async def half():
        async with stage.db.write() as conn:
            await write_audit(conn, Audit(T0, SYSTEM, "half done"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await half()
    async with stage.db.read() as conn:
        verbs = (await conn.execute(select(tables.audit.c.verb))).scalars().all()
    assert "half done" not in verbs


async def test_a_reader_cannot_write(stage):
    with pytest.raises(exc.OperationalError, match="readonly"):
        async with stage.db.read() as conn:
            await conn.execute(text("DELETE FROM heartbeats"))


@NO_EXPRESSIONS
async def test_the_questions_asked_most_have_their_index(db):
    async with db.read() as conn:
        names = await conn.run_sync(
            lambda sync: {
                index["name"] for table in tables.metadata.tables for index in inspect(sync).get_indexes(table)
            }
        )
        plan = await conn.execute(
            text("EXPLAIN QUERY PLAN SELECT id FROM slots WHERE next_nudge_at <= '2026-11-24'")
        )
        assert "slots_to_nudge" in " ".join(row.detail for row in plan)
    assert {"slots_to_nudge", "sends_once", "entries_first", "inbox_open", "notices_to_send"} <= names


async def test_a_migration_may_build_a_table_anew_though_rows_point_at_it(stage, monkeypatch):
    await stage.joined()

    def rebuild(connection):
        form = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'slots'").scalar_one()
        connection.exec_driver_sql(form.replace("CREATE TABLE slots", "CREATE TABLE slots_new", 1))
        connection.exec_driver_sql("INSERT INTO slots_new SELECT * FROM slots")
        connection.exec_driver_sql("DROP TABLE slots")
        connection.exec_driver_sql("ALTER TABLE slots_new RENAME TO slots")

    def lose(connection):
        connection.exec_driver_sql("DELETE FROM sites")

    before = await _count(stage.db, "slots")
    monkeypatch.setattr("storage.database._upgrade", lose)
    with pytest.raises(SchemaError, match="nothing was changed"):
        await stage.db.migrate()
    monkeypatch.setattr("storage.database._upgrade", rebuild)
    await stage.db.migrate()

    assert await _count(stage.db, "slots") == before
    assert await _count(stage.db, "sites") == 1
    assert (await stage.db.pragmas())["foreign_keys"] == 1


async def _count(db, table):
    async with db.read() as conn:
        return (await conn.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
