"""A deployment for each test, with a few patients in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.process.deployment import Deployment, deployed


@pytest.fixture
async def deployment(tmp_path: Path, template: Path) -> AsyncIterator[Deployment]:
    """Twelve patients, each to be asked for two ratings."""
    async with deployed(tmp_path, template, patients=12, ratings=2) as deployment:
        yield deployment
