"""Verbs about the service itself: its heartbeat, its bots, and breaks, after which patients are asked again."""

from collections import defaultdict
from datetime import datetime, timedelta

from storage import sends, service
from storage import slots as ledger
from storage.audit import SYSTEM, Audit, write_audit
from storage.database import Database

# Taps live for 150 seconds at Telegram; a shorter break loses nothing (facts/telegram.md §2.0).
NOTICEABLE = timedelta(seconds=120)
_REASK_LASTS = timedelta(hours=2)


async def record_outage(db: Database, *, kind: str, began_at: datetime, ended_at: datetime, now: datetime) -> int:
    """Record a break in service, ask for one merged message to each patient it touched, count the slots."""
    async with db.write() as conn:
        touched: defaultdict[int, list[int]] = defaultdict(list)
        for slot in await ledger.open_prompted_slots(conn, now=now):
            if slot.due_at < ended_at:
                touched[slot.patient_id].append(slot.id)
        count = sum(map(len, touched.values()))
        details = {"kind": kind, "began": began_at.isoformat(), "ended": ended_at.isoformat(), "slots": count}
        audit = await write_audit(conn, Audit(now, SYSTEM, "record outage", details=details))
        outage_id = await service.add_outage(
            conn, kind=kind, began_at=began_at, ended_at=ended_at, slots_touched=count, audit=audit
        )
        for patient_id, slot_ids in touched.items():
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
                at=now,
                expires_at=now + _REASK_LASTS,
            )
        return count


async def record_break_since(db: Database, part: str, *, now: datetime) -> None:
    """Record the time since a part of the service last worked, where that is long enough to matter."""
    async with db.read() as conn:
        last = (await service.heartbeats(conn)).get(part)
    if last is not None and now - last > NOTICEABLE:
        await record_outage(db, kind="service", began_at=last, ended_at=now, now=now)


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
