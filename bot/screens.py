"""What a patient sees about a slot: the question, the receipt, the choices on the way between them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from bot.buttons import Buttons
from bot.turn import LONGEST_QUOTE, Rows, Screen, shortened
from bot.words import Words
from diary import Database, DueNudge, Entry, Slot
from diary.notes import text_of_note
from protocol.model import Item, Protocol

_CHANGE_REASONS = ("wrong-button", "remembered", "other")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the screens need of a slot, whether a nudge or the patient brought it up."""

    slot_id: int
    phase: str
    item: str
    kind: str
    zone: str
    local_date: date
    due_local: datetime

    @classmethod
    def by_nudge(cls, nudge: DueNudge) -> "Asked":
        """From a nudge of the dispatcher."""
        local = nudge.due_at.astimezone(timezone(timedelta(minutes=nudge.utc_offset_minutes)))
        return cls(nudge.slot_id, nudge.phase, nudge.item, nudge.kind, nudge.zone, nudge.local_date, local)

    @classmethod
    def of(cls, slot: Slot) -> "Asked":
        """From a slot of the ledger."""
        return cls(slot.id, slot.phase, slot.item, slot.kind, slot.zone, slot.local_date, slot.due_local)


class Screens:
    """Composes screens for one patient: one chat, one language, one protocol."""

    def __init__(self, words: Words, buttons: Buttons, chat_id: int, protocol: Protocol) -> None:
        self.words = words
        self.protocol = protocol
        self._buttons = buttons
        self._chat_id = chat_id

    def data(self, act: str, *arguments: int | str) -> str:
        """Data for a button in this chat."""
        return self._buttons.data(self._chat_id, act, *arguments)

    def item(self, asked: Asked) -> Item:
        """The protocol's item behind a slot."""
        return self.protocol.item(asked.phase, asked.item)

    def name(self, asked: Asked) -> str:
        """A slot in words: "pain rating, Tue 24 Nov, 20:00"; the message may be read again next week."""
        moment = self.words.stamp(asked.due_local)
        return self.words("slot.name", item=self.item(asked).name.in_language(self.words.language), moment=moment)

    def question(self, asked: Asked, *, repeat: bool = False, later: bool = True) -> Screen:
        """Ask for a slot; a repeat is worded so that reading it twice does no harm."""
        words = self.words
        moment = words.stamp(asked.due_local)
        lines = [
            self.item(asked).prompt.in_language(words.language),
            words("question.repeat" if repeat else "question.moment", moment=moment),
        ]
        if asked.kind == "rating":
            lines.append(self._anchors())
        rows = self._choices(asked, "s", "t", "n")
        if later:
            rows = (*rows, ((words("button.later"), self.data("l", asked.slot_id)),))
        return Screen("\n".join(lines), rows)

    def _anchors(self) -> str:
        scale, language = self.protocol.trial.nrs, self.words.language
        return self.words(
            "question.anchors",
            min=scale.min,
            max=scale.max,
            low=scale.low.in_language(language),
            high=scale.high.in_language(language),
        )

    def _choices(self, asked: Asked, score_act: str, taken_act: str, not_taken_act: str) -> Rows:
        words = self.words
        if asked.kind == "dose":
            return (
                (
                    (words("button.taken"), self.data(taken_act, asked.slot_id)),
                    (words("button.not-taken"), self.data(not_taken_act, asked.slot_id)),
                ),
            )
        scale = self.protocol.trial.nrs
        keys = [
            (words.digits(str(score)), self.data(score_act, asked.slot_id, score))
            for score in range(scale.min, scale.max + 1)
        ]
        half = (len(keys) + 1) // 2
        return (tuple(keys[:half]), tuple(keys[half:]))

    def recorded(self, asked: Asked, entry: Entry, *, was: Entry | None = None) -> Screen:
        """The receipt, in place of the question; nothing looks recorded before this is shown."""
        words = self.words
        at = words.time(entry.recorded_at.astimezone(asked.due_local.tzinfo))
        lines = [words("recorded.line", answer=self.answer(entry), slot=self.name(asked), at=at)]
        if was is not None:
            lines.append(words("recorded.was", answer=self.answer(was)))
        elif entry.kind in ("late", "after outage"):
            lines.append(words("recorded.late"))
        buttons = (
            (words("button.change"), self.data("c", asked.slot_id)),
            (words("button.add-note"), self.data("a", asked.slot_id)),
        )
        return Screen("\n".join(lines), (buttons,))

    def answer(self, entry: Entry) -> str:
        """An entry in words: "7", "taken", "not taken (I forgot)"."""
        words = self.words
        if entry.score is not None:
            return words.digits(str(entry.score))
        if entry.answer == "taken":
            return words("answer.taken")
        if entry.skip_reason is None:
            return words("answer.not-taken")
        reason = self.protocol.reason_text(entry.skip_reason, words.language)
        return words("answer.not-taken-because", reason=reason)

    def skip_reasons(self, asked: Asked, *, act: str = "r") -> Screen:
        """Ask why a dose was not taken; saying nothing about it is an answer too."""
        words = self.words
        names = [
            (self.protocol.reason_text(reason, words.language), self.data(act, asked.slot_id, place))
            for place, reason in enumerate(self.item(asked).skip_reasons)
        ]
        rows = [tuple(names[start : start + 2]) for start in range(0, len(names), 2)]
        rows.append(
            (
                (words("button.no-reason"), self.data(act, asked.slot_id, "-")),
                (words("button.back"), self.data("o", asked.slot_id)),
            )
        )
        return Screen(words("skip.why", slot=self.name(asked)), tuple(rows))

    def same_dose(self, asked: Asked) -> Screen:
        """Ask whether a dose soon after another is the same one, before counting two."""
        words = self.words
        return Screen(
            words("same-dose.ask", slot=self.name(asked)),
            (
                ((words("same-dose.same"), self.data("k", asked.slot_id)),),
                ((words("same-dose.another"), self.data("y", asked.slot_id)),),
            ),
        )

    def change(self, asked: Asked, entry: Entry) -> Screen:
        """Ask what a recorded answer should be instead."""
        words = self.words
        rows = self._choices(asked, "d", "dt", "dn")
        keep = ((words("button.leave-it"), self.data("x", asked.slot_id)),)
        text = words("change.ask", answer=self.answer(entry), slot=self.name(asked))
        return Screen(text, (*rows, keep))

    def change_reason(self, asked: Asked, value: str) -> Screen:
        """Ask why an answer is changed; the old one stays in the record beside the reason."""
        words = self.words
        rows = [
            ((words(f"change.reason.{why}"), self.data("e", asked.slot_id, value, why)),) for why in _CHANGE_REASONS
        ]
        keep = ((words("button.leave-it"), self.data("x", asked.slot_id)),)
        return Screen(words("change.why", slot=self.name(asked)), (*rows, keep))

    def offer_change(self, asked: Asked, entry: Entry, score: int) -> Screen:
        """A second, different answer is a wish to change the first."""
        words = self.words
        text = words("change.offer", answer=self.answer(entry), slot=self.name(asked), new=score)
        yes = (words("change.yes", new=score), self.data("d", asked.slot_id, score))
        return Screen(text, ((yes,), ((words("button.leave-it"), self.data("x", asked.slot_id)),)))


async def alert_said(db: Database, words: Words, *, rule: str, code: str, note: int | None) -> str:
    """An alert in words; what the patient wrote stays in sight of whoever takes it."""
    said = words(f"alert.{rule}", code=code)
    if note is None:
        return said
    quoted = words("alert.text", text=shortened(await text_of_note(db, note), LONGEST_QUOTE))
    return f"{said}\n{quoted}"
