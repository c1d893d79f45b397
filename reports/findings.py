"""The trial's tables by arm, in the order of a paper; each says by what it tests."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from protocol.model import Measure, Visit
from reports.analysis import Trial, called, followed, named, pain_of, visits_of
from reports.comparison import adjusted, mean_of, shares, welch, within
from reports.definitions import MODERATE, SUBSTANTIAL, Share, reduction
from reports.exported import Exported
from reports.missing import missing_slots, missing_visits, patients
from reports.paper import Cell, Section

_BANDS: Final = (MODERATE, SUBSTANTIAL)


def sections(export: Exported, trial: Trial) -> list[Section]:
    """Every table."""
    return [
        patients(trial),
        *(means(trial, measure) for measure in followed(trial.protocol)),
        changes(trial),
        *responders(trial),
        adherence(export, trial),
        missing_visits(trial),
        missing_slots(export, trial),
    ]


def _against(trial: Trial) -> list[str]:
    return [f"{arm} - {trial.reference}" for arm in trial.others]


def means(trial: Trial, measure: Measure) -> Section:
    """A measure at each visit, by arm, and how the arms differ."""
    columns = [text for against in _against(trial) for text in (against, f"{against}, adjusted")]
    return Section(
        named(measure),
        "Mean (SD), number of patients; difference of means (95 % CI) and p by Welch's t test; adjusted for the "
        "value before treatment by analysis of covariance, of patients with both values. Nothing is tested before "
        "treatment, where arms differ by chance alone.",
        ("Visit", *trial.arms, *columns),
        [_mean_row(trial, measure, visit) for visit in visits_of(trial.protocol, measure)],
    )


def _mean_row(trial: Trial, measure: Measure, visit: Visit) -> tuple[Cell, ...]:
    samples = {arm: trial.sample(arm, visit, measure) for arm in trial.arms}
    row: list[Cell] = [called(visit), *map(mean_of, samples.values())]
    for arm in trial.others:
        found = welch(samples[trial.reference], samples[arm])
        if visit is trial.before:
            row += [found.untested, None]
        else:
            pairs = [trial.pairs(one, visit, measure) for one in (trial.reference, arm)]
            row += [found, adjusted(*pairs)]
    return tuple(row)


def changes(trial: Trial) -> Section:
    """How far each arm came by the last visit."""
    rows: list[tuple[Cell, ...]] = []
    for measure in followed(trial.protocol):
        last = visits_of(trial.protocol, measure)[-1]
        for arm in trial.arms:
            pairs = trial.pairs(arm, last, measure)
            before, after = [early for early, _ in pairs], [late for _, late in pairs]
            values = (mean_of(before), mean_of(after), within(before, after))
            rows.append((named(measure), called(last), arm, *values))
    return Section(
        "Change from before treatment to the last visit",
        "Mean (SD), number of patients with both values; mean change (95 % CI) and p by the paired t test. A "
        "change within an arm is not by itself an effect of the treatment.",
        ("Measure", "At", "Arm", "Before", "Then", "Change"),
        rows,
    )


def responders(trial: Trial) -> Iterator[Section]:
    """Whose pain fell far enough to matter; nothing where pain is not measured before and after."""
    pain = pain_of(trial.protocol)
    visits = visits_of(trial.protocol, pain) if pain else []
    if pain is None or trial.before not in visits or len(visits) < 2:  # noqa: PLR2004 - before and after
        return
    rows = [_responder_row(trial, pain, visit, least) for visit in visits[1:] for least in _BANDS]
    yield Section(
        "Responders",
        "n/N (%): patients whose pain fell by at least 30 % (moderate) or 50 % (substantial; Dworkin, J Pain "
        "2008;9:105), of those with both values; pain of 0 before treatment has no percentage, and is counted in a "
        "row of its own. Difference in percentage points with 95 % CI by Newcombe's hybrid score, p by Fisher's "
        "exact test.",
        ("Visit", "Fall of pain", *trial.arms, *_against(trial)),
        [*rows, _painless_row(trial, pain)],
    )


def _responder_row(trial: Trial, pain: Measure, visit: Visit, least: int) -> tuple[Cell, ...]:
    found = {arm: _fell(trial.pairs(arm, visit, pain), least) for arm in trial.arms}
    differences = (shares(found[trial.reference], found[arm]).in_points for arm in trial.others)
    return called(visit), f"at least {least} %", *found.values(), *differences


def _fell(pairs: Sequence[tuple[float, float]], least: int) -> Share:
    known = [fell for before, after in pairs if (fell := reduction(before, after)) is not None]
    return Share(sum(fell >= least for fell in known), len(known))


def _painless_row(trial: Trial, pain: Measure) -> tuple[Cell, ...]:
    samples = (trial.sample(arm, trial.before, pain) for arm in trial.arms)
    painless = (Share(sample.count(0), len(sample)) for sample in samples)
    return called(trial.before), "none: pain was 0", *painless, *[None] * len(trial.others)


def adherence(export: Exported, trial: Trial) -> Section:
    """What was answered and which doses were said to be taken, of the arm's slots and of each patient's."""
    arm_of = trial.arm_of()
    found: dict[tuple[str, str], dict[str, list[Share]]] = defaultdict(lambda: {arm: [] for arm in trial.arms})
    for row in export.rows("adherence"):
        if row["subject"] in arm_of:
            arm = arm_of[row["subject"]]
            answered = Share(int(row["on_time"]) + int(row["late"]), int(row["expected"]))
            found[row["item"], "answered"][arm].append(answered)
            if row["item_kind"] == "dose":
                found[row["item"], "said to be taken"][arm].append(Share(int(row["taken"]), int(row["doses"])))
    rows: list[tuple[Cell, ...]] = [
        (*key, *map(_together, by_arm.values()), *(mean_of(_rates(of_each)) for of_each in by_arm.values()))
        for key, by_arm in found.items()
    ]
    return Section(
        "Adherence",
        "n/N (%): of all of the arm's slots that have run their course (on time, late or missed; excused and "
        "cancelled ones are in neither number). By patient: mean (SD) of the patients' own rates in per cent, and "
        "the number of patients with such slots.",
        ("Item", "What", *trial.arms, *(f"{arm}, by patient" for arm in trial.arms)),
        rows,
    )


def _together(of_each: Sequence[Share]) -> Share:
    return Share(sum(one.numerator for one in of_each), sum(one.denominator for one in of_each))


def _rates(of_each: Sequence[Share]) -> list[float]:
    return [100 * one.rate for one in of_each if one.rate is not None]
