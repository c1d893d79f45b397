"""Every kind of damage to a sealed file is refused: no byte of it may be another, be missing or be too many."""

import io

import pytest

from protocol.errors import SealError
from storage.sealed_file import (
    CHUNK_BYTES,
    HEADER_BYTES,
    MAGIC,
    TAG_BYTES,
    ForeignFileError,
    ForeignKeyError,
    in_pieces,
    opened_from,
    seal_into,
)
from storage.sealing import Keys, new_secret_key
from tests.conftest import KEY

KEYS = Keys([KEY])
SEALED_BYTES = CHUNK_BYTES + TAG_BYTES
PLAIN = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"the last one is shorter"
FIRST = b"what is in it"


def sealed(plain=PLAIN, keys=KEYS):
    target = io.BytesIO()
    seal_into(target, in_pieces(io.BytesIO(plain), FIRST), keys)
    return target.getvalue()


def opened(file, keys=KEYS):
    first, *rest = opened_from(io.BytesIO(file), keys)
    assert first.rstrip() == FIRST
    return b"".join(rest)


def chunks(file):
    body = file[HEADER_BYTES:]
    return [body[begin : begin + SEALED_BYTES] for begin in range(0, len(body), SEALED_BYTES)]


def joined(file, parts):
    return file[:HEADER_BYTES] + b"".join(parts)


@pytest.fixture(scope="module")
def file():
    return sealed()


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_was_sealed_comes_out_again_at_every_length(length):
    plain = PLAIN[:length]
    assert opened(sealed(plain)) == plain


def test_the_same_file_sealed_twice_has_no_chunk_in_common(file):
    """Without their tags, that is: the same key and nonce twice would give the same bytes, and give both away."""
    bodies = [{part[:-TAG_BYTES] for part in chunks(one)} for one in (file, sealed())]
    assert all(len(found) == 5 for found in bodies)  # three whole chunks are the same in plain
    assert not bodies[0] & bodies[1]
    assert PLAIN[:64] not in file


def test_a_byte_that_is_another_is_refused_wherever_it_is(file):
    count = len(chunks(file))
    assert count == 5
    places = {*range(HEADER_BYTES), len(file) - 1}
    for number in range(count):
        begins = HEADER_BYTES + number * SEALED_BYTES
        ends = min(begins + SEALED_BYTES, len(file))
        places |= {begins, begins + 1, (begins + ends) // 2, *range(ends - TAG_BYTES - 1, ends)}
    for place in sorted(places):
        for flipped in (0x01, 0x80):
            damaged = bytearray(file)
            damaged[place] ^= flipped
            with pytest.raises(SealError):
                opened(bytes(damaged))


def test_a_file_that_was_cut_is_refused_at_every_length(file):
    lengths = {*range(HEADER_BYTES + 2 * TAG_BYTES), *range(HEADER_BYTES, len(file), 997)}
    for number in range(1, len(chunks(file))):
        ends = HEADER_BYTES + number * SEALED_BYTES
        lengths |= {*range(ends - TAG_BYTES - 2, ends + TAG_BYTES + 2)}
    lengths |= {*range(len(file) - 64, len(file))}
    assert max(lengths) < len(file)
    for length in sorted(lengths):
        with pytest.raises(SealError):
            opened(file[:length])


def test_any_two_chunks_that_changed_places_are_refused(file):
    parts = chunks(file)
    for one in range(len(parts)):
        for other in range(one + 1, len(parts)):
            swapped = list(parts)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            with pytest.raises(SealError):
                opened(joined(file, swapped))


def test_a_chunk_that_is_left_out_or_there_twice_is_refused(file):
    parts = chunks(file)
    for number in range(len(parts)):
        with pytest.raises(SealError):
            opened(joined(file, parts[:number] + parts[number + 1 :]))
        with pytest.raises(SealError):
            opened(joined(file, parts[: number + 1] + parts[number:]))


@pytest.mark.parametrize("more", [b"\0", b"x" * TAG_BYTES, b"x" * SEALED_BYTES])
def test_whatever_is_appended_is_refused(file, more):
    whole_chunks = sealed(PLAIN[: 2 * CHUNK_BYTES])
    for one in (file, whole_chunks):
        with pytest.raises(SealError):
            opened(one + more)
    with pytest.raises(SealError):
        opened(file + file)


def test_chunks_of_two_backups_do_not_mix(file):
    other = sealed()
    mine, theirs = chunks(file), chunks(other)
    for number in range(len(mine)):
        with pytest.raises(SealError):
            opened(joined(file, [*mine[:number], theirs[number], *mine[number + 1 :]]))
    with pytest.raises(SealError):
        opened(joined(other, mine))


def test_a_key_that_sealed_long_ago_still_opens(file):
    newer = new_secret_key()
    assert opened(file, Keys([newer, KEY])) == PLAIN
    with pytest.raises(ForeignKeyError):
        opened(file, Keys([newer]))


def test_what_is_no_backup_and_what_a_newer_version_made_are_told_from_damage(file):
    for foreign in (b"", b"SQLite format 3\0", b"x" * 1000):
        with pytest.raises(ForeignFileError):
            opened(foreign)
    with pytest.raises(ForeignFileError):
        opened(MAGIC + b"\x02" + file[len(MAGIC) + 1 :])
