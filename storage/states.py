"""The one place where a slot's state is derived from its facts and the clock."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, case
from sqlalchemy.sql.elements import Label

from storage.tables import slots


class SlotState(StrEnum):
    """What became of a slot, as of an instant."""

    COMING = "coming"  # not open yet
    OPEN = "open"  # may be answered now
    ON_TIME = "on time"
    LATE = "late"
    MISSED = "missed"
    EXCUSED = "excused"
    CANCELLED = "cancelled"


# What has run its course; reports/definitions.py says why nothing else is expected.
EXPECTED: Final = (SlotState.ON_TIME, SlotState.LATE, SlotState.MISSED)


def state_of_slot(
    now: datetime | ColumnElement[datetime], *, answered_as: ColumnElement[str | None] | None = None
) -> Label[str]:
    """The state as a column named `state`; every slot has exactly one.

    An answer counts by when it was first given: a later correction changes the value, not the punctuality.
    A question about the past passes, as `answered_as`, the kind of the first entry that was recorded by then.
    A pause or a withdrawal touches only slots due after it, so the due time says whether it was known.
    """
    answered = slots.c.answered_as if answered_as is None else answered_as
    return case(
        ((answered == "on time") | (answered == "early"), SlotState.ON_TIME.value),
        (answered.is_not(None), SlotState.LATE.value),
        (slots.c.cancelled_because.is_not(None), SlotState.CANCELLED.value),
        (slots.c.excused_because.is_not(None) & (slots.c.due_at <= now), SlotState.EXCUSED.value),
        (slots.c.opens_at > now, SlotState.COMING.value),
        (slots.c.excused_because.is_not(None), SlotState.COMING.value),
        (slots.c.closes_at > now, SlotState.OPEN.value),
        else_=SlotState.MISSED.value,
    ).label("state")


def settled_state(until: datetime | ColumnElement[datetime]) -> Label[str]:
    """The state of slots whose window had closed by an instant; all others count as still to come."""
    return case((slots.c.closes_at > until, SlotState.COMING.value), else_=state_of_slot(until).element).label(
        "state"
    )
