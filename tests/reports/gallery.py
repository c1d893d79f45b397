"""A picture of every kind, empty, short and long, in every language: what all must hold to is asked of each."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

from protocol.load import load_protocol
from reports.adherence import AdherenceRow
from reports.definitions import Figures, Share
from reports.heatmap import heatmap_picture, worst_first
from reports.history import history_picture, small_line
from reports.marks import Picture
from reports.patient import DiaryLine, History, Stretch, history_between
from reports.sheet import DESK
from reports.site import Grid, GridRow
from reports.trial import Arrivals, Course, PainWeek, Trial
from reports.trial_pictures import trial_picture
from storage.records import Entry, Slot
from storage.states import SlotState
from tests.cast import START, cairo

TRIAL, WEEK = load_protocol("magnesium-clbp").protocol, load_protocol("postop-week").protocol
STARTS = {"iv": START, "oral": START + timedelta(days=14), "follow-up": START + timedelta(days=42)}
LANGUAGES = ("en", "ar")
# What `line` may be told of a slot, with its state: a score or a dose's answer, or none.
STATES = (
    SlotState.ON_TIME,
    SlotState.ON_TIME,
    SlotState.ON_TIME,
    SlotState.LATE,
    SlotState.MISSED,
    SlotState.EXCUSED,
)


def line(
    item: str, kind: str, day: date, state: SlotState, said: int | str | None = None, *, n: int = 0
) -> DiaryLine:
    """A slot of a day, and what was said."""
    at: datetime = cairo(f"{day} {9 + 6 * n:02}:00")
    slot = Slot(
        id=hash((item, day, n)), patient_id=1, protocol_id=1, phase="iv", item=item, kind=kind, local_date=day, n=n,
        zone="Africa/Cairo", utc_offset_minutes=120, opens_at=at, due_at=at, on_time_until=at, closes_at=at,
        label=None, next_nudge_at=None, nudges=0, prompted_at=None, answered_by=None, answered_as=None,
        excused_because=None, cancelled_because=None, state=state,
    )  # fmt: skip
    if said is None:
        return DiaryLine(slot, None)
    score = said if isinstance(said, int) else None
    entry = Entry(
        id=1, patient_id=1, slot_id=slot.id, answer="score" if score is not None else str(said), score=score,
        skip_reason=None, kind=state, source="button", arrival=None, due_at=at, prompted_at=None, said_at=None,
        received_at=at, recorded_at=at, local_date=day, zone="Africa/Cairo", utc_offset_minutes=120,
        supersedes=None, change_reason=None,
    )  # fmt: skip
    return DiaryLine(slot, entry)


def some_line(random: Random, item: str, kind: str, day: date, n: int = 0) -> DiaryLine:
    state = random.choice(STATES)
    if state in (SlotState.MISSED, SlotState.EXCUSED):
        return line(item, kind, day, state, n=n)
    said = random.randint(0, 10) if kind == "rating" else random.choice(("taken", "taken", "not-taken"))
    return line(item, kind, day, state, said, n=n)


def history(days: int, *, today: int | None = None, visits: tuple[Stretch, ...] = ()) -> History:
    """So many days of the long trial from its first on."""
    random, lines = Random(days), []
    for number in range(min(days, 182)):
        day = START + timedelta(days=number)
        lines.append(some_line(random, "pain", "rating", day))
        if number < 14:
            lines.append(some_line(random, "infusion", "dose", day))
        elif number < 42:
            lines += [some_line(random, "capsule", "dose", day, n) for n in range(2)]
    last = START + timedelta(days=days - 1)
    found = history_between(
        START, last, last if today is None else START + timedelta(days=today), lines, TRIAL, STARTS
    )
    return replace(found, visits=visits)


def of_an_operation() -> History:
    """Seven days with three ratings each, and a dose."""
    random, lines = Random(7), []
    for number in range(7):
        day = START + timedelta(days=number)
        lines += [some_line(random, "pain", "rating", day, n) for n in range(3)]
        lines.append(some_line(random, "tablet", "dose", day))
    last = START + timedelta(days=6)
    return history_between(START, last, last, lines, WEEK, {"week": START})


def clinic_days() -> tuple[Stretch, ...]:
    days = [(visit.name, START + timedelta(days=visit.day)) for visit in TRIAL.visit]
    return tuple(Stretch(name, on, on) for name, on in days)


def grid(patients: int, *, code: str = "P-{:03}", days: int = 28) -> Grid:
    """Patients with days of every kind."""
    random, shown = Random(patients), tuple(START + timedelta(days=day) for day in range(days))
    kinds = (
        Figures(on_time=3),
        Figures(on_time=2, late=1),
        Figures(on_time=1, missed=2),
        Figures(missed=3),
        Figures(excused=1),
    )
    rows = []
    for number in range(patients):
        row = {day: kinds[k] if k < len(kinds) else random.choice(kinds) for k, day in enumerate(shown[:-1])}
        rows.append(GridRow(code.format(number), row | {shown[-1]: Figures(open=2)}))
    return Grid(shown, tuple(rows))


def trial(weeks: int, patients: int) -> Trial:
    """A trial that has come to so many weeks."""
    random = Random(weeks)
    name = next(item.name for _, item in TRIAL.items() if item.id == "pain")
    counts = [(3 * n, n * patients // weeks, n * patients // (weeks + 1)) for n in range(1, weeks + 1)]
    arrivals = [Arrivals(START + timedelta(days=day), added, joined) for day, added, joined in counts]
    rows, course = [], []
    for week in range(1, weeks + 1):
        left = max(1, patients - patients * week // (weeks * 2))
        asked = left * (21 if week < 7 else 1)
        late, missed = 1 + asked // 12, asked // (9 if week % 2 else 5)
        rows.append(AdherenceRow({"week": week}, Figures(1 + asked - late - missed, late, missed)))
        mean = 7 - 4 * week / weeks + random.random()
        share = Share(left, left + week)
        course.append(PainWeek(week, share, mean, (mean - 20 / left, mean + 20 / left) if left > 1 else None))
    courses = (Course("pain", name, tuple(course)),)
    return Trial(START + timedelta(days=3 * weeks + 2), tuple(arrivals), tuple(rows), courses, (0, 10), (4,))


def nobody() -> Trial:
    return Trial(START, (), (), (), (0, 10), (4,))


def gallery(language: str) -> dict[str, Picture]:
    """Every picture, by a name that says which it is."""
    long_codes = grid(40, code="SITE-12-P-{:04}")
    return {
        "no history": history_picture(history_between(START, START, START, (), TRIAL, STARTS), language),
        "one day": history_picture(history(1), language),
        "two weeks": history_picture(history(14), language),
        "four weeks": history_picture(history(28), language),
        "a trial on a phone": history_picture(history(182, today=60), language),
        "a trial on a desk": history_picture(history(183, today=2, visits=clinic_days()), language, width=DESK),
        "an operation": history_picture(of_an_operation(), language),
        "no scores": small_line([None] * 14, language, scale=(0, 10), told="–"),
        "a small line": small_line([1, 5, None, 10], language, scale=(0, 10), told="1 5 – 10"),
        "nobody by days": heatmap_picture(grid(0), language),
        "one patient by days": heatmap_picture(grid(1), language),
        "long codes by days": heatmap_picture(long_codes, language),
        "many by days": heatmap_picture(grid(400), language),
        "the worst of many by days": heatmap_picture(worst_first(grid(400)), language, all_rows=400),
        "no trial": trial_picture(nobody(), language),
        "one week of a trial": trial_picture(trial(1, 1), language),
        "half a year": trial_picture(trial(26, 80), language),
        "two years": trial_picture(trial(104, 10_000), language),
    }
