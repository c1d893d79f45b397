from datetime import timedelta

from diary.alerts import close_alert, see_alert
from reports.alerts import alert_load
from tests.cast import T0, Stage

HOUR = timedelta(hours=1)


async def test_alerts_are_counted_with_their_waits_and_their_denominators(stage: Stage):
    amina, basma = await stage.joined(), await stage.joined("P-002", chat=1002)
    nour = await stage.actor()
    first = await stage.alert(amina, "dizzy", now=T0 + HOUR)
    second = await stage.alert(amina, "sick", now=T0 + 2 * HOUR)
    await stage.alert(basma, "rash", now=T0 + 3 * HOUR)
    await see_alert(stage.db, alert_id=first, actor=nour, now=T0 + 2 * HOUR)
    await close_alert(stage.db, alert_id=second, actor=nour, now=T0 + 7 * HOUR)

    load = await alert_load(stage.db, None, T0 + timedelta(days=14), days=14)
    whole = load.whole
    assert (whole.count, whole.open, whole.seen) == (3, 2, 2)
    assert (whole.median_to_seen, whole.longest_to_seen) == (3 * HOUR, 5 * HOUR)
    assert [(one.name, one.count, one.longest_to_seen) for one in load.by_patient] == [
        ("P-001", 2, 5 * HOUR),
        ("P-002", 1, None),
    ]
    assert [(one.name, one.count) for one in load.by_rule] == [("side-effect", 3)]
    assert (load.patients, load.per_patient_week) == (2, 3 / 4)


async def test_without_patients_there_is_no_weekly_figure_and_foreign_alerts_do_not_count(stage: Stage):
    amina = await stage.joined()
    await stage.alert(amina)
    elsewhere = await alert_load(stage.db, frozenset({amina.site_id + 1}), T0 + HOUR)
    assert (elsewhere.whole.count, elsewhere.per_patient_week) == (0, None)


async def test_what_was_raised_before_these_days_does_not_count(stage: Stage):
    amina = await stage.joined()
    await stage.alert(amina)
    assert (await alert_load(stage.db, None, T0 + timedelta(days=29))).whole.count == 0
