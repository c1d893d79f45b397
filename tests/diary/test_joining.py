import hashlib
from datetime import date, time, timedelta

import pytest
from sqlalchemy import select

from diary import SYSTEM, PatientStatus
from diary.answers import Arrival, record_answer, scored
from diary.enrolment import add_patient, change_status, erase_patient, invite_patient
from diary.joining import (
    choose_language,
    choose_time,
    choose_zone,
    join,
    record_consent,
    who_is,
    zone_in_use,
)
from diary.team import disable_staff, invite_staff
from protocol.errors import (
    AlreadyThereError,
    InviteError,
    NotAllowedError,
    UnknownCodeError,
    WrongCallError,
)
from schedules.dispatcher import send_due
from storage import contacts, tables
from storage import slots as ledger
from storage.alerts import alerts
from tests.cast import AMINA_CHAT, BOT, NOUR_CHAT, START, T0, Stage, cairo
from tests.schedules.senders import FakeSender

OTHER_CHAT = 1777


async def come(stage, token, *, chat=AMINA_CHAT, now=T0):
    return await join(stage.db, bot_id=BOT, chat_id=chat, token=token, now=now)


async def refused(stage, token, **how):
    with pytest.raises(InviteError) as caught:
        await come(stage, token, **how)
    return caught.value.why


async def raised(stage):
    async with stage.db.read() as conn:
        return [alert.rule for alert in await alerts(conn)]


async def invited_again(stage, code="P-001", now=T0):
    return (await invite_patient(stage.db, code=code, actor=SYSTEM, now=now)).token


async def test_an_invite_binds_the_chat_to_its_patient(stage: Stage):
    person = await come(stage, await stage.add())
    assert (person.patient.code, person.patient.status, person.staff) == ("P-001", PatientStatus.INVITED, None)
    found = await who_is(stage.db, bot_id=BOT, chat_id=AMINA_CHAT)
    assert found.patient.code == "P-001"
    assert await who_is(stage.db, bot_id=BOT + 1, chat_id=AMINA_CHAT) is None


async def test_a_typed_code_is_as_good_as_the_link(stage: Stage):
    await stage.add()
    invite = await invite_patient(stage.db, code="P-001", actor=SYSTEM, now=T0)
    assert (await come(stage, invite.typed_code)).patient.code == "P-001"


async def test_a_wrong_invite_is_unknown(stage: Stage):
    await stage.add()
    assert await refused(stage, "no-such-token") == "unknown"
    assert await refused(stage, "") == "unknown"


async def test_an_invite_lasts_seventy_two_hours(stage: Stage):
    token = await stage.add()
    assert await refused(stage, token, now=T0 + timedelta(hours=72)) == "expired"
    person = await come(stage, token, now=T0 + timedelta(hours=72) - timedelta(seconds=1))
    assert person.patient.code == "P-001"


async def test_a_new_invite_revokes_the_one_before(stage: Stage):
    old = await stage.add()
    new = await invited_again(stage)
    assert await refused(stage, old) == "revoked"
    assert (await come(stage, new)).patient.code == "P-001"


async def test_the_same_chat_may_come_again_by_its_invite(stage: Stage):
    token = await stage.add()
    first, second = await come(stage, token), await come(stage, token, now=T0 + timedelta(days=30))
    assert (first.contact, first.patient) == (second.contact, second.patient)
    assert await raised(stage) == []


async def test_a_second_chat_is_refused_and_staff_are_told(stage: Stage):
    await stage.nurse()
    token = await stage.add()
    await come(stage, token)
    assert await refused(stage, token, chat=OTHER_CHAT) == "used"
    assert await refused(stage, token, chat=OTHER_CHAT) == "used"
    assert await raised(stage) == ["invite-reused"]
    assert await who_is(stage.db, bot_id=BOT, chat_id=OTHER_CHAT) is None


async def test_a_chat_that_is_somebodys_already_takes_no_other_role(stage: Stage):
    await come(stage, await stage.add())
    basma = await stage.add("P-002")
    assert await refused(stage, basma) == "chat-taken"
    # and the invite is not spent by the attempt
    assert (await come(stage, basma, chat=OTHER_CHAT)).patient.code == "P-002"


async def test_a_new_chat_takes_the_place_of_the_old_one_and_is_asked_what_is_open(stage: Stage):
    amina = await stage.joined()
    asked = cairo("2026-11-24 20:00")
    sender = FakeSender()
    await send_due(stage.db, sender, now=asked)
    count = len(sender.handed)
    now = asked + timedelta(minutes=10)
    token = await invited_again(stage, now=now)
    person = await come(stage, token, chat=OTHER_CHAT, now=now)
    assert (person.patient.id, person.patient.status) == (amina.id, PatientStatus.ACTIVE)
    assert await who_is(stage.db, bot_id=BOT, chat_id=AMINA_CHAT) is None

    await send_due(stage.db, sender, now=now)
    new = sender.handed[count:]
    assert {nudge.item for nudge in new} == {"pain", "infusion"}
    assert {nudge.contact_id for nudge in new} == {person.contact.id}


async def test_staff_who_were_shut_out_are_nobody(stage: Stage):
    await stage.nurse()
    await disable_staff(stage.db, code="nour", actor=SYSTEM, now=T0)
    assert await who_is(stage.db, bot_id=BOT, chat_id=NOUR_CHAT) is None
    with pytest.raises(NotAllowedError, match="nour is disabled"):
        await invite_staff(stage.db, code="nour", actor=SYSTEM, now=T0)


async def consents(stage):
    async with stage.db.read() as conn:
        c = tables.consents
        rows = await conn.execute(
            select(c.c.decision, c.c.language, c.c.text_sha256, c.c.decided_at).order_by(c.c.id)
        )
        return [tuple(row) for row in rows]


async def test_a_consent_is_kept_with_the_fingerprint_of_what_was_read_and_the_time(stage: Stage):
    person = await come(stage, await stage.add())
    text, now = "ما يُحفظ: إجاباتك", T0 + timedelta(minutes=3)
    for agreed in (False, True):
        patient = await record_consent(
            stage.db, patient_id=person.patient.id, agreed=agreed, language="ar", text=text, now=now
        )
    sha = hashlib.sha256(text.encode()).hexdigest()
    assert await consents(stage) == [("not-now", "ar", sha, now), ("agreed", "ar", sha, now)]
    assert (patient.status, patient.joined_at, patient.language) == (PatientStatus.ACTIVE, now, "ar")


async def test_not_now_leaves_everything_as_it_is(stage: Stage):
    person = await come(stage, await stage.add())
    patient = await record_consent(
        stage.db, patient_id=person.patient.id, agreed=False, language="en", text="t", now=T0
    )
    assert patient.status is PatientStatus.INVITED
    sender = FakeSender()
    await send_due(stage.db, sender, now=cairo("2026-11-24 20:00"))
    assert sender.handed == []


async def test_agreeing_twice_is_agreeing_once(stage: Stage):
    amina = await stage.joined()
    again = await record_consent(
        stage.db, patient_id=amina.id, agreed=False, language="ar", text="t", now=T0 + timedelta(days=1)
    )
    assert again == amina
    assert len(await consents(stage)) == 1


@pytest.mark.parametrize("at", [time(18), time(20, 15), time(22)])
async def test_a_time_within_the_range_is_taken(stage: Stage, at):
    amina = await stage.joined()
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=at, actor=SYSTEM, now=T0)
    async with stage.db.read() as conn:
        slots = await ledger.slots_of_patient(conn, amina.id, now=T0)
    walls = {slot.due_local.time().replace(tzinfo=None) for slot in slots if slot.item == "pain"}
    assert at in walls  # and one hour later or earlier in nominal winter: the offset is each slot's own
    assert walls == {at}


@pytest.mark.parametrize("at", [time(17, 59), time(22, 1), time(0)])
async def test_a_time_outside_the_range_is_refused(stage: Stage, at):
    amina = await stage.joined()
    with pytest.raises(WrongCallError, match="from 18:00 to 22:00"):
        await choose_time(stage.db, patient_id=amina.id, item="pain", at=at, actor=SYSTEM, now=T0)


@pytest.mark.parametrize("item", ["capsule", "infusion", "nonsense"])
async def test_a_time_the_protocol_fixes_is_not_chosen(stage: Stage, item):
    amina = await stage.joined()
    with pytest.raises(NotAllowedError, match="fixed by the protocol"):
        await choose_time(stage.db, patient_id=amina.id, item=item, at=time(20), actor=SYSTEM, now=T0)


async def test_a_zone_and_a_language_that_nobody_knows_are_refused(stage: Stage):
    amina = await stage.joined()
    with pytest.raises(WrongCallError, match="not a time zone"):
        await choose_zone(stage.db, patient_id=amina.id, zone="Cairo", actor=SYSTEM, now=T0)
    with pytest.raises(WrongCallError, match="no words in fr"):
        await choose_language(stage.db, patient_id=amina.id, language="fr", now=T0)
    assert await zone_in_use(stage.db, amina.id) == "Africa/Cairo"


async def test_nobody_is_added_twice_nor_to_a_site_that_is_not_there(stage: Stage):
    await stage.add()
    with pytest.raises(AlreadyThereError, match="P-001 already"):
        await stage.add()
    with pytest.raises(UnknownCodeError, match="no site elsewhere"):
        await add_patient(
            stage.db,
            code="P-009",
            start=START,
            site="elsewhere",
            protocol_id=stage.protocol_id,
            timezone=None,
            language=None,
            actor=SYSTEM,
            now=T0,
        )
    with pytest.raises(WrongCallError, match="not a time zone"):
        await stage.add("P-010", timezone="Mars/Olympus")
    with pytest.raises(WrongCallError, match="no words in fr"):
        await stage.add("P-011", language="fr")


async def test_invites_are_long_or_short_and_all_different(stage: Stage):
    await stage.add()
    made = [await invite_patient(stage.db, code="P-001", actor=SYSTEM, now=T0) for _ in range(20)]
    assert len({one.token for one in made}) == len({one.typed_code for one in made}) == 20
    assert {len(one.typed_code) for one in made} == {8}
    assert min(len(one.token) for one in made) >= 22  # 128 bits; a link takes 64 characters
    assert not set("".join(one.typed_code for one in made)) & set("01ILO")


async def test_who_left_is_not_invited_again(stage: Stage):
    amina = await stage.joined()
    await leave(stage, amina)
    with pytest.raises(NotAllowedError, match="has left the study"):
        await invited_again(stage)


async def leave(stage, patient, now=T0):
    await change_status(
        stage.db, patient_id=patient.id, status=PatientStatus.WITHDRAWN, actor=SYSTEM, reason="moved", now=now
    )


async def test_who_is_in_the_study_is_not_erased(stage: Stage):
    await stage.joined()
    with pytest.raises(NotAllowedError, match="withdraw the patient first"):
        await erase_patient(stage.db, code="P-001", actor=SYSTEM, reason="asked", now=T0)


async def test_erasing_forgets_the_chat_and_keeps_the_coded_diary_and_the_trail(stage: Stage):
    amina = await stage.joined()
    now = cairo("2026-11-24 20:10")
    async with stage.db.read() as conn:
        slots = await ledger.slots_of_patient(conn, amina.id, now=now)
    slot = next(s for s in slots if s.item == "pain" and s.local_date == date(2026, 11, 24))
    await record_answer(
        stage.db, patient_id=amina.id, slot_id=slot.id, answer=scored(6), arrival=Arrival("button", now), now=now
    )
    before = await trail(stage)
    await leave(stage, amina, now)
    await erase_patient(stage.db, code="P-001", actor=SYSTEM, reason="asked", now=now)

    assert await who_is(stage.db, bot_id=BOT, chat_id=AMINA_CHAT) is None
    assert await refused(stage, stage.invites["P-001"], now=now) in ("used", "revoked")
    async with stage.db.read() as conn:
        assert await contacts.contact_of_patient(conn, amina.id) is None
        after = await ledger.slots_of_patient(conn, amina.id, now=now)
        scores = (await conn.execute(select(tables.entries.c.score))).scalars().all()
    assert ([s.id for s in after], scores) == ([s.id for s in slots], [6])
    grown = await trail(stage)
    assert grown[: len(before)] == before
    assert grown[-1][1] != "erase identity" or grown[-1][2] == "asked"
    assert "erase identity" in [verb for _, verb, _ in grown]


async def trail(stage):
    async with stage.db.read() as conn:
        a = tables.audit
        return [tuple(row) for row in await conn.execute(select(a.c.id, a.c.verb, a.c.reason).order_by(a.c.id))]
