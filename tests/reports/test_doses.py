from datetime import timedelta

from diary.answers import TAKEN, not_taken
from reports.doses import doses_of
from reports.record import record
from tests.cast import Stage, cairo
from tests.reports.diary_of import correct, say

FRIDAY = cairo("2026-11-27 10:00")


async def infusions(stage: Stage, now=FRIDAY):
    """What the first item that is taken comes to."""
    return doses_of(await record(stage.db, "P-001", None, now))[0]


async def test_doses_are_counted_by_item_as_the_figures_of_adherence_count_them(stage: Stage, amina):
    found = await record(stage.db, "P-001", None, FRIDAY)
    infusion, capsule = doses_of(found)
    figures = found.overview.figures
    assert (infusion.expected, infusion.taken, infusion.not_taken) == (
        figures.doses,
        figures.taken,
        figures.not_taken,
    )
    assert infusion.missed == infusion.expected - infusion.taken - infusion.not_taken
    assert infusion.rate == infusion.taken / infusion.expected
    assert (capsule.item, capsule.expected, capsule.rate) == ("capsule", 0, None)


async def test_those_not_taken_stand_with_their_reason_and_those_missed_without(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 10:00")
    await say(stage, amina.id, "infusion 2026-11-25", not_taken("unwell"), "2026-11-25 10:00")
    found = await infusions(stage, FRIDAY)
    assert (found.expected, found.taken, found.not_taken, found.missed) == (3, 1, 1, 1)
    assert found.reasons == {"unwell": 1}
    assert [str(line.slot.local_date) for line in found.lacking] == ["2026-11-26", "2026-11-25"]


async def test_a_corrected_dose_counts_as_what_holds(stage: Stage):
    amina = await stage.joined()
    await say(stage, amina.id, "infusion 2026-11-24", not_taken("unwell"), "2026-11-24 10:00")
    await correct(stage, amina.id, "infusion 2026-11-24", TAKEN, "2026-11-24 10:05")
    found = await infusions(stage, cairo("2026-11-25 08:00") + timedelta(hours=1))
    assert (found.taken, found.not_taken, found.lacking) == (1, 0, ())
