"""The standing cast: one trial, one site, Amina who takes part, Nour who cares for her."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from diary import SYSTEM, Actor, Database, Patient, StaffMember
from diary.answers import Arrival, correct_answer, record_answer, scored
from diary.enrolment import add_patient
from diary.joining import join, record_consent
from diary.notes import keep_note
from diary.protocols import adopt_protocol
from diary.roles import actor_of
from diary.team import add_site, add_staff, list_staff
from protocol.load import load_protocol
from reports.site import open_alerts
from schedules.dispatcher import send_due
from schedules.sending import Sent
from storage.slots import slots_of_patient

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # Monday, 10:00 in Cairo
START = date(2026, 11, 24)
BOT = 4242
AMINA_CHAT = 1001
NOUR_CHAT = 2002


def at(text: str) -> datetime:
    """An instant such as "2026-11-24 20:00" in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cairo(text: str) -> datetime:
    """An instant such as "2026-11-24 20:00" on a winter wall in Cairo (UTC+2)."""
    return at(text) - timedelta(hours=2)


@dataclass(slots=True)
class Stage:
    """A database with a site and a protocol, and short ways to bring people in."""

    db: Database
    protocol_id: int = 0
    invites: dict[str, str] = field(default_factory=dict)

    async def set_up(self, protocol: str = "magnesium-clbp", timezone: str = "Africa/Cairo") -> None:
        """Add the site and take the protocol into use."""
        await add_site(self.db, code="main", name="Main clinic", timezone=timezone, actor=SYSTEM, now=T0)
        self.protocol_id = await adopt_protocol(self.db, load_protocol(protocol), now=T0)

    async def add(
        self,
        code: str = "P-001",
        *,
        start: date = START,
        language: str = "en",
        timezone: str | None = None,
        site: str = "main",
    ) -> str:
        """Add a patient and give the invite's token."""
        invite = await add_patient(
            self.db,
            code=code,
            start=start,
            site=site,
            protocol_id=self.protocol_id,
            timezone=timezone,
            language=language,
            actor=SYSTEM,
            now=T0,
        )
        self.invites[code] = invite.token
        return invite.token

    async def joined(
        self,
        code: str = "P-001",
        *,
        chat: int = AMINA_CHAT,
        start: date = START,
        language: str = "en",
        site: str = "main",
        now: datetime = T0,
    ) -> Patient:
        """Add a patient who has joined and agreed."""
        token = await self.add(code, start=start, language=language, site=site)
        person = await join(self.db, bot_id=BOT, chat_id=chat, token=token, now=now)
        assert person.patient is not None
        return await record_consent(
            self.db, patient_id=person.patient.id, agreed=True, language=language, text="text", now=now
        )

    async def nurse(self, code: str = "nour", *, chat: int = NOUR_CHAT, role: str = "coordinator") -> int:
        """Add a staff member of the site who has joined, and give the id."""
        invite = await add_staff(self.db, code=code, role=role, sites=["main"], language="en", actor=SYSTEM, now=T0)
        person = await join(self.db, bot_id=BOT, chat_id=chat, token=invite.token, now=T0)
        assert person.staff is not None
        return person.staff.id

    async def actor(self, code: str = "nour", *, chat: int = NOUR_CHAT, role: str = "coordinator") -> Actor:
        """A new staff member of the site as somebody who does something."""
        return await actor_of(self.db, await self.member(await self.nurse(code, chat=chat, role=role)))

    async def member(self, staff_id: int) -> StaffMember:
        """The staff member of this id as of now."""
        return next(member for member, _ in await list_staff(self.db) if member.id == staff_id)

    async def alert(self, patient: Patient, text: str = "dizzy", *, now: datetime = T0) -> int:
        """Let a patient report a side effect, and give the alert's id."""
        kept = await keep_note(
            self.db,
            patient_id=patient.id,
            kind="side-effect",
            text=text,
            arrival=Arrival("text", now),
            key=f"alert:{patient.id}:{text}",
            now=now,
        )
        found = await open_alerts(self.db, None)
        return next(alert.id for alert in found if alert.details.get("note") == kept.note_id)

    async def first_slot(self, patient: Patient, item: str = "pain") -> int:
        """The id of a patient's first slot of an item."""
        async with self.db.read() as conn:
            slots = await slots_of_patient(conn, patient.id, now=T0)
        return next(slot.id for slot in slots if slot.item == item)

    async def lived(self) -> Patient:
        """Somebody three days in: answered, late, missed, corrected, with messages sent and notes written."""
        amina = await self.joined()
        first = T0 + timedelta(days=1, hours=10)  # 20:00 in Cairo on the first day
        for day, score in enumerate((7, 5)):
            evening = first + timedelta(days=day)
            await send_due(self.db, _Silent(), now=evening)
            slot = await self.slot_on(amina, "pain", START + timedelta(days=day))
            tap = Arrival("button", evening + timedelta(hours=3 * day))
            await record_answer(
                self.db, patient_id=amina.id, slot_id=slot, answer=scored(score), arrival=tap, now=tap.received_at
            )
        await correct_answer(
            self.db, patient_id=amina.id, slot_id=slot, answer=scored(4), reason="wrong-button", arrival=tap,
            now=tap.received_at + timedelta(minutes=5),
        )  # fmt: skip
        return amina

    async def slot_on(self, patient: Patient, item: str, day: date) -> int:
        """The id of a patient's slot of an item on a day."""
        async with self.db.read() as conn:
            slots = await slots_of_patient(conn, patient.id, now=T0)
        return next(slot.id for slot in slots if (slot.item, slot.local_date) == (item, day))


class _Silent:
    """Sends nothing to nobody, and says that it did."""

    async def send(self, _nudge: object) -> Sent:
        return Sent(1)
