import json
from datetime import timedelta

import pytest

from rehearsal.parameters import Upload
from rehearsal.people import DOT
from rehearsal.rules import NOT_MODIFIED, QUERY_TOO_OLD


def keyboard(*rows):
    return json.dumps({"inline_keyboard": [[{"text": t, "callback_data": d} for t, d in row] for row in rows]})


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({"text": " \n"}, "Bad Request: message text is empty"),
        ({}, "Bad Request: message text is empty"),
        ({"text": "<b></b>", "parse_mode": "HTML"}, "Bad Request: message text is empty"),
        ({"text": "x" * 4097}, "Bad Request: message is too long"),
        (
            {"text": "<i>x", "parse_mode": "HTML"},
            "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"i\"",
        ),
        (
            {"text": "ü<h1>x</h1>", "parse_mode": "HTML"},
            'Bad Request: can\'t parse entities: Unsupported start tag "h1" at byte offset 2',
        ),
        (
            {"text": "<b>x</i>", "parse_mode": "HTML"},
            'Bad Request: can\'t parse entities: Unmatched end tag at byte offset 4, expected "</b>", found "</i>"',
        ),
        (
            {"text": "x</b>", "parse_mode": "HTML"},
            "Bad Request: can't parse entities: Unexpected end tag at byte offset 1",
        ),
        (
            {"text": "3 < 4", "parse_mode": "HTML"},
            'Bad Request: can\'t parse entities: Unsupported start tag "" at byte offset 2',
        ),
        ({"text": "x", "reply_markup": keyboard([("7", "x" * 65)])}, "Bad Request: BUTTON_DATA_INVALID"),
        ({"text": "x", "reply_markup": keyboard([("7", "ü" * 33)])}, "Bad Request: BUTTON_DATA_INVALID"),
        ({"text": "x", "reply_markup": keyboard([("7", "")])}, "Bad Request: BUTTON_DATA_INVALID"),
        ({"text": "x", "txet": "y"}, "Bad Request: unknown field txet"),
        (
            {"text": "x", "reply_markup": json.dumps({"inline_keyboard": [[{"text": "7", "data": "x"}]]})},
            "Bad Request: unknown field reply_markup.inline_keyboard.0.0.data",
        ),
        (
            {
                "text": "x",
                "reply_markup": json.dumps({"inline_keyboard": [[{"text": "7", "url": "http://localhost"}]]}),
            },
            "Bad Request: inline keyboard button URL 'http://localhost' is invalid: Wrong HTTP URL",
        ),
        ({"text": "x", "reply_parameters": {"message_id": 99}}, "Bad Request: message to be replied not found"),
    ],
)
async def test_a_message_telegram_would_refuse_is_refused_in_its_words(call, amina, fields, description):
    refusal = await call("sendMessage", chat_id=amina.id, **fields)
    assert refusal == {"ok": False, "error_code": 400, "description": description}
    assert [seen.text for seen in amina.screen()] == ["/start"]


async def test_a_button_without_an_action_is_refused(call, amina):
    markup = {"inline_keyboard": [[{"text": "7"}]]}
    refusal = await call("sendMessage", chat_id=amina.id, text="x", reply_markup=markup)
    assert "Text buttons are unallowed" in refusal["description"]


async def test_limits_are_counted_after_parsing_and_4096_characters_pass(call, amina):
    await call("sendMessage", chat_id=amina.id, text=f"<b>{'x' * 4096}</b>", parse_mode="HTML")
    assert len(amina.last.text) == 4096
    await call("sendMessage", chat_id=amina.id, text="x", reply_markup=keyboard([("7", "x" * 64)]))
    assert amina.last.labels == ("7",)


async def test_html_becomes_text_with_entities_in_utf16_units(call, amina):
    await call(
        "sendMessage", chat_id=amina.id, text=" 😀 <b>7 &lt; 8</b> see /today, https://a.b/c.", parse_mode="HTML"
    )
    assert amina.last.text == "😀 7 < 8 see /today, https://a.b/c."
    kinds = [(entity["type"], entity["offset"], entity["length"]) for entity in amina.last.entities]
    assert kinds == [("bold", 3, 5), ("bot_command", 13, 6), ("url", 21, 13)]


async def test_a_caption_over_1024_characters_is_refused(call, amina):
    photo = Upload(name="p.png", content=DOT)
    refusal = await call("sendPhoto", chat_id=amina.id, photo=photo, caption="x" * 1025)
    assert refusal["description"] == "Bad Request: message caption is too long"
    refusal = await call("sendPhoto", chat_id=amina.id, photo=Upload(name="p.png", content=b"text"))
    assert refusal["description"] == "Bad Request: IMAGE_PROCESS_FAILED"
    refusal = await call("sendDocument", chat_id=amina.id, document=Upload(name="a.csv", content=b""))
    assert refusal["description"] == "Bad Request: file must be non-empty"
    assert (await call("sendPhoto", chat_id=amina.id, photo=photo, caption="x" * 1024))["photo"][0]["width"] == 1


async def test_a_bot_may_write_only_to_who_pressed_start_and_did_not_block_it(call, stranger, bot):
    async def send(chat_id):
        return (await call("sendMessage", chat_id=chat_id, text="x")).get("description")

    assert await send(stranger.id) == "Forbidden: bot can't initiate conversation with a user"
    stranger.press_start(bot)
    assert await send(stranger.id) is None
    stranger.block()
    assert await send(stranger.id) == "Forbidden: bot was blocked by the user"
    stranger.unblock()
    assert await send(stranger.id) is None
    stranger.delete_account()
    assert await send(stranger.id) == "Forbidden: user is deactivated"
    assert await send(12345) == "Bad Request: chat not found"
    assert await send("@somebody") == "Bad Request: chat not found"


async def test_edits_are_refused_when_nothing_changes_or_nothing_is_there(call, amina):
    sent = await call(
        "sendMessage", chat_id=amina.id, text="<b>7?</b>", parse_mode="HTML", reply_markup=keyboard([("7", "7")])
    )
    where = {"chat_id": amina.id, "message_id": sent["message_id"]}
    same = await call(
        "editMessageText", **where, text="<b>7?</b>", parse_mode="HTML", reply_markup=keyboard([("7", "7")])
    )
    assert same["description"] == f"Bad Request: {NOT_MODIFIED}"
    edited = await call("editMessageText", **where, text="✓ 7")
    assert "reply_markup" not in edited
    assert "edit_date" in edited
    gone = await call("editMessageText", chat_id=amina.id, message_id=999, text="x")
    assert gone["description"] == "Bad Request: message to edit not found"
    hers = await call("editMessageText", chat_id=amina.id, message_id=amina.screen()[0].id, text="x")
    assert hers["description"] == "Bad Request: message can't be edited"
    amina.delete(amina.last)
    assert (await call("editMessageText", **where, text="x"))[
        "description"
    ] == "Bad Request: message to edit not found"


async def test_a_message_that_came_with_a_reply_keyboard_cannot_be_edited(call, amina):
    sent = await call("sendMessage", chat_id=amina.id, text="x", reply_markup={"keyboard": [["7"]]})
    refusal = await call("editMessageText", chat_id=amina.id, message_id=sent["message_id"], text="y")
    assert refusal["description"] == "Bad Request: message can't be edited"


async def test_a_text_has_no_caption_and_a_picture_no_text_to_edit(call, amina):
    text = await call("sendMessage", chat_id=amina.id, text="x")
    photo = await call("sendPhoto", chat_id=amina.id, photo=Upload(name="p.png", content=DOT), caption="a")
    refusal = await call("editMessageCaption", chat_id=amina.id, message_id=text["message_id"], caption="y")
    assert refusal["description"] == "Bad Request: there is no caption in the message to edit"
    refusal = await call("editMessageText", chat_id=amina.id, message_id=photo["message_id"], text="y")
    assert refusal["description"] == "Bad Request: there is no text in the message to edit"
    await call("editMessageCaption", chat_id=amina.id, message_id=photo["message_id"], caption="b")
    assert amina.last.text == "b"


async def test_messages_can_be_deleted_for_two_days(call, amina, clock):
    first = await call("sendMessage", chat_id=amina.id, text="a")
    second = await call("sendMessage", chat_id=amina.id, text="b")
    clock.advance(timedelta(hours=47))
    assert await call("deleteMessage", chat_id=amina.id, message_id=first["message_id"]) is True
    clock.advance(timedelta(hours=2))
    refusal = await call("deleteMessage", chat_id=amina.id, message_id=second["message_id"])
    assert refusal["description"] == "Bad Request: message can't be deleted for everyone"
    refusal = await call("deleteMessage", chat_id=amina.id, message_id=first["message_id"])
    assert refusal["description"] == "Bad Request: message to delete not found"


async def test_a_tap_is_answered_once_and_within_150_seconds(call, amina, clock):
    await call("sendMessage", chat_id=amina.id, text="?", reply_markup=keyboard([("7", "d7")]))
    first, second = amina.tap("7"), amina.tap(data="d7")
    assert await call("answerCallbackQuery", callback_query_id=first.id, text="kept", show_alert="true") is True
    assert (amina.toasts()[0].text, amina.toasts()[0].alert) == ("kept", True)
    again = await call("answerCallbackQuery", callback_query_id=first.id)
    assert again["description"] == f"Bad Request: {QUERY_TOO_OLD}"
    clock.advance(timedelta(seconds=150))
    late = await call("answerCallbackQuery", callback_query_id=second.id)
    assert late["description"] == f"Bad Request: {QUERY_TOO_OLD}"
    assert (await call("answerCallbackQuery", callback_query_id="1"))["error_code"] == 400


@pytest.mark.parametrize(
    ("name", "description", "reason"),
    [
        ("Help", "x", "BOT_COMMAND_INVALID"),
        ("h" * 33, "x", "BOT_COMMAND_INVALID"),
        ("help", "", "BOT_COMMAND_DESCRIPTION_INVALID"),
        ("help", "x" * 257, "BOT_COMMAND_DESCRIPTION_INVALID"),
    ],
)
async def test_bad_commands_are_refused(call, bot, name, description, reason):
    refusal = await call("setMyCommands", commands=[{"command": name, "description": description}])
    assert refusal["description"] == f"Bad Request: {reason}"


async def test_commands_are_kept_by_scope_and_language(call, bot):
    arabic = [{"command": "help", "description": "مساعدة"}]
    await call("setMyCommands", commands=json.dumps(arabic), language_code="ar")
    assert await call("getMyCommands", language_code="ar") == arabic
    assert await call("getMyCommands") == []
    await call("deleteMyCommands", language_code="ar")
    assert await call("getMyCommands", language_code="ar") == []


async def test_an_unknown_method_is_404_and_a_wrong_token_401(telegram, call, bot):
    assert await call("sendMesage") == {"ok": False, "error_code": 404, "description": "Not Found"}
    answer = await telegram.call("1:wrong", "getMe", {})
    assert (answer.status, json.loads(answer.body)) == (
        401,
        {"ok": False, "error_code": 401, "description": "Unauthorized"},
    )


async def test_refused_calls_stand_in_the_log_too(telegram, call, amina):
    await call("sendMessage", chat_id=amina.id, text="")
    await call("sendMessage", chat_id=amina.id, text="x")
    refused, done = telegram.calls("sendMessage", chat_id=amina.id)
    assert (refused.status, refused.description) == (400, "Bad Request: message text is empty")
    assert (done.ok, done.parameters["text"]) == (True, "x")
    assert telegram.counts()["sendMessage"] == 2
