"""The dispatcher: claims what is due, hands it to the Sender, writes down the outcome.

Each claim is committed before the network is touched, so a crash leaves a trace and never a double; no
network call happens inside a transaction. One call sends one batch and says whether to go on at once.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from diary import Database, DueNotice, DueNudge
from diary.alerts import note_unreachable
from diary.calling import night_of, still_calls
from diary.protocols import protocol_of
from protocol.calendar import next_nudge, out_of_quiet_hours
from protocol.model import Item, Protocol
from schedules.sending import UNREACHABLE, PutBack, Refusal, Refused, Sender, SendResult, Sent, Unknown
from storage import sends
from storage import slots as ledger
from storage.database import Connection

log = structlog.get_logger(__name__)

# Two batches, on their way side by side, are about what a bot may say in a second: what is claimed waits no longer.
BATCH = 15
# A message planned for the last moment before the quiet hours may be this long on its way.
_GRACE = timedelta(minutes=10)
# The least time between a message that was not planned for its moment and the next one about the same.
_APART = timedelta(minutes=15)
_A_MOMENT = timedelta(microseconds=1)
_TRY_TOKEN_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Claimed:
    send_id: int
    nudge: DueNudge


async def send_due(db: Database, sender: Sender[DueNudge], *, now: datetime) -> bool:
    """Send one batch of due nudges; True where there may be more."""
    async with db.read() as conn:
        due = await ledger.due_nudges(conn, now=now, limit=BATCH)
    if not due:
        return False
    claimed = await _claim(db, due, now=now)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(_send(db, sender, one, now=now, began=began) for one in claimed))
    return len(due) == BATCH


async def _claim(db: Database, due: list[DueNudge], *, now: datetime) -> list[_Claimed]:
    claimed = []
    async with db.write() as conn:
        await ledger.forget_closed_nudges(conn, now=now)
        for nudge in due:
            protocol = await protocol_of(db, conn, nudge.protocol_id)
            if (quiet_until := _quiet_until(protocol, nudge.lives_in, now)) is not None:
                await sends.hold_nudge(conn, nudge, until=quiet_until)
                continue
            item = protocol.item(nudge.phase, nudge.item)
            then_at = _then_at(protocol, item, nudge, now)
            send_id = await sends.claim_nudge(conn, nudge, then_at=then_at, now=now)
            if send_id is not None:
                claimed.append(_Claimed(send_id, nudge))
    return claimed


def _then_at(protocol: Protocol, item: Item, nudge: DueNudge, now: datetime) -> datetime | None:
    """When the next message for the slot is due.

    The ladder does not know of one that goes out beside it, after a *Later* or a try that failed: whoever was asked
    at 20:38 is not asked at 20:45 again.
    """
    ladder = partial(next_nudge, protocol, item, nudge.due_at, nudge.closes_at, nudge.lives_in)
    is_of_the_ladder = ladder(after=nudge.next_nudge_at - _A_MOMENT) == nudge.next_nudge_at
    return ladder(after=now if is_of_the_ladder else now + _APART)


def _quiet_until(protocol: Protocol, lives_in: str, now: datetime) -> datetime | None:
    """When the night ends that a message would disturb, however it came to be sent at night; None by day."""
    began = now - _GRACE
    until = out_of_quiet_hours(protocol, now, lives_in)
    return until if until > now and out_of_quiet_hours(protocol, began, lives_in) > began else None


async def _send(db: Database, sender: Sender[DueNudge], claimed: _Claimed, *, now: datetime, began: float) -> None:
    """Send one claimed nudge and write down what became of it, also when the sender breaks."""
    result = await _guarded(sender.send(claimed.nudge), "nudge")
    at = now + timedelta(seconds=asyncio.get_running_loop().time() - began)
    nudge, send_id = claimed.nudge, claimed.send_id
    async with db.write() as conn:
        await sends.finish_nudge(
            conn,
            send_id,
            result.outcome,
            now=at,
            message_id=result.message_id if isinstance(result, Sent) else None,
            detail=_detail(result),
        )
        if (again_at := _again_at(result, at)) is not None:
            await sends.try_nudge_again(conn, send_id, at=again_at)
    await _after(db, result, nudge.contact_id, now=at)


async def send_notices(db: Database, sender: Sender[DueNotice], *, now: datetime) -> bool:
    """Send one batch of notices; True where there may be more."""
    async with db.read() as conn:
        due = await sends.due_notices(conn, now=now, limit=BATCH)
    if not due:
        return False
    async with db.write() as conn:
        await sends.forget_stale_notices(conn, now=now)
        claimed = [notice for notice in due if await _claim_notice(db, conn, notice, now=now)]
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(_send_notice(db, sender, notice, now=now, began=began) for notice in claimed))
    return len(due) == BATCH


async def _claim_notice(db: Database, conn: Connection, notice: DueNotice, *, now: datetime) -> bool:
    """Take a notice in hand, unless it calls for nothing any more, or it became night on its way."""
    if notice.kind == "alert" and not await still_calls(conn, notice):
        await sends.drop_notice(conn, notice)
        return False
    night = await night_of(db, conn, notice)
    if night is not None and (quiet_until := _quiet_until(*night, now)) is not None:
        await sends.hold_notice(conn, notice, until=quiet_until)
        return False
    return await sends.claim_notice(conn, notice, now=now)


async def _send_notice(
    db: Database, sender: Sender[DueNotice], notice: DueNotice, *, now: datetime, began: float
) -> None:
    result = await _guarded(sender.send(notice), "notice")
    at = now + timedelta(seconds=asyncio.get_running_loop().time() - began)
    async with db.write() as conn:
        await sends.finish_notice(
            conn,
            notice.notice_id,
            result.outcome,
            now=at,
            message_id=result.message_id if isinstance(result, Sent) else None,
            detail=_detail(result),
            try_again_at=_again_at(result, at),
        )
        if isinstance(result, Sent) and notice.kind == "reask":
            await ledger.mark_prompted(conn, notice.details["slots"], now=at)
    await _after(db, result, notice.contact_id, now=at)


async def _guarded(sending: Awaitable[SendResult], what: str) -> SendResult:
    """A sender that raises has a bug, and nobody can tell what it did before."""
    try:
        return await sending
    except Exception as error:
        log.exception("sender_failed", what=what, error=type(error).__name__)
        return Unknown("unexpected")


def _again_at(result: SendResult, now: datetime) -> datetime | None:
    """When to try again what certainly did not go out; a blocked chat's turn comes when it opens again."""
    match result:
        case PutBack(retry_after=wait):
            return now + wait
        case Refused(reason=Refusal.TOKEN):
            return now + _TRY_TOKEN_AGAIN
        case Refused(reason=reason) if reason in UNREACHABLE:
            return now
        case _:
            return None


def _detail(result: SendResult) -> str | None:
    match result:
        case Refused(reason=reason):
            return reason.value
        case PutBack(reason=why) | Unknown(reason=why):
            return why
        case _:
            return None


async def _after(db: Database, result: SendResult, contact_id: int, *, now: datetime) -> None:
    if not isinstance(result, Refused):
        return
    if result.reason in UNREACHABLE:
        await note_unreachable(db, contact_id=contact_id, reachable=UNREACHABLE[result.reason], now=now)
    else:
        log.error("send_refused", reason=result.reason.value)


async def recover(db: Database, *, now: datetime) -> int:
    """Call unknown what an earlier run left in hand; at start only, when nobody else can be sending."""
    async with db.write() as conn:
        count = await sends.give_up_claims(conn, before=now, now=now)
    if count:
        log.warning("sends_unknown_after_stop", count=count)
    return count
