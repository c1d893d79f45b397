"""Keeps what identifies a person unreadable without the deployment's key.

AES-256-GCM seals chat identities and raw updates; HMAC-SHA-256 looks chats and tokens up (chat ids have
about ten digits: a plain hash would be guessed in minutes) and signs buttons. The first key seals, all open.
"""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.errors import SealError, SettingsError

KEY_BYTES = 32
NONCE_BYTES = 12
ID_BYTES = 4
# The least part of a signature that still proves something: it cannot be guessed at the pace of a chat.
_SIGNATURE_BYTES = 8


def new_secret_key() -> str:
    """A fresh deployment key: 32 random bytes in base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


class Keys:
    """The deployment's keys, newest first."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        if not secret_keys:
            raise SettingsError("DAYBOOK_SECRET_KEY is missing; `daybook init` writes one into .env")
        self._keys = [_Key(_decoded(key)) for key in secret_keys]

    def seal(self, document: Mapping[str, Any], *, context: str) -> bytes:
        """Encrypt a small document; `context` binds it to its row, so that it cannot be moved to another."""
        return self.seal_bytes(json.dumps(document, ensure_ascii=False).encode(), context=context)

    def seal_bytes(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt bytes as they are."""
        return self._keys[0].seal(plain, context.encode(), self._nonce())

    def _nonce(self) -> bytes:
        """What no two values may be sealed with under one key."""
        return os.urandom(NONCE_BYTES)

    def open(self, sealed: bytes, *, context: str) -> Any:
        """Decrypt a document; raises SealError where no key fits or it was changed."""
        return json.loads(self.open_bytes(sealed, context=context))

    def open_bytes(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt bytes; raises SealError where no key fits or they were changed."""
        for key in self._keys:
            if sealed.startswith(key.id):
                return key.open(sealed, context.encode())
        raise SealError("A sealed value was made with a key that DAYBOOK_SECRET_KEY no longer holds; add it back.")

    def hold(self, key_id: bytes) -> bool:
        """Tell whether the key of this id, which every sealed value begins with, is one of these."""
        return any(key.id == key_id for key in self._keys)

    @property
    def newest_id(self) -> bytes:
        """The id of the key that seals."""
        return self._keys[0].id

    def derived(self, key_id: bytes, purpose: bytes, *, salt: bytes) -> bytes:
        """A key for a purpose of its own, such as one file; the key of this id must be held."""
        return next(key for key in self._keys if key.id == key_id).derived(purpose, salt)

    def lookups(self, purpose: str, value: str) -> list[bytes]:
        """Keyed hashes of a value under every key, the newest first: to search by all, to store the first."""
        return [key.lookup(purpose, value) for key in self._keys]

    def sign(self, value: str) -> bytes:
        """Sign a short value, such as a button's data, with the newest key."""
        return self._keys[0].lookup("sign", value)

    def signed(self, value: str, signature: bytes) -> bool:
        """Tell whether a signature (or its beginning) was made by one of the keys for this value."""
        return len(signature) >= _SIGNATURE_BYTES and any(
            hmac.compare_digest(key.lookup("sign", value)[: len(signature)], signature) for key in self._keys
        )


class _Key:
    """One secret, spread into a key for sealing and one for looking up."""

    def __init__(self, secret: bytes) -> None:
        self.id = hashlib.sha256(b"daybook key id" + secret).digest()[:ID_BYTES]
        self._secret = secret
        self._aead = AESGCM(_derived(secret, b"seal"))
        self._hmac = _derived(secret, b"lookup")

    def seal(self, plain: bytes, context: bytes, nonce: bytes) -> bytes:
        return self.id + nonce + self._aead.encrypt(nonce, plain, self.id + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        nonce, body = sealed[ID_BYTES : ID_BYTES + NONCE_BYTES], sealed[ID_BYTES + NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, self.id + context)
        except (InvalidTag, ValueError):  # ValueError where so little is left that there is no nonce
            raise SealError("A sealed value was changed or moved to another row.") from None

    def lookup(self, purpose: str, value: str) -> bytes:
        return hmac.digest(self._hmac, f"{purpose}\0{value}".encode(), "sha256")

    def derived(self, purpose: bytes, salt: bytes) -> bytes:
        return _derived(self._secret, purpose, salt)


def _derived(secret: bytes, purpose: bytes, salt: bytes | None = None) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"daybook " + purpose).derive(secret)


def _decoded(key: str) -> bytes:
    try:
        secret = base64.b64decode(key.strip(), validate=True)
    except ValueError:  # not base64, or not even ASCII
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SettingsError(
            "DAYBOOK_SECRET_KEY must be 32 bytes in base64; take its line out of .env and run `daybook init`, "
            "or make a key with: head -c 32 /dev/urandom | base64"
        )
    return secret
