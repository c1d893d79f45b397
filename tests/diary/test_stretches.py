"""What is one call and what is another: silences, lasting pain and jumps that are looked at again and again."""

from datetime import timedelta

from diary.alerts import evaluate_rules
from diary.answers import TAKEN, enter_answer, scored
from storage import patients
from storage import slots as ledger
from tests.cast import START, T0, Stage, cairo
from tests.diary.test_alerts import DAY, EVENING, days, raised, say


async def told_by_phone(stage, nour, item, day, answer, now):  # noqa: PLR0917 - read as a sentence
    slot = await slot_of(stage, item, day)
    told = {"answer": answer, "source": "phone", "said_at": None}
    await enter_answer(stage.db, code="P-001", slot_id=slot, actor=nour, now=now, **told)


async def slot_of(stage, item, day):
    async with stage.db.read() as conn:
        patient = await patients.patient_by_code(conn, "P-001")
        slots = await ledger.slots_of_patient(conn, patient.id, now=T0)
    return next(slot.id for slot in slots if (slot.item, slot.local_date) == (item, day))


async def test_what_staff_type_in_after_a_call_does_not_call_for_the_same_silence_again(stage: Stage):
    amina, nour = await stage.joined(), await stage.actor()
    await days(stage, amina, [None] * 3, doses=False)
    assert sorted(await raised(stage)) == ["missed-doses", "silent-days"]
    await told_by_phone(stage, nour, "infusion", START, TAKEN, cairo("2026-11-27 10:00"))
    await days(stage, amina, [None] * 4, first=START + 3 * DAY, doses=False)
    assert sorted(await raised(stage)) == ["missed-doses", "silent-days"]


async def test_a_silence_after_an_answer_that_came_after_the_call_is_another_one(stage: Stage):
    amina = await stage.joined()
    await days(stage, amina, [None] * 3, doses=False)
    # Rated late, when the infusion of this morning, which will be the first one missed, was due already.
    at = cairo("2026-11-27 11:00")
    await say(stage, amina, "pain", START + 2 * DAY, scored(5), at)
    await days(stage, amina, [None] * 4, first=START + 3 * DAY, doses=False)
    assert (await raised(stage)).count("silent-days") == 2


async def pain_calls(stage, patient, now):
    calls = await evaluate_rules(stage.db, patient_id=patient.id, now=now)
    return [rule for rule in calls if rule.startswith("pain")]


async def test_pain_that_lasts_calls_once_when_an_earlier_day_is_typed_in_afterwards(stage: Stage):
    amina, nour = await stage.joined(), await stage.actor()
    for n in (1, 2, 3):
        await say(stage, amina, "pain", START + n * DAY, scored(9), EVENING + n * DAY)
    now = cairo("2026-11-28 12:30")
    assert await pain_calls(stage, amina, now) == ["pain-at-least"]
    await told_by_phone(stage, nour, "pain", START, scored(8), now)
    assert await pain_calls(stage, amina, now) == []


async def test_a_jump_between_two_looks_calls_though_another_rating_followed(stage: Stage):
    amina, nour = await stage.joined(), await stage.actor()
    await say(stage, amina, "pain", START, scored(1), EVENING)
    assert await pain_calls(stage, amina, EVENING) == []
    now = cairo("2026-11-27 12:30")
    for n, score in ((1, 9), (2, 8)):
        await told_by_phone(stage, nour, "pain", START + n * DAY, scored(score), now)
    for later in (0, 1, 24):
        calls = await pain_calls(stage, amina, now + timedelta(hours=later))
        assert calls == ["pain-jump"] * (later == 0)


async def test_a_jump_of_long_ago_calls_nobody(stage: Stage):
    amina = await stage.joined()
    for n, score in enumerate((1, 9)):
        await say(stage, amina, "pain", START + n * DAY, scored(score), EVENING + n * DAY)
    assert await pain_calls(stage, amina, EVENING + 4 * DAY) == []
