"""A file sealed in chunks: none can be changed, cut off, moved, added or taken from another file unnoticed.

AES-256-GCM under a key that is derived for this one file (HKDF over its random name), so that a chunk's number can
be its nonce. With each chunk are authenticated the whole header, its number, and whether it is the last.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.errors import SealError
from storage.sealing import ID_BYTES, NONCE_BYTES, Keys

MAGIC: Final = b"daybook backup\n"
VERSION: Final = 1
CHUNK_BYTES: Final = 1 << 16
TAG_BYTES: Final = 16
_NAME_BYTES: Final = 16
HEADER_BYTES: Final = len(MAGIC) + 1 + ID_BYTES + _NAME_BYTES
_PURPOSE: Final = b"backup file"


class ForeignFileError(SealError):
    """Not a file of ours, or one of a newer version."""


class ForeignKeyError(SealError):
    """Sealed with a key that is not at hand."""


@dataclass(frozen=True, slots=True)
class _Chunks:
    """Seals or opens the chunks of one file."""

    aead: AESGCM
    header: bytes

    def seal(self, number: int, plain: bytes, *, last: bool) -> bytes:
        return self.aead.encrypt(_nonce(number), plain, self._bound(last=last))

    def open(self, number: int, sealed: bytes, *, last: bool) -> bytes:
        try:
            return self.aead.decrypt(_nonce(number), sealed, self._bound(last=last))
        except InvalidTag:
            raise SealError("It was cut or altered.") from None

    def _bound(self, *, last: bool) -> bytes:
        return self.header + bytes([last])


def seal_into(target: BinaryIO, pieces: Iterable[bytes], keys: Keys) -> None:
    """Write a header and the pieces, one chunk each: all of CHUNK_BYTES, only the last may be shorter."""
    header = MAGIC + bytes([VERSION]) + keys.newest_id + os.urandom(_NAME_BYTES)
    chunks = _chunks(header, keys)
    target.write(header)
    number, held = 0, b""
    for number, piece in enumerate(pieces):
        if number:
            target.write(chunks.seal(number - 1, held, last=False))
        held = piece
    target.write(chunks.seal(number, held, last=True))


def opened_from(source: BinaryIO, keys: Keys) -> Iterator[bytes]:
    """The pieces as they were; raises ForeignFileError, ForeignKeyError, or SealError where it is not whole.

    What came before an error was sealed by us, and is no whole file: nothing may be made of it.
    """
    chunks = _chunks(_header_of(source), keys)
    number, sealed = 0, source.read(CHUNK_BYTES + TAG_BYTES)
    while True:
        following = source.read(CHUNK_BYTES + TAG_BYTES)
        if len(sealed) < TAG_BYTES:
            raise SealError("It was cut.")
        yield chunks.open(number, sealed, last=not following)
        if not following:
            return
        number, sealed = number + 1, following


def in_pieces(source: BinaryIO, first: bytes) -> Iterator[bytes]:
    """A first piece by itself, filled up with blanks to a whole chunk, then the source a chunk at a time."""
    yield first.ljust(CHUNK_BYTES)
    while piece := source.read(CHUNK_BYTES):
        yield piece


def _header_of(source: BinaryIO) -> bytes:
    header = source.read(HEADER_BYTES)
    if not header.startswith(MAGIC):
        raise ForeignFileError("It is no backup of Daybook.")
    if len(header) < HEADER_BYTES:
        raise SealError("It was cut.")
    if header[len(MAGIC)] != VERSION:
        raise ForeignFileError("It was altered, or made by a newer Daybook.")
    return header


def _chunks(header: bytes, keys: Keys) -> _Chunks:
    begins = len(MAGIC) + 1
    key_id, name = header[begins : begins + ID_BYTES], header[begins + ID_BYTES :]
    if not keys.hold(key_id):
        raise ForeignKeyError("It was sealed with a key that DAYBOOK_SECRET_KEY does not hold.")
    return _Chunks(AESGCM(keys.derived(key_id, _PURPOSE, salt=name)), header)


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")
