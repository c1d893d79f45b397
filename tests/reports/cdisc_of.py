"""A trial with two sites, and everything in it that a standard of CDISC has a place for."""

import csv
from datetime import date
from pathlib import Path

from diary import SYSTEM, PatientStatus
from diary.answers import Arrival
from diary.enrolment import change_status, patient_id_of, stop_use
from diary.joining import record_consent
from diary.notes import keep_note, pass_note_on
from diary.team import add_site
from diary.visits import record_visit
from tests.cast import T0, Stage, cairo
from tests.reports.bundle_of import TEXTS, hard_trial
from tests.reports.diary_of import TAKEN, not_taken, say, scored

# What a patient can send and XML cannot hold, and how it is shown there.
BELLS = 'nul \x00, bell \x07, escape \x1b, \ufffe, \uffff & <tag> "quoted"\r\nnext'
SHOWN = 'nul \u2400, bell \u2407, escape \u241b, \ufffd, \ufffd & <tag> "quoted"\r\nnext'
SIDE_EFFECTS = (*TEXTS[:-1], BELLS)
AS_XML = (*TEXTS[:-1], SHOWN)


async def two_sites(stage: Stage) -> None:
    """Amina with all of it, P-002 without an entry, P-003 whose use was stopped, and P-900 at the coast."""
    await hard_trial(stage)
    amina = await patient_id_of(stage.db, "P-001")
    for number, text in enumerate(SIDE_EFFECTS):
        await reported(stage, amina, text, key=f"s:{number}", at=f"2026-11-25 21:0{number}")
    passed = await reported(stage, amina, "dizzy after all", kind="unread", key="u", at="2026-11-26 08:00")
    now = cairo("2026-11-26 08:05")
    await pass_note_on(stage.db, patient_id=amina, note_id=passed, side_effect=True, now=now)
    await visits(stage)
    await left(stage)
    await at_the_coast(stage)


async def reported(stage: Stage, patient_id: int, text: str, *, kind="side-effect", key: str, at: str) -> int:
    kept = await keep_note(
        stage.db,
        patient_id=patient_id,
        kind=kind,
        text=text,
        arrival=Arrival("text", cairo(at)),
        key=key,
        now=cairo(at),
    )
    return kept.note_id


async def visits(stage: Stage) -> None:
    """A correction of the baseline that leaves one value out, by another member of the team."""
    async with stage.db.read() as conn:
        first = (await conn.exec_driver_sql("SELECT max(id) FROM visits")).scalar_one()
    await record_visit(
        stage.db,
        code="P-001",
        visit="baseline",
        held_on=date(2026, 11, 24),
        measured={"lanss": 15, "nrs": 7, "flexion": 22.2},
        supersedes=first,
        reason="=misread <twice>",
        actor=await stage.actor("omar", chat=2003),
        now=cairo("2026-11-24 13:00"),
    )


async def left(stage: Stage) -> None:
    """P-003, who answered, left, and wants the diary used no more."""
    left = await stage.joined("P-003", chat=1003)
    await say(stage, left.id, "infusion 2026-11-24", TAKEN, "2026-11-24 09:30")
    why = {"actor": SYSTEM, "reason": "moved away"}
    now = cairo("2026-11-25 09:00")
    await change_status(stage.db, patient_id=left.id, status=PatientStatus.WITHDRAWN, now=now, **why)
    await stop_use(stage.db, code="P-003", now=now, **why)


async def at_the_coast(stage: Stage) -> None:
    """A second clinic with P-900, who began four weeks earlier and takes capsules by now."""
    await add_site(stage.db, code="coast", name="Coast clinic", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    await stage.add("P-900", start=date(2026, 11, 10), language="ar", site="coast")
    basma = await patient_id_of(stage.db, "P-900")
    await record_consent(stage.db, patient_id=basma, agreed=True, language="ar", text="text", now=T0)
    await say(stage, basma, "capsule 2026-11-24", TAKEN, "2026-11-24 09:10")
    await say(stage, basma, "capsule 2026-11-25", not_taken("none-left"), "2026-11-25 09:10")
    await say(stage, basma, "pain 2026-11-25", scored(0), "2026-11-25 20:10")
    await reported(stage, basma, "تعب", key="c:1", at="2026-11-25 20:12")


def cells(out: Path, table: str) -> list[dict[str, str]]:
    """The lines of a CSV file, texts as they were written."""
    with (out / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return [
            {name: cell.removeprefix("'") for name, cell in row.items() if name} for row in csv.DictReader(file)
        ]
