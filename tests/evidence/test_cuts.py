"""A sample of the power cuts of `make evidence`, and that the disk under them behaves as disks do."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.evidence.cuts import losses, recorded
from tests.evidence.mutants import JOURNALS, MUTANTS, program
from tests.evidence.power import SECTOR, Act, Disk

SEED = 20_261_125
needs_a_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="takes a C compiler: apt install gcc")


@needs_a_compiler
@pytest.mark.parametrize("journal", JOURNALS)
async def test_no_power_cut_takes_what_was_acknowledged(tmp_path: Path, template: Path, journal):
    run = await recorded(tmp_path, template, seconds=4, seed=SEED, program=program(JOURNALS[journal]))
    assert len(run.receipts) > 10
    assert list(losses(run, cuts=300, seed=SEED)) == []


@needs_a_compiler
async def test_the_cuts_find_that_nothing_is_synced(tmp_path: Path, template: Path):
    run = await recorded(tmp_path, template, seconds=4, seed=SEED, program=program(MUTANTS["nothing is synced"]))
    assert list(losses(run, cuts=100, seed=SEED))


def outcomes(*acts: Act) -> Counter[bytes | None]:
    """What became of the file after many cuts; None where it is not there."""
    disk = Disk({"file": b"old"})
    for act in acts:
        disk.take(act)
    return Counter(disk.after_a_cut(random.Random(seed)).get("file") for seed in range(200))


def act(what: str, inode: int = 1, offset: int = 0, data: bytes = b"") -> Act:
    return Act(0.0, what, inode, offset, data)


FOUND, SYNCED, FOLDER_SYNCED = act("o", data=b"file"), act("s"), act("s", 0)


def test_what_was_synced_is_there():
    assert set(outcomes(FOUND, act("w", data=b"new"), SYNCED)) == {b"new"}


def test_what_was_not_synced_is_there_or_not():
    assert set(outcomes(FOUND, act("w", data=b"new"))) == {b"new", b"old"}


def test_a_long_write_may_arrive_in_part():
    whole = outcomes(FOUND, act("w", data=b"a" * SECTOR + b"b" * SECTOR))
    assert {b"a" * SECTOR, bytes(b"old" + b"\0" * (SECTOR - 3)) + b"b" * SECTOR} < set(whole)


def test_a_file_that_was_cut_may_be_whole_again():
    assert set(outcomes(FOUND, act("t"))) == {b"", b"old"}


def test_a_file_that_was_removed_may_be_back_until_the_folder_is_synced():
    removed = (FOUND, act("u", data=b"file"))
    assert set(outcomes(*removed)) == {b"old", None}
    assert set(outcomes(*removed, FOLDER_SYNCED)) == {None}


def test_a_new_file_of_an_old_name_has_none_of_the_old_content():
    made = (FOUND, act("u", data=b"file"), act("c", 2, data=b"file"), act("w", 2, data=b"new"), act("s", 2))
    assert set(outcomes(*made)) == {b"old", b"new", None}
    assert set(outcomes(*made, FOLDER_SYNCED)) == {b"new"}
