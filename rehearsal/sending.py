"""The methods that make, change and delete messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rehearsal import parameters as p
from rehearsal import rules
from rehearsal.accounts import Account
from rehearsal.chats import Chat, Json, Message, Rows, StoredFile, Words
from rehearsal.entities import read
from rehearsal.pictures import size_of
from rehearsal.rules import bad_request

if TYPE_CHECKING:
    from rehearsal.telegram import Telegram

# Bots may delete messages for two days: https://core.telegram.org/bots/api#deletemessage
DELETABLE = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Content:
    """What a message shows."""

    words: Words
    file: StoredFile | None = None
    media: Json | None = None


def send_message(telegram: "Telegram", account: Account, asked: p.SendMessage) -> Json:
    """Put a text into a chat."""
    words = read(asked.text, asked.parse_mode, asked.entities)
    rules.check_text(words)
    return _post(telegram, account, asked, Content(words))


def send_photo(telegram: "Telegram", account: Account, asked: p.SendPhoto) -> Json:
    """Put a picture into a chat."""
    words = read(asked.caption, asked.parse_mode, asked.caption_entities)
    rules.check_caption(words)
    file = _file(telegram, asked.photo, "photos", rules.check_photo)
    return _post(telegram, account, asked, Content(words, file, {"photo": photo_sizes(file)}))


def send_document(telegram: "Telegram", account: Account, asked: p.SendDocument) -> Json:
    """Put a file into a chat."""
    words = read(asked.caption, asked.parse_mode, asked.caption_entities)
    rules.check_caption(words)
    file = _file(telegram, asked.document, "documents", rules.check_upload)
    return _post(telegram, account, asked, Content(words, file, {"document": document(file)}))


def photo_sizes(file: StoredFile) -> list[Json]:
    """Answer Telegram's `PhotoSize` list, here of one size."""
    width, height = size_of(file.content)
    size: Json = file.as_json()
    del size["file_path"]
    return [size | {"width": width, "height": height}]


def document(file: StoredFile) -> Json:
    """Answer Telegram's `Document` object."""
    described = file.as_json() | {"file_name": file.name, "mime_type": file.mime}
    del described["file_path"]
    return described


def _file(telegram: "Telegram", given: p.Upload | str, folder: str, check: Callable[[bytes], None]) -> StoredFile:
    if isinstance(given, p.Upload):
        check(given.content)
        return telegram.keep_file(given.name, given.mime, given.content, folder)
    if given in telegram.files:
        return telegram.files[given]
    if given.startswith(("http://", "https://")):
        raise bad_request("failed to get HTTP URL content")
    raise bad_request("wrong file identifier/HTTP URL specified")


def _post(telegram: "Telegram", account: Account, asked: p.Send, content: Content) -> Json:
    chat = telegram.chat_of(account, asked.chat_id)
    extra = _answered(chat, asked.reply_parameters)
    rows = _rows(asked.reply_markup)
    rules.check_reachable(chat, deactivated=telegram.is_deactivated(chat))
    _lay_keyboard(chat, asked.reply_markup)
    message = account.add(
        chat,
        account.profile,
        content.words,
        media=content.media,
        file=content.file,
        keyboard=rows,
        editable=asked.reply_markup is None or isinstance(asked.reply_markup, p.InlineKeyboard),
        extra=extra | ({"has_protected_content": True} if asked.protect_content else {}),
    )
    return message.as_json()


def _rows(markup: object) -> Rows | None:
    if not isinstance(markup, p.InlineKeyboard):
        return None
    rows = tuple(row for row in markup.rows() if row)
    rules.check_buttons(rows)
    return rows or None


def _lay_keyboard(chat: Chat, markup: object) -> None:
    if isinstance(markup, p.ReplyKeyboard):
        chat.reply_keyboard = markup.model_dump(exclude_none=True)
    elif isinstance(markup, p.RemoveKeyboard):
        chat.reply_keyboard = None


def _answered(chat: Chat, answering: p.ReplyParameters | None) -> Json:
    if answering is None:
        return {}
    message = chat.messages.get(answering.message_id)
    if message is None or message.deleted:
        if answering.allow_sending_without_reply:
            return {}
        raise bad_request("message to be replied not found")
    return {"reply_to_message": message.as_json()}


def edit_text(telegram: "Telegram", account: Account, asked: p.EditMessageText) -> Json:
    """Change the words and buttons of an own message; no buttons given means none."""
    words = read(asked.text, asked.parse_mode, asked.entities)
    rules.check_text(words)
    message = account.own_message(telegram.chat_of(account, asked.chat_id), asked.message_id)
    if message.media:
        raise bad_request("there is no text in the message to edit")
    return _edit(telegram, account, message, words, _rows(asked.reply_markup))


def edit_caption(telegram: "Telegram", account: Account, asked: p.EditMessageCaption) -> Json:
    """Change the words under an own picture or document."""
    words = read(asked.caption, asked.parse_mode, asked.caption_entities)
    rules.check_caption(words)
    message = account.own_message(telegram.chat_of(account, asked.chat_id), asked.message_id)
    if not message.media:
        raise bad_request("there is no caption in the message to edit")
    return _edit(telegram, account, message, words, _rows(asked.reply_markup))


def edit_markup(telegram: "Telegram", account: Account, asked: p.Edit) -> Json:
    """Change or remove the buttons of an own message."""
    message = account.own_message(telegram.chat_of(account, asked.chat_id), asked.message_id)
    return _edit(telegram, account, message, message.words, _rows(asked.reply_markup))


def _edit(telegram: "Telegram", account: Account, message: Message, words: Words, rows: Rows | None) -> Json:
    rules.check_reachable(message.chat, deactivated=telegram.is_deactivated(message.chat))
    rules.check_changed(message, words, rows)
    message.edited_at = account.clock() if words != message.words else message.edited_at
    message.words, message.keyboard = words, rows
    return message.as_json()


def delete_message(telegram: "Telegram", account: Account, asked: p.DeleteMessage) -> bool:
    """Delete a message of the last two days."""
    chat = telegram.chat_of(account, asked.chat_id)
    message = chat.messages.get(asked.message_id)
    if message is None or message.deleted:
        raise bad_request("message to delete not found")
    if account.age(message) > DELETABLE:
        raise bad_request("message can't be deleted for everyone")
    message.deleted = True
    return True
