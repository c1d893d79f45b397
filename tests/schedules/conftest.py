"""Amina, alone with her evening rating."""

import pytest

from tests.cast import Stage
from tests.schedules.scenes import without


@pytest.fixture
async def amina(stage: Stage):
    """Amina, who has been asked for nothing but her evening rating."""
    amina = await stage.joined()
    await without(stage, amina, "infusion")
    return amina
