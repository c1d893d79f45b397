"""Holds the database to the simulator's own book: what was said and acknowledged is there once, and nothing else.

It reads the file that was written, as the product opens it, so a row that is taken out or changed there is found.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, TypeAlias

from diary import Database, Entry, SendOutcome, Slot
from protocol.calendar import zone_of
from protocol.model import Protocol, in_quiet_hours
from rehearsal.simulation.book import Book, Pages
from storage import diaries, patients
from storage import slots as ledger
from storage.database import Connection
from storage.diaries import Send

LOST, DOUBLED, CHANGED, UNSAID = "lost", "doubled", "changed", "that nobody gave"
TWICE, AT_NIGHT, UNWANTED, MISTAKEN = (
    "sent twice",
    "at night",
    "to who had left or shut the bot out",
    "not as recorded",
)
# A message planned for the last moment before the night may be this long on its way; two about the same question
# are further apart than this.
_GRACE: Final = timedelta(minutes=10)

Value: TypeAlias = tuple[str, int | None, str | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be, in a sentence."""

    kind: str
    told: str


@dataclass(slots=True)
class Findings:
    """What was compared, and every fault."""

    answers: int = 0
    changes: int = 0
    texts: int = 0
    questions: int = 0
    faults: list[Fault] = field(default_factory=list)

    def count(self, *kinds: str) -> int:
        """How many faults are of these kinds."""
        return sum(fault.kind in kinds for fault in self.faults)

    def __str__(self) -> str:
        told = [f"{self.count(kind)} {kind}" for kind in (LOST, DOUBLED, CHANGED, UNSAID)]
        sent = [f"{self.count(kind)} {kind}" for kind in (TWICE, AT_NIGHT, UNWANTED, MISTAKEN)]
        return (
            f"{self.answers:,} answers, {self.changes:,} changes of answers and {self.texts:,} texts: "
            f"{', '.join(told)}. {self.questions:,} questions: {', '.join(sent)}."
        )


async def check(db: Database, book: Book, protocol: Protocol, *, now: datetime) -> Findings:
    """Compare everything about every patient."""
    found = Findings()
    for code in sorted(book.pages):
        pages = book.of(code)
        async with db.read() as conn:
            await _compare(conn, code, pages, protocol, found, now=now)
        _look_at_phone(code, pages, protocol, found)
    return found


async def _compare(
    conn: Connection, code: str, pages: Pages, protocol: Protocol, found: Findings, *, now: datetime
) -> None:
    patient = await patients.patient_by_code(conn, code)
    if patient is None:
        found.faults.append(Fault(LOST, f"{code} is not in the database."))
        return
    slots = {slot.id: slot for slot in await ledger.slots_of_patient(conn, patient.id, now=now)}
    entries = _by_slot([one.entry for one in await diaries.entries_of(conn, patient.id)])
    sent = await diaries.sends_of(conn, patient.id)
    for slot_id in sorted({*slots, *pages.acknowledged, *entries}):
        slot = slots.get(slot_id)
        if slot is None:
            found.faults.append(Fault(LOST, f"{code}: slot {slot_id} was answered and is not there."))
        else:
            _compare_slot(code, slot, entries.get(slot_id, []), pages, protocol, found)
    sends = Counter(one.slot_id for one in sent if one.outcome == SendOutcome.SENT)
    _compare_sends(code, slots, sent, sends, pages, found)
    _compare_texts(code, [note.text for note in await diaries.notes_of(conn, patient.id)], pages, found)


def _by_slot(entries: Sequence[Entry]) -> dict[int, list[Entry]]:
    found: dict[int, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.slot_id, []).append(entry)
    return found


def _compare_slot(  # noqa: PLR0917 - the two sides of one comparison, and what to call it
    code: str, slot: Slot, entries: list[Entry], pages: Pages, protocol: Protocol, found: Findings
) -> None:
    said: list[Value] = [one.saying.means(protocol, slot) for one in pages.acknowledged.get(slot.id, [])]
    may_be = [
        saying.means(protocol, slot)
        for of, saying in pages.unanswered
        if of in (slot.id, None) and fits(slot, saying.answer)
    ]
    found.answers += bool(said)
    found.changes += max(0, len(said) - 1)
    kept = [_value(entry) for entry in entries]
    missing, strange = Counter(said) - Counter(kept), Counter(kept) - Counter(said)
    name = f"{code}, {slot.item} of {slot.local_date}"
    before = len(found.faults)
    for value in strange.elements():
        if value in said:
            found.faults.append(Fault(DOUBLED, f"{name}: {_shown(value)} is there more often than it was said."))
        elif missing:
            lost = next(missing.elements())
            missing -= Counter([lost])
            found.faults.append(Fault(CHANGED, f"{name}: said was {_shown(lost)}, and there is {_shown(value)}."))
        elif value not in may_be:
            found.faults.append(Fault(UNSAID, f"{name}: there is {_shown(value)}, which nobody said."))
    found.faults += [
        Fault(LOST, f"{name}: {_shown(value)} was acknowledged and is not there.") for value in missing.elements()
    ]
    holds = next((_value(entry) for entry in entries if entry.id == slot.answered_by), None)
    if said and holds != said[-1] and not may_be and len(found.faults) == before:
        found.faults.append(Fault(CHANGED, f"{name}: said last was {_shown(said[-1])}, and {_shown(holds)} holds."))


def fits(slot: Slot, answer: str) -> bool:
    """Whether an answer is of the kind a slot takes."""
    return (slot.kind == "rating") == (answer == "score")


def _value(entry: Entry) -> Value:
    return (entry.answer, entry.score, entry.skip_reason)


def _shown(value: Value | None) -> str:
    if value is None:
        return "nothing"
    answer, score, reason = value
    return str(score) if score is not None else f"{answer} ({reason})" if reason else answer


def _compare_sends(  # noqa: PLR0917 - the two sides of one comparison, and what to call it
    code: str, slots: dict[int, Slot], sent: Sequence[Send], sends: Counter[int], pages: Pages, found: Findings
) -> None:
    """No nudge went out twice, and the phone got what the record says; a merged message is no nudge."""
    numbers = Counter(
        (one.slot_id, one.nudge) for one in sent if one.outcome in (SendOutcome.SENT, SendOutcome.UNKNOWN)
    )
    shown = Counter(one.slot_id for one in pages.questions if not one.merged)
    for (slot_id, nudge), times in sorted(numbers.items()):
        if times > 1:
            found.faults.append(
                Fault(TWICE, f"{_name(code, slots, slot_id)}: message {nudge} is recorded {times} times.")
            )
    for slot_id in sorted({*sends, *shown}):
        if sends[slot_id] != shown[slot_id]:
            text = f"the phone got {shown[slot_id]} questions, and {sends[slot_id]} are recorded as sent."
            found.faults.append(Fault(MISTAKEN, f"{_name(code, slots, slot_id)}: {text}"))


def _name(code: str, slots: dict[int, Slot], slot_id: int) -> str:
    slot = slots.get(slot_id)
    return f"{code}, {slot.item} of {slot.local_date}" if slot else f"{code}, slot {slot_id}"


def _compare_texts(code: str, notes: Sequence[str], pages: Pages, found: Findings) -> None:
    said, kept = Counter(text.strip() for text in pages.texts), Counter(note.strip() for note in notes)
    found.texts += said.total()
    for text in (said - kept).elements():
        found.faults.append(Fault(LOST, f"{code}: the text {text[:40]!r} is not kept."))
    for text in (kept - said).elements():
        if text in said:
            found.faults.append(
                Fault(DOUBLED, f"{code}: the text {text[:40]!r} is kept more often than it was sent.")
            )


def _look_at_phone(code: str, pages: Pages, protocol: Protocol, found: Findings) -> None:
    """What came by itself came once, by day, and to nobody who had left or shut the bot out."""
    found.questions += len(pages.questions)
    ordered = sorted(pages.questions, key=lambda one: (one.slot_id, one.at))
    for one, next_one in pairwise(ordered):
        if one.slot_id == next_one.slot_id and next_one.at - one.at < _GRACE:
            found.faults.append(
                Fault(TWICE, f"{code}: slot {one.slot_id} was asked for at {one.at} and {next_one.at}.")
            )
    for at, zone in pages.by_themselves:
        if _at_night(protocol, at, zone) and _at_night(protocol, at - _GRACE, zone):
            found.faults.append(Fault(AT_NIGHT, f"{code}: a message came at {at.astimezone(zone_of(zone))}."))
        if pages.left_at is not None and at > pages.left_at:
            found.faults.append(Fault(UNWANTED, f"{code} left at {pages.left_at}, and a message came at {at}."))
    for began, ended in pages.blocked:
        tries = [at for at in pages.refused if at >= began and (ended is None or at < ended)]
        if len(tries) > 1:
            found.faults.append(
                Fault(UNWANTED, f"{code} shut the bot out at {began}, and it tried {len(tries)} times.")
            )
    for slot_id, saying, text in pages.misread:
        found.faults.append(
            Fault(CHANGED, f"{code}: {saying} was said for slot {slot_id}, and the receipt says {text!r}.")
        )


def _at_night(protocol: Protocol, at: datetime, zone: str) -> bool:
    return in_quiet_hours(at.astimezone(zone_of(zone)).time(), protocol.trial.quiet_hours)
