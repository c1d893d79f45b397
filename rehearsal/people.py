"""People with phones: what a person can do in Telegram, and what they see."""

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from rehearsal.accounts import Account
from rehearsal.chats import Chat, Json, Message, Profile, Seen, StoredFile, Tap, Toast, as_seen
from rehearsal.entities import plain
from rehearsal.sending import document, photo_sizes

if TYPE_CHECKING:
    from rehearsal.telegram import Telegram

# The smallest valid PNG, for tests that only need some picture.
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


class Person:
    """One person; `telegram.person(...)` makes them. Verbs are plain calls, as quick as a thumb."""

    def __init__(self, telegram: "Telegram", profile: Profile) -> None:
        self.profile = profile
        self.deactivated = False
        self._telegram = telegram
        self._recent: Account | None = None

    @property
    def id(self) -> int:
        """The user id, which is the id of the private chats too."""
        return self.profile.id

    def speak(self, language_code: str | None) -> None:
        """Change the language of the person's Telegram."""
        self.profile = replace(self.profile, language_code=language_code)

    # What a person does.

    def press_start(self, bot: Account | None = None, payload: str | None = None) -> Message:
        """Open the chat with Start, or an invite link, which carries a payload."""
        account = self._account(bot)
        chat = account.chat_with(self.profile)
        if chat.blocked:
            self.unblock(account)
        chat.started = True
        message = self.type(f"/start {payload}" if payload else "/start", bot=account)
        message.shown = "/start"
        return message

    def follow(self, link: str) -> Message:
        """Open an invite link, `https://t.me/<bot>?start=<payload>`, and press Start."""
        parts = urlsplit(link)
        account = next((a for a in self._telegram.bots.values() if a.username == parts.path.strip("/")), None)
        assert parts.hostname == "t.me", f"{link} is no link to Telegram"
        assert account, f"there is no bot behind {link}"
        return self.press_start(account, parse_qs(parts.query).get("start", [None])[0])

    def type(self, text: str, *, bot: Account | None = None, group: Chat | None = None) -> Message:
        """Write a text to the bot, or into a group the bot is in."""
        return self._say(bot, group, text=text)

    def edit(self, message: Message, text: str) -> Message:
        """Change an own text after it was sent."""
        assert message.sender.id == self.id, "only own messages can be edited"
        account = self._owner(message)
        message.words, message.shown = plain(text), None
        message.edited_at = self._telegram.clock()
        account.hear(message, "edited_message")
        self._telegram.bell.ring()
        return message

    def delete(self, message: Message | Seen) -> None:
        """Delete a message for both sides; the bot is not told."""
        self._message(message.id).deleted = True
        self._telegram.bell.ring()

    def tap(
        self,
        label: str | None = None,
        *,
        data: str | None = None,
        message: Message | Seen | None = None,
        bot: Account | None = None,
        inaccessible: bool = False,
    ) -> Tap | Message:
        """Tap the newest button with this label or data: an inline one, else one of the reply keyboard."""
        account = self._account(bot)
        chat = self.chat(account)
        asked = [chat.messages[message.id]] if message else reversed(chat.visible())
        for candidate in asked:
            for button in (button for row in candidate.keyboard or () for button in row):
                if button["text"] == label or (data is not None and button.get("callback_data") == data):
                    assert "callback_data" in button, f"“{button['text']}” is a link, not a tap: {button}"
                    return self._tap(account, candidate, button["callback_data"], inaccessible=inaccessible)
        if label is not None and message is None and self._on_keyboard(chat, label):
            return self.press_key(label, bot=account)
        raise AssertionError(f"no button {label or data!r} on the screen: {self.describe(account)}")

    def press_key(self, label: str, *, bot: Account | None = None) -> Message:
        """Press a button of the reply keyboard."""
        account = self._account(bot)
        chat = self.chat(account)
        assert self._on_keyboard(chat, label), f"no key {label!r} on the keyboard: {self.keyboard(account)}"
        keyboard = chat.reply_keyboard or {}
        button = next(b for row in keyboard["keyboard"] for b in row if b["text"] == label)
        if keyboard.get("one_time_keyboard"):
            chat.reply_keyboard = None
        if button.get("request_contact"):
            return self.send_contact(f"+{self.id}", self.profile.first_name, user_id=self.id, bot=account)
        if button.get("request_location"):
            return self.send_location(bot=account)
        return self.type(label, bot=account)

    def forge_tap(self, data: str, *, message: Message | Seen | None = None, bot: Account | None = None) -> Tap:
        """Send a tap with data no button has, as a changed client could."""
        account = self._account(bot)
        target = self.chat(account).messages[message.id] if message else self._newest(account)
        return self._tap(account, target, data, inaccessible=False)

    def forward(self, text: str, *, origin: Profile | None = None, bot: Account | None = None) -> Message:
        """Forward a text somebody else wrote; without an origin, of somebody who hides their account."""
        date = int(self._telegram.clock().timestamp())
        source: Json = {"type": "hidden_user", "date": date, "sender_user_name": "Someone"}
        if origin:
            source = {"type": "user", "date": date, "sender_user": origin.as_json()}
        return self._say(bot, text=text, extra={"forward_origin": source})

    def send_photo(self, content: bytes = DOT, *, caption: str = "", bot: Account | None = None) -> Message:
        """Send a picture."""
        file = self._telegram.keep_file("photo.png", "image/png", content, "photos")
        return self._say(bot, text=caption, media={"photo": photo_sizes(file)}, file=file)

    def send_document(
        self, name: str = "letter.pdf", content: bytes = b"%PDF-1.7", *, bot: Account | None = None
    ) -> Message:
        """Send a file."""
        file = self._telegram.keep_file(name, "application/pdf", content, "documents")
        return self._say(bot, media={"document": document(file)}, file=file)

    def send_voice(self, seconds: int = 3, *, bot: Account | None = None) -> Message:
        """Send a voice message."""
        file = self._telegram.keep_file("voice.oga", "audio/ogg", b"OggS", "voice")
        voice = document(file) | {"duration": seconds}
        del voice["file_name"]
        return self._say(bot, media={"voice": voice}, file=file)

    def send_sticker(self, emoji: str = "👍", *, bot: Account | None = None) -> Message:
        """Send a sticker."""
        sticker = {"file_id": "sticker", "file_unique_id": "usticker", "type": "regular", "emoji": emoji}
        sides = {"width": 512, "height": 512, "is_animated": False, "is_video": False}
        return self._say(bot, media={"sticker": sticker | sides})

    def send_location(
        self, latitude: float = 30.0, longitude: float = 31.2, *, bot: Account | None = None
    ) -> Message:
        """Send where they are."""
        return self._say(bot, media={"location": {"latitude": latitude, "longitude": longitude}})

    def send_contact(
        self, phone_number: str, first_name: str, *, user_id: int | None = None, bot: Account | None = None
    ) -> Message:
        """Send somebody's contact; with the own id, one's own."""
        contact: Json = {"phone_number": phone_number, "first_name": first_name}
        return self._say(bot, media={"contact": contact | ({"user_id": user_id} if user_id else {})})

    def block(self, bot: Account | None = None) -> None:
        """Stop the bot."""
        account = self._account(bot)
        chat = account.chat_with(self.profile)
        if not chat.blocked:
            chat.blocked = True
            account.hear_member(chat, self.profile, "member", "kicked")
            self._telegram.bell.ring()

    def unblock(self, bot: Account | None = None) -> None:
        """Let the bot write again."""
        account = self._account(bot)
        chat = account.chat_with(self.profile)
        if chat.blocked:
            chat.blocked = False
            account.hear_member(chat, self.profile, "kicked", "member")
            self._telegram.bell.ring()

    def delete_account(self) -> None:
        """Leave Telegram for good."""
        self.deactivated = True

    def add_bot_to_group(self, bot: Account | None = None, title: str = "Family") -> Chat:
        """Make a group and put the bot into it."""
        account = self._account(bot)
        chat = Chat(-1000 - len(account.chats), account.profile, title=title)
        account.chats[chat.id] = chat
        account.hear_member(chat, self.profile, "left", "member")
        return chat

    # What a person sees.

    def chat(self, bot: Account | None = None) -> Chat:
        """Answer the private chat with the bot."""
        return self._account(bot).chat_with(self.profile)

    def screen(self, bot: Account | None = None) -> list[Seen]:
        """Answer the messages on the phone now, oldest first."""
        return [as_seen(message) for message in self.chat(bot).visible()]

    @property
    def last(self) -> Seen:
        """The newest message from the bot."""
        return as_seen(self._newest(self._account(None)))

    def keyboard(self, bot: Account | None = None) -> tuple[tuple[str, ...], ...]:
        """Answer the labels of the reply keyboard."""
        keyboard = self.chat(bot).reply_keyboard
        return tuple(tuple(button["text"] for button in row) for row in keyboard["keyboard"]) if keyboard else ()

    def toasts(self, bot: Account | None = None) -> list[Toast]:
        """Answer the toasts and alerts the person was shown, oldest first."""
        taps = self._account(bot).taps.values()
        return [tap.answer for tap in taps if tap.by.id == self.id and tap.answer and tap.answer.text]

    def sees(self, words: str, bot: Account | None = None) -> bool:
        """Whether these words stand in any message on the screen."""
        return any(words in seen.text for seen in self.screen(bot))

    def describe(self, bot: Account | None = None) -> str:
        """Answer the screen as lines of text, for people who read a failing test."""
        lines = []
        for seen in self.screen(bot):
            rows = "".join(f"\n    [{'] ['.join(row)}]" for row in seen.buttons)
            lines.append(f"{'>' if seen.mine else '<'} {seen.text}{rows}")
        return "\n" + "\n".join(lines)

    # How it is done.

    def _account(self, bot: Account | None) -> Account:
        account = bot or self._recent or self._telegram.only_bot()
        self._recent = account
        return account

    def _owner(self, message: Message) -> Account:
        return next(a for a in self._telegram.bots.values() if a.profile.id == message.chat.bot.id)

    def _message(self, message_id: int) -> Message:
        return self.chat().messages[message_id]

    def _newest(self, account: Account) -> Message:
        said = [message for message in self.chat(account).visible() if message.sender.is_bot]
        assert said, f"{self.profile.first_name} got no message yet"
        return said[-1]

    def _say(
        self,
        bot: Account | None,
        group: Chat | None = None,
        *,
        text: str = "",
        media: Json | None = None,
        file: StoredFile | None = None,
        extra: Json | None = None,
    ) -> Message:
        account = self._account(bot)
        chat = group or account.chat_with(self.profile)
        assert not chat.blocked, f"{self.profile.first_name} has blocked the bot; unblock it first"
        # Whoever writes to a bot has opened the chat with it.
        chat.started = True
        message = account.add(chat, self.profile, plain(text), media=media, file=file, extra=extra)
        account.hear(message)
        return message

    def _tap(self, account: Account, message: Message, data: str, *, inaccessible: bool) -> Tap:
        shown = message.as_json()
        if inaccessible:
            shown = {"chat": message.chat.as_json(), "message_id": message.id, "date": 0}
        return account.hear_tap(self.profile, message.chat, message.id, data, shown)

    def _on_keyboard(self, chat: Chat, label: str) -> bool:
        return bool(chat.reply_keyboard) and any(
            button["text"] == label for row in (chat.reply_keyboard or {})["keyboard"] for button in row
        )
