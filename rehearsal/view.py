"""What a phone shows, as JSON for the page."""

import json
from typing import Any

from rehearsal.accounts import Account
from rehearsal.chats import Chat, Message, StoredFile
from rehearsal.people import Person

# A chat longer than this scrolls away, as on a small phone.
_SHOWN = 200
_SHORT = {"voice": "Voice message", "location": "Location", "contact": "Contact"}


def phone_json(person: Person, bot: Account) -> dict[str, Any]:
    """Answer one person's view of the chat with the bot."""
    chat = person.chat(bot)
    taps = [tap for tap in bot.taps.values() if tap.by.id == person.id]
    toasts = person.toasts(bot)
    return {
        "person": {"id": person.id, "name": person.profile.first_name, "language": person.profile.language_code},
        "bot": {"name": bot.profile.first_name, "username": bot.username, "about": _about(bot, person)},
        "started": chat.started,
        "blocked": chat.blocked,
        "messages": [_message(message) for message in chat.visible()[-_SHOWN:]],
        "keyboard": _reply_keyboard(chat),
        "commands": commands_for(bot, person, chat),
        "waiting": [[tap.message_id, tap.data] for tap in taps[-20:] if bot.open_tap(tap.id)],
        "toasts": len(toasts),
        "toast": {"text": toasts[-1].text, "alert": toasts[-1].alert} if toasts else None,
    }


def commands_for(bot: Account, person: Person, chat: Chat) -> list[dict[str, Any]]:
    """Answer the command list as Telegram chooses it: the narrowest scope first, then the person's language."""
    language = (person.profile.language_code or "")[:2]
    scopes = ({"type": "chat", "chat_id": chat.id}, {"type": "all_private_chats"}, {"type": "default"})
    for scope in scopes:
        key = json.dumps(scope, sort_keys=True)
        found = bot.commands.get((key, language)) or bot.commands.get((key, ""))
        if found:
            return found
    return []


def _about(bot: Account, person: Person) -> str:
    language = (person.profile.language_code or "")[:2]
    return bot.descriptions.get(("description", language)) or bot.descriptions.get(("description", ""), "")


def _reply_keyboard(chat: Chat) -> list[list[str]]:
    if not chat.reply_keyboard:
        return []
    return [[button["text"] for button in row] for row in chat.reply_keyboard["keyboard"]]


def _message(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message.id,
        "mine": not message.sender.is_bot,
        "text": message.text if message.shown is None else message.shown,
        "entities": list(message.words.entities),
        "at": message.at.isoformat(),
        "edited": message.edited_at is not None,
        "buttons": [[_button(button) for button in row] for row in message.keyboard or ()],
        "forwarded": "forward_origin" in message.extra,
        "note": next((words for kind, words in _SHORT.items() if kind in message.media), ""),
    }
    if "sticker" in message.media:
        shown["note"] = message.media["sticker"]["emoji"]
    if message.file and "photo" in message.media:
        size = message.media["photo"][0]
        shown["photo"] = {"url": _address(message.file), "width": size["width"], "height": size["height"]}
    elif message.file and "document" in message.media:
        shown["file"] = {
            "url": _address(message.file),
            "name": message.file.name,
            "bytes": len(message.file.content),
        }
    return shown


def _button(button: dict[str, Any]) -> dict[str, Any]:
    return {"text": button["text"], "data": button.get("callback_data"), "url": button.get("url")}


def _address(file: StoredFile) -> str:
    return f"/rehearsal/files/{file.id}"
