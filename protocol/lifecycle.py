"""The allowed moves of a patient and of a send, as tables; the diagrams in docs/ are printed from them."""

from collections.abc import Mapping
from enum import StrEnum

from protocol.calendar import Standing


class PatientStatus(StrEnum):
    """Where a patient stands with the study."""

    INVITED = "invited"  # added by staff, has not agreed yet
    ACTIVE = "active"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"


class SendOutcome(StrEnum):
    """What became of one message for a slot, or of one notice."""

    CLAIMED = "claimed"  # written before the network; a crash leaves it here
    SENT = "sent"
    REFUSED = "refused"
    PUT_BACK = "put back"  # certainly not sent, so it may be tried again
    UNKNOWN = "unknown"  # nobody can tell, so it is never blindly repeated


PATIENT_MOVES: Mapping[PatientStatus, frozenset[PatientStatus]] = {
    PatientStatus.INVITED: frozenset({PatientStatus.ACTIVE, PatientStatus.WITHDRAWN}),
    PatientStatus.ACTIVE: frozenset({PatientStatus.PAUSED, PatientStatus.WITHDRAWN}),
    PatientStatus.PAUSED: frozenset({PatientStatus.ACTIVE, PatientStatus.WITHDRAWN}),
    PatientStatus.WITHDRAWN: frozenset(),
}

SEND_MOVES: Mapping[SendOutcome, frozenset[SendOutcome]] = {
    SendOutcome.CLAIMED: frozenset(
        {SendOutcome.SENT, SendOutcome.REFUSED, SendOutcome.PUT_BACK, SendOutcome.UNKNOWN}
    ),
    SendOutcome.SENT: frozenset(),
    SendOutcome.REFUSED: frozenset(),
    SendOutcome.PUT_BACK: frozenset(),
    SendOutcome.UNKNOWN: frozenset({SendOutcome.SENT}),  # an answer to it proves that it arrived
}

STANDING: Mapping[PatientStatus, Standing] = {
    PatientStatus.INVITED: Standing.NOT_JOINED,
    PatientStatus.ACTIVE: Standing.ASKED,
    PatientStatus.PAUSED: Standing.PAUSED,
    PatientStatus.WITHDRAWN: Standing.WITHDRAWN,
}


def diagram(moves: Mapping[StrEnum, frozenset[StrEnum]]) -> str:
    """A Mermaid state diagram of a table of moves."""
    lines = ["stateDiagram-v2", f"    [*] --> {_name(next(iter(moves)))}"]
    for state, targets in moves.items():
        lines += [f"    {_name(state)} --> {_name(target)}" for target in type(state) if target in targets]
        if not targets:
            lines.append(f"    {_name(state)} --> [*]")
    return "\n".join(lines) + "\n"


def _name(state: StrEnum) -> str:
    return state.value.replace(" ", "_")
