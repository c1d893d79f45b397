"""Verbs about the service itself: its heartbeat, its bots, and breaks, after which patients are asked again."""

from collections import defaultdict
from datetime import datetime, timedelta

from diary.protocols import protocol_of
from protocol.calendar import out_of_quiet_hours
from storage import sends, service
from storage import slots as ledger
from storage.audit import SYSTEM, Audit, write_audit
from storage.database import Database
from storage.records import Slot

_REASK_LASTS = timedelta(hours=2)


async def record_outage(db: Database, *, kind: str, began_at: datetime, ended_at: datetime, now: datetime) -> int:
    """Record a break in service, ask for one merged message to each patient it touched, count the slots.

    What was due meanwhile and what was asked for before is asked in that one message, once, and not at night.
    """
    async with db.write() as conn:
        touched: defaultdict[int, list[Slot]] = defaultdict(list)
        for slot in await ledger.open_slots(conn, now=now):
            touched[slot.patient_id].append(slot)
        count = sum(map(len, touched.values()))
        details = {"kind": kind, "began": began_at.isoformat(), "ended": ended_at.isoformat(), "slots": count}
        audit = await write_audit(conn, Audit(now, SYSTEM, "record outage", details=details))
        outage_id = await service.add_outage(
            conn, kind=kind, began_at=began_at, ended_at=ended_at, slots_touched=count, audit=audit
        )
        for patient_id, slots in touched.items():
            protocol = await protocol_of(db, conn, slots[-1].protocol_id)
            at = out_of_quiet_hours(protocol, now, slots[-1].zone)
            slot_ids = [slot.id for slot in slots if slot.closes_at > at]
            await ledger.drop_overdue_nudges(conn, slot_ids, now=now)
            if slot_ids:
                await sends.add_notice(
                    conn,
                    patient_id=patient_id,
                    kind="reask",
                    key=f"outage:{outage_id}",
                    details={
                        "slots": slot_ids,
                        "began": began_at.isoformat(),
                        "ended": ended_at.isoformat(),
                    },
                    at=at,
                    expires_at=at + _REASK_LASTS,
                )
        return count


async def last_beat(db: Database, part: str) -> datetime | None:
    """When a part of the service was last seen working."""
    async with db.read() as conn:
        return (await service.heartbeats(conn)).get(part)


async def beat(db: Database, part: str, *, now: datetime) -> None:
    """Note that a part of the service works."""
    async with db.write() as conn:
        await service.beat(conn, part, at=now)


async def note_bot(db: Database, *, bot_id: int, username: str) -> None:
    """Remember a bot's public name, so that invite links can be made while Telegram is away."""
    async with db.write() as conn:
        await service.note_bot(conn, bot_id, username)


async def bot_username(db: Database, bot_id: int) -> str | None:
    """The public name of a bot, where it was ever asked for."""
    async with db.read() as conn:
        return await service.bot_username(conn, bot_id)


async def next_message_at(db: Database, *, now: datetime) -> datetime | None:
    """When the service will next have something to say to anybody."""
    async with db.read() as conn:
        found = (await ledger.next_nudge_after(conn, now), await sends.next_notice_after(conn, now))
    return min((at for at in found if at is not None), default=None)
