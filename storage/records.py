"""Rows as values: what the other rooms get to see of the tables."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from operator import itemgetter
from typing import Any, Self, cast

from sqlalchemy import ColumnElement, Row, Table

from protocol.lifecycle import PatientStatus


def _names(record: type) -> tuple[str, ...]:
    """The fields of a slotted dataclass, without the cost of asking for each row."""
    return cast("tuple[str, ...]", record.__slots__)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a table, or of a question, whose columns are named like the fields."""

    @classmethod
    def of(cls, row: Row[*tuple[Any, ...]]) -> Self:
        """Make the value from a row that has at least its columns."""
        read = _reader(cls)  # type: ignore[arg-type]  # classes are hashable, which mypy does not see of this one
        return cls(*read(row._mapping))  # noqa: SLF001 - the documented way to read a row by name


@cache
def _reader(record: type[Record]) -> Callable[[Any], tuple[Any, ...]]:
    """What takes a record's values out of a row by their names, in the order of its fields."""
    names = _names(record)
    read = itemgetter(*names)
    return read if len(names) > 1 else lambda row: (read(row),)


def columns_of(record: type[Record], table: Table) -> list[ColumnElement[Any]]:
    """The columns of a table that a record shows."""
    return [table.c[name] for name in _names(record) if name in table.c]


@dataclass(frozen=True, slots=True)
class Site(Record):
    """A clinic."""

    id: int
    code: str
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class StaffMember(Record):
    """Somebody of the study team, known by a code."""

    id: int
    code: str
    role: str
    language: str
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Patient(Record):
    """A subject: a code, a site, a status."""

    id: int
    code: str
    site_id: int
    protocol_id: int
    status: PatientStatus
    language: str
    added_at: datetime
    joined_at: datetime | None
    withdrawn_at: datetime | None
    erased_at: datetime | None
    use_stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Enrolled(Record):
    """A patient in few words, for lists of all of them."""

    id: int
    code: str
    site: str
    status: PatientStatus
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Contact(Record):
    """A chat that belongs to one patient or one staff member; the chat itself stays sealed."""

    id: int
    patient_id: int | None
    staff_id: int | None
    bot_id: int
    sealed: bytes
    reachable: str
    awaiting: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Invite(Record):
    """A way in for one person, once."""

    id: int
    patient_id: int | None
    staff_id: int | None
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Slot(Record):
    """One expected occurrence of an item, with its facts and its state as of the question."""

    id: int
    patient_id: int
    protocol_id: int
    phase: str
    item: str
    kind: str
    local_date: date
    n: int
    zone: str
    utc_offset_minutes: int
    opens_at: datetime
    due_at: datetime
    on_time_until: datetime
    closes_at: datetime
    label: str | None
    next_nudge_at: datetime | None
    nudges: int
    prompted_at: datetime | None
    answered_by: int | None
    answered_as: str | None
    excused_because: str | None
    cancelled_because: str | None
    state: str

    @property
    def due_local(self) -> datetime:
        """The due time on the patient's wall."""
        return self.due_at.astimezone(timezone(timedelta(minutes=self.utc_offset_minutes)))


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """What was recorded for a slot."""

    id: int
    patient_id: int
    slot_id: int
    answer: str
    score: int | None
    skip_reason: str | None
    kind: str
    source: str
    arrival: str | None
    due_at: datetime
    prompted_at: datetime | None
    said_at: datetime | None
    received_at: datetime
    recorded_at: datetime
    local_date: date
    zone: str
    utc_offset_minutes: int
    supersedes: int | None
    change_reason: str | None


@dataclass(frozen=True, slots=True)
class DueNudge(Record):
    """A slot whose next message is due, with what is needed to send it."""

    slot_id: int
    patient_id: int
    protocol_id: int
    phase: str
    item: str
    kind: str
    zone: str
    lives_in: str  # the zone of the patient now, whose nights count
    utc_offset_minutes: int
    local_date: date
    n: int
    due_at: datetime
    closes_at: datetime
    next_nudge_at: datetime
    nudges: int
    language: str
    contact_id: int
    bot_id: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class DueNotice(Record):
    """A message that belongs to no slot, ready to go out."""

    notice_id: int
    patient_id: int | None
    staff_id: int | None
    kind: str
    key: str
    details: dict[str, Any]
    next_try_at: datetime
    expires_at: datetime
    language: str
    contact_id: int
    bot_id: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class InboxUpdate(Record):
    """A raw update still to be handled."""

    id: int
    bot_id: int
    update_id: int
    sealed: bytes
    received_at: datetime
