"""Leaving in three steps: no more contact, no more use of the diary, no more identity."""

import csv
import json
import shutil
import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM, Database, Keys, PatientStatus
from diary.arrivals import keep, set_aside
from diary.enrolment import change_status, erase_patient, stop_use
from protocol.errors import NotAllowedError
from reports.adherence import adherence
from reports.export import export_bundle
from storage import contacts, tables
from tests.cast import AMINA_CHAT, BOT, T0, Stage, cairo
from tests.conftest import KEY

LATER = cairo("2026-11-28 12:00")


async def left(stage):
    amina = await stage.lived()
    await stage.alert(amina, "dizzy")
    await change_status(
        stage.db, patient_id=amina.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="r", now=LATER
    )
    return amina


def lines(folder, name):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_use_is_stopped_only_for_who_has_left_and_once(stage: Stage):
    amina = await stage.joined()
    act = {"code": "P-001", "actor": SYSTEM, "reason": "asked for"}
    with pytest.raises(NotAllowedError, match="withdraw the patient first"):
        await stop_use(stage.db, now=LATER, **act)
    await change_status(
        stage.db, patient_id=amina.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="r", now=LATER
    )
    for day in range(3):
        await stop_use(stage.db, now=LATER + timedelta(days=day), **act)
    async with stage.db.read() as conn:
        trail = await conn.execute(select(tables.audit.c.at).where(tables.audit.c.verb == "stop use"))
        stopped = (await conn.execute(select(tables.patients.c.use_stopped_at))).scalar_one()
        assert [row.at for row in trail] == [LATER] == [stopped]


async def test_a_diary_that_is_no_longer_used_is_in_no_file_but_the_list_of_subjects(stage: Stage, tmp_path):
    await left(stage)
    basma = await stage.joined("P-002", chat=1002)
    await stage.alert(basma, "tired")
    await stop_use(stage.db, code="P-001", actor=SYSTEM, reason="asked for", now=LATER)
    written = await export_bundle(stage.db, tmp_path / "out", formats=["csv"], now=LATER)
    found = {file.name: lines(tmp_path / "out", file.name) for file in written if file.table}
    assert [row["subject"] for row in found.pop("subjects.csv")] == ["P-001", "P-002"]
    assert {name for name, rows in found.items() for row in rows if row.get("subject") == "P-001"} == set()
    assert {row["subject"] for row in found["notes.csv"]} == {"P-002"}
    # Whoever left stays in the figures of the study, as a leaver.
    assert [row.key["patient"] for row in await adherence(stage.db, now=LATER)] == ["P-001", "P-002"]


async def test_an_erased_chat_is_in_no_byte_of_the_database_nor_of_a_later_copy(stage: Stage, tmp_path):
    amina = await left(stage)
    async with stage.db.read() as conn:
        sealed = (await contacts.contact_of_patient(conn, amina.id)).sealed
    path = tmp_path / "daybook.db"
    assert sealed in path.read_bytes()
    await erase_patient(stage.db, code="P-001", actor=SYSTEM, reason="asked for", now=LATER)

    copy = tmp_path / "copy.db"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    kept = [file.name for file in tmp_path.glob("*.db*") if sealed in file.read_bytes()]
    assert kept == []


async def test_an_erased_chat_is_not_left_in_a_write_ahead_log_nor_under_one(template, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.database.wal_is_safe", lambda _version: True)
    path = tmp_path / "wal.db"
    shutil.copy(template, path)
    db = Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open()
    stage = Stage(db)
    await stage.set_up()
    amina = await left(stage)
    async with db.read() as conn:
        sealed = (await contacts.contact_of_patient(conn, amina.id)).sealed
    assert (await db.pragmas())["journal_mode"] == "wal"
    assert sealed in b"".join(file.read_bytes() for file in tmp_path.glob("wal.db*"))
    await erase_patient(db, code="P-001", actor=SYSTEM, reason="asked for", now=LATER)
    assert [file.name for file in tmp_path.glob("wal.db*") if sealed in file.read_bytes()] == []
    await db.close()


async def test_what_was_set_aside_and_what_waits_goes_with_the_identity_and_nobody_elses(stage: Stage):
    await left(stage)

    def body(number, chat):
        user = {"id": chat, "first_name": "Amina", "is_bot": False}
        message = {"message_id": AMINA_CHAT, "date": 1, "chat": {"id": chat, "type": "private"}, "from": user}
        return number, json.dumps({"update_id": number, "message": message | {"text": str(AMINA_CHAT)}}).encode()

    chats = (AMINA_CHAT, AMINA_CHAT, int(f"{AMINA_CHAT}7"), 1002)
    updates = [body(number, chat) for number, chat in enumerate(chats)]
    kept = await keep(stage.db, bot_id=BOT, updates=updates, now=LATER)
    await set_aside(stage.db, kept[0].inbox_id, because="KeyError")
    await erase_patient(stage.db, code="P-001", actor=SYSTEM, reason="asked for", now=LATER)
    async with stage.db.read() as conn:
        rows = await conn.execute(select(tables.inbox.c.sealed).order_by(tables.inbox.c.id))
        assert [row.sealed is None for row in rows] == [True, True, False, False]


async def test_erasing_twice_is_erasing_once(stage: Stage):
    await left(stage)
    for _ in range(2):
        await erase_patient(stage.db, code="P-001", actor=SYSTEM, reason="asked for", now=T0 + timedelta(days=9))
    async with stage.db.read() as conn:
        trail = await conn.execute(select(tables.audit.c.id).where(tables.audit.c.verb == "erase identity"))
        assert len(trail.all()) == 1
