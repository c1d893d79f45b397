from datetime import timedelta

import pytest

from protocol.errors import DaybookError
from reports.chain import Head, trail_head, verify_trail
from reports.heads import heads_in, keep_head, why_not_kept
from tests.cast import T0, Stage

DAY = timedelta(days=1)


async def test_a_head_is_added_once_a_day_and_each_holds_later(stage: Stage, tmp_path):
    file = tmp_path / "heads.txt"
    assert await keep_head(stage.db, file, now=T0)
    first = await trail_head(stage.db)
    await stage.joined()
    assert not await keep_head(stage.db, file, now=T0 + timedelta(hours=15))
    assert await keep_head(stage.db, file, now=T0 + DAY)
    assert file.read_text(encoding="utf-8").splitlines() == [
        f"2026-11-23T08:00:00Z {first.lines} {first.sha256}",
        "2026-11-24T08:00:00Z {0.lines} {0.sha256}".format(await trail_head(stage.db)),
    ]
    assert heads_in(file) == [first, await trail_head(stage.db)]
    assert (await verify_trail(stage.db, heads_in(file))).fault is None
    other = [Head(first.lines, "0" * 64), *heads_in(file)]
    assert (await verify_trail(stage.db, other)).fault is not None


async def test_a_line_that_was_cut_short_spoils_no_later_one_and_is_named(stage: Stage, tmp_path):
    file = tmp_path / "heads.txt"
    await keep_head(stage.db, file, now=T0)
    whole = file.read_text(encoding="utf-8")
    file.write_text(f"{whole}2026-11-24T08:0", encoding="utf-8")
    assert await keep_head(stage.db, file, now=T0 + 2 * DAY)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line[:15] for line in lines] == ["2026-11-23T08:0", "2026-11-24T08:0", "2026-11-25T08:0"]
    with pytest.raises(DaybookError, match=r"Line 2 of .* is not an instant, a number of lines and a digest"):
        heads_in(file)


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_a_file_without_heads_is_refused_in_a_sentence(tmp_path, content):
    file = tmp_path / "heads.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DaybookError, match=r"keeps no head yet|cannot be read as text"):
        heads_in(file)


async def test_a_folder_that_is_away_is_said_before_and_when_it_is_written(stage: Stage, tmp_path):
    file = tmp_path / "share" / "heads.txt"
    assert why_not_kept(file) == f"the folder {file.parent} is not there"
    with pytest.raises(FileNotFoundError):
        await keep_head(stage.db, file, now=T0)
    file.parent.mkdir()
    assert why_not_kept(file) is None
    assert list(file.parent.iterdir()) == []
    assert await keep_head(stage.db, file, now=T0)
    assert why_not_kept(file) is None
    assert why_not_kept(file.parent) is not None
