"""Reads a protocol file, bundled or the site's own, into values."""

import hashlib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from protocol.check import faults
from protocol.errors import ProtocolError
from protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class ProtocolFile:
    """A protocol with the exact text it was read from, so that every version can be kept and compared."""

    source: str
    text: str
    protocol: Protocol

    @property
    def sha256(self) -> str:
        """Fingerprint of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def bundled_names() -> list[str]:
    """Names of the protocols that come with Daybook."""
    folder = files("protocol") / "bundled"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_protocol(name_or_path: str) -> ProtocolFile:
    """Read a bundled protocol by name or a file by path; raises ProtocolError naming the key and the mend."""
    return read_protocol(name_or_path, _text_of(name_or_path))


def read_protocol(source: str, text: str) -> ProtocolFile:
    """Read a protocol's text; raises ProtocolError naming each key and its mend."""
    document = _parse(source, text)
    try:
        protocol = Protocol.model_validate(document)
    except ValidationError as error:
        findings = tuple(_finding(detail) for detail in error.errors())
        raise ProtocolError(source, findings) from None
    if found := faults(protocol):
        raise ProtocolError(source, found)
    return ProtocolFile(source, text, protocol)


def _text_of(name_or_path: str) -> str:
    if name_or_path in bundled_names():
        return (files("protocol") / "bundled" / f"{name_or_path}.toml").read_text(encoding="utf-8")
    try:
        return Path(name_or_path).read_text(encoding="utf-8-sig")  # some editors put a mark in front
    except FileNotFoundError:
        known = ", ".join(bundled_names())
        raise ProtocolError(
            name_or_path, (f"there is no such file; name a file or a bundled one ({known})",)
        ) from None
    except UnicodeDecodeError:
        raise ProtocolError(name_or_path, ("it is not UTF-8 text; save it as UTF-8",)) from None
    except IsADirectoryError:
        raise ProtocolError(name_or_path, ("it is a folder; name the file in it",)) from None
    except OSError as error:
        raise ProtocolError(name_or_path, (f"it cannot be read ({error.strerror}); check its rights",)) from None


def _parse(source: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(source, (f"it is not TOML: {error}; mend that place, or name another file",)) from None


def _finding(detail: ErrorDetails) -> str:
    place = ""
    for part in detail["loc"]:
        place += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    place = place.lstrip(".") or "the file"
    match detail["type"]:
        case "missing":
            return f"{place}: is missing; add it"
        case "extra_forbidden":
            return f"{place}: is not a key Daybook knows; mend its spelling or take it out"
        case "value_error":
            return f"{place}: {detail['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{place}: {detail['msg'][0].lower()}{detail['msg'][1:]} (it says {detail['input']!r:.60})"
