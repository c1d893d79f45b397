"""Fulfils the Sender seam: finds the words and buttons of a nudge or notice, asks Telegram, sorts the failure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from telegram.ext import ExtBot

from bot.buttons import Buttons
from bot.digest import digest
from bot.limiter import Asking, Lane
from bot.outcomes import TRY_AGAIN_IN, NotWantedError, classify
from bot.screens import Asked, Screens, alert_said
from bot.turn import NO_PREVIEW, Screen
from bot.words import words_in
from diary import Database, DueNotice, DueNudge, Slot, SlotState
from diary.answers import look_at
from diary.enrolment import why_not_written_to
from diary.joining import chat_of
from diary.protocols import protocol_in_use
from diary.roles import Act, actor_called, may
from schedules.sending import Clock, PutBack, SendResult, Sent

log = structlog.get_logger(__name__)


class Senders:
    """The bots of this deployment by id, and the ways to send through them."""

    def __init__(self, db: Database, bots: Mapping[int, ExtBot[Any]], clock: Clock) -> None:
        self.db = db
        self.bots = bots
        self.clock = clock

    async def deliver(
        self, message_of: DueNudge | DueNotice, chat_id: int, screen: Screen, lane: Lane
    ) -> SendResult:
        """Send one message and say how it ended; a patient who left while it waited for its turn gets none."""
        try:
            message = await self.bots[message_of.bot_id].send_message(
                chat_id,
                screen.text,
                reply_markup=screen.markup(),
                link_preview_options=NO_PREVIEW,
                rate_limit_args=self._asking(message_of, lane),
            )
        except NotWantedError as stopped:
            return PutBack(TRY_AGAIN_IN, stopped.why)
        except Exception as error:  # noqa: BLE001 - whatever it was, the record must say what is known
            return classify(error)
        return Sent(message.message_id)

    def _asking(self, message_of: DueNudge | DueNotice, lane: Lane) -> Lane | Asking:
        """The lane; of a patient's message one that asks, right before the network, whether it may still go."""
        patient_id = message_of.patient_id
        if patient_id is None:
            return lane

        async def why_not() -> str | None:
            try:
                return await why_not_written_to(
                    self.db, patient_id=patient_id, contact_id=message_of.contact_id, sealed=message_of.sealed
                )
            except Exception as error:  # noqa: BLE001 - whoever cannot be asked for is not written to
                log.warning("not_asked_before_sending", error=type(error).__name__)
                return "not asked"

        return Asking(lane, why_not)


class NudgeSender:
    """Sends nudges."""

    def __init__(self, senders: Senders) -> None:
        self._senders = senders

    async def send(self, nudge: DueNudge) -> SendResult:
        """Ask one patient for one slot."""
        senders = self._senders
        chat_id = chat_of(senders.db, sealed=nudge.sealed, patient_id=nudge.patient_id, staff_id=None)
        protocol = await protocol_in_use(senders.db, nudge.protocol_id)
        buttons = Buttons(senders.db.keys, nudge.bot_id)
        screens = Screens(words_in(nudge.language), buttons, chat_id, protocol)
        question = screens.question(Asked.by_nudge(nudge), repeat=nudge.nudges > 0)
        return await senders.deliver(nudge, chat_id, question, Lane.REMINDER)


class NoticeSender:
    """Sends notices: alerts and digests to staff, and the one merged question after a break in service."""

    def __init__(self, senders: Senders) -> None:
        self._senders = senders

    async def send(self, notice: DueNotice) -> SendResult:
        """Tell one person one thing."""
        senders = self._senders
        chat_id = chat_of(senders.db, sealed=notice.sealed, patient_id=notice.patient_id, staff_id=notice.staff_id)
        buttons = Buttons(senders.db.keys, notice.bot_id)
        if notice.kind == "reask":
            screen = await self._question_again(notice, buttons, chat_id)
        elif notice.kind == "digest":
            return await self._send_digest(notice, chat_id)
        elif notice.kind == "way-in":
            screen = Screen(words_in(notice.language)(f"way-in.{notice.details['what']}"))
        else:
            screen = await self._alert(notice, buttons, chat_id)
        return await senders.deliver(notice, chat_id, screen, Lane.NOTICE)

    async def _send_digest(self, notice: DueNotice, chat_id: int) -> SendResult:
        """Composed now, with the role and sites the member has now; a day on which nothing calls has none.

        A message that comes every day whatever happens is soon read by nobody.
        """
        senders, now = self._senders, self._senders.clock()
        assert notice.staff_id is not None  # only staff get one
        actor = await actor_called(senders.db, notice.staff_id)
        if not may(actor, Act.TAKE_ALERTS):
            return PutBack(notice.expires_at - now, "role changed")
        words, site_id = words_in(notice.language), notice.details["site"]
        composed = await digest(senders.db, actor, words, now=now, site_id=site_id)
        if not composed.calls:
            return PutBack(notice.expires_at - now, "nothing to say")
        return await senders.deliver(notice, chat_id, Screen(composed.text), Lane.NOTICE)

    async def _alert(self, notice: DueNotice, buttons: Buttons, chat_id: int) -> Screen:
        words, details = words_in(notice.language), notice.details
        about = {"rule": details["rule"], "code": details["code"], "note": details.get("note")}
        lines = [words("alert.reminder")] if details.get("reminder") else []
        lines.append(await alert_said(self._senders.db, words, **about))
        lines.append(words("alert.more", code=details["code"]))
        seen = (words("alert.seen"), buttons.data(chat_id, "as", details["alert"]))
        done = (words("alert.done"), buttons.data(chat_id, "ad", details["alert"]))
        return Screen("\n".join(lines), ((seen, done),))

    async def _question_again(self, notice: DueNotice, buttons: Buttons, chat_id: int) -> Screen:
        """One message for all that was open when the service was away, and why it comes."""
        now, words = self._senders.clock(), words_in(notice.language)
        slots = [slot for slot in await self._slots(notice, now) if slot.state == SlotState.OPEN]
        if not slots:
            return Screen(words("reask.nothing-open"))
        zone = slots[0].zone
        began, ended = (datetime.fromisoformat(notice.details[key]) for key in ("began", "ended"))
        why = words(
            "reask.why",
            began=words.moment(began, now=now, zone=zone),
            ended=words.moment(ended, now=now, zone=zone),
        )
        screens = [await self._screens(slot, notice, buttons, chat_id) for slot in slots]
        if len(slots) == 1:
            question = screens[0].question(Asked.of(slots[0]))
            return Screen(f"{why}\n\n{question.text}", question.rows)
        rows = tuple(
            ((screen.name(Asked.of(slot)), buttons.data(chat_id, "o", slot.id)),)
            for screen, slot in zip(screens, slots, strict=True)
        )
        return Screen(f"{why}\n{words('reask.several')}", rows)

    async def _slots(self, notice: DueNotice, now: datetime) -> list[Slot]:
        assert notice.patient_id is not None  # only patients are asked
        looked = [
            await look_at(self._senders.db, patient_id=notice.patient_id, slot_id=slot_id, now=now)
            for slot_id in notice.details["slots"]
        ]
        return [slot for slot, _ in looked]

    async def _screens(self, slot: Slot, notice: DueNotice, buttons: Buttons, chat_id: int) -> Screens:
        protocol = await protocol_in_use(self._senders.db, slot.protocol_id)
        return Screens(words_in(notice.language), buttons, chat_id, protocol)
