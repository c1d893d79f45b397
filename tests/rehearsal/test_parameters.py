import inspect

import pytest
import telegram
from telegram import constants

from rehearsal import rules
from rehearsal.methods import METHODS
from rehearsal.parameters import InlineButton, KeyboardButton, ReplyKeyboard, ReplyParameters

# What python-telegram-bot adds for comfort and turns into others before it sends.
SUGAR = {
    "self",
    "api_kwargs",
    "allow_sending_without_reply",
    "reply_to_message_id",
    "disable_web_page_preview",
    "filename",
}
# The stand-in has no inline mode.
NOT_REHEARSED = {"inline_message_id"}


def known_to_the_library(function) -> set[str]:
    given = inspect.signature(function).parameters
    return {name for name in given if not name.endswith("_timeout")} - SUGAR - NOT_REHEARSED


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_every_parameter_the_library_sends_is_known(method):
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in method.name)
    assert known_to_the_library(getattr(telegram.Bot, snake)) <= set(method.asked.model_fields)


@pytest.mark.parametrize(
    ("model", "original"),
    [
        (InlineButton, telegram.InlineKeyboardButton),
        (KeyboardButton, telegram.KeyboardButton),
        (ReplyKeyboard, telegram.ReplyKeyboardMarkup),
        (ReplyParameters, telegram.ReplyParameters),
    ],
)
def test_every_key_of_a_keyboard_the_library_sends_is_known(model, original):
    assert known_to_the_library(original.__init__) <= set(model.model_fields)


def test_the_limits_are_those_the_library_documents():
    assert constants.MessageLimit.MAX_TEXT_LENGTH == rules.TEXT_CHARACTERS
    assert constants.MessageLimit.CAPTION_LENGTH == rules.CAPTION_CHARACTERS
    assert constants.InlineKeyboardButtonLimit.MAX_CALLBACK_DATA == rules.BUTTON_DATA_BYTES
    assert constants.BotCommandLimit.MAX_DESCRIPTION == rules.COMMAND_DESCRIPTION_CHARACTERS
    assert constants.CallbackQueryLimit.ANSWER_CALLBACK_QUERY_TEXT_LENGTH == rules.TOAST_CHARACTERS
