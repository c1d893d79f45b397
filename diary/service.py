"""Verbs about the service itself: its heartbeat, its bots, and breaks, after which patients are asked again."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final

from diary.protocols import protocol_of
from protocol.calendar import next_nudge, out_of_quiet_hours
from storage import patients, sends, service, tallies
from storage import slots as ledger
from storage.audit import SYSTEM, Audit, write_audit
from storage.database import Connection, Database
from storage.records import Slot

_REASK_LASTS = timedelta(hours=2)
_TALLIED_AT_ONCE = 100
# Patients. Up to here a count of every slot of half a year costs a page a tenth of a second more, and a figure that
# needs no second account of the diary is the easier one to trust.
LARGE: Final = 300
# Telegram keeps a tap for 150 s: an answer to what was asked so shortly before the end is on its way to us.
_STILL_HEARD = timedelta(seconds=150)


async def record_outage(db: Database, *, kind: str, began_at: datetime, ended_at: datetime, now: datetime) -> int:
    """Record a break in service, ask for one merged message to each patient it touched, count the slots.

    What was due meanwhile and what was asked for before is asked in that one message, once, and not at night;
    a message that still waits for an earlier break is merged into it.
    """
    async with db.write() as conn:
        touched: defaultdict[int, list[Slot]] = defaultdict(list)
        for slot in await ledger.open_slots(conn, now=now, asked_before=ended_at - _STILL_HEARD):
            touched[slot.patient_id].append(slot)
        count = sum(map(len, touched.values()))
        sites = await patients.site_ids(conn) if touched else {}
        at_sites = Counter(sites[patient_id] for patient_id, slots in touched.items() for _ in slots)
        details = {"kind": kind, "began": began_at.isoformat(), "ended": ended_at.isoformat(), "slots": count}
        audit = await write_audit(conn, Audit(now, SYSTEM, "record outage", details=details))
        outage_id = await service.add_outage(
            conn, kind=kind, began_at=began_at, ended_at=ended_at, touched=at_sites, audit=audit
        )
        for patient_id, slots in touched.items():
            await _ask_again(
                db, conn, patient_id, slots, key=f"outage:{outage_id}", out=(began_at, ended_at), now=now
            )
        return count


async def _ask_again(
    db: Database,
    conn: Connection,
    patient_id: int,
    slots: list[Slot],
    *,
    key: str,
    out: tuple[datetime, datetime],
    now: datetime,
) -> None:
    """Put one message to a patient in the place of all that would ask single questions until it goes out."""
    zone = await patients.zone_of_patient(conn, patient_id)
    at = out_of_quiet_hours(await protocol_of(db, conn, slots[-1].protocol_id), now, zone)
    asked = [slot for slot in slots if slot.closes_at > at]
    for slot in asked:
        protocol = await protocol_of(db, conn, slot.protocol_id)
        item = protocol.item(slot.phase, slot.item)
        then_at = next_nudge(protocol, item, slot.due_at, slot.closes_at, zone, after=at)
        await ledger.drop_nudges_until(conn, slot.id, at, then_at=then_at)
    if not asked:
        return
    merged = await sends.withdraw_notices(conn, patient_id, "reask")
    began = min([out[0], *(datetime.fromisoformat(earlier["began"]) for earlier in merged)])
    await sends.add_notice(
        conn,
        patient_id=patient_id,
        kind="reask",
        key=key,
        details={
            "slots": [slot.id for slot in asked],
            "began": began.isoformat(),
            "ended": out[1].isoformat(),
        },
        at=at,
        expires_at=at + _REASK_LASTS,
    )


async def last_beat(db: Database, part: str) -> datetime | None:
    """When a part of the service was last seen working."""
    async with db.read() as conn:
        return (await service.heartbeats(conn)).get(part)


async def beat(db: Database, part: str, *, now: datetime) -> None:
    """Note that a part of the service works."""
    async with db.write() as conn:
        await service.beat(conn, part, at=now)


async def tally_if_large(db: Database, *, now: datetime) -> bool:
    """Tally a trial whose pages would wait for a count of every slot; True where there may be more to do."""
    async with db.read() as conn:
        if await patients.count_patients(conn) < LARGE:
            return False
    return await tally(db, now=now)


async def tally(db: Database, *, now: datetime) -> bool:
    """Count what has run its course for some patients, so that adherence need not; True where there may be more.

    That is once a day, for all that closed before midnight (UTC), so that a hundred patients are done in one go.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    async with db.read() as conn:
        chosen = await tallies.to_tally(conn, by=midnight, limit=_TALLIED_AT_ONCE)
    if chosen:
        async with db.write() as conn:
            await tallies.tally(conn, chosen, until=now)
    return len(chosen) == _TALLIED_AT_ONCE


async def note_bot(db: Database, *, bot_id: int, username: str) -> None:
    """Remember a bot's public name, so that invite links can be made while Telegram is away."""
    async with db.write() as conn:
        await service.note_bot(conn, bot_id, username)


async def bot_username(db: Database, bot_id: int) -> str | None:
    """The public name of a bot, where it was ever asked for."""
    async with db.read() as conn:
        return await service.bot_username(conn, bot_id)


async def bot_usernames(db: Database) -> list[str]:
    """The public names of all bots that were ever asked for theirs, the first one first."""
    async with db.read() as conn:
        return await service.bot_usernames(conn)


async def next_message_at(db: Database, *, now: datetime) -> datetime | None:
    """When the service will next have something to say to anybody."""
    async with db.read() as conn:
        found = (await ledger.next_nudge_after(conn, now), await sends.next_notice_after(conn, now))
    return min((at for at in found if at is not None), default=None)
