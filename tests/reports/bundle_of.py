"""A trial with everything that is hard to write down, exported in every format; and its cells, typed."""

import csv
from datetime import date, datetime

from diary.answers import Arrival
from diary.notes import keep_note
from diary.visits import record_visit
from reports.columns import Kind
from reports.export import export_bundle
from reports.tables import TABLES
from tests.cast import Stage, cairo
from tests.reports.diary_of import TAKEN, correct, say, scored, three_days

FRIDAY = cairo("2026-11-27 10:00")
TEXTS = (
    "Ça va: un été à Malmö, 5 € – “bien”",
    '=HYPERLINK("http://example.invalid","x")',
    "'quoted",
    "ألمٌ شديد، «الليلة»\nثم هدأ؛ 😀",
    ("word ألم, " * 1_200)[:9_999] + ".",
    "a bell \x07 and a tab\tinside",
)


async def hard_trial(stage: Stage) -> None:
    """A patient with answers, a correction, notes and a visit, and one without any entry."""
    amina = await stage.joined()
    await three_days(stage, amina.id)
    await correct(stage, amina.id, "pain 2026-11-26", scored(3), "2026-11-26 23:20", reason="=wrong button")
    await say(stage, amina.id, "infusion 2026-11-27", TAKEN, "2026-11-27 09:05")
    for number, text in enumerate(TEXTS):
        await keep_note(
            stage.db,
            patient_id=amina.id,
            kind="note",
            text=text,
            arrival=Arrival("text", cairo("2026-11-24 21:00"), cairo("2026-11-24 20:59")),
            key=f"m:{number}",
            now=cairo("2026-11-24 21:00"),
        )
    await record_visit(
        stage.db,
        code="P-001",
        visit="baseline",
        held_on=date(2026, 11, 24),
        measured={"lanss": 14, "nrs": 7, "flexion": 22.2, "extension": 11.8},
        supersedes=None,
        reason=None,
        actor=await stage.actor(),
        now=cairo("2026-11-24 12:00"),
    )
    await stage.add("P-002")


async def exported(stage: Stage, out, *formats):
    """The cells of each table, as the CSV has them, typed: times are naive, in UTC or on the wall."""
    await export_bundle(stage.db, out, formats=("csv", *formats), now=FRIDAY)
    return {table.name: cells_of(table, out / f"{table.name}.csv") for table in TABLES}


def cells_of(table, path):
    with path.open(encoding="utf-8", newline="") as text:
        return [
            {column.name: typed(column, row[column.name]) for column in table.columns}
            for row in csv.DictReader(text)
        ]


def typed(column, cell):
    return None if cell == "" else READ[column.kind](cell)


def instant(cell):
    return datetime.fromisoformat(cell[:23])


READ = {
    Kind.TEXT: lambda cell: cell.removeprefix("'"),
    Kind.CODE: str,
    Kind.INTEGER: int,
    Kind.NUMBER: float,
    Kind.DATE: date.fromisoformat,
    Kind.UTC: instant,
    Kind.LOCAL: instant,
}
