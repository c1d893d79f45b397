"""Writes XML elements as text, a few at a time: a document of a million values is never held."""

import re
from collections.abc import Mapping
from typing import Final

from protocol.values import Text

# XML 1.0 cannot hold these, not even escaped (section 2.2). Control characters become their pictures (a bell is
# U+2407), so that a reader sees what was there; what has no picture becomes the replacement character.
_PICTURES: Final = {control: 0x2400 + control for control in range(0x20) if control not in (0x09, 0x0A, 0x0D)}
_LOST: Final = dict.fromkeys((*range(0xD800, 0xE000), 0xFFFE, 0xFFFF), 0xFFFD)
# Tabs and line breaks are written as references: in an attribute a parser would make them blanks.
_WRITTEN: Final[Mapping[int, int | str]] = {
    **_PICTURES,
    **_LOST,
    **{ord(character): f"&#{ord(character)};" for character in "\t\n\r"},
    **{ord(character): f"&{name};" for character, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"))},
}
_SPECIAL: Final = re.compile('[\x00-\x1f&<>"\ud800-\udfff\ufffe\uffff]')


def written(text: str) -> str:
    """A text as it stands in an element or an attribute."""
    return text.translate(_WRITTEN) if _SPECIAL.search(text) else text


def element(name: str, attributes: Mapping[str, str | int | None], *inside: str) -> str:
    """An element with these attributes, those that are None left out, around what is written already."""
    shown = "".join(f' {key}="{written(str(value))}"' for key, value in attributes.items() if value is not None)
    content = "".join(inside)
    return f"<{name}{shown}>{content}</{name}>" if content else f"<{name}{shown}/>"


def plain(name: str, text: str) -> str:
    """An element around a text."""
    return f"<{name}>{written(text)}</{name}>"


def translated(name: str, text: Text) -> str:
    """An element around a text in all its languages; nothing where it has no words."""
    words = [_in_language(language, said) for language, said in text.root.items() if said]
    return element(name, {}, *words) if words else ""


def _in_language(language: str, said: str) -> str:
    return f'<TranslatedText xml:lang="{language}">{written(said)}</TranslatedText>'
