"""Who and what is missing, by arm and by its reason: patients on their way, visits, and slots of the diary."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from protocol.model import Visit
from reports.analysis import Person, Trial, called
from reports.definitions import Share
from reports.exported import Exported, Row
from reports.paper import Cell, Section
from storage.states import SlotState

_HELD: Final = "held"
_NEVER, _WITHDRAWN, _STILL, _COMPLETED = _WAYS = (
    "never agreed to take part", "withdrawn", "still taking part", "completed",
)  # fmt: skip
_STATES: Final = [state.value for state in SlotState]


def patients(trial: Trial) -> Section:
    """How the patients of each arm went through the trial, for a CONSORT diagram."""
    found = {arm: Counter(_stands(trial, person) for person in persons) for arm, persons in trial.arms.items()}
    rows: list[tuple[Cell, ...]] = [
        ("randomised", *(len(persons) + trial.left_out.get(arm, 0) for arm, persons in trial.arms.items())),
        ("diary no longer used", *(trial.left_out.get(arm, 0) for arm in trial.arms)),
        ("in these tables", *map(len, trial.arms.values())),
    ]
    rows += [(f"of these: {way}", *(of_arm[way] for of_arm in found.values())) for way in _WAYS]
    return Section(
        "Patients",
        f"Kits not handed out: {trial.unused}. Of patients who stopped the use of their diary nothing but their "
        "number is told. Completed: still in the study when the last day of the trial as planned was over.",
        ("Number of patients", *trial.arms),
        rows,
    )


def _stands(trial: Trial, person: Person) -> str:
    end = person.first_day + timedelta(days=trial.protocol.days)
    if not person.agreed:
        return _NEVER
    if person.left_before(end):
        return _WITHDRAWN
    return _COMPLETED if end <= trial.cut_off else _STILL


def missing_visits(trial: Trial) -> Section:
    """What became of each visit."""
    rows: list[tuple[Cell, ...]] = []
    for visit in trial.protocol.visit:
        found = {
            arm: Counter(why for person in persons for why in _became_of(trial, person, visit))
            for arm, persons in trial.arms.items()
        }
        reasons = sorted({why for of_arm in found.values() for why in of_arm}, key=_held_first)
        rows += [
            (called(visit), why, *(Share(found[arm][why], len(trial.arms[arm])) for arm in trial.arms))
            for why in reasons
        ]
    return Section(
        "Visits held and missing, by reason",
        "n/N (%) of the arm's patients. A visit that was held stands once more for each measure that was not "
        "taken. Its day is the planned one, counted from the patient's own first day.",
        ("Visit", "What became of it", *trial.arms),
        rows,
    )


def _held_first(why: str) -> tuple[bool, str]:
    return not why.startswith(_HELD), why


def _became_of(trial: Trial, person: Person, visit: Visit) -> Iterator[str]:
    if (person.code, visit.id) not in trial.forms:
        yield _why_not_held(trial, person, visit)
        return
    yield _HELD
    for measure in map(trial.protocol.measure_of, visit.measures):
        if (person.code, visit.id, measure.id) not in trial.values:
            yield f"{_HELD}, {measure.name.in_language('en')} not measured"


def _why_not_held(trial: Trial, person: Person, visit: Visit) -> str:
    planned = person.planned(visit)
    if not person.agreed:
        return _NEVER
    if person.left_before(planned + timedelta(days=1)):
        return "withdrawn before"
    return "not held" if planned < trial.cut_off else "not due yet"


def missing_slots(export: Exported, trial: Trial) -> Section:
    """What became of each slot of the diary."""
    arm_of = trial.arm_of()
    found: dict[str, dict[tuple[str, str], Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for row in export.rows("slots"):
        if row["subject"] in arm_of:
            found[row["item"]][row["state"], _reason(row)][arm_of[row["subject"]]] += 1
    rows: list[tuple[Cell, ...]] = []
    for item, of_item in found.items():
        whole: Counter[str] = sum(of_item.values(), start=Counter())
        for state, reason in sorted(of_item, key=lambda key: (_STATES.index(key[0]), key[1])):
            counts = of_item[state, reason]
            became = f"{state}: {reason}" if reason else state
            rows.append((item, became, *(Share(counts[arm], whole[arm]) for arm in trial.arms)))
    return Section(
        "Diary entries and missing ones, by reason",
        "n/N (%) of all slots that were planned for the arm's patients.",
        ("Item", "What became of it", *trial.arms),
        rows,
    )


def _reason(row: Row) -> str:
    return {"excused": row["excused_because"], "cancelled": row["cancelled_because"]}.get(row["state"], "")
