"""Reads Telegram's HTML into text and entities, refusing what Telegram refuses."""

import html
import re
from dataclasses import dataclass
from typing import Any

from rehearsal.chats import Json, Words
from rehearsal.rules import bad_request

# https://core.telegram.org/bots/api#html-style
_KINDS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
    "tg-emoji": "custom_emoji",
}
_TOKEN = re.compile(
    r"<(?P<end>/?)(?P<tag>[A-Za-z][\w-]*)?(?P<rest>[^<>]*)>?|&(?:#\d+|#x[0-9A-Fa-f]+|lt|gt|amp|quot);"
)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")
_FOUND = re.compile(
    r"(?P<url>(?:https?://|\bt\.me/)[^\s<>\"']*[\w/=#&-])"
    r"|(?<![\w/@])(?P<bot_command>/[A-Za-z0-9_]{1,32}(?:@\w+)?)(?![\w/])"
    r"|(?<![\w@])(?P<mention>@[A-Za-z]\w{3,31})"
)
# Nothing is looked for inside these: they already are what they are.
_CLOSED = {"code", "pre", "text_link", "url", "mention", "bot_command"}


@dataclass(slots=True)
class _Open:
    tag: str
    entity: Json


def utf16(text: str) -> int:
    """Answer the length as Telegram counts offsets."""
    return len(text.encode("utf-16-le")) // 2


def read(text: str, parse_mode: str | None, entities: tuple[Json, ...] = ()) -> Words:
    """Answer the words a bot sends, parsed, trimmed, with links and commands found."""
    if not parse_mode:
        return _trimmed(text, [dict(entity) for entity in entities])
    if parse_mode.upper() != "HTML":
        raise bad_request("unsupported parse_mode")
    return _trimmed(*_parse_html(text))


def plain(text: str) -> Words:
    """Answer the words a person types."""
    return _trimmed(text, [])


def _parse_html(source: str) -> tuple[str, list[Json]]:
    text, offset, done = "", 0, 0
    opened: list[_Open] = []
    closed: list[Json] = []
    for token in _TOKEN.finditer(source):
        plain_part = source[done : token.start()]
        text, offset, done = text + plain_part, offset + utf16(plain_part), token.end()
        where = len(source[: token.start()].encode())
        if token[0].startswith("&"):
            character = html.unescape(token[0])
            text, offset = text + character, offset + utf16(character)
        elif token["end"]:
            closed.append(_close(opened, token["tag"] or "", offset, where))
        else:
            opened.append(_open(token, offset, where))
    if opened:
        raise _unparsable(f'Can\'t find end tag corresponding to start tag "{opened[-1].tag}"')
    entities = [entity for entity in closed if entity["length"]]
    return text + source[done:], sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))


def _open(token: re.Match[str], offset: int, where: int) -> _Open:
    tag = (token["tag"] or "").lower()
    if tag not in _KINDS or not token[0].endswith(">"):
        raise _unparsable(f'Unsupported start tag "{tag}" at byte offset {where}')
    given = {name.lower(): html.unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(token["rest"])}
    entity: dict[str, Any] = {"type": _KINDS[tag], "offset": offset}
    if tag == "span" and given.get("class") != "tg-spoiler":
        raise _unparsable(f'Tag "span" must have class "tg-spoiler" at byte offset {where}')
    if tag == "a":
        entity["url"] = given.get("href", "")
    if tag == "tg-emoji":
        entity["custom_emoji_id"] = given.get("emoji-id", "")
    return _Open(tag, entity)


def _close(opened: list[_Open], tag: str, offset: int, where: int) -> Json:
    if not opened:
        raise _unparsable(f"Unexpected end tag at byte offset {where}")
    last = opened.pop()
    if tag.lower() != last.tag:
        raise _unparsable(f'Unmatched end tag at byte offset {where}, expected "</{last.tag}>", found "</{tag}>"')
    return last.entity | {"length": offset - last.entity["offset"]}


def _unparsable(reason: str) -> Exception:
    return bad_request(f"can't parse entities: {reason}")


def _trimmed(text: str, entities: list[Json]) -> Words:
    bare = text.lstrip()
    shift = utf16(text) - utf16(bare)
    bare = bare.rstrip()
    end = utf16(bare)
    kept = []
    for entity in entities:
        start = max(entity["offset"] - shift, 0)
        stop = min(entity["offset"] + entity["length"] - shift, end)
        if stop > start:
            kept.append(entity | {"offset": start, "length": stop - start})
    return Words(bare, tuple(sorted(kept + _found(bare, kept), key=lambda entity: entity["offset"])))


def _found(text: str, known: list[Json]) -> list[Json]:
    taken = [(e["offset"], e["offset"] + e["length"]) for e in known if e["type"] in _CLOSED]
    found = []
    for match in _FOUND.finditer(text):
        offset, length = utf16(text[: match.start()]), utf16(match[0])
        if not any(start < offset + length and offset < stop for start, stop in taken):
            found.append({"type": str(match.lastgroup), "offset": offset, "length": length})
    return found
