"""Databases with many patients: a few enrolled by the verbs, the others copies of their rows.

Every row is as the diary writes it. Only the number is made cheaply, so that two million slots take seconds.
"""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from diary import SYSTEM, Database, Keys
from diary.enrolment import add_patient
from diary.joining import join, record_consent
from diary.protocols import adopt_protocol
from diary.team import add_site
from protocol.load import load_protocol

KEY: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PROTOCOL: Final = "magnesium-clbp"
SITE: Final = "main"
ZONE: Final = "Africa/Cairo"
FIRST_CHAT: Final = 7_100_000_000
JOINING_TAKES: Final = timedelta(hours=1)

_COPIED: Final = (
    "protocol_id, phase, item, kind, local_date, n, zone, utc_offset_minutes, opens_at, due_at, on_time_until,"
    " closes_at, label, next_nudge_at, nudges, excused_because, cancelled_because"
)

_OF_PATIENT: Final = (
    "site_id, protocol_id, status, language, added_at, joined_at, withdrawn_at, erased_at, audit_id"
)

_COPIES: Final = f"""
INSERT INTO patients (id, code, {_OF_PATIENT}) SELECT :new, :code, {_OF_PATIENT} FROM patients WHERE id = :old;
INSERT INTO patient_phases SELECT :new, phase, start, audit_id FROM patient_phases WHERE patient_id = :old;
INSERT INTO patient_zones SELECT :new, since, zone, audit_id FROM patient_zones WHERE patient_id = :old;
INSERT INTO contacts SELECT NULL, :new, NULL, bot_id, :hash, :sealed, reachable, awaiting, audit_id
    FROM contacts WHERE patient_id = :old;
INSERT INTO slots (patient_id, {_COPIED}) SELECT :new, {_COPIED} FROM slots WHERE patient_id = :old ORDER BY id
""".split(";")


def chat_of(number: int) -> int:
    """The chat of the patient with this id."""
    return FIRST_CHAT + number


@dataclass(slots=True)
class Ledgers:
    """A database file and the patients to copy from: one for each day on which somebody began."""

    path: Path
    bot_id: int
    starts: list[date]

    def database(self) -> Database:
        return Database(f"sqlite:///{self.path}", Keys([KEY]))

    async def set_up(self) -> None:
        """Make the database, and enrol by the verbs one patient for each start."""
        before = datetime.combine(min(self.starts), datetime.min.time(), UTC) - timedelta(days=3)
        db = self.database()
        await db.open(schema_checked=False)
        await db.migrate()
        await add_site(db, code=SITE, name="Main clinic", timezone=ZONE, actor=SYSTEM, now=before)
        protocol_id = await adopt_protocol(db, load_protocol(PROTOCOL), now=before)
        for number, start in enumerate(self.starts, start=1):
            now = datetime.combine(start, datetime.min.time(), UTC) - timedelta(days=2)
            invite = await add_patient(
                db,
                code=code_of(number),
                start=start,
                site=SITE,
                protocol_id=protocol_id,
                timezone=None,
                language="en",
                actor=SYSTEM,
                now=now,
            )
            now += JOINING_TAKES
            person = await join(db, bot_id=self.bot_id, chat_id=chat_of(number), token=invite.token, now=now)
            assert person.patient is not None
            assert person.patient.id == number
            await record_consent(db, patient_id=number, agreed=True, language="en", text="text", now=now)
        await db.close()

    def fill(self, patients: int, *, as_of: datetime) -> int:
        """Copy until there are so many patients, let all that was due before `as_of` be answered; count slots.

        In a process of its own: the large cache that makes it quick must not count as the diary's memory.
        """
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            return apart.submit(self._fill_here, patients, as_of).result()

    def _fill_here(self, patients: int, as_of: datetime) -> int:
        connection = sqlite3.connect(self.path, isolation_level=None)
        # A half-made database is thrown away, so nothing has to be durable yet.
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN")
        there = connection.execute("SELECT max(id) FROM patients").fetchone()[0]
        for number in range(there + 1, patients + 1):
            self._copy(connection, number, template=(number - 1) % len(self.starts) + 1)
        _answer_what_was_due(connection, as_of)
        slots: int = connection.execute("SELECT count(*) FROM slots").fetchone()[0]
        connection.execute("COMMIT")
        connection.close()
        return slots

    def _copy(self, connection: sqlite3.Connection, number: int, *, template: int) -> None:
        keys = Keys([KEY])
        chat_hash = keys.lookups("chat", f"{self.bot_id}:{chat_of(number)}")[0]
        sealed = keys.seal({"chat": chat_of(number)}, context=f"contact:patient:{number}")
        names = {"new": number, "old": template, "code": code_of(number), "hash": chat_hash, "sealed": sealed}
        for statement in _COPIES:
            connection.execute(statement, names)


def _answer_what_was_due(connection: sqlite3.Connection, as_of: datetime) -> None:
    """Give every slot of the past an entry of the same number, as if all had been answered on time."""
    until = {"as_of": as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    connection.execute(
        "UPDATE slots SET next_nudge_at = NULL, nudges = 1, prompted_at = due_at, answered_by = id,"
        " answered_as = 'on time' WHERE due_at < :as_of AND answered_by IS NULL",
        until,
    )
    connection.execute(
        "INSERT INTO entries (id, patient_id, slot_id, answer, score, kind, source, due_at, prompted_at,"
        " received_at, recorded_at, local_date, zone, utc_offset_minutes, audit_id)"
        " SELECT id, patient_id, id, iif(kind = 'dose', 'taken', 'score'), iif(kind = 'dose', NULL, id % 11),"
        " 'on time', 'button', due_at, due_at, due_at, due_at, local_date, zone, utc_offset_minutes, 1"
        " FROM slots WHERE answered_by = id AND id NOT IN (SELECT id FROM entries)",
    )


def code_of(number: int) -> str:
    """The code of the patient with this id."""
    return f"P-{number:05d}"
