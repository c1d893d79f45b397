"""A world for each story."""

from collections.abc import AsyncIterator

import pytest

from tests.cast import Stage
from tests.world import World, living


@pytest.fixture
async def world(stage: Stage) -> AsyncIterator[World]:
    """A running diary with nobody in it yet."""
    async with living(stage) as world:
        yield world
