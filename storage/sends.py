"""The send record: written before the network, finished after it; and the notices, which work the same way."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, func, select, update

from protocol.lifecycle import SEND_MOVES, PatientStatus, SendOutcome
from storage import tables
from storage.columns import Instant
from storage.database import Connection
from storage.records import DueNotice, DueNudge
from storage.writing import insert_once, insert_row

_s, _d, _n = tables.slots, tables.sends, tables.notices
_p, _c = tables.patients, tables.contacts

# Whether the chat is still the one that was read, and open: an id may be given anew, a seal never is.
_SAME_CHAT = select(1).where(
    _c.c.id == bindparam("contact_id"), _c.c.sealed == bindparam("sealed_as_read"), _c.c.reachable == "yes"
)
_MAY_BE_ASKED = exists(
    _SAME_CHAT.join(_p, _p.c.id == _c.c.patient_id).where(_p.c.id == _s.c.patient_id, _p.c.status == "active")
)
_AS_READ = (_s.c.id == bindparam("slot_id"), _s.c.next_nudge_at == bindparam("as_read"))
_STILL_ASKED = (_s.c.answered_by.is_(None), _s.c.excused_because.is_(None), _s.c.cancelled_because.is_(None))
_THEN_AT = bindparam("then_at", type_=Instant)

_CLAIM_NUDGE = (
    update(_s)
    .where(*_AS_READ, _s.c.closes_at > bindparam("now", type_=Instant), *_STILL_ASKED, _MAY_BE_ASKED)
    .values(next_nudge_at=_THEN_AT, nudges=_s.c.nudges + 1)
)
_HOLD_NUDGE = update(_s).where(*_AS_READ).values(next_nudge_at=_THEN_AT)
_FINISH_SEND = update(_d).where(
    _d.c.id == bindparam("send_id"), _d.c.outcome.in_(bindparam("before", expanding=True))
)
_MARK_PROMPTED = update(_s).where(
    _s.c.id == select(_d.c.slot_id).where(_d.c.id == bindparam("send_id")).scalar_subquery(),
    _s.c.prompted_at.is_(None),
)
# Who may not be written to any more has no row here, or one without an open chat that is still the same.
_STANDS = (
    select(_p.c.status, exists(_SAME_CHAT).label("same_chat")).where(_p.c.id == bindparam("written_to")).limit(1)
)
# Found among its patient's: there is an index for those.
_OF_SLOT = (
    select(_d.c.id, _d.c.outcome, _d.c.message_id)
    .where(_d.c.patient_id == bindparam("of_patient"), _d.c.slot_id == bindparam("of_slot"))
    .order_by(_d.c.id)
)


_NOW = bindparam("now", type_=Instant)
_NEXT_NOTICE = (
    select(_n.c.next_try_at)
    .where(_n.c.next_try_at > _NOW, _n.c.next_try_at < _n.c.expires_at)
    .order_by(_n.c.next_try_at)
    .limit(1)
)
_STALE_NOTICES = update(_n).where(_n.c.next_try_at <= _NOW, _n.c.expires_at <= _NOW).values(next_try_at=None)


def _due_notices() -> Any:
    m = tables.staff
    owned = (_c.c.patient_id == _n.c.patient_id) | (_c.c.staff_id == _n.c.staff_id)
    return (
        select(
            _n.c.id.label("notice_id"),
            _n.c.patient_id,
            _n.c.staff_id,
            _n.c.kind,
            _n.c.key,
            _n.c.details,
            _n.c.next_try_at,
            _n.c.expires_at,
            func.coalesce(_p.c.language, m.c.language).label("language"),
            _c.c.id.label("contact_id"),
            _c.c.bot_id,
            _c.c.sealed,
        )
        .join(_c, owned)
        .outerjoin(_p, _p.c.id == _n.c.patient_id)
        .outerjoin(m, m.c.id == _n.c.staff_id)
        .where(_n.c.next_try_at <= _NOW, _n.c.expires_at > _NOW, _c.c.reachable == "yes")
        .where(_p.c.id.is_(None) | (_p.c.status == "active"), m.c.disabled_at.is_(None))
        .order_by(_n.c.next_try_at)
        .limit(bindparam("limit"))
    )


_DUE_NOTICES = _due_notices()
_NAMED_NOTICE = select(_n.c.id).where(
    _n.c.staff_id == bindparam("staff_id"), _n.c.kind == bindparam("kind"), _n.c.key == bindparam("key")
)
_FINISH_NOTICE = update(_n).where(
    _n.c.id == bindparam("notice_id"), _n.c.outcome.in_(bindparam("before", expanding=True))
)
_CLAIM_NOTICE = (
    update(_n)
    .where(_n.c.id == bindparam("notice_id"), _n.c.next_try_at == bindparam("as_read"), _n.c.expires_at > _NOW)
    .where(exists(_SAME_CHAT), ~exists(select(1).where(_p.c.id == _n.c.patient_id, _p.c.status != "active")))
    .values(next_try_at=None, claimed_at=_NOW, outcome=SendOutcome.CLAIMED)
)


async def claim_nudge(conn: Connection, nudge: DueNudge, *, then_at: datetime | None, now: datetime) -> int | None:
    """Take a due message in hand and give the send's id; None where an answer, a pause or another one was first.

    Everything that forbids the message is asked again here, in the statement that claims it.
    """
    claimed = await conn.execute(
        _CLAIM_NUDGE,
        {
            "slot_id": nudge.slot_id,
            "as_read": nudge.next_nudge_at,
            "contact_id": nudge.contact_id,
            "sealed_as_read": nudge.sealed,
            "now": now,
            "then_at": then_at,
        },
    )
    if claimed.rowcount != 1:
        return None
    return await insert_row(
        conn,
        _d,
        {
            "slot_id": nudge.slot_id,
            "patient_id": nudge.patient_id,
            "nudge": nudge.nudges,
            "planned_for": nudge.next_nudge_at,
            "claimed_at": now,
            "outcome": SendOutcome.CLAIMED,
        },
    )


async def why_not_written_to(conn: Connection, *, patient_id: int, contact_id: int, sealed: bytes) -> str | None:
    """Why a message that was claimed must not go out after all: the patient's status, or another chat; or None."""
    asked = {"written_to": patient_id, "contact_id": contact_id, "sealed_as_read": sealed}
    stands = (await conn.execute(_STANDS, asked)).one()
    if stands.status != PatientStatus.ACTIVE:
        return str(stands.status)
    return None if stands.same_chat else "another chat"


async def hold_nudge(conn: Connection, nudge: DueNudge, *, until: datetime) -> None:
    """Keep a belated message for the end of the quiet hours, or let it go where the window ends before."""
    then_at = until if until < nudge.closes_at else None
    held = {"slot_id": nudge.slot_id, "as_read": nudge.next_nudge_at, "then_at": then_at}
    await conn.execute(_HOLD_NUDGE, held)


async def finish_nudge(
    conn: Connection,
    send_id: int,
    outcome: SendOutcome,
    *,
    now: datetime,
    message_id: int | None = None,
    detail: str | None = None,
) -> None:
    """Write down what became of a message; a slot's first one that went out says when it was prompted."""
    what = {"outcome": outcome, "finished_at": now, "message_id": message_id, "detail": detail}
    await conn.execute(_FINISH_SEND, {"send_id": send_id, "before": _before(outcome), **what})
    if outcome is SendOutcome.SENT:
        await conn.execute(_MARK_PROMPTED, {"send_id": send_id, "prompted_at": now})


async def try_nudge_again(conn: Connection, send_id: int, *, at: datetime) -> None:
    """Plan a message once more that certainly did not go out, unless the slot was answered or closed meanwhile."""
    slot_id, nudge = (await conn.execute(select(_d.c.slot_id, _d.c.nudge).where(_d.c.id == send_id))).one()
    await conn.execute(
        update(_s)
        .where(_s.c.id == slot_id, _s.c.closes_at > at, _s.c.nudges == nudge + 1)
        .where(*_STILL_ASKED)
        .values(next_nudge_at=at, nudges=nudge)
    )


async def settle_answered(conn: Connection, slot_id: int, patient_id: int, *, now: datetime) -> list[int]:
    """Give the messages that asked for a slot, oldest first; its answer proves that one of unknown fate arrived."""
    sent = (await conn.execute(_OF_SLOT, {"of_slot": slot_id, "of_patient": patient_id})).all()
    if unknown := [row.id for row in sent if row.outcome == SendOutcome.UNKNOWN]:
        arrived = {"outcome": SendOutcome.SENT, "finished_at": now, "detail": "answered"}
        await conn.execute(update(_d).where(_d.c.id.in_(unknown)).values(arrived))
    return [row.message_id for row in sent if row.message_id is not None]


async def give_up_claims(conn: Connection, *, before: datetime, now: datetime) -> int:
    """Call what a crash left in hand unknown, and count it; it is never sent again by itself."""
    unknown = {"outcome": SendOutcome.UNKNOWN, "finished_at": now, "detail": "the service stopped"}
    count = 0
    for table in (_d, _n):
        done = await conn.execute(
            update(table)
            .where(table.c.outcome == SendOutcome.CLAIMED, table.c.claimed_at < before)
            .values(**unknown)
        )
        count += done.rowcount
    return count


async def add_notice(
    conn: Connection,
    *,
    kind: str,
    key: str,
    details: Mapping[str, Any],
    at: datetime,
    expires_at: datetime,
    patient_id: int | None = None,
    staff_id: int | None = None,
) -> None:
    """Ask for a message that belongs to no slot; the same one twice is one."""
    await conn.execute(
        insert_once(conn, _n),
        {
            "patient_id": patient_id,
            "staff_id": staff_id,
            "kind": kind,
            "key": key,
            "details": dict(details),
            "next_try_at": at,
            "expires_at": expires_at,
        },
    )


async def notice_exists(conn: Connection, *, staff_id: int, kind: str, key: str) -> bool:
    """Tell whether a staff member was to be told this already."""
    named = {"staff_id": staff_id, "kind": kind, "key": key}
    return (await conn.execute(_NAMED_NOTICE, named)).first() is not None


async def staff_told(conn: Connection, *, kind: str, key: str) -> frozenset[int]:
    """The staff members who were to be told this."""
    query = select(_n.c.staff_id).where(_n.c.staff_id.is_not(None), _n.c.kind == kind, _n.c.key == key)
    return frozenset(row.staff_id for row in await conn.execute(query))


async def due_notices(conn: Connection, *, now: datetime, limit: int) -> list[DueNotice]:
    """Notices to go out now, to chats that can be reached."""
    return [DueNotice.of(row) for row in await conn.execute(_DUE_NOTICES, {"now": now, "limit": limit})]


async def next_notice_after(conn: Connection, now: datetime) -> datetime | None:
    """When the next notice for anybody falls due."""
    at: datetime | None = (await conn.execute(_NEXT_NOTICE, {"now": now})).scalar_one_or_none()
    return at


async def claim_notice(conn: Connection, notice: DueNotice, *, now: datetime) -> bool:
    """Take a notice in hand; False where a withdrawal, a pause, a new chat or somebody else was first."""
    as_read = {"notice_id": notice.notice_id, "as_read": notice.next_try_at}
    chat = {"contact_id": notice.contact_id, "sealed_as_read": notice.sealed}
    return (await conn.execute(_CLAIM_NOTICE, {**as_read, **chat, "now": now})).rowcount == 1


async def hold_notice(conn: Connection, notice: DueNotice, *, until: datetime) -> None:
    """Keep a belated notice for the end of the quiet hours; it lasts as long from then on."""
    expires_at = until + (notice.expires_at - notice.next_try_at)
    await conn.execute(
        update(_n)
        .where(_n.c.id == notice.notice_id, _n.c.next_try_at == notice.next_try_at)
        .values(next_try_at=until, expires_at=expires_at)
    )


async def drop_notice(conn: Connection, notice: DueNotice) -> None:
    """Let a notice go that calls for nothing any more."""
    await conn.execute(
        update(_n)
        .where(_n.c.id == notice.notice_id, _n.c.next_try_at == notice.next_try_at)
        .values(next_try_at=None)
    )


async def withdraw_notices(conn: Connection, patient_id: int, kind: str) -> list[dict[str, Any]]:
    """Take back what was to be told to a patient and was not, and give its details."""
    rows = await conn.execute(
        update(_n)
        .where(_n.c.patient_id == patient_id, _n.c.kind == kind, _n.c.next_try_at.is_not(None))
        .values(next_try_at=None)
        .returning(_n.c.details)
    )
    return [row.details for row in rows]


async def finish_notice(
    conn: Connection,
    notice_id: int,
    outcome: SendOutcome,
    *,
    now: datetime,
    message_id: int | None = None,
    detail: str | None = None,
    try_again_at: datetime | None = None,
) -> None:
    """Write down what became of a notice, and when to try again one that certainly did not go out."""
    what = {"outcome": outcome, "finished_at": now, "message_id": message_id, "detail": detail}
    again = {"next_try_at": try_again_at}
    await conn.execute(_FINISH_NOTICE, {"notice_id": notice_id, "before": _before(outcome), **what, **again})


async def forget_stale_notices(conn: Connection, *, now: datetime) -> None:
    """Let notices go that are no longer worth sending."""
    await conn.execute(_STALE_NOTICES, {"now": now})


def _before(outcome: SendOutcome) -> list[SendOutcome]:
    """The outcomes from which this one may follow."""
    return [state for state, following in SEND_MOVES.items() if outcome in following]
