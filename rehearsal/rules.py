"""What Telegram refuses, in Telegram's own words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from rehearsal.chats import Chat, Json, Message, Rows, Words

TEXT_CHARACTERS = 4096
CAPTION_CHARACTERS = 1024
BUTTON_DATA_BYTES = 64
BUTTONS = 100
TOAST_CHARACTERS = 200
COMMANDS = 100
COMMAND_DESCRIPTION_CHARACTERS = 256
PHOTO_BYTES = 10_000_000
UPLOAD_BYTES = 50_000_000

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a"
    " current content and reply markup of the message"
)
QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
TWO_POLLERS = "terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_ACTIVE = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_IMAGE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM")


class RefusalError(Exception):
    """Telegram's answer with `ok: false`."""

    def __init__(self, code: int, description: str, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def as_json(self) -> Json:
        """Answer the body Telegram sends."""
        body: Json = {"ok": False, "error_code": self.code, "description": self.description}
        if self.parameters:
            body["parameters"] = dict(self.parameters)
        return body


def bad_request(reason: str, parameters: Mapping[str, Any] | None = None) -> RefusalError:
    """Answer a 400."""
    return RefusalError(400, f"Bad Request: {reason}", parameters)


def forbidden(reason: str) -> RefusalError:
    """Answer a 403."""
    return RefusalError(403, f"Forbidden: {reason}")


def conflict(reason: str) -> RefusalError:
    """Answer a 409."""
    return RefusalError(409, f"Conflict: {reason}")


def too_many(seconds: int | None) -> RefusalError:
    """Answer a 429, with the time to wait or without."""
    if seconds is None:
        return RefusalError(429, "Too Many Requests")
    return RefusalError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


def check_text(words: Words) -> None:
    """Refuse a text that is empty or too long once it is parsed."""
    if not words.text:
        raise bad_request("message text is empty")
    if len(words.text) > TEXT_CHARACTERS:
        raise bad_request("message is too long")


def check_caption(words: Words) -> None:
    """Refuse a caption that is too long."""
    if len(words.text) > CAPTION_CHARACTERS:
        raise bad_request("message caption is too long")


def check_buttons(rows: Rows) -> None:
    """Refuse inline buttons that Telegram would refuse."""
    if sum(len(row) for row in rows) > BUTTONS:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    for button in (button for row in rows for button in row):
        _check_button(button)


def _check_button(button: Json) -> None:
    if not button["text"].strip():
        raise bad_request("can't parse inline keyboard button: Button text must be non-empty")
    actions = set(button) - {"text", "style", "icon_custom_emoji_id"}
    if not actions:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    data = button.get("callback_data")
    if data is not None and not 1 <= len(data.encode()) <= BUTTON_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    url = button.get("url")
    if url is not None and not _web_address(url):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def _web_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "tg" or (parts.scheme in ("http", "https") and "." in (parts.hostname or ""))


def check_reachable(chat: Chat, *, deactivated: bool) -> None:
    """Refuse to write to who never started the bot, blocked it, or is gone."""
    if not chat.private:
        if chat.left:
            raise forbidden("bot was kicked from the group chat")
        return
    if deactivated:
        raise forbidden("user is deactivated")
    if chat.blocked:
        raise forbidden("bot was blocked by the user")
    if not chat.started:
        raise forbidden("bot can't initiate conversation with a user")


def check_changed(message: Message, words: Words, rows: Rows | None) -> None:
    """Refuse an edit that changes nothing."""
    if message.words == words and (message.keyboard or None) == (rows or None):
        raise bad_request(NOT_MODIFIED)


def check_photo(content: bytes) -> None:
    """Refuse a picture that is empty, too big or none at all."""
    check_upload(content)
    if len(content) > PHOTO_BYTES:
        raise bad_request("file is too big for a photo")
    if not content.startswith(_IMAGE_STARTS):
        raise bad_request("IMAGE_PROCESS_FAILED")


def check_upload(content: bytes) -> None:
    """Refuse a file that is empty or over the limit of bots."""
    if not content:
        raise bad_request("file must be non-empty")
    if len(content) > UPLOAD_BYTES:
        raise RefusalError(413, "Request Entity Too Large")


def check_commands(commands: Sequence[tuple[str, str]]) -> None:
    """Refuse a command list with a bad name or an empty or overlong description."""
    if len(commands) > COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for name, description in commands:
        if not _COMMAND.fullmatch(name.removeprefix("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(description) <= COMMAND_DESCRIPTION_CHARACTERS:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")


def check_webhook(url: str, secret: str | None) -> None:
    """Refuse an address that is not HTTPS (or this machine) and a secret with other characters."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if secret is not None and not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
