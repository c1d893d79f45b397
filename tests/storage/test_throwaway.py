"""The database of a simulation: repeatable, and out of reach of every real diary."""

import inspect
import re
from pathlib import Path

import pytest

from diary import SYSTEM, Database, Keys
from diary.team import add_site, list_sites
from protocol.errors import SettingsError
from storage.throwaway import ThrowawayDatabase, ThrowawayKeys
from tests.cast import T0
from tests.test_house_rules import MODULES, name

IMPORTED = re.compile(r"^ *from (storage\.throwaway|rehearsal\.simulation)\b", re.MULTILINE)


async def made(file: Path, seed: int) -> ThrowawayDatabase:
    db = ThrowawayDatabase(file, seed=seed)
    await db.open()
    await db.migrate()
    await add_site(db, code="main", name="Main", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    return db


async def test_the_same_seed_and_the_same_acts_give_the_same_file(tmp_path):
    for file, seed in (("one.db", 1), ("two.db", 1), ("other.db", 2)):
        db = await made(tmp_path / file, seed)
        db.write_out()
        await db.close()
    assert (tmp_path / "one.db").read_bytes() == (tmp_path / "two.db").read_bytes()
    assert (tmp_path / "one.db").read_bytes() != (tmp_path / "other.db").read_bytes()


async def test_what_was_written_out_is_opened_like_any_other_with_its_key(tmp_path):
    db = await made(tmp_path / "daybook.db", seed=1)
    db.write_out()
    await db.close()
    again = Database(f"sqlite:///{tmp_path / 'daybook.db'}", Keys([ThrowawayKeys(1).secret_key]))
    await again.open()
    assert [site.code for site in await list_sites(again)] == ["main"]
    await again.close()


async def test_a_transaction_that_fails_is_undone(tmp_path):
    db = await made(tmp_path / "daybook.db", seed=1)
    with pytest.raises(ZeroDivisionError):
        await _break_off(db)
    assert len(await list_sites(db)) == 1
    await db.close()


async def _break_off(db):
    async with db.write() as conn:
        await conn.exec_driver_sql("DELETE FROM sites")
        _ = 1 / 0


async def test_it_cannot_be_made_over_a_database_that_is_there(db: Database, tmp_path):
    held = (tmp_path / "daybook.db").read_bytes()
    throwaway = ThrowawayDatabase(tmp_path / "daybook.db", seed=1)
    await throwaway.open()
    with pytest.raises(SettingsError, match="is there already"):
        throwaway.write_out()
    await throwaway.close()
    assert (tmp_path / "daybook.db").read_bytes() == held


def test_no_key_of_a_deployment_can_get_its_countable_nonces():
    assert list(inspect.signature(ThrowawayKeys).parameters) == ["seed"]
    assert list(inspect.signature(ThrowawayDatabase).parameters) == ["file", "seed"]
    sealed = {ThrowawayKeys(1).seal_bytes(b"", context="") for _ in range(2)}
    assert len(sealed) == 1  # as countable as said
    keys = Keys([ThrowawayKeys(1).secret_key])
    assert keys.seal_bytes(b"", context="") != keys.seal_bytes(b"", context="")  # the product's own never are


def test_only_the_simulation_asks_for_it_and_only_its_command_for_the_simulation():
    asking: dict[str, set[str]] = {}
    for path in MODULES:
        for wanted in IMPORTED.findall(path.read_text(encoding="utf-8")):
            asking.setdefault(wanted, set()).add(name(path))
    assert asking["storage.throwaway"] == {
        "rehearsal/simulation/outcome.py",
        "rehearsal/simulation/trial.py",
    }
    assert {path for path in asking["rehearsal.simulation"] if not path.startswith("rehearsal/simulation/")} == {
        "cli/simulate.py"
    }
