"""Whole tables for an export, streamed column by column in a fixed order; and how many rows there are, asked apart.

A million entries pass through here, so nothing is made of a value on the way: instants and dates stay the ISO 8601
text they are kept as. The counts name the bare table and the site only: a join that lost or doubled lines would
show as a difference. No table has a chat, a name, a message's number or an alert's details.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Row, Select, Table, Text, and_, func, select, type_coerce

from storage import tables
from storage.chain import chain
from storage.columns import Instant, LocalDate
from storage.database import Connection
from storage.patients import zone_now
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
_v, _c, _staff, _audit = tables.protocols, tables.sites, tables.staff, tables.audit

# So many lines are worked on at once: long enough to be quick, short enough for others to be served in between.
LINES_AT_ONCE: Final = 2_000
# A patient's id that no index finds: lines are read patient by patient by code, and never sorted all at once.
_OUTER: Final = _p.c.id + 0

# Some lines of a table, by column; all columns are equally long.
Batch: TypeAlias = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One export: the transaction all of it is read in, the site (None: all), and the instant states are as of."""

    conn: Connection
    site_id: int | None
    cut_off: datetime


async def _batches(wanted: Wanted, query: Select[Any]) -> AsyncIterator[Batch]:
    names = [column.name for column in query.selected_columns]
    found = await wanted.conn.stream(query.execution_options(yield_per=LINES_AT_ONCE))
    async for rows in found.partitions():
        yield by_column(names, rows)


def by_column(names: Sequence[str], rows: Sequence[Row[Any]]) -> Batch:
    """Lines of a table, by column."""
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _first_day() -> ColumnElement[str]:
    """The first day of the patient's trial."""
    phases = tables.patient_phases
    first = select(type_coerce(func.min(phases.c.start), Text)).where(phases.c.patient_id == _p.c.id)
    return first.scalar_subquery().label("first_day")


def of_site(wanted: Wanted, query: Select[Any]) -> Select[Any]:
    """A question about patients, for those of the site that is wanted."""
    return query if wanted.site_id is None else query.where(_p.c.site_id == wanted.site_id)


def _who(wanted: Wanted, *columns: ColumnElement[Any]) -> Select[Any]:
    """The columns every line of a patient begins with, from the patient, the site and the patient's protocol."""
    return of_site(
        wanted,
        select(
            _v.c.trial.label("study"),
            _v.c.version.label("protocol_version"),
            _c.c.code.label("site"),
            _p.c.code.label("subject"),
            *columns,
        )
        .select_from(_p)
        .join(_c, _c.c.id == _p.c.site_id),
    )


def of_use(wanted: Wanted, *columns: ColumnElement[Any]) -> Select[Any]:
    """The same for what is left out once the use of a leaver's diary was stopped."""
    return _who(wanted, *columns).where(_p.c.use_stopped_at.is_(None))


def _named(table: Table, names: str) -> list[ColumnElement[Any]]:
    """Columns of a table; those of instants and dates as the text they are kept as."""
    return [_as_kept(table.c[name]) for name in names.split()]


def _as_kept(column: ColumnElement[Any]) -> ColumnElement[Any]:
    kept_as_text = isinstance(column.type, Instant | LocalDate)
    return type_coerce(column, Text).label(column.name) if kept_as_text else column


def subjects(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every patient ever added, by code."""
    return _batches(wanted, subject_rows(wanted).order_by(_p.c.code))


def subject_rows(wanted: Wanted) -> Select[Any]:
    """Every patient ever added, in no order."""
    consents = tables.consents
    consent = (
        select(consents.c.text_sha256)
        .where(consents.c.patient_id == _p.c.id, consents.c.decision == "agreed")
        .order_by(consents.c.id)
        .limit(1)
        .scalar_subquery()
    )
    own = _named(_p, "status language added_at joined_at withdrawn_at erased_at use_stopped_at")
    query = _who(
        wanted,
        *own,
        _first_day(),
        zone_now(_p.c.id).scalar_subquery().label("zone"),
        consent.label("consent_sha256"),
    )
    return query.join(_v, _v.c.id == _p.c.protocol_id)


_SLOT_NAME = _named(_s, "item local_date n zone")
_SLOT = _named(
    _s,
    "phase item local_date n zone utc_offset_minutes opens_at due_at on_time_until closes_at label nudges "
    "prompted_at answered_as excused_because cancelled_because",
)


def slots(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every slot with its state at the cut-off and the answer that holds, by patient and due time."""
    return _batches(wanted, slot_rows(wanted).order_by(_p.c.code, _s.c.due_at, _s.c.id))


def slot_rows(wanted: Wanted) -> Select[Any]:
    """Every slot with its state at the cut-off and the answer that holds, in no order."""
    return (
        of_use(wanted, *_SLOT, _s.c.kind.label("item_kind"), state_of_slot(wanted.cut_off))
        .add_columns(_first_day(), _e.c.id.label("entry"), _e.c.answer, _e.c.score, _e.c.skip_reason)
        .join(_s, _s.c.patient_id == _OUTER)
        .join(_v, _v.c.id == _s.c.protocol_id)
        .outerjoin(_e, _e.c.id == _s.c.answered_by)
    )


_ENTRY = _named(
    _e,
    "local_date zone utc_offset_minutes answer score skip_reason kind source supersedes change_reason "
    "due_at prompted_at said_at received_at recorded_at",
)


def entries(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every entry, superseded ones too, by patient and time of recording."""
    return _batches(wanted, entry_rows(wanted).order_by(_p.c.code, _e.c.recorded_at, _e.c.id))


def entry_rows(wanted: Wanted) -> Select[Any]:
    """Every entry, superseded ones too, in no order."""
    later = _e.alias("later")
    return (
        of_use(wanted, *_ENTRY, _e.c.id.label("entry"), _first_day())
        .add_columns(_s.c.phase, _s.c.item, _s.c.kind.label("item_kind"), _s.c.n)
        .add_columns(_audit.c.actor, _staff.c.code.label("staff"))
        .add_columns((_s.c.answered_by == _e.c.id).label("holds"), later.c.id.label("superseded_by"))
        .join(_e, _e.c.patient_id == _OUTER)
        .join(_s, _s.c.id == _e.c.slot_id)
        .join(_v, _v.c.id == _s.c.protocol_id)
        .join(_audit, _audit.c.id == _e.c.audit_id)
        .outerjoin(_staff, and_(_audit.c.actor == "staff", _staff.c.id == _audit.c.actor_id))
        .outerjoin(later, later.c.supersedes == _e.c.id)
    )


def sends(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every try to send a message for a slot, by patient and time."""
    own = _named(_d, "nudge planned_for claimed_at finished_at outcome detail")
    query = (
        of_use(wanted, *own, _d.c.id.label("send"), *_SLOT_NAME)
        .join(_d, _d.c.patient_id == _p.c.id)
        .join(_s, _s.c.id == _d.c.slot_id)
        .join(_v, _v.c.id == _s.c.protocol_id)
        .order_by(_p.c.code, _d.c.claimed_at, _d.c.id)
    )
    return _batches(wanted, query)


def notes(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every text a patient wrote, by patient and time of recording."""
    own = _named(
        _n,
        "kind text local_date zone utc_offset_minutes said_at received_at recorded_at passed_on_at passed_on_as",
    )
    query = (
        of_use(wanted, *own, _n.c.id.label("note"))
        .add_columns(_s.c.item, type_coerce(_s.c.local_date, Text).label("slot_date"), _s.c.n)
        .join(_n, _n.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .outerjoin(_s, _s.c.id == _n.c.slot_id)
        .order_by(_p.c.code, _n.c.recorded_at, _n.c.id)
    )
    return _batches(wanted, query)


def alerts(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every call for staff, by patient and time; local times are those of the site."""
    own = _named(_a, "rule key raised_at seen_at done_at")
    query = (
        of_use(wanted, *own, _a.c.id.label("alert"), _c.c.timezone.label("zone"))
        .add_columns(_staff.c.code.label("staff"))
        .join(_a, _a.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .outerjoin(_staff, _staff.c.id == _a.c.seen_by)
        .order_by(_p.c.code, _a.c.raised_at, _a.c.id)
    )
    return _batches(wanted, query)


async def visits(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every value of every form of a clinic day, superseded ones too, by patient and time of recording.

    A form without any value has one line with neither measure nor value.
    """
    t = tables.visits
    later = t.alias("later")
    own = _named(t, "visit held_on began_at recorded_at supersedes change_reason")
    query = (
        of_use(wanted, *own, type_coerce(t.c.measured, Text).label("measured"), t.c.id.label("form"))
        .add_columns(_first_day(), _c.c.timezone.label("zone"))
        .add_columns(_staff.c.code.label("staff"), later.c.id.is_(None).label("holds"))
        .join(t, t.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == t.c.protocol_id)
        .join(_audit, _audit.c.id == t.c.audit_id)
        .outerjoin(_staff, and_(_audit.c.actor == "staff", _staff.c.id == _audit.c.actor_id))
        .outerjoin(later, later.c.supersedes == t.c.id)
        .order_by(_p.c.code, t.c.recorded_at, t.c.id)
    )
    async for forms in _batches(wanted, query):
        yield _by_value(forms)


def _by_value(forms: Batch) -> Batch:
    """A line for each value of some forms."""
    taken = [json.loads(measured) or {None: None} for measured in forms["measured"]]
    lines = {
        name: [value for value, measured in zip(values, taken, strict=True) for _ in repeat(None, len(measured))]
        for name, values in forms.items()
    }
    return {
        **lines,
        "measure": [measure for measured in taken for measure in measured],
        "value": [value for measured in taken for value in measured.values()],
    }


def outages(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every break in service, whichever site is asked for, and the open questions it touched there."""
    o = tables.outages
    touched = slots_touched_at(None if wanted.site_id is None else [wanted.site_id])
    query = select(o.c.id.label("outage"), *_named(o, "kind began_at ended_at"), touched)
    return _batches(wanted, query.order_by(o.c.began_at, o.c.id))


def comments(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every comment of the team, by patient and time; local times are those of the site."""
    t = tables.comments
    query = (
        of_use(
            wanted,
            t.c.id.label("comment"),
            *_named(t, "text recorded_at"),
            _c.c.timezone.label("zone"),
        )
        .add_columns(_staff.c.code.label("staff"))
        .join(t, t.c.patient_id == _p.c.id)
        .join(_v, _v.c.id == _p.c.protocol_id)
        .join(_staff, _staff.c.id == t.c.staff_id)
        .order_by(_p.c.code, t.c.recorded_at, t.c.id)
    )
    return _batches(wanted, query)


async def trail(wanted: Wanted) -> AsyncIterator[Batch]:
    """Every line of the audit trail with what is hashed, by number; whatever site is asked for, the chain is one.

    Of a patient whose diary is no longer used there is the digest of a line's content alone, which the chain needs.
    """
    stopped = set((await wanted.conn.execute(select(_p.c.id).where(_p.c.use_stopped_at.is_not(None)))).scalars())
    async for lines in chain(wanted.conn):
        shown = [line.patient_id not in stopped for line in lines]
        yield {
            "line": [line.number for line in lines],
            "content": [line.content if show else None for line, show in zip(lines, shown, strict=True)],
            "row": [line.row if show else None for line, show in zip(lines, shown, strict=True)],
            "content_sha256": [
                None if show else line.content_sha256 for line, show in zip(lines, shown, strict=True)
            ],
            "sha256": [line.sha256 for line in lines],
        }


async def protocols_of_subjects(wanted: Wanted) -> list[int]:
    """The protocol versions that the patients of this export follow or have slots of."""
    query = of_site(wanted, select(_p.c.protocol_id).distinct())
    return list((await wanted.conn.execute(query)).scalars())


async def count_rows(wanted: Wanted, table: str) -> int:
    """How many rows a table holds (of patients of a site, whose diary is in use), asked without any join."""
    counted: Table = tables.metadata.tables[table]
    if table == "visits":
        return await _count_values(wanted)
    query = select(func.count()).select_from(counted)
    if counted is _audit:
        return int((await wanted.conn.execute(query)).scalar_one())
    if table == "patients":
        owner, whose = counted.c.id, select(_p.c.id)
    elif "patient_id" in counted.c:
        owner, whose = counted.c.patient_id, _in_use()
    else:
        return int((await wanted.conn.execute(query)).scalar_one())
    return int((await wanted.conn.execute(query.where(owner.in_(of_site(wanted, whose))))).scalar_one())


async def _count_values(wanted: Wanted) -> int:
    """How many values the forms of clinic days hold; an empty form has one line too."""
    forms = select(tables.visits.c.measured).where(tables.visits.c.patient_id.in_(of_site(wanted, _in_use())))
    return sum(max(1, len(row.measured)) for row in await wanted.conn.execute(forms))


def _in_use() -> Select[Any]:
    """The ids of the patients whose diary is in use."""
    return select(_p.c.id).where(_p.c.use_stopped_at.is_(None))
