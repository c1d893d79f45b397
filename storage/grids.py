"""Patients by days: which states the slots of each patient's days are in."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import BindParameter, bindparam, case, func, select

from storage import tables
from storage.columns import Instant
from storage.database import Connection
from storage.states import SlotState, state_of_slot

_s = tables.slots
_BITS: Final = {state.value: 1 << place for place, state in enumerate(SlotState)}
_STATE = state_of_slot(bindparam("now", type_=Instant)).element
_OF_PAGE: BindParameter[Any] = bindparam("patient_ids", expanding=True)
# Different powers of two added up are the states that occur: one number a day instead of one line a state.
_DAYS = (
    select(_s.c.patient_id, _s.c.local_date, func.sum(case(_BITS, value=_STATE).distinct()).label("states"))
    .where(_s.c.patient_id.in_(_OF_PAGE))
    .group_by(_s.c.patient_id, _s.c.local_date)
)


def states_in(bits: int) -> frozenset[SlotState]:
    """The states a number from `day_states` stands for."""
    return frozenset(state for state in SlotState if bits & _BITS[state.value])


async def day_states(
    conn: Connection, patient_ids: Collection[int], *, now: datetime
) -> list[tuple[int, date, int]]:
    """For each patient and local date with slots, the states that occur, as one number for `states_in`."""
    rows = await conn.execute(_DAYS, {"patient_ids": list(patient_ids), "now": now})
    return [(row.patient_id, row.local_date, row.states) for row in rows]
