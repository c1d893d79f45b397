"""What a simulation came to, as tables and figures for its page: read from the database and the export it left."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from diary import Database
from protocol.errors import DaybookError
from protocol.model import Protocol
from rehearsal.simulation.check import Findings
from rehearsal.simulation.effects import PLACEBO
from rehearsal.simulation.load import Load
from rehearsal.simulation.temperament import TEMPERAMENTS
from rehearsal.simulation.trial import Trial
from reports.adherence import By, adherence
from reports.analysis import followed, joined, named
from reports.course import course_of, saved
from reports.definitions import Figures, Share
from reports.exported import Exported, Row
from reports.findings import sections
from reports.paper import Cell, Section
from reports.randomisation import read_allocation


@dataclass(frozen=True, slots=True)
class Results:
    """Everything the page shows."""

    title: str
    about: Sequence[tuple[str, str]]
    findings: Findings
    load: Load
    diary: Sequence[Section]
    trial: Sequence[Section]
    drawings: Mapping[str, bytes]  # SVG, by the title of the table each belongs to
    missing: str  # why there are no tables of the trial


async def results(
    db: Database, trial: Trial, findings: Findings, load: Load, *, export: Path, allocation: Path
) -> Results:
    """Read all of it."""
    protocol, read = trial.wanted.protocol.protocol, Exported.open(export)
    tables, drawings, missing = _analysed(read, allocation, protocol)
    return Results(
        title=protocol.trial.title,
        about=_about(trial, protocol),
        findings=findings,
        load=load,
        diary=[
            _flow(read),
            await _by_temperament(db, trial),
            await _by(db, trial, By.ITEM, "Adherence by item"),
            await _by(db, trial, By.PHASE, "Adherence by phase"),
            await _by(db, trial, By.WEEK, "Adherence by week of the trial"),
            _alerts(read),
            _busy(load),
        ],
        trial=tables,
        drawings=drawings,
        missing=missing,
    )


def _about(trial: Trial, protocol: Protocol) -> list[tuple[str, str]]:
    began, ended = trial.cast.outage
    first, last = trial.cast.arrivals[0].who.start, max(one.who.start for one in trial.cast.arrivals)
    return [
        ("Protocol", f"{protocol.trial.id}, version {protocol.trial.version}"),
        ("Patients", f"{len(trial.cast.arrivals)} at {len({one.who.site for one in trial.cast.arrivals})} sites"),
        ("Seed", str(trial.wanted.seed)),
        ("First and last patient's first day", f"{first:%d %b %Y} and {last:%d %b %Y}"),
        ("Lived until", f"{trial.cast.ends:%d %b %Y, %H:%M} UTC"),
        ("Break in service", f"{began:%d %b %Y, %H:%M} to {ended:%H:%M} UTC, for everybody"),
    ]


async def _by_temperament(db: Database, trial: Trial) -> Section:
    rows = {str(row.key["patient"]): row.figures for row in await adherence(db, now=trial.cast.ends, by=By.PATIENT)}
    names = {one.name: one for one in TEMPERAMENTS}
    shown: list[tuple[Cell, ...]] = []
    for name in names:
        theirs = [one for code, one in sorted(trial.patients.items()) if one.who.temperament.name == name]
        figures = sum((rows.get(one.code, Figures()) for one in theirs), start=Figures())
        agreed = sum(one.takes_part for one in theirs)
        left = sum(one.pages.left_at is not None for one in theirs)
        if theirs:
            shown.append((name, len(theirs), agreed, left, *_cells(figures)))
    return Section(
        "Adherence by temperament",
        "Answered on time or late, of all that has run its course. Temperaments are the simulator's; the diary "
        "knows none.",
        ("Temperament", "Patients", "Agreed", "Left", *_HEAD),
        shown,
    )


_HEAD = ("Answered / expected", "On time", "Late", "Missed", "Excused")


def _cells(figures: Figures) -> tuple[Cell, ...]:
    answered = Share(figures.answered, figures.expected)
    return (answered, figures.on_time, figures.late, figures.missed, figures.excused)


async def _by(db: Database, trial: Trial, by: By, title: str) -> Section:
    rows = await adherence(db, now=trial.cast.ends, by=by)
    return Section(
        title,
        "Said: doses said to be taken, of the doses expected.",
        (by.value.capitalize(), *_HEAD, "Said"),
        [
            (str(row.key[by.value]), *_cells(row.figures), row.figures.said if row.figures.doses else None)
            for row in rows
            if row.figures.expected or row.figures.excused
        ],
    )


def _flow(read: Exported) -> Section:
    """The steps of a CONSORT diagram, of both sites together."""
    steps: dict[tuple[str, str], list[int]] = {}
    for row in read.rows("flow"):
        held = steps.setdefault((row["step"], row["of"]), [0, 0])
        held[0] += int(row["patients"])
        held[1] += int(row["of_patients"])
    return Section(
        "How patients flow through the trial",
        "As CONSORT 2025 asks, without arms: the diary knows none.",
        ("Step", "Patients"),
        [(f"{step} {of}".strip(), Share(part, whole)) for (step, of), (part, whole) in steps.items()],
    )


def _alerts(read: Exported) -> Section:
    rows = list(read.rows("alerts"))
    rules = Counter(row["rule"] for row in rows)
    return Section(
        "What the team was called for",
        "Seen and done: median minutes from the call; those nobody has dealt with by the end are open.",
        ("Rule", "Alerts", "Patients", "Seen after, min", "Done after, min", "Open"),
        [
            (rule, times, *_handled([row for row in rows if row["rule"] == rule]))
            for rule, times in rules.most_common()
        ],
    )


def _handled(rows: Sequence[Row]) -> tuple[Cell, ...]:
    patients = len({row["subject"] for row in rows})
    still_open = sum(not row["done_utc"] for row in rows)
    return (patients, _minutes(rows, "seen_utc"), _minutes(rows, "done_utc"), still_open)


def _minutes(rows: Iterable[Row], until: str) -> int | None:
    """The median time from the call."""
    waits = [
        datetime.fromisoformat(row[until]) - datetime.fromisoformat(row["raised_utc"]) for row in rows if row[until]
    ]
    return round(median(wait.total_seconds() for wait in waits) / 60) if waits else None


def _busy(load: Load) -> Section:
    busiest = max(load.days, key=lambda span: span.counted)
    rows = [("day", f"{busiest.begins:%a %d %b %Y}", busiest)]
    rows += [
        ("hour", f"{load.busiest_hour.begins:%a %d %b %Y, %H:%M}", load.busiest_hour),
        ("second", f"{load.busiest_second.begins:%a %d %b %Y, %H:%M:%S}", load.busiest_second),
    ]
    return Section(
        "The busiest day, hour and second",
        "Messages and changes of messages, as Telegram's limits count them (about 30 a second to one bot), before "
        "the pacer spreads them: what falls due in one second goes out in a few.",
        ("", "When", "To patients", "To the team", "Changes", "From patients"),
        [(name, when, one.to_patients, one.to_staff, one.changes, one.from_patients) for name, when, one in rows],
    )


def _analysed(read: Exported, allocation: Path, protocol: Protocol) -> tuple[list[Section], dict[str, bytes], str]:
    """The tables and figures that `daybook analyse` makes of the export and the list; or why there are none."""
    try:
        trial = joined(read, read_allocation(allocation), reference=PLACEBO)
    except DaybookError as error:
        return [], {}, str(error)
    drawn = {named(one): saved(course_of(trial, one), "svg") for one in followed(protocol)}
    return sections(read, trial), drawn, ""
