from datetime import timedelta

import pytest

from rehearsal.chats import Profile


@pytest.fixture
def heard(call):
    """The updates a bot gets, without their numbers."""

    async def heard():
        updates = await call("getUpdates")
        if updates:
            await call("getUpdates", offset=updates[-1]["update_id"] + 1)
        return [{kind: content for kind, content in update.items() if kind != "update_id"} for update in updates]

    return heard


async def test_an_invite_link_arrives_as_start_with_its_payload(stranger, bot, heard):
    stranger.press_start(bot, "TOKEN")
    message = (await heard())[0]["message"]
    assert message["text"] == "/start TOKEN"
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert message["chat"] == {"id": stranger.id, "type": "private", "first_name": "Amina"}
    assert message["from"]["language_code"] == "ar"


async def test_following_the_link_itself_does_the_same(stranger, bot, heard):
    stranger.follow(f"https://t.me/{bot.username}?start=T-0_k")
    assert (await heard())[0]["message"]["text"] == "/start T-0_k"
    with pytest.raises(AssertionError, match="no bot behind"):
        stranger.follow("https://t.me/other_bot?start=T")


async def test_dates_come_from_the_movable_clock(amina, heard, clock):
    clock.advance(timedelta(hours=5))
    amina.type("7")
    assert (await heard())[0]["message"]["date"] == int(clock().timestamp())


async def test_an_edit_arrives_as_edited_message_with_both_dates(amina, heard, clock):
    message = amina.type("7")
    clock.advance(timedelta(minutes=3))
    amina.edit(message, "8")
    edited = (await heard())[1]["edited_message"]
    assert (edited["text"], edited["edit_date"] - edited["date"]) == ("8", 180)
    assert amina.screen()[-1].edited


async def test_a_tap_carries_the_message_and_waits_for_its_answer(call, amina, heard):
    markup = {
        "inline_keyboard": [[{"text": "7", "callback_data": "d7"}], [{"text": "Later", "callback_data": "l"}]]
    }
    sent = await call("sendMessage", chat_id=amina.id, text="?", reply_markup=markup)
    tap = amina.tap("7")
    query = (await heard())[0]["callback_query"]
    assert (query["id"], query["data"], query["from"]["id"]) == (tap.id, "d7", amina.id)
    assert query["message"] == sent
    assert tap.answer is None
    await call("answerCallbackQuery", callback_query_id=tap.id, text="Kept")
    assert tap.answer.text == "Kept"
    assert amina.last.buttons == (("7",), ("Later",))


async def test_only_what_stands_on_the_screen_can_be_tapped(call, amina):
    markup = {"inline_keyboard": [[{"text": "7", "callback_data": "old"}, {"text": "Staff", "url": "https://a.b"}]]}
    old = await call("sendMessage", chat_id=amina.id, text="old", reply_markup=markup)
    seen = amina.last
    markup["inline_keyboard"][0][0]["callback_data"] = "new"
    await call("sendMessage", chat_id=amina.id, text="new", reply_markup=markup)
    assert amina.tap("7").data == "new"
    assert amina.tap("7", message=seen).data == "old"
    await call("editMessageReplyMarkup", chat_id=amina.id, message_id=old["message_id"])
    with pytest.raises(AssertionError, match="no button '7'"):
        amina.tap("7", message=seen)
    with pytest.raises(AssertionError, match="is a link"):
        amina.tap("Staff")


async def test_a_tap_may_come_from_a_message_the_bot_can_no_longer_read(call, amina, heard):
    markup = {"inline_keyboard": [[{"text": "7", "callback_data": "d7"}]]}
    await call("sendMessage", chat_id=amina.id, text="?", reply_markup=markup)
    amina.tap("7", inaccessible=True)
    assert (await heard())[0]["callback_query"]["message"]["date"] == 0


async def test_a_changed_client_can_send_data_no_button_has(call, amina, heard):
    await call("sendMessage", chat_id=amina.id, text="?")
    amina.forge_tap("forged")
    assert (await heard())[0]["callback_query"]["data"] == "forged"


async def test_a_reply_keyboard_types_its_label_and_goes_when_it_is_removed(call, amina, heard):
    keys = {"keyboard": [["Pain 7", {"text": "My number", "request_contact": True}]], "one_time_keyboard": False}
    await call("sendMessage", chat_id=amina.id, text="?", reply_markup=keys)
    assert amina.keyboard() == (("Pain 7", "My number"),)
    amina.tap("Pain 7")
    amina.tap("My number")
    typed, contact = await heard()
    assert typed["message"]["text"] == "Pain 7"
    assert contact["message"]["contact"]["user_id"] == amina.id
    await call("sendMessage", chat_id=amina.id, text="!", reply_markup={"remove_keyboard": True})
    assert amina.keyboard() == ()


async def test_blocking_and_unblocking_reach_the_bot(amina, heard):
    amina.block()
    with pytest.raises(AssertionError, match="unblock it first"):
        amina.type("7")
    amina.unblock()
    moves = [
        (
            update["my_chat_member"]["old_chat_member"]["status"],
            update["my_chat_member"]["new_chat_member"]["status"],
        )
        for update in await heard()
    ]
    assert moves == [("member", "kicked"), ("kicked", "member")]


async def test_a_blocked_chat_is_opened_again_with_start(amina, heard):
    amina.block()
    amina.press_start()
    assert [next(iter(update)) for update in await heard()] == ["my_chat_member", "my_chat_member", "message"]


async def test_everything_else_a_person_sends_has_telegrams_form(amina, heard):
    amina.send_photo(caption="my back")
    amina.send_voice()
    amina.send_sticker()
    amina.send_location()
    amina.send_contact("+20100", "Somebody")
    amina.send_document("letter.pdf")
    amina.forward("7", origin=Profile(5, "Friend"))
    amina.forward("8")
    photo, voice, sticker, location, contact, document, forwarded, hidden = [u["message"] for u in await heard()]
    assert photo["caption"] == "my back"
    assert photo["photo"][0]["width"] == 1
    assert voice["voice"]["duration"] == 3
    assert sticker["sticker"]["emoji"] == "👍"
    assert location["location"]["latitude"] == 30.0
    assert "user_id" not in contact["contact"]
    assert document["document"]["file_name"] == "letter.pdf"
    assert forwarded["forward_origin"]["sender_user"]["id"] == 5
    assert hidden["forward_origin"]["type"] == "hidden_user"


async def test_a_bot_put_into_a_group_is_told_and_can_leave(call, amina, heard):
    group = amina.add_bot_to_group(title="Family")
    amina.type("7", group=group)
    added, said = await heard()
    assert added["my_chat_member"]["chat"] == {"id": group.id, "type": "group", "title": "Family"}
    assert said["message"]["chat"]["type"] == "group"
    assert await call("leaveChat", chat_id=group.id) is True
    refusal = await call("sendMessage", chat_id=group.id, text="x")
    assert refusal["description"] == "Forbidden: bot was kicked from the group chat"
    assert [seen.text for seen in amina.screen()] == ["/start"]


def test_a_person_may_change_the_language_of_their_telegram(stranger, bot):
    stranger.speak(None)
    assert "language_code" not in stranger.press_start(bot).as_json()["from"]


def test_a_failing_test_can_show_the_screen_as_text(amina):
    assert amina.describe() == "\n> /start"
