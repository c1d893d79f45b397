from pathlib import Path

from protocol.calendar import Standing
from protocol.lifecycle import (
    PATIENT_MOVES,
    SEND_MOVES,
    STANDING,
    PatientStatus,
    SendOutcome,
    diagram,
)

PAGE = Path(__file__).parents[2] / "docs" / "states.md"

TEXT = """# States

Printed from the tables in `protocol/lifecycle.py`; a test holds this page true.

## A patient

```mermaid
{patient}```

## A send

```mermaid
{send}```
"""


def test_every_status_has_its_moves_and_a_standing():
    assert set(PATIENT_MOVES) == set(STANDING) == set(PatientStatus)
    assert set(STANDING.values()) == set(Standing)


def test_every_outcome_has_its_moves():
    assert set(SEND_MOVES) == set(SendOutcome)


def test_nobody_comes_back_from_a_withdrawal():
    assert PATIENT_MOVES[PatientStatus.WITHDRAWN] == frozenset()


def test_everybody_may_leave_at_any_time():
    for status in set(PatientStatus) - {PatientStatus.WITHDRAWN}:
        assert PatientStatus.WITHDRAWN in PATIENT_MOVES[status]


def test_an_unknown_send_is_never_claimed_again():
    assert all(SendOutcome.CLAIMED not in following for following in SEND_MOVES.values())


def test_every_state_can_be_reached_from_the_first():
    for moves in (PATIENT_MOVES, SEND_MOVES):
        reached = {next(iter(moves))}
        while new := {target for state in reached for target in moves[state]} - reached:
            reached |= new
        assert reached == set(moves)


def test_the_page_shows_the_tables_as_they_are():
    assert PAGE.read_text(encoding="utf-8") == TEXT.format(patient=diagram(PATIENT_MOVES), send=diagram(SEND_MOVES))
