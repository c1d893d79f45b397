import pytest

from tests.web.desk import Desk


@pytest.fixture
async def desk(stage):
    desk = Desk(stage)
    yield desk
    await desk.close()


@pytest.fixture
async def amina(stage):
    return await stage.joined()


@pytest.fixture
async def nour(desk, amina):
    return await desk.member("nour")
