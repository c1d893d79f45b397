"""The commands Telegram offers beside the text field, in the language of the chat."""

from typing import Any, Final

import structlog
from telegram import BotCommand, BotCommandScopeAllPrivateChats, BotCommandScopeChat
from telegram.error import TelegramError
from telegram.ext import ExtBot

from bot.words import Words, languages, words_in

log = structlog.get_logger(__name__)

PATIENT: Final = (
    "today", "history", "change", "note", "sideeffect", "time", "language", "pause", "stop", "privacy", "help",
)  # fmt: skip
STAFF: Final = ("adherence", "silent", "patient", "alerts", "digest", "dashboard", "export", "help")


async def publish_commands(bot: ExtBot[Any]) -> None:
    """Offer the patient's commands in every language, for chats that have not chosen one."""
    everywhere = BotCommandScopeAllPrivateChats()
    await bot.set_my_commands(_listed(words_in("en"), PATIENT), scope=everywhere)
    for language in languages():
        await bot.set_my_commands(_listed(words_in(language), PATIENT), scope=everywhere, language_code=language)


async def show_commands(bot: ExtBot[Any], chat_id: int, words: Words, *, staff: bool) -> None:
    """Offer one chat its commands in its own language; a failure costs only the list."""
    try:
        await bot.set_my_commands(_listed(words, STAFF if staff else PATIENT), scope=BotCommandScopeChat(chat_id))
    except TelegramError as error:
        log.warning("commands_not_shown", error=type(error).__name__)


def _listed(words: Words, names: tuple[str, ...]) -> list[BotCommand]:
    return [BotCommand(name, words(f"command.{name}")) for name in names]
