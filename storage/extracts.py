"""Whole tables as lines for an export, streamed in a fixed order; and how many rows there are, asked apart.

The counts name the bare table and the site only: a join that lost or doubled lines would show as a difference.
No line has a chat, a name, a message's number or an alert's details.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, Table, and_, func, select

from storage import tables
from storage.database import Connection, Database
from storage.records import Record
from storage.service import slots_touched_at
from storage.states import state_of_slot

_s, _p, _e, _n, _d, _a = (
    tables.slots,
    tables.patients,
    tables.entries,
    tables.notes,
    tables.sends,
    tables.alerts,
)
_v, _c = tables.protocols, tables.sites
_LINES_AT_ONCE = 500
# A patient's id that no index finds: lines are read patient by patient by code, and never sorted all at once.
_OUTER = _p.c.id + 0

Line = TypeVar("Line", bound=Record)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One export: the transaction all of it is read in, the site (None: all), and the instant states are as of."""

    conn: Connection
    site_id: int | None
    now: datetime


@dataclass(frozen=True, slots=True)
class SubjectLine(Record):
    """A patient of the trial, leavers too."""

    study: str
    protocol_version: str
    site: str
    subject: str
    status: str
    language: str
    zone: str
    first_day: date
    added_at: datetime
    joined_at: datetime | None
    consent_sha256: str | None
    withdrawn_at: datetime | None
    erased_at: datetime | None
    use_stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class SlotLine(Record):
    """A slot with its state, and the answer that holds."""

    study: str
    protocol_version: str
    site: str
    subject: str
    first_day: date
    phase: str
    item: str
    item_kind: str
    local_date: date
    n: int
    zone: str
    utc_offset_minutes: int
    opens_at: datetime
    due_at: datetime
    on_time_until: datetime
    closes_at: datetime
    label: str | None
    nudges: int
    prompted_at: datetime | None
    state: str
    answered_as: str | None
    entry: int | None
    answer: str | None
    score: int | None
    skip_reason: str | None
    excused_because: str | None
    cancelled_because: str | None


@dataclass(frozen=True, slots=True)
class EntryLine(Record):
    """An entry, in force or superseded, with who recorded it."""

    study: str
    protocol_version: str
    site: str
    subject: str
    first_day: date
    phase: str
    item: str
    item_kind: str
    local_date: date
    n: int
    zone: str
    utc_offset_minutes: int
    entry: int
    answer: str
    score: int | None
    skip_reason: str | None
    kind: str
    source: str
    actor: str
    staff: str | None
    holds: int | None
    supersedes: int | None
    superseded_by: int | None
    change_reason: str | None
    due_at: datetime
    prompted_at: datetime | None
    said_at: datetime | None
    received_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class SendLine(Record):
    """One try to send a message for a slot."""

    study: str
    protocol_version: str
    site: str
    subject: str
    item: str
    local_date: date
    n: int
    zone: str
    send: int
    nudge: int
    planned_for: datetime
    claimed_at: datetime
    finished_at: datetime | None
    outcome: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class NoteLine(Record):
    """A text a patient wrote."""

    study: str
    protocol_version: str
    site: str
    subject: str
    item: str | None
    slot_date: date | None
    n: int | None
    note: int
    kind: str
    text: str
    local_date: date
    zone: str
    utc_offset_minutes: int
    said_at: datetime | None
    received_at: datetime
    recorded_at: datetime
    passed_on_at: datetime | None
    passed_on_as: str | None


@dataclass(frozen=True, slots=True)
class AlertLine(Record):
    """A call for staff."""

    study: str
    protocol_version: str
    site: str
    subject: str
    zone: str
    alert: int
    rule: str
    key: str
    raised_at: datetime
    seen_at: datetime | None
    done_at: datetime | None
    staff: str | None


@dataclass(frozen=True, slots=True)
class VisitLine(Record):
    """One value of a clinic day's form; a form without any has one line with neither measure nor value."""

    study: str
    protocol_version: str
    site: str
    subject: str
    zone: str
    first_day: date
    form: int
    visit: str
    held_on: date
    measure: str | None
    value: float | None
    recorded_at: datetime
    staff: str | None
    holds: bool
    supersedes: int | None
    change_reason: str | None

    @property
    def held(self) -> str:
        """Whether it is the value that holds, as a word."""
        return "yes" if self.holds else "no"


@dataclass(frozen=True, slots=True)
class CommentLine(Record):
    """What a member of the team wrote to the others about a patient."""

    study: str
    protocol_version: str
    site: str
    subject: str
    zone: str
    comment: int
    staff: str
    text: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class OutageLine(Record):
    """A stretch in which the service could not ask or listen, for every site."""

    outage: int
    kind: str
    began_at: datetime
    ended_at: datetime
    slots_touched: int


@asynccontextmanager
async def unhurried_view(db: Database, folder: Path) -> AsyncIterator[Connection]:
    """One consistent view that may be read for minutes; `folder`, open to us alone, has room for a copy.

    With a rollback journal (storage/database.py says when) a reader keeps every writer from committing, and after
    ten seconds an answer would be refused. So a copy is read there, which takes seconds to make, and goes again.
    """
    async with db.read() as conn:
        if conn.dialect.name != "sqlite" or await _has_wal(conn):
            yield conn
            return
        path = folder / "copy.db"
        await _copy(conn, path)
    copy = Database(f"sqlite:///{path}", db.keys)
    try:
        async with copy.read() as conn:
            yield conn
    finally:
        await copy.close()
        path.unlink()


async def _has_wal(conn: Connection) -> bool:
    return bool((await conn.exec_driver_sql("PRAGMA journal_mode")).scalar_one() == "wal")


async def _copy(conn: Connection, path: Path) -> None:
    driver = (await conn.get_raw_connection()).driver_connection
    assert driver is not None
    # SQLite's own backup: consistent, whatever is written meanwhile. It runs in the driver's thread.
    with closing(sqlite3.connect(path, check_same_thread=False)) as target:
        await driver.backup(target)


async def _lines(wanted: Wanted, query: Select[Any], record: type[Line]) -> AsyncIterator[Sequence[Line]]:
    found = await wanted.conn.stream(query.execution_options(yield_per=_LINES_AT_ONCE))
    async for rows in found.partitions():
        yield [record.of(row) for row in rows]


def _first_day() -> ColumnElement[date]:
    """The first day of the patient's trial."""
    phases = tables.patient_phases
    first = select(func.min(phases.c.start)).where(phases.c.patient_id == _p.c.id)
    return first.scalar_subquery().label("first_day")


def _who(wanted: Wanted, *columns: ColumnElement[Any]) -> Select[Any]:
    """The columns every line of a patient begins with, from the patient, the site and the patient's protocol."""
    query = (
        select(
            _v.c.trial.label("study"),
            _v.c.version.label("protocol_version"),
            _c.c.code.label("site"),
            _p.c.code.label("subject"),
            *columns,
        )
        .select_from(_p)
        .join(_c, _c.c.id == _p.c.site_id)
    )
    return query if wanted.site_id is None else query.where(_p.c.site_id == wanted.site_id)


def _of_use(wanted: Wanted, *columns: ColumnElement[Any]) -> Select[Any]:
    """The same for what is left out once the use of a leaver's diary was stopped."""
    return _who(wanted, *columns).where(_p.c.use_stopped_at.is_(None))


def subject_lines(wanted: Wanted) -> AsyncIterator[Sequence[SubjectLine]]:
    """Every patient, by code."""
    return _lines(wanted, subjects(wanted).order_by(_p.c.code), SubjectLine)


def subjects(wanted: Wanted) -> Select[Any]:
    """Every patient, in no order."""
    zones, consents = tables.patient_zones, tables.consents
    zone = (
        select(zones.c.zone)
        .where(zones.c.patient_id == _p.c.id)
        .order_by(zones.c.since.desc())
        .limit(1)
        .scalar_subquery()
    )
    consent = (
        select(consents.c.text_sha256)
        .where(consents.c.patient_id == _p.c.id, consents.c.decision == "agreed")
        .order_by(consents.c.id)
        .limit(1)
        .scalar_subquery()
    )
    names = ("status", "language", "added_at", "joined_at", "withdrawn_at", "erased_at", "use_stopped_at")
    own = [_p.c[name] for name in names]
    query = _who(wanted, *own, _first_day(), zone.label("zone"), consent.label("consent_sha256"))
    return query.join(_v, _v.c.id == _p.c.protocol_id)


_SLOT_NAME = (_s.c.item, _s.c.local_date, _s.c.n, _s.c.zone)


def slot_lines(wanted: Wanted) -> AsyncIterator[Sequence[SlotLine]]:
    """Every slot with its state as of now, by patient and due time."""
    return _lines(wanted, slots(wanted).order_by(_p.c.code, _s.c.due_at, _s.c.id), SlotLine)


def slots(wanted: Wanted) -> Select[Any]:
    """Every slot with its state as of now, in no order."""
    names = [name for name in SlotLine.__slots__ if name in _s.c]
    return (
        _of_use(wanted, *(_s.c[name] for name in names), _s.c.kind.label("item_kind"), state_of_slot(wanted.now))
        .add_columns(_first_day(), _e.c.id.label("entry"), _e.c.answer, _e.c.score, _e.c.skip_reason)
        .join(_s, _s.c.patient_id == _OUTER)
        .join(_v, _v.c.id == _s.c.protocol_id)
        .outerjoin(_e, _e.c.id == _s.c.answered_by)
    )


def entry_lines(wanted: Wanted) -> AsyncIterator[Sequence[EntryLine]]:
    """Every entry, superseded ones too, by patient and time of recording."""
    return _lines(wanted, entries(wanted).order_by(_p.c.code, _e.c.recorded_at, _e.c.id), EntryLine)


def entries(wanted: Wanted) -> Select[Any]:
    """Every entry, superseded ones too, in no order."""
    audit, staff = tables.audit, tables.staff
    later, holding = _e.alias("later"), _s.alias("holding")
    names = [name for name in EntryLine.__slots__ if name in _e.c]
    return (
        _of_use(wanted, *(_e.c[name] for name in names), _e.c.id.label("entry"), _first_day())
        .add_columns(_s.c.phase, _s.c.item, _s.c.kind.label("item_kind"), _s.c.n)
        .add_columns(audit.c.actor, staff.c.code.label("staff"))
        .add_columns(holding.c.id.label("holds"), later.c.id.label("superseded_by"))
        .join(_e, _e.c.patient_id == _OUTER)
        .join(_s, _s.c.id == _e.c.slot_id)
        .join(_v, _v.c.id == _s.c.protocol_id)
        .join(audit, audit.c.id == _e.c.audit_id)
        .outerjoin(staff, and_(audit.c.actor == "staff", staff.c.id == audit.c.actor_id))
        .outerjoin(later, later.c.supersedes == _e.c.id)
        .outerjoin(holding, and_(holding.c.id == _e.c.slot_id, holding.c.answered_by == _e.c.id))
    )


def send_lines(wanted: Wanted) -> AsyncIterator[Sequence[SendLine]]:
    """Every try to send a message for a slot, by patient and time."""
    names = [name for name in SendLine.__slots__ if name in _d.c]
    query = (
        _of_use(wanted, *(_d.c[name] for name in names), _d.c.id.label("send"), *_SLOT_NAME)
        .join(_d, _d.c.patient_id == _p.c.id)
        .join(_s, _s.c.id == _d.c.slot_id)
        .join(_v, _v.c.id == _s.c.protocol_id)
        .order_by(_p.c.code, _d.c.claimed_at, _d.c.id)
    )
    return _lines(wanted, query, SendLine)


def note_lines(wanted: Wanted) -> AsyncIterator[Sequence[NoteLine]]:
    """Every text a patient wrote, by patient and time of recording."""
    names = [name for name in NoteLine.__slots__ if name in _n.c]
    query = (
        _of_use(wanted, *(_n.c[name] for name in names), _n.c.id.label("note"))
        .add_columns(_s.c.item, _s.c.local_date.label("slot_date"), _s.c.n)
        .join(_n, _n.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .outerjoin(_s, _s.c.id == _n.c.slot_id)
        .order_by(_p.c.code, _n.c.recorded_at, _n.c.id)
    )
    return _lines(wanted, query, NoteLine)


def alert_lines(wanted: Wanted) -> AsyncIterator[Sequence[AlertLine]]:
    """Every call for staff, by patient and time; local times are those of the site."""
    staff = tables.staff
    names = [name for name in AlertLine.__slots__ if name in _a.c]
    query = (
        _of_use(wanted, *(_a.c[name] for name in names), _a.c.id.label("alert"), _c.c.timezone.label("zone"))
        .add_columns(staff.c.code.label("staff"))
        .join(_a, _a.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .outerjoin(staff, staff.c.id == _a.c.seen_by)
        .order_by(_p.c.code, _a.c.raised_at, _a.c.id)
    )
    return _lines(wanted, query, AlertLine)


async def visit_lines(wanted: Wanted) -> AsyncIterator[Sequence[VisitLine]]:
    """Every value of every form of a clinic day, superseded ones too, by patient and time of recording."""
    t, audit, staff = tables.visits, tables.audit, tables.staff
    later = t.alias("later")
    own = [t.c[name] for name in ("visit", "held_on", "measured", "recorded_at", "supersedes", "change_reason")]
    query = (
        _of_use(wanted, *own, t.c.id.label("form"), _first_day(), _c.c.timezone.label("zone"))
        .add_columns(staff.c.code.label("staff"), later.c.id.is_(None).label("holds"))
        .join(t, t.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == t.c.protocol_id)
        .join(audit, audit.c.id == t.c.audit_id)
        .outerjoin(staff, and_(audit.c.actor == "staff", staff.c.id == audit.c.actor_id))
        .outerjoin(later, later.c.supersedes == t.c.id)
        .order_by(_p.c.code, t.c.recorded_at, t.c.id)
    )
    found = await wanted.conn.stream(query.execution_options(yield_per=_LINES_AT_ONCE))
    async for rows in found.partitions():
        yield [
            VisitLine(**_values_of(row), measure=measure, value=value)
            for row in rows
            for measure, value in (row.measured or {None: None}).items()
        ]


def _values_of(row: Any) -> dict[str, Any]:
    mapping = row._mapping  # noqa: SLF001 - the documented way to read a row by name
    return {name: mapping[name] for name in VisitLine.__slots__ if name not in ("measure", "value")}


def outage_lines(wanted: Wanted) -> AsyncIterator[Sequence[OutageLine]]:
    """Every break in service, whichever site is asked for, and the open questions it touched there."""
    o = tables.outages
    own = [o.c[name] for name in OutageLine.__slots__ if name in o.c and name != "slots_touched"]
    touched = slots_touched_at(None if wanted.site_id is None else [wanted.site_id])
    query = select(o.c.id.label("outage"), *own, touched).order_by(o.c.began_at, o.c.id)
    return _lines(wanted, query, OutageLine)


def comment_lines(wanted: Wanted) -> AsyncIterator[Sequence[CommentLine]]:
    """Every comment of the team, by patient and time; local times are those of the site."""
    t, staff = tables.comments, tables.staff
    query = (
        _of_use(wanted, t.c.id.label("comment"), t.c.text, t.c.recorded_at, _c.c.timezone.label("zone"))
        .add_columns(staff.c.code.label("staff"))
        .join(t, t.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .join(staff, staff.c.id == t.c.staff_id)
        .order_by(_p.c.code, t.c.recorded_at, t.c.id)
    )
    return _lines(wanted, query, CommentLine)


async def count_lines(wanted: Wanted, table: str) -> int:
    """How many rows a table holds (of patients of a site, whose diary is in use), asked without any join."""
    counted: Table = tables.metadata.tables[table]
    if table == "visits":
        return await _count_values(wanted)
    query = select(func.count()).select_from(counted)
    if table == "patients":
        owner, whose = counted.c.id, select(_p.c.id)
    elif "patient_id" in counted.c:
        owner, whose = counted.c.patient_id, select(_p.c.id).where(_p.c.use_stopped_at.is_(None))
    else:
        return int((await wanted.conn.execute(query)).scalar_one())
    if wanted.site_id is not None:
        whose = whose.where(_p.c.site_id == wanted.site_id)
    return int((await wanted.conn.execute(query.where(owner.in_(whose)))).scalar_one())


async def _count_values(wanted: Wanted) -> int:
    """How many values the forms of clinic days hold; an empty form has one line too."""
    whose = select(_p.c.id).where(_p.c.use_stopped_at.is_(None))
    if wanted.site_id is not None:
        whose = whose.where(_p.c.site_id == wanted.site_id)
    forms = select(tables.visits.c.measured).where(tables.visits.c.patient_id.in_(whose))
    return sum(max(1, len(row.measured)) for row in await wanted.conn.execute(forms))
