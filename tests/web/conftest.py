import pytest

from tests.web.desk import Desk


@pytest.fixture
async def desk(stage):
    desk = Desk(stage)
    yield desk
    await desk.close()
