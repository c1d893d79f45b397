"""What must hold afterwards, found by comparing what Telegram and the patients saw with the database.

Acknowledged is what Telegram saw confirmed and what a patient saw recorded. Lost is what was acknowledged and
is not kept; doubled is what is there twice, or was asked twice under the same number.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rehearsal.accounts import FIRST_UPDATE
from rehearsal.faults import Call
from tests.process.deployment import BOT_ID, Deployment
from tests.process.patients import Patient

_RECEIPT = re.compile(r"✓ (.+) recorded at ")


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The figures to publish; every list must be empty."""

    updates: int
    receipts: int
    questions: int
    unknown_sends: int
    lost_updates: list[int]
    lost_answers: list[str]
    doubled_answers: list[str]
    doubled_questions: list[str]
    invented: list[str]
    stories_amiss: list[str]
    stuck: int
    in_quarantine: int

    @property
    def acknowledged(self) -> int:
        """Updates confirmed to Telegram, and answers a patient saw as recorded."""
        return self.updates + self.receipts

    @property
    def amiss(self) -> list[str]:
        """What does not hold, in words."""
        lost = [f"update {number} is lost" for number in self.lost_updates]
        doubled = [*self.doubled_answers, *self.doubled_questions]
        left = [f"{self.stuck} stuck, {self.in_quarantine} in quarantine"]
        at_rest = not (self.stuck or self.in_quarantine)
        return [
            *lost,
            *self.lost_answers,
            *doubled,
            *self.invented,
            *self.stories_amiss,
            *([] if at_rest else left),
        ]

    def holds(self) -> None:
        """Fail with what does not hold."""
        assert self.amiss == []

    def __str__(self) -> str:
        lost = len(self.lost_updates) + len(self.lost_answers)
        doubled = len(self.doubled_answers) + len(self.doubled_questions)
        return (
            f"{self.updates} updates confirmed, {self.receipts} receipts seen: {self.acknowledged} acknowledged, "
            f"{lost} lost, {doubled} doubled, {self.stuck} stuck; {self.questions} questions arrived, "
            f"{self.unknown_sends} sends unknown"
        )


def reckon(deployment: Deployment, patients: Sequence[Patient]) -> Reckoning:
    """Compare what was seen with what is kept, once all is settled."""
    receipts = receipts_seen(deployment)
    questions = questions_seen(deployment)
    return Reckoning(
        updates=_confirmed(deployment),
        receipts=len(receipts),
        questions=sum(map(len, questions.values())),
        unknown_sends=deployment.count("SELECT count(*) FROM sends WHERE detail = 'the service stopped'"),
        lost_updates=lost_updates(deployment),
        lost_answers=list(_lost_answers(deployment, receipts, patients)),
        doubled_answers=list(_doubled_answers(deployment, patients)),
        doubled_questions=list(_doubled_questions(deployment, questions)),
        invented=list(_invented(deployment, patients)),
        stories_amiss=list(_stories_amiss(deployment, patients)),
        stuck=stuck(deployment),
        in_quarantine=deployment.count("SELECT count(*) FROM inbox WHERE quarantined_because IS NOT NULL"),
    )


def lost_updates(deployment: Deployment) -> list[int]:
    """Updates that Telegram saw confirmed, and the inbox does not know."""
    kept = {row[0] for row in deployment.ask("SELECT update_id FROM inbox WHERE bot_id = ?", BOT_ID)}
    queue = deployment.telegram.only_bot().updates
    waiting = {update.id for update in queue.pending()}
    return [number for number in range(FIRST_UPDATE, queue.next_id) if number not in waiting | kept]


def stuck(deployment: Deployment) -> int:
    """Updates in the inbox that wait for their handling."""
    return deployment.count("SELECT count(*) FROM inbox WHERE done_at IS NULL AND quarantined_because IS NULL")


class Receipt(NamedTuple):
    """What a phone showed as recorded, and when it was sent, in seconds since 1970."""

    slot_id: int
    said: str
    at: float


def receipts_seen(deployment: Deployment) -> list[Receipt]:
    """Every receipt that reached a phone, its sender dead or alive."""
    found = []
    for call in _arrived(deployment, "sendMessage", "editMessageText"):
        receipt = _RECEIPT.match(str(call.parameters["text"]))
        if receipt is not None:
            found.append(Receipt(_slot_behind(call, "c"), receipt[1], call.at.timestamp()))
    return found


def questions_seen(deployment: Deployment) -> dict[int, list[Call]]:
    """The messages that asked for a slot and reached a phone, by slot."""
    found: defaultdict[int, list[Call]] = defaultdict(list)
    for call in _arrived(deployment, "sendMessage"):
        for act in asks(call):
            found[_slot_behind(call, act)].append(call)
    return dict(found)


def asks(call: Call) -> set[str]:
    """The act that answers it where a call asks for a slot: a score, or a dose taken."""
    if call.method != "sendMessage":
        return set()
    return {data.partition(".")[0] for data in _data(call)} & {"s", "t"}


def confirmed_by(deployment: Deployment) -> list[tuple[float, int]]:
    """When, in seconds since 1970, all updates below which number were confirmed to Telegram."""
    polls = (call for call in deployment.telegram.calls("getUpdates") if "offset" in call.parameters)
    return [(call.at.timestamp(), int(call.parameters["offset"])) for call in polls]


def _confirmed(deployment: Deployment) -> int:
    queue = deployment.telegram.only_bot().updates
    return queue.next_id - FIRST_UPDATE - len(queue.pending())


def _arrived(deployment: Deployment, *methods: str) -> list[Call]:
    return [call for method in methods for call in deployment.telegram.calls(method) if call.carried_out]


def _data(call: Call) -> list[str]:
    markup: Any = call.parameters.get("reply_markup") or {}
    return [str(button["callback_data"]) for row in markup.get("inline_keyboard", ()) for button in row]


def _slot_behind(call: Call, act: str) -> int:
    data = next(data for data in _data(call) if data.startswith(f"{act}."))
    return int(data.partition("~")[0].split(".")[1])


def _entries(deployment: Deployment) -> dict[int, list[tuple[str, str]]]:
    """What is kept for each slot: the answer as a receipt words it, and how it came."""
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for slot_id, answer, score, source in deployment.ask("SELECT slot_id, answer, score, source FROM entries"):
        said = str(score) if answer == "score" else str(answer).replace("-", " ")
        found[int(str(slot_id))].append((said, str(source)))
    return found


def _lost_answers(deployment: Deployment, receipts: list[Receipt], patients: Sequence[Patient]) -> Any:
    entries = _entries(deployment)
    for slot_id, said, _ in receipts:
        if said not in [kept for kept, _ in entries[slot_id]]:
            yield f"slot {slot_id}: {said} was shown as recorded, and kept is {entries[slot_id]}"
    for patient in patients:
        for slot_id in patient.tapped:
            if not entries[slot_id]:
                yield f"slot {slot_id}: tapped, and nothing is kept"


def _doubled_answers(deployment: Deployment, patients: Sequence[Patient]) -> Any:
    for slot_id, kept in _entries(deployment).items():
        if len(kept) > 1:
            yield f"slot {slot_id}: {kept}"
    for patient in patients:
        written = Counter(said for said, source in _of(deployment, patient) if source == "text")
        for said, times in (written - patient.numbers).items():
            yield f"{patient.person.profile.first_name}: {said} was recorded {times} times too often"


def _of(deployment: Deployment, patient: Patient) -> list[tuple[str, str]]:
    rows = deployment.ask(
        "SELECT s.id FROM slots s JOIN patients p ON p.id = s.patient_id WHERE p.code = ?",
        patient.person.profile.first_name,
    )
    entries = _entries(deployment)
    return [kept for (slot_id,) in rows for kept in entries[int(str(slot_id))]]


def _invented(deployment: Deployment, patients: Sequence[Patient]) -> Any:
    """Entries nobody gave: each must be a tap on its own slot, or a number the patient wrote."""
    taps = {slot_id: said for patient in patients for slot_id, said in patient.tapped.items()}
    written = {said for patient in patients for said in patient.numbers}
    for slot_id, kept in _entries(deployment).items():
        for said, source in kept:
            if said not in (taps.get(slot_id, set()) if source == "button" else written):
                yield f"slot {slot_id}: {said} by {source}"


def _stories_amiss(deployment: Deployment, patients: Sequence[Patient]) -> Any:
    """Each story is kept as a note, once; its text is in clear in the notes alone."""
    kept = Counter(str(text) for (text,) in deployment.ask("SELECT text FROM notes"))
    for patient in patients:
        for story in patient.stories:
            if kept[story] != 1:
                yield f"{story!r} is kept {kept[story]} times"


def _doubled_questions(deployment: Deployment, questions: dict[int, list[Call]]) -> Any:
    """A message that arrived has a record of its own: sent, or unknown and then never tried again."""
    by_slot: defaultdict[int, list[tuple[object, object]]] = defaultdict(list)
    for slot_id, nudge, outcome, message_id in deployment.ask(
        "SELECT slot_id, nudge, outcome, message_id FROM sends"
    ):
        if outcome in ("claimed", "sent", "unknown"):
            by_slot[int(str(slot_id))].append((nudge, message_id))
    for slot_id, calls in questions.items():
        records = by_slot[slot_id]
        if len(calls) > len({nudge for nudge, _ in records}):
            yield f"slot {slot_id}: asked {len(calls)} times, and the record knows {records}"
    for slot_id, records in by_slot.items():
        numbers = [nudge for nudge, _ in records]
        if len(numbers) != len(set(numbers)):
            yield f"slot {slot_id}: {records}"
