"""A patient's slots that have run their course, with what was answered: what the rules that call staff look at.

They are read for every patient about whom anything has changed, every hour, so each row is a plain tuple of the few
columns a rule looks at.
"""

from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, func, select

from storage import tables
from storage.columns import Instant
from storage.database import Connection
from storage.states import EXPECTED, state_of_slot

_s, _e, _a = tables.slots, tables.entries, tables.audit
_NOW = bindparam("now", type_=Instant)
_STATE = state_of_slot(_NOW)
_MINE = _s.c.patient_id == bindparam("patient_id")


class ClosedSlot(NamedTuple):
    """A slot that was answered or missed, and the entry that holds for it."""

    item: str
    kind: str
    local_date: date
    n: int
    due_at: datetime
    answered_as: str | None
    state: str
    score: int | None
    source: str | None
    received_at: datetime | None
    recorded_at: datetime | None


_CLOSED = (
    select(_s.c.item, _s.c.kind, _s.c.local_date, _s.c.n, _s.c.due_at, _s.c.answered_as, _STATE)
    .add_columns(_e.c.score, _e.c.source, _e.c.received_at, _e.c.recorded_at)
    .select_from(_s)
    .outerjoin(_e, _e.c.id == _s.c.answered_by)
    .where(_MINE, _s.c.due_at <= _NOW)
    .where(_STATE.element.in_(EXPECTED))
    .order_by(_s.c.due_at, _s.c.id)
)

# A missed slot counts when its window has closed, one answered early when it was due. Everything else that can
# change what a rule sees is something that somebody did, and has its line in the trail.
_waits = and_(_s.c.answered_by.is_(None), _s.c.excused_because.is_(None), _s.c.cancelled_because.is_(None))
_NEXT_CHANGE = select(
    func.min(
        case((_waits, _s.c.closes_at), else_=case((_s.c.answered_by.is_not(None), _s.c.due_at))), type_=Instant
    )
).where(_MINE, _s.c.closes_at > _NOW, _waits | (_s.c.answered_by.is_not(None) & (_s.c.due_at > _NOW)))

_LAST_LINE = select(func.max(_a.c.id))
# By line: were each patient asked for once, SQLite would read the whole trail in the order of its patients.
_SINCE = select(_a.c.patient_id).where(_a.c.id > bindparam("line"), _a.c.patient_id.is_not(None))


async def closed_slots(conn: Connection, patient_id: int, *, now: datetime) -> list[ClosedSlot]:
    """A patient's slots that were due, and were answered or missed, by due time."""
    rows = await conn.execute(_CLOSED, {"patient_id": patient_id, "now": now})
    return [ClosedSlot._make(row) for row in rows]


async def next_change_at(conn: Connection, patient_id: int, *, now: datetime) -> datetime | None:
    """When time alone will next add to a patient's closed slots; None where it will not."""
    asked: dict[str, Any] = {"patient_id": patient_id, "now": now}
    at: datetime | None = (await conn.execute(_NEXT_CHANGE, asked)).scalar_one()
    return at


async def touched_since(conn: Connection, line: int) -> tuple[set[int], int]:
    """Patients about whom the trail says anything after a line of it, and its last line now."""
    last = (await conn.execute(_LAST_LINE)).scalar_one() or 0
    touched = {row.patient_id for row in await conn.execute(_SINCE, {"line": line})} if last > line else set()
    return touched, last
