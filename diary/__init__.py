"""What people do: one verb is one function, one transaction and its line in the audit trail."""

from protocol.lifecycle import PatientStatus, SendOutcome
from storage.alerts import Alert
from storage.audit import SYSTEM, Actor
from storage.database import Database
from storage.records import (
    Contact,
    DueNotice,
    DueNudge,
    Entry,
    InboxUpdate,
    Patient,
    Site,
    Slot,
    StaffMember,
)
from storage.sealing import Keys, new_secret_key
from storage.states import SlotState

__all__ = [
    "SYSTEM",
    "Actor",
    "Alert",
    "Contact",
    "Database",
    "DueNotice",
    "DueNudge",
    "Entry",
    "InboxUpdate",
    "Keys",
    "Patient",
    "PatientStatus",
    "SendOutcome",
    "Site",
    "Slot",
    "SlotState",
    "StaffMember",
    "new_secret_key",
]
