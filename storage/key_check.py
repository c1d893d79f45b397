"""Whether the keys at hand are those of this database: with others every patient would be a stranger."""

from collections.abc import Iterable

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import SealError, SettingsError
from storage import tables
from storage.sealing import ID_BYTES, Keys

_CONTEXT = "key check"
_VALUE = select(tables.key_check.c.sealed)
# What each sealed contact begins with: the id of the key that made it.
_KEY_IDS = select(func.substr(tables.contacts.c.sealed, 1, ID_BYTES)).distinct()


async def check_keys(conn: AsyncConnection, keys: Keys) -> None:
    """Refuse keys that cannot open what is sealed here; where nothing says so yet, leave a value that will.

    The value is no clinical fact, hence no audit entry.
    """
    value = (await conn.execute(_VALUE)).scalar_one_or_none()
    key_ids = (await conn.execute(_KEY_IDS)).scalars().all()
    if not fit(keys, value, key_ids):
        raise SettingsError(
            "The database was sealed with another DAYBOOK_SECRET_KEY; add the old key back, after a comma."
        )
    if value is None:
        await conn.execute(insert(tables.key_check), {"sealed": keys.seal({}, context=_CONTEXT)})


def fit(keys: Keys, value: bytes | None, key_ids: Iterable[bytes]) -> bool:
    """Tell whether these keys open the check value, where there is one, and hold all that sealed a contact."""
    return all(keys.hold(key_id) for key_id in key_ids) and (value is None or _opens(keys, value))


def _opens(keys: Keys, value: bytes) -> bool:
    try:
        keys.open(value, context=_CONTEXT)
    except SealError:
        return False
    return True
