"""The tables of the export, column by column: name, type, meaning and source; the dictionary is made from them.

Nothing else writes or describes a column, so the files and their dictionary cannot disagree. The order of tables
and columns is part of the public face: add at the end, never move. Nothing here may carry a treatment arm.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from protocol.lifecycle import PatientStatus, SendOutcome
from reports.columns import (
    Cells,
    Column,
    Kind,
    code,
    date,
    days_between,
    free,
    in_utc,
    integer,
    number,
    planned_times,
    text,
    times,
    yes_or_no,
)
from storage import extracts
from storage.extracts import Batch, Wanted
from storage.states import SlotState
from storage.tables import ACTOR_KINDS, ANSWERS, ENTRY_KINDS, NOTE_KINDS, PASSED_ON_AS, SOURCES


def _as_read(batch: Batch) -> Batch:
    return batch


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the export; `counted` is the database's table it must agree with in number, "" where none is.

    Tables with the same `batches`, one after the other, are written from one reading; `lines` makes each's of it.
    """

    name: str
    short: str
    meaning: str
    counted: str
    batches: Callable[[Wanted], AsyncIterator[Batch]]
    columns: tuple[Column, ...]
    lines: Callable[[Batch], Batch] = _as_read


_FREE = "Free text: it may name people; handle it as such. Empty for whoever exports without seeing patients."


def _slot_names(batch: Batch) -> Cells:
    days = batch.get("slot_date", batch["local_date"])
    parts = zip(batch["subject"], batch["item"], days, batch["n"], strict=True)
    return [None if item is None else f"{subject}:{item}:{day}:{n}" for subject, item, day, n in parts]


STUDY: Final = text("study", "STUDY", "The trial's id in the protocol.")
SITE: Final = text("site", "SITE", "Code of the clinic.")
SUBJECT: Final = text("subject", "SUBJECT", "Subject code; the only name a patient has here.")
WHO: Final = (
    STUDY,
    text("protocol_version", "PROTVER", "Version of the protocol the line was made under."),
    SITE,
    SUBJECT,
)
_SLOT = Column(
    "slot",
    "SLOT",
    Kind.TEXT,
    "Name of the slot in all files: subject:item:local date:occurrence of the day.",
    _slot_names,
)
_ZONE = text("timezone", "TIMEZONE", "IANA time zone of the local times in this line.", "zone")
_OFFSET = integer(
    "utc_offset", "UTCOFF", "Offset of `timezone` from UTC on that day.", "utc_offset_minutes", unit="min"
)
_WHAT = (
    _SLOT,
    text("phase", "PHASE", "The phase's id in the protocol."),
    text("item", "ITEM", "The item's id in the protocol."),
    code("item_kind", "ITEMKIND", "What is asked for.", ("dose", "rating")),
    date("local_date", "LOCDATE", "The day the slot belongs to where the patient is."),
    days_between(
        "trial_day",
        "TRIALDAY",
        "Day of the trial; 0 is the first day of the first phase.",
        "first_day",
        "local_date",
    ),
    integer("occurrence", "OCCUR", "Which of the item's times of the day, from 0.", "n"),
    _ZONE,
    _OFFSET,
)
_ANSWER = (
    code("answer", "ANSWER", "What was said: a score, or a dose taken or not.", ANSWERS),
    integer("score", "SCORE", "Pain on the numerical rating scale.", unit="NRS points", within="0 to 10"),
    text("skip_reason", "SKIPREAS", "Id of the reason given for a dose not taken."),
)
_ENTRY = integer("entry", "ENTRY", "Number of the entry; the same in all files.")

SUBJECTS: Final = Table(
    "subjects",
    "SUBJECTS",
    "One line for each patient ever added, leavers too.",
    "patients",
    extracts.subjects,
    (
        *WHO,
        code("status", "STATUS", "Where the patient stands with the study.", PatientStatus),
        text("language", "LANGUAGE", "Language of the chat, ISO 639."),
        _ZONE,
        date("first_day", "FIRSTDAY", "First day of the first phase."),
        *times("added", "ADDED", "When staff added the patient.", "added_at"),
        *times("joined", "JOINED", "When the patient agreed to take part.", "joined_at"),
        text("consent_sha256", "CONSENT", "SHA-256 of the consent text agreed to, hexadecimal."),
        *times("withdrawn", "WITHDR", "When the patient left the study.", "withdrawn_at"),
        *times("erased", "ERASED", "When what identified the patient was erased.", "erased_at"),
        *times(
            "use_stopped",
            "USEST",
            "From when on the diary is no longer used: nothing of this patient is in the other files.",
            "use_stopped_at",
        ),
    ),
)
SLOTS: Final = Table(
    "slots",
    "SLOTS",
    "One line for each expected occurrence of an item, answered or not, with its state at the time of the export.",
    "slots",
    extracts.slots,
    (
        *WHO,
        *_WHAT,
        *times("opens", "OPENS", "From when it may be answered.", "opens_at"),
        *planned_times("due", "DUE", "When the question was due.", "due_at"),
        *times("on_time_until", "ONTIME", "Until when an answer is on time.", "on_time_until"),
        *times("closes", "CLOSES", "When the window closes.", "closes_at"),
        text(
            "time_shift",
            "SHIFT",
            "Why the due time is not the plain time of day: clock-gap or zone-change.",
            "label",
        ),
        integer("nudges", "NUDGES", "Messages sent for it so far.", unit="messages"),
        *times("prompted", "PROMPT", "When the first message went out.", "prompted_at"),
        code(
            "state",
            "STATE",
            "State at the time of the export; missed: the window closed unanswered.",
            SlotState,
        ),
        code("answered_as", "ANSAS", "Punctuality of the first answer.", ENTRY_KINDS),
        _ENTRY,
        *_ANSWER,
        text("excused_because", "EXCUSED", "Why it need not be answered."),
        text("cancelled_because", "CANCEL", "Why it was taken back."),
    ),
)
ENTRIES: Final = Table(
    "entries",
    "ENTRIES",
    "One line for each recorded answer. A correction is a line of its own, and the value it replaced stays.",
    "entries",
    extracts.entries,
    (
        *WHO,
        *_WHAT,
        _ENTRY,
        *_ANSWER,
        code(
            "punctuality",
            "PUNCT",
            "When it was given against the window; a correction keeps the first one's.",
            ENTRY_KINDS,
            "kind",
        ),
        code(
            "source",
            "SOURCE",
            "How it came: the patient's own button or text; by phone, on paper or at a visit to staff; "
            "staff: a correction of theirs.",
            SOURCES,
        ),
        code("recorded_by", "RECBY", "Who recorded it.", ACTOR_KINDS, "actor"),
        text("staff", "STAFF", "Code of the staff member, where one recorded it."),
        yes_or_no(
            "holds",
            "HOLDS",
            "Whether this is the slot's answer now. A superseded value stays in the file with `no`.",
        ),
        integer("supersedes", "SUPERS", "The entry this one corrects."),
        integer("superseded_by", "SUPERSBY", "The entry that corrects this one."),
        text("change_reason", "CHANGE", "Reason given for the correction."),
        *planned_times("due", "DUE", "When the question was due.", "due_at"),
        *times("prompted", "PROMPT", "When the first message for the slot had gone out.", "prompted_at"),
        *times(
            "said",
            "SAID",
            "When the patient sent the message, by Telegram's clock, or told staff; empty for a button.",
            "said_at",
        ),
        *times("received", "RECEIV", "When it reached Daybook.", "received_at"),
        *times("recorded", "RECORD", "When it was written down.", "recorded_at"),
    ),
)
SENDS: Final = Table(
    "sends",
    "SENDS",
    "One line for each try to send a message for a slot.",
    "sends",
    extracts.sends,
    (
        *WHO,
        _SLOT,
        _ZONE,
        integer("send", "SEND", "Number of the try."),
        integer("nudge", "NUDGE", "Which message for the slot: 0 is the first."),
        *times("planned", "PLAN", "When it was to go out.", "planned_for"),
        *times("claimed", "CLAIM", "When it was taken in hand.", "claimed_at"),
        *times("finished", "FINISH", "When its outcome was known.", "finished_at"),
        code("outcome", "OUTCOME", "What became of it; unknown: nobody can tell whether it arrived.", SendOutcome),
        text("detail", "DETAIL", "Short code that says why."),
    ),
)
NOTES: Final = Table(
    "notes",
    "NOTES",
    f"One line for each text a patient wrote. {_FREE}",
    "notes",
    extracts.notes,
    (
        *WHO,
        integer("note", "NOTE", "Number of the note."),
        code(
            "note_kind",
            "NOTEKIND",
            "What it is; unread: meant as an answer and not understood.",
            NOTE_KINDS,
            "kind",
        ),
        _SLOT,
        free("text", "TEXT", "What the patient wrote, unchanged but for the guard described under the kind text."),
        date("local_date", "LOCDATE", "The patient's day when it was written."),
        _ZONE,
        _OFFSET,
        *times("said", "SAID", "When the patient sent it, by Telegram's clock.", "said_at"),
        *times("received", "RECEIV", "When it reached Daybook.", "received_at"),
        *times("recorded", "RECORD", "When it was written down.", "recorded_at"),
        *times("passed_on", "PASSED", "When it was given to the study team; empty: it was not.", "passed_on_at"),
        code(
            "passed_on_as",
            "PASSEDAS",
            "What the patient gave it to the team as; empty: it was not given.",
            PASSED_ON_AS,
        ),
    ),
)
ALERTS: Final = Table(
    "alerts",
    "ALERTS",
    "One line for each call for staff.",
    "alerts",
    extracts.alerts,
    (
        *WHO,
        _ZONE,
        integer("alert", "ALERT", "Number of the alert."),
        text(
            "rule",
            "RULE",
            "The rule that called: its kind in the protocol, or note, invite-reused, paused, withdrawn.",
        ),
        text("about", "ABOUT", "The stretch or thing it is about; no rule calls twice about one.", "key"),
        *times("raised", "RAISED", "When staff were called.", "raised_at"),
        *times("seen", "SEEN", "When somebody took it.", "seen_at"),
        *times("done", "DONE", "When it was dealt with.", "done_at"),
        text("staff", "STAFF", "Code of the staff member who took it."),
    ),
)
OUTAGES: Final = Table(
    "outages",
    "OUTAGES",
    "One line for each stretch in which the service could not ask or listen; the whole service, not one site.",
    "outages",
    extracts.outages,
    (
        integer("outage", "OUTAGE", "Number of the outage."),
        code("outage_kind", "OUTKIND", "What failed.", ("intake", "service"), "kind"),
        in_utc("began", "BEGAN", "When it began.", "began_at"),
        in_utc("ended", "ENDED", "When it ended.", "ended_at"),
        integer(
            "slots_touched", "TOUCHED", "Open questions that it touched at the sites of this export.", unit="slots"
        ),
    ),
)
VISITS: Final = Table(
    "visits",
    "VISITS",
    "One line for each value measured at a clinic day, corrected ones too; what holds says which.",
    "visits",
    extracts.visits,
    (
        *WHO,
        _ZONE,
        integer("form", "FORM", "Number of the form the value was typed into."),
        text("visit", "VISIT", "Id of the visit in the protocol."),
        date("held_on", "HELDON", "The day it took place."),
        *times("began", "BEGAN", "When it began; empty: nobody wrote the time down.", "began_at"),
        days_between(
            "trial_day", "TRIALDAY", "Days from the first day of the trial to that day.", "first_day", "held_on"
        ),
        text("measure", "MEASURE", "Id of the measure in the protocol; empty: nothing was measured."),
        number("value", "VALUE", "The value, in the measure's unit in the protocol."),
        yes_or_no("holds", "HOLDS", "Whether it is the value that holds."),
        *times("recorded", "RECORD", "When it was typed in.", "recorded_at"),
        text("staff", "STAFF", "Code of the staff member who typed it in; empty: at the console."),
        integer("supersedes", "SUPERS", "Number of the form it corrects; empty: the first one."),
        text("change_reason", "CHANGE", "Why it was corrected."),
    ),
)
COMMENTS: Final = Table(
    "comments",
    "COMMENTS",
    f"One line for each comment that staff wrote to one another about a patient. {_FREE}",
    "comments",
    extracts.comments,
    (
        *WHO,
        _ZONE,
        integer("comment", "COMMENT", "Number of the comment."),
        text("staff", "STAFF", "Code of the staff member who wrote it."),
        free("text", "TEXT", "What was written."),
        *times("recorded", "RECORD", "When it was written.", "recorded_at"),
    ),
)
# Not one of the tables below: it is for verifying, in CSV only, and in no export of a part.
TRAIL: Final = Table(
    "audit",
    "AUDIT",
    "One line for each line of the audit trail, in CSV alone, with what is hashed: `daybook audit verify` checks "
    "it. It may hold free text. A content is UTF-8 as it stands in the cell; the ids in it are the database's own.",
    "audit",
    extracts.trail,
    (
        integer("line", "LINE", "Number of the line: 1, 2, 3 and so on."),
        text(
            "content",
            "CONTENT",
            "The line as JSON: when, who, what, about whom, details, reason, and the row that came with it.",
        ),
        text("row", "ROW", "That row as JSON, of which the content has the digest; it is in another file too."),
        text(
            "content_sha256",
            "CONTSHA",
            "SHA-256 of the content, hexadecimal, where it is left out: the patient's diary is no longer used.",
        ),
        text(
            "sha256",
            "SHA256",
            "SHA-256, hexadecimal, of the text `sha256 of the line before`, line feed, `line`, line feed, `SHA-256 "
            "of the content`; before line 1 stand sixty-four zeros.",
        ),
    ),
)
TABLES: Final = (SUBJECTS, SLOTS, ENTRIES, SENDS, NOTES, ALERTS, OUTAGES, VISITS, COMMENTS)
