"""However often the service is killed while patients answer, nothing acknowledged is lost or doubled."""

import os
from pathlib import Path
from typing import Any

from tests.process.reaper import killed

KILLS = int(os.environ.get("DAYBOOK_KILLS", "15"))
SEED = 20_261_123


async def test_nothing_acknowledged_is_lost_or_doubled_however_often_the_service_is_killed(
    tmp_path: Path, template: Path, capsys: Any
):
    came = await killed(tmp_path, template, kills=KILLS, seed=SEED)
    with capsys.disabled():
        print(f"\n{came}")  # noqa: T201
    came.found.holds()
    assert came.found.receipts > KILLS  # the patients were at it all the time
