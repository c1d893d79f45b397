"""What the phones show outlives the rehearsal."""

import pytest

from rehearsal import memory
from rehearsal.telegram import Telegram


@pytest.fixture
async def tomorrow(clock):
    """Another rehearsal, with nobody in it yet."""
    telegram = Telegram(clock)
    telegram.bot()
    yield telegram
    await telegram.close()


def carried_over(telegram, tomorrow, folder):
    memory.keep(telegram, folder / "phones.json")
    assert memory.recall(tomorrow, folder / "phones.json")
    return tomorrow.people


async def test_a_chat_looks_tomorrow_as_it_did_today(telegram, tomorrow, amina, call, tmp_path):
    keyboard = {"inline_keyboard": [[{"text": "7", "callback_data": "s7"}]]}
    await call("sendMessage", chat_id=amina.id, text="<b>How</b> strong?", parse_mode="HTML", reply_markup=keyboard)
    said = amina.type("sewen")
    amina.edit(said, "seven")
    amina.delete(amina.type("not this"))
    amina.send_photo(caption="my arm")
    amina.forward("take two")
    again = carried_over(telegram, tomorrow, tmp_path)[amina.id]

    assert again.screen() == amina.screen()
    assert again.profile == amina.profile
    assert again.chat().started
    tapped = again.tap("7")
    assert tapped.data == "s7"


async def test_no_number_is_given_a_second_time(telegram, tomorrow, bot, amina, tmp_path):
    messages, updates = amina.type("one").id, bot.updates.next_id
    again = carried_over(telegram, tomorrow, tmp_path)[amina.id]

    assert again.type("two").id > messages
    assert tomorrow.only_bot().updates.next_id > updates
    assert tomorrow.person("Basma").id > amina.id


async def test_who_blocked_the_bot_and_who_never_started_it_stay_so(telegram, tomorrow, amina, tmp_path):
    basma = telegram.person("Basma")
    amina.block()
    people = carried_over(telegram, tomorrow, tmp_path)

    assert people[amina.id].chat().blocked
    assert not people[basma.id].chat().started


def test_where_nothing_was_kept_everything_begins_anew(tomorrow, tmp_path):
    assert not memory.recall(tomorrow, tmp_path / "phones.json")
    assert tomorrow.people == {}
