"""The methods of the Bot API, each a function of the account and what was asked."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rehearsal import parameters as p
from rehearsal import rules, sending
from rehearsal.accounts import Account, WebhookSettings
from rehearsal.chats import Json, Toast
from rehearsal.rules import bad_request
from rehearsal.updates import Update

if TYPE_CHECKING:
    from rehearsal.telegram import Telegram

LONGEST_POLL_SECONDS = 50


@dataclass(frozen=True, slots=True)
class Raw:
    """A result that is JSON text already."""

    text: str


async def get_updates(telegram: "Telegram", account: Account, asked: p.GetUpdates) -> Raw:
    """Wait for updates; a second poll ends this one with 409."""
    if account.webhook:
        raise rules.conflict(rules.WEBHOOK_ACTIVE)
    if asked.allowed_updates is not None:
        account.updates.allowed = frozenset(asked.allowed_updates)
    account.poll += 1
    mine = account.poll
    telegram.bell.ring()
    loop = asyncio.get_running_loop()
    until = loop.time() + min(max(asked.timeout, 0), LONGEST_POLL_SECONDS)
    limit = min(max(asked.limit, 1), 100)
    # Without this, a poller with no socket between never lets anybody else run.
    await asyncio.sleep(0)
    found = account.updates.page(asked.offset, limit)
    while not found and loop.time() < until:
        await telegram.bell.wait(until - loop.time())
        if account.poll != mine:
            raise rules.conflict(rules.TWO_POLLERS)
        found = _page_again(account, asked.offset, limit)
    return Raw(f"[{','.join(update.raw for update in found)}]")


def _page_again(account: Account, offset: int, limit: int) -> list[Update]:
    # The offset was applied when the poll began; a negative one would skip what came meanwhile.
    return account.updates.page(max(offset, 0), limit)


def get_me(_: "Telegram", account: Account, __: p.Nothing) -> Json:
    """Say who the bot is."""
    return account.profile.as_json() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def answer_tap(_: "Telegram", account: Account, asked: p.AnswerCallbackQuery) -> bool:
    """Show the person what came of a tap, once and soon."""
    if len(asked.text) > rules.TOAST_CHARACTERS:
        raise bad_request("MESSAGE_TOO_LONG")
    tap = account.open_tap(asked.callback_query_id)
    if tap is None:
        raise bad_request(rules.QUERY_TOO_OLD)
    tap.answer = Toast(asked.text, asked.show_alert, account.clock(), asked.url)
    return True


def chat_action(telegram: "Telegram", account: Account, asked: p.SendChatAction) -> bool:
    """Show that the bot is typing."""
    chat = telegram.chat_of(account, asked.chat_id)
    rules.check_reachable(chat, deactivated=telegram.is_deactivated(chat))
    return True


def get_chat(telegram: "Telegram", account: Account, asked: p.ToChat) -> Json:
    """Say what is known of a chat."""
    chat = telegram.chat_of(account, asked.chat_id)
    return chat.as_json() | {
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(
            ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"),
            False,
        ),
    }


def leave_chat(telegram: "Telegram", account: Account, asked: p.ToChat) -> bool:
    """Leave a group."""
    chat = telegram.chat_of(account, asked.chat_id)
    if chat.private:
        raise bad_request("chat member status can't be changed in private chats")
    chat.left = True
    return True


def get_file(telegram: "Telegram", _: Account, asked: p.GetFile) -> Json:
    """Say where a file can be fetched."""
    if asked.file_id not in telegram.files:
        raise bad_request("invalid file_id")
    return telegram.files[asked.file_id].as_json()


def set_commands(_: "Telegram", account: Account, asked: p.SetMyCommands) -> bool:
    """Set the list behind the / key."""
    rules.check_commands([(command.command, command.description) for command in asked.commands])
    account.commands[_scope(asked)] = [command.model_dump() for command in asked.commands]
    return True


def get_commands(_: "Telegram", account: Account, asked: p.CommandScope) -> list[Json]:
    """Answer the list of exactly this scope and language."""
    return account.commands.get(_scope(asked), [])


def delete_commands(_: "Telegram", account: Account, asked: p.CommandScope) -> bool:
    """Forget the list of this scope and language."""
    account.commands.pop(_scope(asked), None)
    return True


def _scope(asked: p.CommandScope) -> tuple[str, str]:
    return json.dumps(asked.scope, sort_keys=True), asked.language_code


def set_name(_: "Telegram", account: Account, asked: p.SetMyName) -> bool:
    """Set the bot's name in a language."""
    account.descriptions["name", asked.language_code] = asked.name
    return True


def set_description(_: "Telegram", account: Account, asked: p.SetMyDescription) -> bool:
    """Set what an empty chat shows."""
    account.descriptions["description", asked.language_code] = asked.description
    return True


def set_short_description(_: "Telegram", account: Account, asked: p.SetMyShortDescription) -> bool:
    """Set what the bot's profile shows."""
    account.descriptions["short_description", asked.language_code] = asked.short_description
    return True


def described(name: str) -> Callable[["Telegram", Account, p.Language], Json]:
    """Make the method that answers one of the bot's descriptions."""

    def get(_: "Telegram", account: Account, asked: p.Language) -> Json:
        found = account.descriptions.get((name, asked.language_code))
        return {name: found or account.descriptions.get((name, ""), "")}

    return get


def set_webhook(telegram: "Telegram", account: Account, asked: p.SetWebhook) -> bool:
    """Push updates from now on; an empty address goes back to polling."""
    if not asked.url:
        return delete_webhook(telegram, account, p.DeleteWebhook(drop_pending_updates=asked.drop_pending_updates))
    rules.check_webhook(asked.url, asked.secret_token)
    if asked.allowed_updates is not None:
        account.updates.allowed = frozenset(asked.allowed_updates)
    if asked.drop_pending_updates:
        account.updates.clear()
    account.webhook = WebhookSettings(asked.url, asked.secret_token, asked.max_connections, asked.ip_address)
    account.poll += 1
    telegram.start_pushing(account)
    return True


def delete_webhook(telegram: "Telegram", account: Account, asked: p.DeleteWebhook) -> bool:
    """Stop pushing updates."""
    account.webhook = None
    telegram.stop_pushing(account)
    if asked.drop_pending_updates:
        account.updates.clear()
    return True


def webhook_info(_: "Telegram", account: Account, __: p.Nothing) -> Json:
    """Say how pushing goes."""
    info: Json = {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": len(account.updates.pending()),
    }
    if account.updates.allowed:
        info["allowed_updates"] = sorted(account.updates.allowed)
    if hook := account.webhook:
        info |= {"url": hook.url, "max_connections": hook.connections}
        if hook.last_error_at:
            info |= {
                "last_error_date": int(hook.last_error_at.timestamp()),
                "last_error_message": hook.last_error or "",
            }
    return info


def log_out(_: "Telegram", __: Account, ___: p.Nothing) -> bool:
    """Say yes to logOut and close: there is no second server to move to."""
    return True


@dataclass(frozen=True, slots=True)
class Method:
    """A method's own spelling, its parameters and the function that does it."""

    name: str
    asked: type[p.Asked]
    run: Callable[..., Any]


METHODS = {
    method.name.lower(): method
    for method in (
        Method("getMe", p.Nothing, get_me),
        Method("getUpdates", p.GetUpdates, get_updates),
        Method("sendMessage", p.SendMessage, sending.send_message),
        Method("sendPhoto", p.SendPhoto, sending.send_photo),
        Method("sendDocument", p.SendDocument, sending.send_document),
        Method("sendChatAction", p.SendChatAction, chat_action),
        Method("editMessageText", p.EditMessageText, sending.edit_text),
        Method("editMessageCaption", p.EditMessageCaption, sending.edit_caption),
        Method("editMessageReplyMarkup", p.Edit, sending.edit_markup),
        Method("deleteMessage", p.DeleteMessage, sending.delete_message),
        Method("answerCallbackQuery", p.AnswerCallbackQuery, answer_tap),
        Method("getChat", p.ToChat, get_chat),
        Method("leaveChat", p.ToChat, leave_chat),
        Method("getFile", p.GetFile, get_file),
        Method("setMyCommands", p.SetMyCommands, set_commands),
        Method("getMyCommands", p.CommandScope, get_commands),
        Method("deleteMyCommands", p.CommandScope, delete_commands),
        Method("setMyName", p.SetMyName, set_name),
        Method("getMyName", p.Language, described("name")),
        Method("setMyDescription", p.SetMyDescription, set_description),
        Method("getMyDescription", p.Language, described("description")),
        Method("setMyShortDescription", p.SetMyShortDescription, set_short_description),
        Method("getMyShortDescription", p.Language, described("short_description")),
        Method("setWebhook", p.SetWebhook, set_webhook),
        Method("deleteWebhook", p.DeleteWebhook, delete_webhook),
        Method("getWebhookInfo", p.Nothing, webhook_info),
        Method("logOut", p.Nothing, log_out),
        Method("close", p.Nothing, log_out),
    )
}
