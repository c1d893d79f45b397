import sqlite3

import pytest

from diary import Database, Keys
from protocol.errors import SettingsError
from storage.sealing import new_secret_key
from tests.cast import Stage
from tests.conftest import KEY

OTHER, THIRD = new_secret_key(), new_secret_key()


async def opened(db: Database, *keys: str) -> None:
    """Open the same file with these keys, as another start would."""
    again = Database(str(db.url.set(drivername="sqlite")), Keys(keys))
    await again.open()
    await again.close()


async def forgotten(db: Database) -> None:
    """Take the check value away, as in a database that has just come from the first form."""
    async with db.write() as conn:
        await conn.exec_driver_sql("DELETE FROM key_check")


async def test_a_wrong_key_is_refused_though_nobody_has_joined_yet(db):
    with pytest.raises(SettingsError, match="another DAYBOOK_SECRET_KEY; add the old key back, after a comma"):
        await opened(db, OTHER)


async def test_after_a_rotation_all_goes_on_and_the_old_key_stays_needed(db):
    await opened(db, OTHER, KEY)
    await opened(db, KEY)
    with pytest.raises(SettingsError, match="add the old key back"):
        await opened(db, OTHER)


async def test_the_newest_key_is_needed_once_it_has_sealed_a_contact(stage: Stage):
    rotated = Stage(Database(str(stage.db.url.set(drivername="sqlite")), Keys([OTHER, KEY])), stage.protocol_id)
    await rotated.db.open()
    await rotated.joined()
    await rotated.db.close()

    await opened(stage.db, THIRD, OTHER, KEY)
    with pytest.raises(SettingsError, match="add the old key back"):
        await opened(stage.db, KEY)


async def test_without_a_check_value_a_key_that_opens_no_contact_is_refused_and_leaves_none(stage: Stage):
    await stage.joined()
    await forgotten(stage.db)
    with pytest.raises(SettingsError, match="add the old key back"):
        await opened(stage.db, OTHER)
    await opened(stage.db, KEY)
    async with stage.db.read() as conn:
        assert (await conn.exec_driver_sql("SELECT count(*) FROM key_check")).scalar_one() == 1


async def test_without_a_check_value_and_a_contact_the_first_key_that_comes_is_the_one(db):
    await forgotten(db)
    await opened(db, OTHER)
    with pytest.raises(SettingsError, match="add the old key back"):
        await opened(db, KEY)


async def test_a_wrong_key_brings_nothing_up_to_date(db):
    wrong = Database(str(db.url.set(drivername="sqlite")), Keys([OTHER]))
    await wrong.open(schema_checked=False)
    with pytest.raises(SettingsError, match="add the old key back"):
        await wrong.migrate()
    await wrong.close()


async def test_the_check_value_tells_no_key(db, tmp_path):
    with sqlite3.connect(tmp_path / "daybook.db") as raw:
        [(sealed,)] = raw.execute("SELECT sealed FROM key_check").fetchall()
    raw.close()
    assert Keys([KEY]).open(sealed, context="key check") == {}
    assert KEY.encode() not in sealed
