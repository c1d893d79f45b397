"""The protocol versions in use: a changed file is a new version, and open slots finish under their own."""

from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from protocol.errors import UnknownCodeError
from protocol.load import ProtocolFile, read_protocol
from protocol.model import Protocol
from storage import people
from storage.audit import SYSTEM, Audit, write_audit
from storage.database import Connection, Database

# A version's text never changes, so it is read once for each open database.
_READ: WeakKeyDictionary[Database, dict[int, Protocol]] = WeakKeyDictionary()


async def adopt_protocol(db: Database, file: ProtocolFile, *, now: datetime) -> int:
    """Take a protocol file into use and give its id; the same text again is the same version."""
    async with db.write() as conn:
        known = await people.protocol_ids(conn)
        if file.sha256 in known:
            return known[file.sha256]
        trial = file.protocol.trial
        audit = await write_audit(
            conn,
            Audit(now, SYSTEM, "adopt protocol", details={"trial": trial.id, "version": trial.version}),
        )
        return await people.add_protocol(
            conn, trial=trial.id, version=trial.version, sha256=file.sha256, toml=file.text, audit=audit
        )


@dataclass(frozen=True, slots=True)
class InUse:
    """A protocol version with its id."""

    id: int
    protocol: Protocol


async def newest_protocol(db: Database) -> InUse:
    """The version that holds for patients who are added now; UnknownCodeError where none was taken into use."""
    async with db.read() as conn:
        newest = max((await people.protocol_ids(conn)).values(), default=None)
        if newest is None:
            raise UnknownCodeError("No protocol is in use yet; `daybook init` takes one into use.")
        return InUse(newest, await protocol_of(db, conn, newest))


async def protocol_of(db: Database, conn: Connection, protocol_id: int) -> Protocol:
    """The protocol of this id."""
    read = _READ.setdefault(db, {})
    if protocol_id not in read:
        text = await people.protocol_text(conn, protocol_id)
        read[protocol_id] = read_protocol(f"protocol {protocol_id}", text).protocol
    return read[protocol_id]


async def protocol_in_use(db: Database, protocol_id: int) -> Protocol:
    """The protocol of this id, for those who hold no connection."""
    known = _READ.get(db, {}).get(protocol_id)
    if known is not None:
        return known
    async with db.read() as conn:
        return await protocol_of(db, conn, protocol_id)
