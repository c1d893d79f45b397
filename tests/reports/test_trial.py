"""The figures of the trial's pictures, held to the definitions they stand for."""

from datetime import date, timedelta
from random import Random
from statistics import fmean, stdev

import pytest
from scipy import stats

from diary import SYSTEM, PatientStatus
from diary.answers import Arrival, record_answer
from diary.enrolment import change_status, move_phase
from diary.protocols import adopt_protocol, protocol_of
from diary.service import tally
from protocol.load import load_protocol
from reports.adherence import By, adherence
from reports.definitions import Rating, Share, weekly_means
from reports.trial import Arrivals, arrivals, t_of, trial
from storage import entries, patients
from storage.slots import slots_of_patient
from storage.states import SlotState
from tests.cast import START, T0, Stage, at, cairo
from tests.reports.diary_of import correct, say, scored

FRIDAY = cairo("2026-11-27 10:00")
EXPECTED = (SlotState.ON_TIME, SlotState.LATE, SlotState.MISSED)


# A second rating, whose weeks are over sooner than those of the first.
SLEEP = """
  [[phase.item]]
  id = "sleep"
  kind = "rating"
  name = { en = "sleep", ar = "النوم" }
  prompt = { en = "How did you sleep?", ar = "كيف كان نومك؟" }
  at = ["11:00"]
  every_days = 3
  on_time = "1h"
  late = "1h"
  nudge_after = ["30m"]
"""


async def ratings_of(stage: Stage, patient_id: int, now) -> dict[str, list[Rating]]:
    """A patient's ratings by item, of the weeks that are over, slot by slot, as the definitions take them."""
    async with stage.db.read() as conn:
        slots = await slots_of_patient(conn, patient_id, now=now)
        held = await entries.current_entries(conn, patient_id)
        patient = await patients.patient_by_id(conn, patient_id)
        first = min((await patients.enrolment_of(conn, patient)).phase_starts.values())
    slots = [slot for slot in slots if slot.kind == "rating"]
    running = {(slot.item, (slot.local_date - first).days // 7) for slot in slots if slot.closes_at > now}
    found: dict[str, list[Rating]] = {}
    for slot in slots:
        day = (slot.local_date - first).days
        if slot.state in EXPECTED and (slot.item, day // 7) not in running:
            score = held[slot.id].score if slot.id in held else None
            found.setdefault(slot.item, []).append(Rating(day, score))
    return found


async def days_wanted(stage: Stage, patient_id: int) -> int:
    async with stage.db.read() as conn:
        patient = await patients.patient_by_id(conn, patient_id)
        return (await protocol_of(stage.db, conn, patient.protocol_id)).trial.weekly_mean_days


async def recounted(stage: Stage, ids, now):
    """Week by week, from the weekly means of each patient and scipy's interval."""
    weeks: dict[tuple[str, int], list[float | None]] = {}
    for patient_id in ids:
        at_least = await days_wanted(stage, patient_id)
        for item, ratings in (await ratings_of(stage, patient_id, now)).items():
            for one in weekly_means(ratings, at_least=at_least):
                weeks.setdefault((item, one.week), []).append(one.mean)
    found = {}
    for key, means in sorted(weeks.items()):
        known = [mean for mean in means if mean is not None]
        interval = None
        if len(known) > 1:
            half = stats.t.ppf(0.975, len(known) - 1) * stdev(known) / len(known) ** 0.5
            interval = (fmean(known) - half, fmean(known) + half)
        found[key] = (Share(len(known), len(means)), fmean(known) if known else None, interval)
    return found


async def agree(stage: Stage, ids, now, **where) -> int:
    """Hold the figures of the pictures to a recount; how many weeks there were."""
    told = await trial(stage.db, where.pop("scope", None), now, **where)
    by_hand = await recounted(stage, ids, now)
    weeks = {(course.item, week.week): week for course in told.courses for week in course.weeks}
    assert sorted(weeks) == sorted(by_hand)
    for key, (share, mean, interval) in by_hand.items():
        week = weeks[key]
        assert (week.patients, week.mean) == (share, pytest.approx(mean, abs=1e-9)), key
        assert week.interval == (pytest.approx(interval, abs=2e-3) if interval else None), key
    return len(weeks)


async def lived(stage: Stage, code: str, start: date, until, *, seed: int):
    """A patient who answers most of what is asked, now and then late."""
    random = Random(seed)
    patient = await stage.joined(code, chat=5000 + seed, start=start)
    async with stage.db.read() as conn:
        slots = await slots_of_patient(conn, patient.id, now=T0)
    for slot in slots:
        if slot.kind == "rating" and slot.due_at <= until and random.random() < 0.7:
            now = slot.closes_at - timedelta(minutes=1) if random.random() < 0.3 else slot.due_at
            if now <= until:
                answer, tap = scored(random.randint(0, 10)), Arrival("button", now)
                await record_answer(
                    stage.db, patient_id=patient.id, slot_id=slot.id, answer=answer, arrival=tap, now=now
                )
    return patient.id


async def two_protocols(stage: Stage, tmp_path, until) -> list[int]:
    """Patients of a long trial, and of a week with three ratings a day that asks for fewer days of a mean."""
    ids = [await lived(stage, f"P-{n:03}", START + timedelta(days=3 * n), until, seed=n) for n in range(4)]
    text = load_protocol("postop-week").text.replace("[trial.nrs]", "weekly_mean_days = 2\n\n[trial.nrs]", 1)
    text = text.replace("[[visit]]", SLEEP + "\n[[visit]]", 1)
    (tmp_path / "week.toml").write_text(text, encoding="utf-8")
    stage.protocol_id = await adopt_protocol(stage.db, load_protocol(str(tmp_path / "week.toml")), now=T0)
    return ids + [await lived(stage, f"W-{n:03}", START + timedelta(days=n), until, seed=20 + n) for n in range(3)]


async def test_pain_by_week_is_the_mean_of_weekly_means_with_and_without_tallies(stage: Stage, tmp_path):
    until = cairo("2026-12-20 15:00")
    ids = await two_protocols(stage, tmp_path, until)
    assert await agree(stage, ids, until) >= 3
    for hours in (30, 24 * 10, 24 * 20 + 7):
        await tally(stage.db, now=until - timedelta(hours=hours))
        for later in (0, 5, 24, 24 * 6):
            await agree(stage, ids, until + timedelta(hours=later))
        async with stage.db.write() as conn:  # what is older than a day is tallied anew only then
            await conn.exec_driver_sql("DELETE FROM tallied")


async def test_a_week_that_is_kept_is_not_read_again_while_another_of_the_same_patient_is_running(
    stage: Stage, tmp_path
):
    until = cairo("2026-12-03 15:00")
    ids = await two_protocols(stage, tmp_path, until)
    for hours in range(24 * 6, 24 * 9, 5):
        now = cairo("2026-11-24 00:00") + timedelta(hours=hours)
        await tally(stage.db, now=now)
        for later in (0, 10, 20):
            await agree(stage, ids, now + timedelta(hours=later))
        async with stage.db.write() as conn:
            await conn.exec_driver_sql("DELETE FROM tallied")


async def test_a_correction_a_pause_and_a_move_are_in_the_figures_at_once(stage: Stage):
    until = cairo("2026-12-20 15:00")
    ids = [await lived(stage, f"P-{n:03}", START + timedelta(days=2 * n), until, seed=n) for n in range(3)]
    await say(stage, ids[0], "pain 2026-12-20", scored(9), "2026-12-20 20:00")
    now = cairo("2026-12-22 13:00")
    await tally(stage.db, now=now)
    before = await trial(stage.db, None, now)
    await correct(stage, ids[0], "pain 2026-12-20", scored(0), "2026-12-22 13:00")
    await agree(stage, ids, now)
    assert await trial(stage.db, None, now) != before
    await tally(stage.db, now=now)
    status = {"status": PatientStatus.PAUSED, "reason": "ill", "actor": SYSTEM}
    await change_status(stage.db, patient_id=ids[0], now=now, **status)
    await move_phase(
        stage.db, code="P-001", phase="follow-up", start=date(2027, 2, 1), actor=SYSTEM, reason="ill", now=now
    )
    for days in (0, 3, 20):
        await agree(stage, ids, now + timedelta(days=days))


async def test_with_the_clock_set_back_no_tally_of_the_future_counts(stage: Stage, amina):
    await tally(stage.db, now=FRIDAY + timedelta(days=60))
    await agree(stage, [amina.id], FRIDAY)


async def test_a_week_counts_when_it_is_over_and_not_before(stage: Stage, amina):
    for day, score in ((27, 3), (28, 5), (29, 4), (30, 6)):
        await say(stage, amina.id, f"pain 2026-11-{day}", scored(score), f"2026-11-{day} 20:10")
    [course] = (await trial(stage.db, None, cairo("2026-12-01 11:59"))).courses
    assert course.weeks == ()
    [course] = (await trial(stage.db, None, cairo("2026-12-01 12:00"))).courses
    [week] = course.weeks
    assert (week.week, week.patients) == (1, Share(1, 1))


async def test_a_week_of_too_few_days_has_patients_who_were_asked_and_no_mean(stage: Stage, amina, elsewhere):
    [course] = (await trial(stage.db, None, cairo("2026-12-02 10:00"))).courses
    [week] = course.weeks  # Amina rated two of seven days, P-900 none
    assert (week.week, week.mean, week.interval, week.patients) == (1, None, None, Share(0, 2))


async def test_one_patient_alone_has_a_mean_and_no_interval(stage: Stage, amina):
    for day, score in ((27, 3), (28, 5)):
        await say(stage, amina.id, f"pain 2026-11-{day}", scored(score), f"2026-11-{day} 20:10")
    [course] = (await trial(stage.db, None, cairo("2026-12-02 10:00"))).courses
    [week] = course.weeks
    assert (week.mean, week.interval, week.patients) == (5.0, None, Share(1, 1))
    assert (course.item, course.name.in_language("ar")) == ("pain", "تقييم الألم")


async def test_completeness_is_adherence_by_week_figure_for_figure(stage: Stage, amina, elsewhere):
    now = FRIDAY + timedelta(days=12)
    for site, scope in ((None, None), ("main", None), (None, elsewhere)):
        told = await trial(stage.db, scope, now, site=site)
        rows = await adherence(stage.db, now=now, by=By.WEEK, site=site, scope=scope)
        assert told.weeks == tuple(row for row in rows if row.figures.expected) != ()


async def test_nobody_of_another_site_is_in_any_figure(stage: Stage, amina, elsewhere):
    now = cairo("2026-12-02 10:00")
    own, theirs = [await trial(stage.db, scope, now) for scope in (frozenset({1}), elsewhere)]
    assert [one.arrivals[-1].added for one in (own, theirs)] == [1, 1]
    assert [one.courses[0].weeks[0].patients.denominator for one in (own, theirs)] == [1, 1]
    assert await trial(stage.db, None, now, site="coast") == theirs


async def test_a_trial_without_patients_has_no_figure_and_a_scale(stage: Stage):
    told = await trial(stage.db, None, T0)
    assert (told.arrivals, told.weeks, told.scale, told.at_least) == ((), (), (0, 10), (4,))
    assert [(course.item, course.weeks) for course in told.courses] == [("pain", ())]


async def test_patients_count_from_the_day_it_was_at_their_site(stage: Stage):
    await stage.joined(now=at("2026-11-23 22:30"))
    await stage.add("P-002")
    told = await trial(stage.db, None, FRIDAY)
    assert told.arrivals == (Arrivals(date(2026, 11, 23), 2, 0), Arrivals(date(2026, 11, 24), 2, 1))


def test_arrivals_add_up_day_by_day_and_never_fall():
    came = [
        ("Africa/Cairo", at("2026-11-23 21:30"), at("2026-11-23 22:30")),  # joins after midnight in Cairo
        ("Asia/Tokyo", at("2026-11-23 21:30"), None),
        ("Africa/Cairo", at("2026-11-26 08:00"), at("2026-11-26 09:00")),
    ]
    assert arrivals(came) == (
        Arrivals(date(2026, 11, 23), 1, 0),
        Arrivals(date(2026, 11, 24), 2, 1),
        Arrivals(date(2026, 11, 26), 3, 2),
    )


def test_students_t_is_that_of_the_tables():
    for freedom in (*range(1, 60), 100, 1000, 10_000):
        assert t_of(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-4)
