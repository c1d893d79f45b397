"""The check can fail: whatever is done to the database is found and named."""

import pytest

from rehearsal.simulation.check import CHANGED, DOUBLED, LOST, MISTAKEN, TWICE, UNSAID, Findings
from tests.rehearsal.simulation.conftest import Left

# One answer of a patient by button, which no other entry supersedes.
ONE = "SELECT id FROM entries WHERE score IS NOT NULL AND supersedes IS NULL AND source = 'button' ORDER BY id LIMIT 1"


def test_of_what_was_acknowledged_nothing_is_lost_doubled_or_changed(week: Left):
    found = week.outcome.findings
    assert found.faults == []
    assert found.answers > 100
    assert found.texts > 3
    assert "0 lost, 0 doubled" in str(found)


def test_a_row_that_is_not_touched_is_no_fault(week: Left, tmp_path):
    assert week.checked_after(tmp_path, lambda raw: None).faults == []


@pytest.mark.parametrize(
    ("harm", "kinds"),
    [
        (f"UPDATE slots SET answered_by = NULL, answered_as = NULL WHERE answered_by = ({ONE}); "
         f"DELETE FROM entries WHERE id = ({ONE})", {LOST}),
        (f"UPDATE entries SET score = (score + 3) % 11 WHERE id = ({ONE})", {CHANGED}),
        (f"UPDATE entries SET answer = 'taken', score = NULL WHERE id = ({ONE})", {CHANGED}),
        (f"INSERT INTO entries SELECT (SELECT max(id) + 1 FROM entries), patient_id, slot_id, answer, score, skip_reason, "
         f"kind, source, 'again', due_at, prompted_at, said_at, received_at, recorded_at, local_date, zone, "
         f"utc_offset_minutes, id, 'again', audit_id FROM entries WHERE id = ({ONE})", {DOUBLED}),
        (f"UPDATE entries SET slot_id = (SELECT id FROM slots WHERE patient_id = (SELECT patient_id FROM entries "
         f"WHERE id = ({ONE})) AND kind = 'rating' AND answered_by IS NULL LIMIT 1) WHERE id = ({ONE})", {LOST, UNSAID}),
        ("DELETE FROM notes WHERE id = (SELECT min(id) FROM notes WHERE text NOT LIKE '[%')", {LOST}),
        ("DELETE FROM sends WHERE id = (SELECT min(id) FROM sends WHERE outcome = 'sent')", {MISTAKEN}),
        ("DROP INDEX sends_once; UPDATE sends SET nudge = 0 WHERE nudge = 1 AND outcome = 'sent'", {TWICE}),
        ("UPDATE sends SET outcome = 'refused' WHERE slot_id = (SELECT slot_id FROM sends WHERE nudge = 1 AND outcome = 'sent' LIMIT 1)", {MISTAKEN}),
    ],
    ids=["an answer taken out", "a score changed", "an answer of another kind", "an answer twice",
         "an answer moved to another question", "a text taken out", "a send taken out", "a message sent twice",
         "messages said not to have been sent"],
)  # fmt: skip
def test_harm_is_found_and_named(week: Left, tmp_path, harm, kinds):
    found = week.checked_after(tmp_path, lambda raw: raw.executescript(f"PRAGMA foreign_keys = OFF; {harm}"))
    assert {fault.kind for fault in found.faults} == kinds, found.faults
    assert all(fault.told.startswith(("north-", "south-")) for fault in found.faults)


def test_what_came_to_the_phone_is_held_to_the_quiet_hours_and_to_who_takes_part(week: Left):
    from copy import deepcopy
    from datetime import timedelta

    from rehearsal.simulation.check import AT_NIGHT, UNWANTED, _look_at_phone

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
