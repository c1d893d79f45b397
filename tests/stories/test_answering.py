from datetime import timedelta

import pytest
from sqlalchemy import select

from reports.adherence import adherence
from storage import entries, patients, tables
from storage import slots as ledger
from tests.cast import cairo
from tests.world import World

PAIN = "How strong is your pain now?"


async def holding(world: World, code: str = "P-001"):
    """Each answered slot's current entry, by item, date and number."""
    async with world.db.read() as conn:
        patient = await patients.patient_by_code(conn, code)
        held = await entries.current_entries(conn, patient.id)
        slots = await ledger.slots_of_patient(conn, patient.id, now=world.clock())
    return {f"{s.item} {s.local_date} {s.n}": held[s.id] for s in slots if s.id in held}


async def notes(world: World):
    async with world.db.read() as conn:
        return [
            (row.kind, row.text) for row in await conn.execute(select(tables.notes).order_by(tables.notes.c.id))
        ]


async def test_a_tap_is_recorded_and_the_question_becomes_the_receipt(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.tap(amina, "7")

    assert amina.last.text == "✓ 7 recorded at 20:00\npain rating, Tue 24 Nov, 20:00"
    assert amina.last.labels == ("Change", "Add a note")
    assert amina.toasts()[-1].text == "Recorded: 7"
    assert (await holding(world))["pain 2026-11-24 0"].score == 7


@pytest.mark.parametrize("text", ["7", "7/10", "٧", "７", " 7. "])
async def test_a_typed_score_is_understood(world: World, text):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.type(amina, text)

    assert amina.last.text.startswith("✓ 7 recorded")
    entry = (await holding(world))["pain 2026-11-24 0"]
    assert (entry.score, entry.source) == (7, "text")
    assert entry.said_at is not None


@pytest.mark.parametrize("text", ["12", "7.5", "-1", "7 or 8"])
async def test_an_unclear_number_gets_one_helpful_line_and_is_kept_as_a_note(world: World, text):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.type(amina, text)

    assert "from 0 to 10" in amina.last.text
    assert await holding(world) == {}
    assert ("unread", text) in await notes(world)


async def test_an_unanswered_question_is_repeated_twice_and_then_left(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-25 08:00"))

    asked = [m.text for m in amina.screen() if PAIN in m.text]
    assert len(asked) == 3
    assert "For Tue 24 Nov, 20:00." in asked[0]
    assert all("please ignore it" in text for text in asked[1:])


async def test_after_an_answer_no_reminder_comes_and_the_earlier_buttons_go(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:46"))
    assert len([m for m in amina.screen() if PAIN in m.text]) == 2
    await world.tap(amina, "3")
    await world.go_to(cairo("2026-11-25 08:00"))

    assert len([m for m in amina.screen() if PAIN in m.text]) == 1  # the first one, the second is the receipt
    assert next(m for m in amina.screen() if PAIN in m.text).labels == ()


async def test_a_late_score_is_kept_and_marked_late(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-25 08:30"))
    await world.tap(amina, "4")

    assert "marked as late" in amina.last.text
    assert (await holding(world))["pain 2026-11-24 0"].kind == "late"


async def test_a_closed_button_says_so_and_when_the_next_one_is_due(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-25 12:01"))
    await world.tap(amina, "4")

    assert amina.sees("The time for this answer has passed")
    assert amina.sees("The next one is due today 20:00.")
    assert await holding(world) == {}


async def test_a_double_tap_counts_once(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    question = amina.last
    amina.tap("7", message=question)
    amina.tap("7", message=question)
    await world.settle()

    assert amina.last.text.startswith("✓ 7 recorded")
    assert "Already recorded: 7" in [toast.text for toast in amina.toasts()]


async def test_a_different_second_answer_is_offered_as_a_change(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.tap(amina, "7")
    await world.type(amina, "8")
    assert amina.last.labels == ("Change to 8", "Leave it")
    await world.tap(amina, "Change to 8", "Wrong button")

    assert amina.last.text.startswith("✓ 8 recorded")
    assert "It was: 7" in amina.last.text
    entry = (await holding(world))["pain 2026-11-24 0"]
    assert (entry.score, entry.change_reason, entry.kind) == (8, "wrong-button", "on time")


async def test_a_change_to_what_is_recorded_already_asks_for_no_reason(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 09:00"))
    await world.tap(amina, "Taken", "Change", "Taken")
    assert amina.last.text.startswith("✓ taken recorded")
    assert (await holding(world))["infusion 2026-11-24 0"].supersedes is None


async def test_a_change_in_words_keeps_the_words(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.tap(amina, "7", "Change", "5", "Another reason")
    await world.type(amina, "I mixed up left and right")

    entry = (await holding(world))["pain 2026-11-24 0"]
    assert (entry.score, entry.change_reason) == (5, "I mixed up left and right")


async def test_an_edited_message_is_a_wish_to_change_and_changes_nothing_by_itself(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    said = amina.type("7")
    await world.settle()
    amina.edit(said, "8")
    await world.settle()

    assert amina.last.labels == ("Change to 8", "Leave it")
    assert (await holding(world))["pain 2026-11-24 0"].score == 7


async def test_a_change_is_refused_after_the_protocols_time(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    receipt = amina.last
    await world.tap(amina, "7")
    await world.go_to(cairo("2026-11-26 20:01"))
    amina.tap("Change", message=receipt)
    await world.settle()
    amina.tap("4", message=receipt)
    await world.settle()
    amina.tap("Wrong button", message=receipt)
    await world.settle()

    assert amina.sees("can no longer be changed here")
    assert (await holding(world))["pain 2026-11-24 0"].score == 7


async def test_a_dose_left_out_is_recorded_with_its_reason(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 09:00"))
    await world.tap(amina, "Not taken")
    assert await holding(world) == {}  # nothing looks recorded before the reason
    await world.tap(amina, "The clinic was closed")

    assert "not taken (The clinic was closed)" in amina.last.text
    entry = (await holding(world))["infusion 2026-11-24 0"]
    assert (entry.answer, entry.skip_reason) == ("not-taken", "clinic-closed")


async def test_later_asks_again_in_half_an_hour(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:10"))
    await world.tap(amina, "Later")
    assert "I will ask again today 20:40." in amina.last.text
    before = len(amina.screen())
    await world.go_to(cairo("2026-11-24 20:39"))
    assert len(amina.screen()) == before
    await world.go_to(cairo("2026-11-24 20:40"))

    assert len(amina.screen()) == before + 1


async def test_two_doses_close_together_ask_whether_it_is_the_same(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-12-08 16:30"))
    await world.tap(amina, "Taken")
    await world.go_to(cairo("2026-12-08 21:00"))
    await world.tap(amina, "Taken")
    assert amina.last.labels == ("The same one", "Another one")
    await world.tap(amina, "Another one")

    assert amina.last.text.startswith("✓ taken recorded")


async def test_a_note_under_a_receipt_belongs_to_its_slot(world: World):
    await world.nurse()
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.tap(amina, "7", "Add a note")
    await world.type(amina, "slept badly")

    assert "gone to the study team" in amina.last.text
    assert ("note", "slept badly") in await notes(world)


async def test_today_lists_what_is_open_and_leads_to_the_question(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.type(amina, "/today")
    assert "● pain rating, Tue 24 Nov, 20:00: open" in amina.last.text
    await world.tap(amina, "Answer: pain rating, Tue 24 Nov, 20:00", "2")

    assert (await holding(world))["pain 2026-11-24 0"].score == 2


async def test_the_history_is_a_picture_of_ones_own(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.tap(amina, "7")
    await world.type(amina, "/history")

    assert amina.last.photo is not None
    assert amina.last.photo.startswith(b"\x89PNG")


async def test_pause_stops_the_questions_and_resume_starts_them(world: World):
    amina = await world.patient()
    await world.type(amina, "/pause")
    await world.tap(amina, "Pause")
    before = len(amina.screen())
    await world.go_to(cairo("2026-11-26 12:00"))
    assert len(amina.screen()) == before
    await world.tap(amina, "Start reminders again")
    await world.go_to(cairo("2026-11-26 20:00"))

    assert amina.last.text.startswith(PAIN)


async def test_stop_ends_everything_and_tells_the_team(world: World):
    nour = await world.nurse()
    amina = await world.patient()
    await world.type(amina, "/stop")
    await world.tap(amina, "Leave for good")
    await world.tick()
    assert nour.sees("P-001 has left the diary")
    before = len(amina.screen())
    await world.go_to(world.clock() + timedelta(days=10))

    assert len(amina.screen()) == before
    await world.type(amina, "7")
    assert "You have left the study diary" in amina.last.text


async def test_a_foreign_or_forged_button_does_nothing(world: World):
    amina = await world.patient()
    basma = await world.patient("P-002")
    await world.go_to(cairo("2026-11-24 20:00"))
    stolen = next(
        button["callback_data"]
        for message in reversed(amina.chat().visible())
        for row in message.keyboard or ()
        for button in row
        if button["text"] == "7"
    )
    for data in (stolen, "s.1.7", "s.1.7~AAAAAAAAAAAA", "~", "x" * 64):
        basma.forge_tap(data)
        await world.settle()

    assert "not for this chat" in basma.toasts()[-1].text
    assert await holding(world) == {}
    assert await holding(world, "P-002") == {}


async def test_a_score_typed_when_a_note_was_announced_is_still_a_score(world: World):
    amina = await world.patient()
    await world.type(amina, "/note")
    await world.go_to(cairo("2026-11-24 20:00"))
    await world.type(amina, "6")

    assert (await holding(world))["pain 2026-11-24 0"].score == 6


async def test_what_is_open_at_a_pause_is_not_counted_as_missed(world: World):
    amina = await world.patient()
    await world.go_to(cairo("2026-11-24 20:30"))
    await world.type(amina, "/pause")
    await world.tap(amina, "Pause")
    await world.go_to(cairo("2026-11-26 12:00"))
    rows = await adherence(world.db, now=world.clock())

    assert rows[0].figures.missed == 0
