from datetime import timedelta

from diary import SYSTEM
from diary.enrolment import invite_patient
from protocol.lifecycle import PatientStatus
from storage import contacts, patients
from tests.cast import START, T0, cairo
from tests.world import World


async def patient_row(world: World, code: str = "P-001"):
    async with world.db.read() as conn:
        return await patients.patient_by_code(conn, code)


async def test_a_newcomer_is_led_from_the_link_to_the_next_reminder(world: World):
    amina = await world.newcomer()
    assert amina.last.labels == ("English", "العربية")
    await world.tap(amina, "English")
    assert "Do you agree?" in amina.last.text
    assert "call your local emergency number" in amina.last.text
    await world.tap(amina, "I agree")
    assert "Is it 10:00 where you are?" in amina.last.text
    await world.tap(amina, "Yes")
    assert amina.last.labels == (*(f"{h}:{m}" for h in (18, 19, 20, 21) for m in ("00", "30")), "22:00")
    await world.tap(amina, "19:30")

    assert "Your next reminder: tomorrow 09:00." in amina.last.text
    assert (await patient_row(world)).status is PatientStatus.ACTIVE
    await world.go_to(cairo("2026-11-24 19:30"))
    assert amina.last.text.startswith("How strong is your pain now?")


async def test_nothing_is_sent_before_a_patient_agrees(world: World):
    amina = await world.newcomer()
    await world.tap(amina, "English", "Not now")
    seen = len(amina.screen())
    await world.go_to(T0 + timedelta(days=3))

    assert len(amina.screen()) == seen
    assert (await patient_row(world)).status is PatientStatus.INVITED


async def test_not_now_can_be_thought_over(world: World):
    amina = await world.newcomer()
    await world.tap(amina, "English", "Not now")
    await world.type(amina, "/start")
    await world.tap(amina, "English", "I agree", "Yes", "20:00")

    assert (await patient_row(world)).status is PatientStatus.ACTIVE


async def test_the_short_code_brings_a_patient_into_an_open_chat(world: World):
    await world.stage.add()
    invite = await invite_patient(world.db, code="P-001", actor=SYSTEM, now=T0)
    amina = world.telegram.person("Amina", language_code="en")
    await world.type(amina, "hello")
    assert "type the code" in amina.last.text
    await world.type(amina, f" {invite.typed_code.lower()} ")

    assert "English" in amina.last.labels


async def test_a_stranger_with_a_wrong_or_used_link_is_told_so_and_binds_nothing(world: World):
    await world.patient()
    basma = world.telegram.person("Basma", language_code="en")
    basma.press_start(world.account, "not-a-token")
    await world.settle()
    assert "not known" in basma.last.text
    basma.press_start(world.account, world.stage.invites["P-001"])
    await world.settle()

    assert "has been used already" in basma.last.text
    async with world.db.read() as conn:
        bot_id = world.account.profile.id
        assert await contacts.contact_by_chat(conn, world.db.keys, bot_id=bot_id, chat_id=basma.id) is None


async def test_one_chat_belongs_to_one_patient(world: World):
    amina = await world.patient()
    other = await world.stage.add("P-002")
    amina.press_start(world.account, other)
    await world.settle()

    assert "already belongs to another participant" in amina.last.text


async def test_a_traveller_chooses_the_place_and_is_asked_on_its_clock(world: World):
    amina = await world.newcomer()
    await world.tap(amina, "English", "I agree", "No", "09:00", "Berlin", "20:00")
    await world.go_to(cairo("2026-11-24 20:30"))
    assert not amina.sees("How strong is your pain now?")
    await world.go_to(cairo("2026-11-24 21:00"))  # 20:00 in Berlin

    assert amina.last.text.startswith("How strong is your pain now?")


async def test_what_was_agreed_to_stays_in_the_chat_without_its_buttons(world: World):
    amina = await world.newcomer()
    await world.tap(amina, "English", "I agree")
    consent, thanks, zone = amina.screen()[-3:]

    assert "It stores your answers with their times under a code" in consent.text
    assert consent.labels == ()
    assert thanks.text == "Thank you. You have agreed to take part."
    assert "Is it 10:00 where you are?" in zone.text


async def test_a_wrong_choice_on_the_way_to_the_zone_can_be_taken_back(world: World):
    amina = await world.newcomer()
    await world.tap(amina, "English", "I agree", "No", "11:00", "Back")
    assert amina.last.text == "What time does your clock show?"
    await world.tap(amina, "Back")
    assert "Is it 10:00 where you are?" in amina.last.text
    await world.tap(amina, "No", "09:00", "Berlin", "20:00")

    assert "All set." in amina.last.text


async def test_the_way_back_from_the_zone_in_the_settings_stays_in_the_settings(world: World):
    amina = await world.patient()
    await world.type(amina, "/time")
    await world.tap(amina, "Time zone", "No", "09:00", "Back", "Back", "Yes")

    assert "Your next reminder: " in amina.last.text


async def test_a_new_phone_takes_the_open_question_along_and_the_old_one_goes_silent(world: World):
    old = await world.patient()
    await world.go_to(cairo("2026-11-24 20:00"))
    invite = await invite_patient(world.db, code="P-001", actor=SYSTEM, now=world.clock())
    new = world.telegram.person("Amina again", language_code="en")
    new.press_start(world.account, invite.token)
    await world.settle()
    await world.tick()
    assert new.sees("How strong is your pain now?")  # beside the morning's question, which is open still

    await world.tap(old, "7")
    assert "not for this chat" in old.toasts()[-1].text
    await world.tap(new, "6")
    assert new.sees("✓ 6 recorded")


async def test_arabic_is_spoken_from_the_choice_on(world: World):
    amina = await world.newcomer(language="ar")
    await world.tap(amina, "العربية")
    assert amina.last.labels[0] not in ("I agree", "Yes")
    await world.tap(amina, amina.last.labels[0])
    assert "١٠:٠٠" in amina.last.text
    await world.tap(amina, amina.last.labels[0])
    await world.tap(amina, "٢٠:٠٠")
    await world.go_to(cairo("2026-11-24 20:00"))
    assert "ما شدة ألمك الآن؟" in amina.last.text
    assert amina.last.labels[:11] == (*"٠١٢٣٤٥٦٧٨٩", "١٠")
    await world.type(amina, "٧")

    assert "٧" in amina.last.text
    assert START.isoformat() not in amina.last.text
