"""What the export's files say: each column's name, type, meaning and source; the dictionary is made from it too.

Nothing else writes or describes a column, so the files and their dictionary cannot disagree. The order of files and
columns is part of the public face: add at the end, never move. Nothing here may carry a treatment arm.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeAlias

from protocol.calendar import zone_of
from protocol.lifecycle import PatientStatus, SendOutcome
from storage import extracts
from storage.extracts import Wanted
from storage.records import Record
from storage.states import SlotState
from storage.tables import ACTOR_KINDS, ANSWERS, ENTRY_KINDS, NOTE_KINDS, PASSED_ON_AS, SOURCES

Cell: TypeAlias = str | int | date | datetime | None


class Kind(StrEnum):
    """How a column's cells are written."""

    TEXT = "text"
    CODE = "code"  # one of the allowed values
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    UTC = "time UTC"
    LOCAL = "time local"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it is called, what it means, and how a line gives it."""

    name: str
    kind: Kind
    meaning: str
    value: Callable[[Any], Cell]
    unit: str = ""
    allowed: str = ""
    free: bool = False  # words of somebody's own, left empty for who may not see identities

    def cell(self, line: Any) -> str:
        """The text of this column's cell."""
        value = self.value(line)
        return "" if value is None else _WRITE[self.kind](value)


@dataclass(frozen=True, slots=True)
class File:
    """One file of the export, with the table it must agree with in number."""

    name: str
    meaning: str
    table: str
    lines: Callable[[Wanted], AsyncIterator[Sequence[Record]]]
    columns: tuple[Column, ...]


_FREE = "Free text: it may name people; handle it as such. Empty for whoever exports without seeing patients."

# A cell that begins like this is a formula to a spreadsheet (OWASP, "CSV Injection"); the full-width forms too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def guarded(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet could run it.

    A text that begins with an apostrophe of its own gets one too: whoever reads the file takes one apostrophe
    away wherever there is one, and has the text as it was written.
    """
    return f"'{text}" if text.startswith((*_FORMULA_STARTS, "'")) else text


def written_utc(at: datetime) -> str:
    """An instant as every file and the API write it: in UTC, to the millisecond."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


_WRITE: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: guarded,
    Kind.CODE: str,
    Kind.INTEGER: str,
    Kind.NUMBER: lambda value: f"{value:g}",
    Kind.DATE: date.isoformat,
    Kind.UTC: written_utc,
    Kind.LOCAL: lambda at: at.isoformat(timespec="milliseconds"),
}


def _text(name: str, meaning: str, source: str = "") -> Column:
    return Column(name, Kind.TEXT, meaning, attrgetter(source or name))


def _free(name: str, meaning: str) -> Column:
    """Words of somebody's own, which may name people."""
    return Column(name, Kind.TEXT, meaning, attrgetter(name), free=True)


def _code(name: str, meaning: str, allowed: Iterable[str], source: str = "") -> Column:
    return Column(name, Kind.CODE, meaning, attrgetter(source or name), allowed=" | ".join(allowed))


def _integer(name: str, meaning: str, source: str = "", *, unit: str = "", allowed: str = "") -> Column:
    return Column(name, Kind.INTEGER, meaning, attrgetter(source or name), unit, allowed)


def _date(name: str, meaning: str, source: str = "") -> Column:
    return Column(name, Kind.DATE, meaning, attrgetter(source or name), "YYYY-MM-DD")


def _in_utc(name: str, meaning: str, source: str) -> Column:
    return Column(f"{name}_utc", Kind.UTC, meaning, attrgetter(source), "ISO 8601")


def _times(name: str, meaning: str, source: str) -> tuple[Column, Column]:
    """An instant twice: in UTC, and on the wall in the line's zone with the offset in force then."""
    read = attrgetter(source)

    def local(line: Any) -> datetime | None:
        at: datetime | None = read(line)
        return None if at is None else at.astimezone(zone_of(line.zone))

    return (
        _in_utc(name, meaning, source),
        Column(f"{name}_local", Kind.LOCAL, f"{meaning} On the wall in `timezone`.", local, "ISO 8601 with offset"),
    )


def _due() -> tuple[Column, Column]:
    """The due time with the offset that was planned with, whatever later rules of the zone say."""
    meaning = "When the question was due."

    def local(line: Any) -> datetime:
        at: datetime = line.due_at.astimezone(timezone(timedelta(minutes=line.utc_offset_minutes)))
        return at

    return (
        _in_utc("due", meaning, "due_at"),
        Column("due_local", Kind.LOCAL, f"{meaning} On the wall in `timezone`.", local, "ISO 8601 with offset"),
    )


def _slot_name(line: Any) -> str | None:
    day = getattr(line, "slot_date", None) or line.local_date
    return None if line.item is None else f"{line.subject}:{line.item}:{day}:{line.n}"


def _trial_day(line: Any) -> int:
    days: int = (line.local_date - line.first_day).days
    return days


_STUDY = _text("study", "The trial's id in the protocol.")
_VERSION = _text("protocol_version", "Version of the protocol the line was made under.")
_SITE = _text("site", "Code of the clinic.")
_SUBJECT = _text("subject", "Subject code; the only name a patient has here.")
_WHO = (_STUDY, _VERSION, _SITE, _SUBJECT)
_SLOT = Column(
    "slot", Kind.TEXT, "Name of the slot in all files: subject:item:local date:occurrence of the day.", _slot_name
)
_LOCAL_DATE = _date("local_date", "The day the slot belongs to where the patient is.")
_TRIAL_DAY = Column(
    "trial_day", Kind.INTEGER, "Day of the trial; 0 is the first day of the first phase.", _trial_day, "days"
)
_OCCURRENCE = _integer("occurrence", "Which of the item's times of the day, from 0.", "n")
_ZONE = _text("timezone", "IANA time zone of the local times in this line.", "zone")
_OFFSET = _integer("utc_offset", "Offset of `timezone` from UTC on that day.", "utc_offset_minutes", unit="min")
_WHAT = (
    _SLOT,
    _text("phase", "The phase's id in the protocol."),
    _text("item", "The item's id in the protocol."),
    _code("item_kind", "What is asked for.", ("dose", "rating")),
    _LOCAL_DATE,
    _TRIAL_DAY,
    _OCCURRENCE,
    _ZONE,
    _OFFSET,
)
_ANSWER = (
    _code("answer", "What was said: a score, or a dose taken or not.", ANSWERS),
    _integer("score", "Pain on the numerical rating scale.", unit="NRS points", allowed="0 to 10"),
    _text("skip_reason", "Id of the reason given for a dose not taken."),
)
_HOLDS = Column(
    "holds",
    Kind.CODE,
    "Whether this is the slot's answer now. A superseded value stays in the file with `no`.",
    lambda line: "no" if line.holds is None else "yes",
    allowed="yes | no",
)
_ENTRY = _integer("entry", "Number of the entry; the same in all files.")

SUBJECTS = File(
    "subjects.csv",
    "One line for each patient ever added, leavers too.",
    "patients",
    extracts.subject_lines,
    (
        *_WHO,
        _code("status", "Where the patient stands with the study.", PatientStatus),
        _text("language", "Language of the chat, ISO 639."),
        _ZONE,
        _date("first_day", "First day of the first phase."),
        *_times("added", "When staff added the patient.", "added_at"),
        *_times("joined", "When the patient agreed to take part.", "joined_at"),
        _text("consent_sha256", "SHA-256 of the consent text agreed to, hexadecimal."),
        *_times("withdrawn", "When the patient left the study.", "withdrawn_at"),
        *_times("erased", "When what identified the patient was erased.", "erased_at"),
        *_times(
            "use_stopped",
            "From when on the diary is no longer used: nothing of this patient is in the other files.",
            "use_stopped_at",
        ),
    ),
)
SLOTS = File(
    "slots.csv",
    "One line for each expected occurrence of an item, answered or not, with its state at the time of the export.",
    "slots",
    extracts.slot_lines,
    (
        *_WHO,
        *_WHAT,
        *_times("opens", "From when it may be answered.", "opens_at"),
        *_due(),
        *_times("on_time_until", "Until when an answer is on time.", "on_time_until"),
        *_times("closes", "When the window closes.", "closes_at"),
        _text("time_shift", "Why the due time is not the plain time of day: clock-gap or zone-change.", "label"),
        _integer("nudges", "Messages sent for it so far.", unit="messages"),
        *_times("prompted", "When the first message went out.", "prompted_at"),
        _code("state", "State at the time of the export; missed: the window closed unanswered.", SlotState),
        _code("answered_as", "Punctuality of the first answer.", ENTRY_KINDS),
        _ENTRY,
        *_ANSWER,
        _text("excused_because", "Why it need not be answered."),
        _text("cancelled_because", "Why it was taken back."),
    ),
)
ENTRIES = File(
    "entries.csv",
    "One line for each recorded answer. A correction is a line of its own, and the value it replaced stays.",
    "entries",
    extracts.entry_lines,
    (
        *_WHO,
        *_WHAT,
        _ENTRY,
        *_ANSWER,
        _code(
            "punctuality",
            "When it was given against the window; a correction keeps the first one's.",
            ENTRY_KINDS,
            "kind",
        ),
        _code(
            "source",
            "How it came: the patient's own button or text; by phone, on paper or at a visit to staff; "
            "staff: a correction of theirs.",
            SOURCES,
        ),
        _code("recorded_by", "Who recorded it.", ACTOR_KINDS, "actor"),
        _text("staff", "Code of the staff member, where one recorded it."),
        _HOLDS,
        _integer("supersedes", "The entry this one corrects."),
        _integer("superseded_by", "The entry that corrects this one."),
        _text("change_reason", "Reason given for the correction."),
        *_due(),
        *_times("prompted", "When the first message for the slot had gone out.", "prompted_at"),
        *_times(
            "said",
            "When the patient sent the message, by Telegram's clock, or told staff; empty for a button.",
            "said_at",
        ),
        *_times("received", "When it reached Daybook.", "received_at"),
        *_times("recorded", "When it was written down.", "recorded_at"),
    ),
)
SENDS = File(
    "sends.csv",
    "One line for each try to send a message for a slot.",
    "sends",
    extracts.send_lines,
    (
        *_WHO,
        _SLOT,
        _ZONE,
        _integer("send", "Number of the try."),
        _integer("nudge", "Which message for the slot: 0 is the first."),
        *_times("planned", "When it was to go out.", "planned_for"),
        *_times("claimed", "When it was taken in hand.", "claimed_at"),
        *_times("finished", "When its outcome was known.", "finished_at"),
        _code("outcome", "What became of it; unknown: nobody can tell whether it arrived.", SendOutcome),
        _text("detail", "Short code that says why."),
    ),
)
NOTES = File(
    "notes.csv",
    f"One line for each text a patient wrote. {_FREE}",
    "notes",
    extracts.note_lines,
    (
        *_WHO,
        _integer("note", "Number of the note."),
        _code("note_kind", "What it is; unread: meant as an answer and not understood.", NOTE_KINDS, "kind"),
        _SLOT,
        _free("text", "What the patient wrote, unchanged but for the guard described under the kind text."),
        _date("local_date", "The patient's day when it was written."),
        _ZONE,
        _OFFSET,
        *_times("said", "When the patient sent it, by Telegram's clock.", "said_at"),
        *_times("received", "When it reached Daybook.", "received_at"),
        *_times("recorded", "When it was written down.", "recorded_at"),
        *_times("passed_on", "When it was given to the study team; empty: it was not.", "passed_on_at"),
        _code("passed_on_as", "What the patient gave it to the team as; empty: it was not given.", PASSED_ON_AS),
    ),
)
ALERTS = File(
    "alerts.csv",
    "One line for each call for staff.",
    "alerts",
    extracts.alert_lines,
    (
        *_WHO,
        _ZONE,
        _integer("alert", "Number of the alert."),
        _text("rule", "The rule that called: its kind in the protocol, or note, invite-reused, paused, withdrawn."),
        _text("about", "The stretch or thing it is about; no rule calls twice about one.", "key"),
        *_times("raised", "When staff were called.", "raised_at"),
        *_times("seen", "When somebody took it.", "seen_at"),
        *_times("done", "When it was dealt with.", "done_at"),
        _text("staff", "Code of the staff member who took it."),
    ),
)
OUTAGES = File(
    "outages.csv",
    "One line for each stretch in which the service could not ask or listen; the whole service, not one site.",
    "outages",
    extracts.outage_lines,
    (
        _integer("outage", "Number of the outage."),
        _code("outage_kind", "What failed.", ("intake", "service"), "kind"),
        _in_utc("began", "When it began.", "began_at"),
        _in_utc("ended", "When it ended.", "ended_at"),
        _integer("slots_touched", "Open questions that it touched at the sites of this export.", unit="slots"),
    ),
)


def _visit_day(line: Any) -> int:
    return int((line.held_on - line.first_day).days)


VISITS = File(
    "visits.csv",
    "One line for each value measured at a clinic day, corrected ones too; what holds says which.",
    "visits",
    extracts.visit_lines,
    (
        *_WHO,
        _ZONE,
        _integer("form", "Number of the form the value was typed into."),
        _text("visit", "Id of the visit in the protocol."),
        _date("held_on", "The day it took place."),
        Column("trial_day", Kind.INTEGER, "Days from the first day of the trial to that day.", _visit_day, "days"),
        _text("measure", "Id of the measure in the protocol; empty: nothing was measured."),
        Column("value", Kind.NUMBER, "The value, in the measure's unit in the protocol.", attrgetter("value")),
        _code("holds", "Whether it is the value that holds.", ("yes", "no"), "held"),
        *_times("recorded", "When it was typed in.", "recorded_at"),
        _text("staff", "Code of the staff member who typed it in; empty: at the console."),
        _integer("supersedes", "Number of the form it corrects; empty: the first one."),
        _text("change_reason", "Why it was corrected."),
    ),
)
COMMENTS = File(
    "comments.csv",
    f"One line for each comment that staff wrote to one another about a patient. {_FREE}",
    "comments",
    extracts.comment_lines,
    (
        *_WHO,
        _ZONE,
        _integer("comment", "Number of the comment."),
        _text("staff", "Code of the staff member who wrote it."),
        _free("text", "What was written."),
        *_times("recorded", "When it was written.", "recorded_at"),
    ),
)
FILES = (SUBJECTS, SLOTS, ENTRIES, SENDS, NOTES, ALERTS, OUTAGES, VISITS, COMMENTS)

_TYPE_MEANS = {
    Kind.TEXT: "text. One that begins with = + - @ ' (or a full-width form of these), tab or line break has an "
    "apostrophe before it, so that no spreadsheet runs it; take one leading apostrophe away to have the original",
    Kind.CODE: "one of the allowed values",
    Kind.INTEGER: "whole number",
    Kind.NUMBER: "number, with a point before its decimal places",
    Kind.DATE: "date",
    Kind.UTC: "time in UTC, to the millisecond",
    Kind.LOCAL: "local time with its offset, to the millisecond",
}


@dataclass(frozen=True, slots=True)
class DictionaryLine:
    """A line of the dictionary: about a type (file *), about a file (position 0), or about a column."""

    file: str
    position: int
    column: str
    type: str
    unit: str
    meaning: str
    allowed: str


DICTIONARY = "data_dictionary.csv"
DICTIONARY_COLUMNS = (
    _text("file", "File of the export; * is a line about a type."),
    _integer("position", "Place of the column in the file, from 1; 0 is a line about the file."),
    _text("column", "Name of the column."),
    _text("type", "How its cells are written; an empty cell means that there is no value."),
    _text("unit", "Unit or format."),
    _text("meaning", "What it says."),
    _text("allowed_values", "Values it can have, where they are few.", "allowed"),
)


def dictionary() -> list[DictionaryLine]:
    """A line for each type, and for each file and its columns in their order."""
    lines = [DictionaryLine("*", 0, "", kind.value, "", meaning, "") for kind, meaning in _TYPE_MEANS.items()]
    for name, meaning, columns in (
        *((file.name, file.meaning, file.columns) for file in FILES),
        (DICTIONARY, "This file.", DICTIONARY_COLUMNS),
    ):
        lines.append(DictionaryLine(name, 0, "", "", "", meaning, ""))
        lines += [
            DictionaryLine(name, position, c.name, c.kind.value, c.unit, c.meaning, c.allowed)
            for position, c in enumerate(columns, start=1)
        ]
    return lines
