"""Real SQLite for every test: a ready template file is copied, which is faster than building one."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import settings

from diary import Database, Keys, signing_in
from tests.cast import Stage

# The same examples in every run: a property that fails here fails everywhere.
settings.register_profile("daybook", derandomize=True, deadline=None, database=None)
settings.load_profile("daybook")

# Argon2 takes its time on purpose; what the product takes is held by tests/diary/test_signing_in.py.
HASHER = signing_in._HASHER
signing_in._HASHER = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1)

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest form."""
    path = tmp_path_factory.mktemp("template") / "daybook.db"
    asyncio.run(make_template(path))
    return path


async def make_template(path: Path) -> None:
    """Make an empty database of the newest form."""
    db = Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open(schema_checked=False)
    await db.migrate()
    await db.close()


@pytest.fixture
async def db(template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of one's own."""
    path = tmp_path / "daybook.db"
    shutil.copy(template, path)
    db = Database(f"sqlite:///{path}", Keys([KEY]))
    await db.open()
    yield db
    await db.close()


@pytest.fixture
async def stage(db: Database) -> Stage:
    """A trial that is set up, with nobody in it yet."""
    stage = Stage(db)
    await stage.set_up()
    return stage
