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
from diary import SYSTEM
from diary.enrolment import add_patient
from protocol.calendar import Enrolment, PlannedSlot, ZoneSince, phase_starts_from, plan
from protocol.load import load_protocol

_NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
_START = date(2026, 11, 24)
_COLUMNS = "patient_id, protocol_id, phase, item, kind, local_date, n, zone, utc_offset_minutes, opens_at, due_at," \
    " on_time_until, closes_at, label, next_nudge_at, nudges"


async def measure(folder: Path, *, quick: bool) -> list[Figure]:
    """One patient after another, each with a first day of its own as far as the calendar goes."""
    rounds, each = (3, 10) if quick else (7, 30)
    protocol = load_protocol(PROTOCOL).protocol
    ledgers = Ledgers(folder / "planning.db", int(TOKEN.partition(":")[0]), [_START])
    await ledgers.set_up()
    db = ledgers.database()
    await db.open()
    pure, whole, bare = [], [], []
    with BareFile(folder / "floor.db") as file:
        floor = _Rows(ledgers.path, file.connection)
        for turn in range(rounds):
            starts = [_START + timedelta(days=(turn * each + number) % 365) for number in range(each)]
            pure.append(_timed_plans(protocol, starts) / each * 1000)
            began = time.perf_counter()
            for number, start in enumerate(starts):
                await add_patient(
                    db,
                    code=f"N-{turn}-{number}",
                    start=start,
                    site=SITE,
                    protocol_id=1,
                    timezone=None,
                    language="en",
                    actor=SYSTEM,
                    now=_NOW,
                )
            whole.append((time.perf_counter() - began) / each * 1000)
            began = time.perf_counter()
            for _ in range(each):
                floor.write()
            bare.append((time.perf_counter() - began) / each * 1000)
    await db.close()
    count = len(plan(protocol, _enrolment(protocol, _START)))
    written, planned = Rounds(whole, bare), Rounds(pure, bare)
    named = f"{median(bare):.2f} ms: one durable executemany of the same {count} rows by sqlite3"
    return [
        Figure(f"planning a patient's trial ({count} slots), pure", f"{spread(pure)} ms", named, planned.said()),
        Figure(
            "a patient enrolled: trial planned and written, invite made",
            f"{spread(whole)} ms",
            named,
            written.said(),
            "< 10 ms",
            median(whole) < 10,
        ),
    ]


def _enrolment(protocol, start: date) -> Enrolment:
    return Enrolment(phase_starts_from(protocol, start), (ZoneSince(_NOW, ZONE),), {})


def _timed_plans(protocol, starts: Sequence[date]) -> float:
    enrolments = [_enrolment(protocol, start) for start in starts]
    slots: list[tuple[PlannedSlot, ...]] = []
    began = time.perf_counter()
    for enrolment in enrolments:
        slots.append(plan(protocol, enrolment))  # noqa: PERF401 - the call is what is measured
    return time.perf_counter() - began


class _Rows:
    """The rows of one patient as the diary wrote them, to be written again by bare sqlite3, indexes and all."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        with sqlite3.connect(path) as source:
            shape = source.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = 'slots' AND sql IS NOT NULL ORDER BY rootpage"
            ).fetchall()
            self._rows = source.execute(f"SELECT {_COLUMNS} FROM slots WHERE patient_id = 1").fetchall()
        source.close()
        for (statement,) in shape:
            connection.execute(statement)
        self._connection = connection
        self._patient = 0

    def write(self) -> None:
        """One durable commit of all rows."""
        self._patient += 1
        rows = [(self._patient, *row[1:]) for row in self._rows]
        marks = ", ".join("?" * len(rows[0]))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO slots ({_COLUMNS}) VALUES ({marks})", rows)
        self._connection.execute("COMMIT")
