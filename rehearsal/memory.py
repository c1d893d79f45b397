"""Keeps the phones of a rehearsal in a file, so that the next one begins with the chats as they were."""

from base64 import b64decode, b64encode
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from rehearsal.chats import Chat, Json, Message, Profile, StoredFile, Words

if TYPE_CHECKING:
    from rehearsal.accounts import Account
    from rehearsal.telegram import Telegram


def keep(telegram: "Telegram", path: Path) -> None:
    """Write down the people, their private chats and what was sent in them; it uses up a number of each kind."""
    kept: Json = {
        "people": [_profile(person.profile) for person in telegram.people.values()],
        "files": [_file(file) for file in telegram.files.values()],
        "bots": {str(account.profile.id): _account(account) for account in telegram.bots.values()},
    }
    written = path.with_suffix(".new")
    written.touch(mode=0o600)
    written.write_bytes(orjson.dumps(kept))
    written.replace(path)


def recall(telegram: "Telegram", path: Path) -> bool:
    """Bring back what was kept, for the bots there are; False where nothing was."""
    if not path.exists():
        return False
    kept = orjson.loads(path.read_bytes())
    for person in kept["people"]:
        telegram.bring_back(Profile(**person))
    telegram.files |= {
        file["id"]: StoredFile(**file | {"content": b64decode(file["content"])}) for file in kept["files"]
    }
    for account in telegram.bots.values():
        if remembered := kept["bots"].get(str(account.profile.id)):
            _recall_account(telegram, account, remembered)
    return True


def _profile(profile: Profile) -> Json:
    return {
        "id": profile.id,
        "first_name": profile.first_name,
        "username": profile.username,
        "language_code": profile.language_code,
    }


def _file(file: StoredFile) -> Json:
    content = b64encode(file.content).decode()
    return {"id": file.id, "name": file.name, "mime": file.mime, "content": content, "path": file.path}


def _account(account: "Account") -> Json:
    return {
        # Numbers go on where they were: what a database remembers of a message must never mean another one.
        "message": next(account.message_ids),
        "tap": next(account.tap_ids),
        "update": account.updates.next_id,
        "commands": [[*where, commands] for where, commands in account.commands.items()],
        "chats": [_chat(chat) for chat in account.chats.values() if chat.private],
    }


def _recall_account(telegram: "Telegram", account: "Account", kept: Json) -> None:
    account.message_ids, account.tap_ids = count(kept["message"]), count(kept["tap"])
    account.updates.next_id = kept["update"]
    account.commands |= {(scope, language): commands for scope, language, commands in kept["commands"]}
    for remembered in kept["chats"]:
        chat = account.chat_with(telegram.people[remembered["person"]].profile)
        chat.started, chat.blocked = remembered["started"], remembered["blocked"]
        chat.reply_keyboard = remembered["reply_keyboard"]
        for message in remembered["messages"]:
            chat.messages[message["id"]] = _recall_message(telegram, chat, message)


def _chat(chat: Chat) -> Json:
    return {
        "person": chat.id,
        "started": chat.started,
        "blocked": chat.blocked,
        "reply_keyboard": chat.reply_keyboard,
        "messages": [_message(message) for message in chat.visible()],
    }


def _message(message: Message) -> Json:
    return {
        "id": message.id,
        "by_bot": message.sender.is_bot,
        "at": message.at,
        "text": message.words.text,
        "entities": message.words.entities,
        "media": message.media,
        "file": message.file.id if message.file else None,
        "keyboard": message.keyboard,
        "editable": message.editable,
        "extra": message.extra,
        "edited_at": message.edited_at,
        "shown": message.shown,
    }


def _recall_message(telegram: "Telegram", chat: Chat, kept: Json) -> Message:
    person = chat.person
    assert person is not None  # only private chats are kept
    return Message(
        id=kept["id"],
        chat=chat,
        sender=chat.bot if kept["by_bot"] else person,
        at=datetime.fromisoformat(kept["at"]),
        words=Words(kept["text"], tuple(kept["entities"])),
        media=kept["media"],
        file=telegram.files[kept["file"]] if kept["file"] else None,
        keyboard=tuple(tuple(row) for row in kept["keyboard"]) if kept["keyboard"] else None,
        editable=kept["editable"],
        extra=kept["extra"],
        edited_at=datetime.fromisoformat(kept["edited_at"]) if kept["edited_at"] else None,
        shown=kept["shown"],
    )
