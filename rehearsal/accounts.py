"""A bot's account at Telegram: its chats, taps, commands and updates."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from rehearsal.bell import Bell
from rehearsal.chats import Chat, Json, Message, Profile, Rows, StoredFile, Tap, Words
from rehearsal.rules import bad_request
from rehearsal.updates import KEPT_MESSAGE, KEPT_TAP, Updates

FIRST_UPDATE = 100_001


@dataclass(slots=True)
class WebhookSettings:
    """Where updates are pushed to, and how that went."""

    url: str
    secret: str | None
    connections: int
    ip_address: str | None = None
    last_error_at: datetime | None = None
    last_error: str | None = None


@dataclass(slots=True)
class Account:
    """One bot as Telegram knows it; `telegram.bot(...)` makes it."""

    token: str
    profile: Profile
    clock: Callable[[], datetime]
    bell: Bell
    updates: Updates = field(init=False)
    chats: dict[int, Chat] = field(default_factory=dict)
    taps: dict[str, Tap] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    descriptions: dict[tuple[str, str], str] = field(default_factory=dict)
    webhook: WebhookSettings | None = None
    poll: int = 0
    message_ids: "count[int]" = field(default_factory=lambda: count(1))
    tap_ids: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.updates = Updates(self.clock, self.bell, first_id=FIRST_UPDATE)

    @property
    def username(self) -> str:
        """The name behind `t.me/`."""
        return self.profile.username or ""

    def chat_with(self, person: Profile) -> Chat:
        """Answer the private chat with this person, empty at first."""
        return self.chats.setdefault(person.id, Chat(person.id, self.profile, person=person))

    def add(
        self,
        chat: Chat,
        sender: Profile,
        words: Words,
        *,
        media: Json | None = None,
        file: StoredFile | None = None,
        keyboard: Rows | None = None,
        editable: bool = True,
        extra: Json | None = None,
    ) -> Message:
        """Put a message into a chat."""
        message = Message(
            id=next(self.message_ids),
            chat=chat,
            sender=sender,
            at=self.clock(),
            words=words,
            media=media or {},
            file=file,
            keyboard=keyboard,
            editable=editable and sender.is_bot,
            extra=extra or {},
        )
        chat.messages[message.id] = message
        self.bell.ring()
        return message

    def hear(self, message: Message, kind: str = "message") -> int | None:
        """Queue an update about what a person wrote or edited."""
        return self.updates.put(kind, message.as_json(), kept=KEPT_MESSAGE, lane=f"chat {message.chat.id}")

    def hear_member(self, chat: Chat, by: Profile, was: str, now: str) -> int | None:
        """Queue an update about the bot being blocked, unblocked, added or removed."""
        me = self.profile.as_json()
        content: Json = {
            "chat": chat.as_json(),
            "from": by.as_json(),
            "date": int(self.clock().timestamp()),
            "old_chat_member": _member(me, was),
            "new_chat_member": _member(me, now),
        }
        return self.updates.put("my_chat_member", content, kept=KEPT_MESSAGE, lane=f"chat {chat.id}")

    def hear_tap(self, by: Profile, chat: Chat, message_id: int, data: str, shown: Json) -> Tap:
        """Queue an update about a tap on an inline button."""
        number = f"{self.profile.id}{next(self.tap_ids):010d}"
        tap = Tap(number, by, chat, message_id, data, self.clock())
        self.taps[tap.id] = tap
        content: Json = {
            "id": tap.id,
            "from": by.as_json(),
            "message": shown,
            "chat_instance": str(chat.id * 31 + self.profile.id),
            "data": data,
        }
        self.updates.put("callback_query", content, kept=KEPT_TAP, lane=f"taps of {by.id}")
        self.bell.ring()
        return tap

    def own_message(self, chat: Chat, message_id: int) -> Message:
        """Answer the message to edit, or refuse."""
        message = chat.messages.get(message_id)
        if message is None or message.deleted:
            raise bad_request("message to edit not found")
        if not message.editable:
            raise bad_request("message can't be edited")
        return message

    def open_tap(self, tap_id: str) -> Tap | None:
        """Answer the tap if it may still be answered."""
        tap = self.taps.get(tap_id)
        if tap is None or tap.answer is not None or self.clock() - tap.at >= KEPT_TAP:
            return None
        return tap

    def age(self, message: Message) -> timedelta:
        """Answer how long ago the message was sent."""
        return self.clock() - message.at


def _member(user: Json, status: str) -> Json:
    return {"user": user, "status": status} | ({"until_date": 0} if status == "kicked" else {})
