"""What machines are told of the export's columns."""

import pytest

from reports.paged import ENTRIES, PATIENTS, SLOTS
from storage import tables

KEPT = {"patients": tables.patients, "slots": tables.slots, "entries": tables.entries}
CALLED = {"label": "time_shift"}
# What a machine has no use for, or is told in another way.
UNTOLD = {"arrival", "next_nudge_at", "answered_by", "change_reason"}


@pytest.mark.parametrize("resource", [PATIENTS, SLOTS, ENTRIES], ids=lambda one: one.name)
def test_what_the_database_may_leave_empty_is_said_to_be_so(resource):
    nullable = {column.name for column in KEPT[resource.name].c if column.nullable} - UNTOLD
    told = {CALLED.get(name, name.removesuffix("_at")) for name in nullable}
    names = {column.name.removesuffix("_utc").removesuffix("_local") for column in resource.columns}
    assert told <= resource.empty <= names


def test_no_column_of_anybodys_own_words_is_among_those_of_a_machine():
    for resource in (PATIENTS, SLOTS, ENTRIES):
        assert not [column for column in resource.columns if column.free or column.name == "change_reason"]
