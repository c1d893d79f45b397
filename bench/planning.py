"""Planning a patient's whole trial, and writing it."""

import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.figures import Figure, Rounds, spread
from bench.ground import BareFile
from bench.ledgers import PROTOCOL, SITE, ZONE, Ledgers
from bench.standin import TOKEN
from diary import SYSTEM, Database
from diary.enrolment import add_patient
from diary.ledger import replan
from protocol.calendar import Enrolment, PlannedSlot, ZoneSince, phase_starts_from, plan
from protocol.load import load_protocol
from protocol.model import Protocol
from storage import patients
from storage.audit import Audit, write_audit

_NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
_START = date(2026, 11, 24)
_COLUMNS = (
    "patient_id, protocol_id, phase, item, kind, local_date, n, zone, utc_offset_minutes, opens_at, due_at,"
    " on_time_until, closes_at, label, next_nudge_at, nudges"
)


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """One patient after another, each with a first day of its own as far as the calendar goes."""
    rounds, each = (3, 10) if quick else (7, 30)
    protocol = load_protocol(PROTOCOL).protocol
    ledgers = Ledgers(folder / "planning.db", int(TOKEN.partition(":")[0]), [_START])
    await ledgers.set_up()
    db = ledgers.database()
    await db.open()
    pure, written, whole, bare = [], [], [], []
    with BareFile(folder / "floor.db") as file:
        floor = _Rows(ledgers.path, file.connection)
        for turn in range(rounds):
            starts = [_START + timedelta(days=(turn * each + number) % 365) for number in range(each)]
            pure.append(_timed_plans(protocol, starts) / each)
            written.append(median([await _planned_and_written(db, protocol, f"W-{turn}-{s}", s) for s in starts]))
            whole.append(median([await _enrolled(db, f"N-{turn}-{start}", start) for start in starts]))
            bare.append(median([floor.write() for _ in starts]))
    await db.close()
    count = len(plan(protocol, _enrolment(protocol, _START)))
    named = f"{median(bare):.2f} ms: one durable executemany of the same {count} rows by sqlite3"
    return [
        Figure(
            f"planning a patient's trial ({count} slots), pure",
            f"{spread(pure)} ms",
            named,
            Rounds(pure, bare).said(),
        ),
        Figure(
            "a patient's trial planned and written",
            f"{spread(written)} ms",
            named,
            Rounds(written, bare).said(),
            "< 10 ms",
            median(written) < 10,
        ),
        Figure(
            "a patient enrolled, all in all: checks, trail, invite, trial planned and written",
            f"{spread(whole)} ms",
            named,
            Rounds(whole, bare).said(),
        ),
    ]


async def _planned_and_written(db: Database, protocol: Protocol, code: str, start: date) -> float:
    """Milliseconds for the ledger of a patient who has none yet, its commit included."""
    async with db.write() as conn:
        audit = await write_audit(conn, Audit(_NOW, SYSTEM, "add patient"))
        patient_id = await patients.add_patient(
            conn,
            code=code,
            site_id=1,
            protocol_id=1,
            language="en",
            added_at=_NOW,
            phase_starts=phase_starts_from(protocol, start),
            zone=ZONE,
            audit=audit,
        )
        patient = await patients.patient_by_id(conn, patient_id)
    began = time.perf_counter()
    async with db.write() as conn:
        await replan(db, conn, patient, now=_NOW, audit=audit)
    return (time.perf_counter() - began) * 1000


async def _enrolled(db: Database, code: str, start: date) -> float:
    """Milliseconds for the whole verb."""
    began = time.perf_counter()
    await add_patient(
        db,
        code=code,
        start=start,
        site=SITE,
        protocol_id=1,
        timezone=None,
        language="en",
        actor=SYSTEM,
        now=_NOW,
    )
    return (time.perf_counter() - began) * 1000


def _enrolment(protocol: Protocol, start: date) -> Enrolment:
    return Enrolment(phase_starts_from(protocol, start), (ZoneSince(_NOW, ZONE),), {})


def _timed_plans(protocol: Protocol, starts: Sequence[date]) -> float:
    enrolments = [_enrolment(protocol, start) for start in starts]
    slots: list[tuple[PlannedSlot, ...]] = []
    began = time.perf_counter()
    for enrolment in enrolments:
        slots.append(plan(protocol, enrolment))  # noqa: PERF401 - the call is what is measured
    return (time.perf_counter() - began) * 1000


class _Rows:
    """The rows of one patient as the diary wrote them, to be written again by bare sqlite3, indexes and all."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        with sqlite3.connect(path) as source:
            shape = source.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = 'slots' AND type IN ('table', 'index')"
                " AND sql IS NOT NULL ORDER BY rootpage"
            ).fetchall()
            self._rows = source.execute(f"SELECT {_COLUMNS} FROM slots WHERE patient_id = 1").fetchall()
        source.close()
        for (statement,) in shape:
            connection.execute(statement)
        self._connection = connection
        self._patient = 0

    def write(self) -> float:
        """Milliseconds for one durable commit of all rows."""
        began = time.perf_counter()
        self._patient += 1
        rows = [(self._patient, *row[1:]) for row in self._rows]
        marks = ", ".join("?" * len(rows[0]))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO slots ({_COLUMNS}) VALUES ({marks})", rows)
        self._connection.execute("COMMIT")
        return (time.perf_counter() - began) * 1000
