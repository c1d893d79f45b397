"""A toy diary bot for the tests of the phone page: it asks for a number and says that it kept it."""

import asyncio
import json
import struct
import zlib
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Self

from rehearsal.accounts import Account
from rehearsal.parameters import Upload
from rehearsal.telegram import Telegram

WORDS = {
    "en": {
        "hello": "<b>Welcome to the pain diary.</b>\nEvery evening I ask you for one number. See /today or /help.",
        "ask": "How strong was your pain <b>today</b>?\n0 = no pain, 10 = the worst you can imagine.",
        "kept": "✓ <b>{}</b> recorded at {}",
        "change": "Change",
        "note": "Add a note",
        "toast": "Recorded",
    },
    "ar": {
        "hello": "<b>مرحبًا بك في يوميات الألم.</b>\nسأسألك كل مساء عن رقم واحد فقط. جرّب /today أو /help.",
        "ask": "ما مدى شدة الألم <b>اليوم</b>؟\n0 = لا ألم، 10 = أسوأ ألم يمكنك تخيله.",
        "kept": "✓ تم تسجيل <b>{}</b> في {}",
        "change": "تغيير",
        "note": "إضافة ملاحظة",
        "toast": "تم التسجيل",
    },
}


def stripes(width: int = 480, height: int = 240) -> bytes:
    """A PNG with a few bars."""
    rows = b"".join(
        b"\0"
        + b"".join(
            b"\x2f\x7d\x6d" if (x // 40) % 2 and y > (x * 7) % height else b"\xf4\xf8\xf6" for x in range(width)
        )
        for y in range(height)
    )

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class ToyBot:
    """Polls in the running loop; `async with ToyBot(telegram, account)`."""

    def __init__(self, telegram: Telegram, account: Account) -> None:
        self.telegram = telegram
        self.account = account
        self.asked_at: list[datetime] = []

    async def __aenter__(self) -> Self:
        commands = [{"command": "today", "description": "What is open today"}]
        commands += [{"command": "history", "description": "Your answers as a picture"}]
        commands += [{"command": "help", "description": "What I can do"}]
        await self.call("setMyCommands", commands=commands)
        await self.call("setMyDescription", description="I ask for your pain once a day and keep your answers.")
        self.task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def call(self, method: str, **fields: object) -> dict:
        answer = await self.telegram.call(self.account.token, method, fields)
        return json.loads(answer.body)

    async def run(self) -> None:
        offset = 0
        while True:
            updates = (await self.call("getUpdates", offset=offset, timeout=30))["result"]
            for update in updates:
                await self.handle(update)
                offset = update["update_id"] + 1

    async def handle(self, update: dict) -> None:
        if tap := update.get("callback_query"):
            await self.tapped(tap)
        elif message := update.get("message"):
            await self.heard(message)

    async def heard(self, message: dict) -> None:
        chat, text = message["chat"]["id"], message.get("text", "")
        words = WORDS[self.language(chat)]
        if text.startswith("/start"):
            await self.call("sendMessage", chat_id=chat, text=words["hello"], parse_mode="HTML")
            await self.ask(chat)
        elif text == "/history":
            picture = Upload(name="history.png", content=stripes(), mime="image/png")
            await self.call("sendPhoto", chat_id=chat, photo=picture, caption="Your last weeks")
        elif text == "/export":
            file = Upload(name="my diary.csv", content=b"date,pain\n2026-03-01,7\n")
            await self.call("sendDocument", chat_id=chat, document=file)
        elif text == "/keys":
            keyboard = {"keyboard": [["Pain 0", "Pain 5", "Pain 10"]], "resize_keyboard": True}
            await self.call("sendMessage", chat_id=chat, text="Choose", reply_markup=keyboard)
        else:
            await self.call("sendMessage", chat_id=chat, text=f"You said: {text}")

    async def tapped(self, tap: dict) -> None:
        chat, message = tap["message"]["chat"]["id"], tap["message"]["message_id"]
        words = WORDS[self.language(chat)]
        if tap["data"] == "note":
            await self.call(
                "answerCallbackQuery", callback_query_id=tap["id"], text="Write it here.", show_alert=True
            )
            return
        at = f"{self.telegram.clock():%H:%M}"
        buttons = [[{"text": words[name], "callback_data": name} for name in ("change", "note")]]
        await self.call("answerCallbackQuery", callback_query_id=tap["id"], text=words["toast"])
        await self.call(
            "editMessageText",
            chat_id=chat,
            message_id=message,
            text=words["kept"].format(tap["data"], at),
            parse_mode="HTML",
            reply_markup={"inline_keyboard": buttons},
        )

    async def ask(self, chat: int) -> None:
        self.asked_at.append(self.telegram.clock())
        rows = [[{"text": str(n), "callback_data": str(n)} for n in row] for row in (range(6), range(6, 11))]
        text = WORDS[self.language(chat)]["ask"]
        await self.call(
            "sendMessage", chat_id=chat, text=text, parse_mode="HTML", reply_markup={"inline_keyboard": rows}
        )

    def language(self, chat: int) -> str:
        return self.telegram.people[chat].profile.language_code or "en"

    # As a host of the page.

    async def next_event(self) -> datetime | None:
        now = self.telegram.clock()
        evening = now.replace(hour=18, minute=0, second=0)
        return evening if evening > now else evening + timedelta(days=1)

    async def moved(self, now: datetime) -> None:
        if now.hour == 18 and now.minute == 0:
            for chat in self.account.chats.values():
                if chat.started and not chat.blocked:
                    await self.ask(chat.id)
