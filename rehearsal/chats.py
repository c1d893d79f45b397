"""What Telegram keeps: profiles, chats, messages, files and the taps on buttons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]
Rows = tuple[tuple[Json, ...], ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A person or a bot as Telegram shows them to others."""

    id: int
    first_name: str
    is_bot: bool = False
    username: str | None = None
    language_code: str | None = None

    def as_json(self) -> Json:
        """Answer Telegram's `User` object."""
        user: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.username:
            user["username"] = self.username
        if self.language_code:
            user["language_code"] = self.language_code
        return user


@dataclass(frozen=True, slots=True)
class Words:
    """A text and its entities, whose offsets count UTF-16 units."""

    text: str = ""
    entities: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was sent and can be fetched again by its id."""

    id: str
    name: str
    mime: str
    content: bytes
    path: str

    def as_json(self) -> Json:
        """Answer Telegram's `File` object."""
        return {
            "file_id": self.id,
            "file_unique_id": f"u{self.id}",
            "file_size": len(self.content),
            "file_path": self.path,
        }


@dataclass(frozen=True, slots=True)
class Toast:
    """What a bot answers to a tap: a line that fades, or an alert that must be dismissed."""

    text: str
    alert: bool
    at: datetime
    url: str | None = None


@dataclass(slots=True)
class Tap:
    """A tap on an inline button: Telegram's callback query."""

    id: str
    by: Profile
    chat: "Chat"
    message_id: int
    data: str
    at: datetime
    answer: Toast | None = None


@dataclass(slots=True)
class Message:
    """One message in a chat; edits change it in place."""

    id: int
    chat: "Chat"
    sender: Profile
    at: datetime
    words: Words = Words()
    media: Mapping[str, Any] = field(default_factory=dict)
    file: StoredFile | None = None
    keyboard: Rows | None = None
    # Telegram refuses to edit what came with a reply keyboard.
    editable: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    edited_at: datetime | None = None
    deleted: bool = False
    # What the phone shows in place of the text: Telegram hides the payload of a link behind "/start".
    shown: str | None = None

    @property
    def text(self) -> str:
        """The text, or the caption of a picture or document."""
        return self.words.text

    def as_json(self) -> Json:
        """Answer Telegram's `Message` object."""
        said: Json = {
            "message_id": self.id,
            "from": self.sender.as_json(),
            "chat": self.chat.as_json(),
            "date": int(self.at.timestamp()),
        }
        if self.edited_at:
            said["edit_date"] = int(self.edited_at.timestamp())
        said |= {**self.media, **self.extra}
        kind = "caption" if self.media else "text"
        if self.words.text:
            said[kind] = self.words.text
        if self.words.entities:
            said["entities" if kind == "text" else "caption_entities"] = list(self.words.entities)
        if self.keyboard is not None:
            said["reply_markup"] = {"inline_keyboard": [list(row) for row in self.keyboard]}
        return said


@dataclass(slots=True)
class Chat:
    """A private chat of one person with one bot, or a group the bot was put into."""

    id: int
    bot: Profile
    person: Profile | None = None
    title: str | None = None
    started: bool = False
    blocked: bool = False
    left: bool = False
    messages: dict[int, Message] = field(default_factory=dict)
    reply_keyboard: Json | None = None

    @property
    def private(self) -> bool:
        """Whether it is between one person and the bot."""
        return self.person is not None

    def as_json(self) -> Json:
        """Answer Telegram's `Chat` object."""
        if self.person is None:
            return {"id": self.id, "type": "group", "title": self.title}
        chat: Json = {"id": self.id, "type": "private", "first_name": self.person.first_name}
        if self.person.username:
            chat["username"] = self.person.username
        return chat

    def visible(self) -> list[Message]:
        """Answer the messages that were not deleted, oldest first."""
        return [message for message in self.messages.values() if not message.deleted]


@dataclass(frozen=True, slots=True)
class Seen:
    """One message as a person sees it on the phone."""

    id: int
    mine: bool
    text: str
    at: datetime
    edited: bool
    buttons: tuple[tuple[str, ...], ...]
    photo: bytes | None
    document: str | None
    content: bytes | None
    entities: Sequence[Json]

    @property
    def labels(self) -> tuple[str, ...]:
        """All button labels in reading order."""
        return tuple(label for row in self.buttons for label in row)


def as_seen(message: Message) -> Seen:
    """Answer how the person of a private chat sees this message."""
    photo = "photo" in message.media
    content = message.file.content if message.file else None
    return Seen(
        id=message.id,
        mine=not message.sender.is_bot,
        text=message.text,
        at=message.at,
        edited=message.edited_at is not None,
        buttons=tuple(tuple(str(button["text"]) for button in row) for row in message.keyboard or ()),
        photo=content if photo else None,
        document=message.file.name if message.file and not photo else None,
        content=content,
        entities=message.words.entities,
    )
