"""The check can fail: whatever is done to the database is found and named."""

from copy import deepcopy
from datetime import timedelta

import pytest

from rehearsal.simulation.check import (
    AT_NIGHT,
    CHANGED,
    DOUBLED,
    LOST,
    MISTAKEN,
    TWICE,
    UNSAID,
    UNWANTED,
    Findings,
    _look_at_phone,
)
from tests.rehearsal.simulation.conftest import Left

# One answer of a patient by button, which no other entry supersedes.
ONE = (
    "(SELECT id FROM entries WHERE score IS NOT NULL AND supersedes IS NULL AND source = 'button' "
    "ORDER BY id LIMIT 1)"
)
ITS_PATIENT = f"(SELECT patient_id FROM entries WHERE id = {ONE})"
TWICE_SENT = "(SELECT slot_id FROM sends WHERE nudge = 1 AND outcome = 'sent' ORDER BY id LIMIT 1)"
OUT = f"DELETE FROM entries WHERE id = {ONE}"
AGAIN = (
    "(SELECT max(id) + 1 FROM entries), patient_id, slot_id, answer, score, skip_reason, kind, source, 'again', "
    "due_at, prompted_at, said_at, received_at, recorded_at, local_date, zone, utc_offset_minutes, id, 'again', "
    "audit_id"
)
ANOTHER_QUESTION = (
    f"(SELECT max(id) FROM slots WHERE patient_id = {ITS_PATIENT} AND kind = 'rating' AND answered_by IS NULL)"
)
HARM = {
    "an answer taken out": (
        f"UPDATE slots SET answered_by = NULL, answered_as = NULL WHERE answered_by = {ONE}; {OUT}",
        {LOST},
    ),
    "a score changed": (f"UPDATE entries SET score = (score + 3) % 11 WHERE id = {ONE}", {CHANGED}),
    "an answer of another kind": (f"UPDATE entries SET answer = 'taken', score = NULL WHERE id = {ONE}", {CHANGED}),
    "an answer twice": (
        f"INSERT INTO entries SELECT {AGAIN} FROM entries WHERE id = {ONE}",
        {DOUBLED},
    ),
    "an answer moved to another question": (
        f"UPDATE entries SET slot_id = {ANOTHER_QUESTION} WHERE id = {ONE}",
        {LOST, UNSAID},
    ),
    "a text taken out": (
        "DELETE FROM notes WHERE id = (SELECT min(id) FROM notes WHERE text NOT LIKE '[%')",
        {LOST},
    ),
    "a send taken out": (
        "DELETE FROM sends WHERE id = (SELECT min(id) FROM sends WHERE outcome = 'sent')",
        {MISTAKEN},
    ),
    "a message sent twice": (
        f"DROP INDEX sends_once; UPDATE sends SET nudge = 0 WHERE nudge = 1 AND slot_id = {TWICE_SENT}",
        {TWICE},
    ),
    "messages said not to have been sent": (
        f"UPDATE sends SET outcome = 'refused' WHERE slot_id = {TWICE_SENT}",
        {MISTAKEN},
    ),
    "a patient renamed": ("UPDATE patients SET code = 'somebody' WHERE id = 1", {LOST}),
}


def test_of_what_was_acknowledged_nothing_is_lost_doubled_or_changed(week: Left):
    found = week.outcome.findings
    assert found.faults == []
    assert found.answers > 100
    assert found.texts > 3
    assert "0 lost, 0 doubled" in str(found)


def test_a_row_that_is_not_touched_is_no_fault(week: Left, tmp_path):
    assert week.checked_after(tmp_path, lambda raw: None).faults == []


@pytest.mark.parametrize(("harm", "kinds"), HARM.values(), ids=HARM)
def test_harm_is_found_and_named(week: Left, tmp_path, harm, kinds):
    found = week.checked_after(tmp_path, lambda raw: raw.executescript(f"PRAGMA foreign_keys = OFF; {harm}"))
    assert {fault.kind for fault in found.faults} == kinds, found.faults
    assert all(fault.told.startswith(("north-", "south-")) for fault in found.faults)


def test_what_came_to_the_phone_is_held_to_the_quiet_hours_and_to_who_takes_part(week: Left):
    protocol = week.outcome.trial.wanted.protocol.protocol
    code, pages = next((c, p) for c, p in week.outcome.trial.book.pages.items() if len(p.questions) > 5)
    kinds = []
    for harm in ("night", "left", "blocked", "twice"):
        page, found = deepcopy(pages), Findings()
        at, zone = page.by_themselves[0]
        if harm == "night":
            page.by_themselves[0] = (at.replace(hour=1), zone)
        elif harm == "left":
            page.left_at = at - timedelta(hours=1)
        elif harm == "blocked":
            page.blocked, page.refused = [(at, None)], [at, at + timedelta(hours=1)]
        else:
            page.questions.append(page.questions[0])
        _look_at_phone(code, page, protocol, found)
        kinds.append({fault.kind for fault in found.faults})
    assert kinds == [{AT_NIGHT}, {UNWANTED}, {UNWANTED}, {TWICE}]
