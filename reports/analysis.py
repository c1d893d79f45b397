"""The trial's tables by arm, away from the server: an export joined with an allocation list.

Everything is by intention to treat, of what was observed: nothing is imputed, and what is missing is counted by its
reason. The first arm by name is what the others are compared with.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from protocol.errors import DaybookError
from protocol.model import Measure, Protocol, Visit
from reports.comparison import Difference, adjusted, mean_of, shares, welch, within
from reports.definitions import MODERATE, SUBSTANTIAL, Share, reduction
from reports.exported import Exported, Row
from reports.paper import Section, count, figure, interval, p_value, per_cent, spread
from reports.randomisation import Allocation


@dataclass(frozen=True, slots=True)
class Trial:
    """What is analysed: each arm's subjects, and every value that holds by subject, visit and measure."""

    protocol: Protocol
    cut_off: date
    arms: dict[str, list[Row]]
    left_out: dict[str, int]  # by arm, patients whose diary is no longer used
    unused: int
    values: dict[tuple[str, str, str], float]
    forms: frozenset[tuple[str, str]]

    def sample(self, arm: str, visit: str, measure: str) -> list[float]:
        """The values of an arm at a visit."""
        found = (self.values.get((row["subject"], visit, measure)) for row in self.arms[arm])
        return [value for value in found if value is not None]

    def pairs(self, arm: str, visit: str, measure: str) -> list[tuple[float, float]]:
        """The values before treatment and at a visit, of those who have both."""
        first = self.protocol.visit[0].id
        both = (
            (self.values.get((row["subject"], first, measure)), self.values.get((row["subject"], visit, measure)))
            for row in self.arms[arm]
        )
        return [(before, after) for before, after in both if before is not None and after is not None]

    @property
    def others(self) -> list[str]:
        """The arms that are compared with the first."""
        return list(self.arms)[1:]

    @property
    def reference(self) -> str:
        """The arm the others are compared with."""
        return next(iter(self.arms))


def joined(export: Exported, allocation: Allocation) -> Trial:
    """Join the arm; DaybookError names subjects that are on one side only."""
    subjects = list(export.rows("subjects"))
    export.refuse_other_versions(subjects)
    known = {row["subject"]: row for row in subjects}
    _refuse("the allocation list has", sorted(set(allocation.arms) - set(known)), "that the export does not know")
    took_part = [code for code, row in known.items() if row["joined_utc"]]
    _refuse("the export has", sorted(set(took_part) - set(allocation.arms)), "who are not on the allocation list")
    used = {code: arm for code, arm in allocation.arms.items() if not known[code]["use_stopped_utc"]}
    rows = [row for row in export.rows("visits") if row["holds"] == "yes" and row["subject"] in used]
    return Trial(
        protocol=export.protocol,
        cut_off=export.cut_off,
        arms={arm: [known[code] for code in sorted(used) if used[code] == arm] for arm in allocation.names},
        left_out=Counter(arm for code, arm in allocation.arms.items() if code not in used),
        unused=allocation.unused,
        values={
            (row["subject"], row["visit"], row["measure"]): float(row["value"]) for row in rows if row["value"]
        },
        forms=frozenset((row["subject"], row["visit"]) for row in rows),
    )


def _refuse(whose: str, codes: Sequence[str], what: str) -> None:
    if codes:
        shown = ", ".join(codes[:5]) + (f" and {len(codes) - 5} more" if len(codes) > 5 else "")  # noqa: PLR2004
        raise DaybookError(f"{whose[0].upper()}{whose[1:]} {shown} {what}; nothing was analysed. Mend the list.")


def sections(export: Exported, trial: Trial) -> list[Section]:
    """Every table, in the order of a paper."""
    return [
        _patients(trial),
        *(_means(trial, measure) for measure in _measured(trial)),
        _changes(trial),
        *_responders(trial),
        _adherence(export, trial),
        _missing_visits(trial),
        _missing_slots(export, trial),
    ]


def pain_of(protocol: Protocol) -> Measure | None:
    """The measure that is on the trial's own scale of pain."""
    scale = (protocol.trial.nrs.min, protocol.trial.nrs.max)
    return next((measure for measure in protocol.measure if measure.range == scale), None)


def visits_of(protocol: Protocol, measure: str) -> list[Visit]:
    """The visits at which something is measured, in their order."""
    return [visit for visit in protocol.visit if measure in visit.measures]


def _measured(trial: Trial) -> list[Measure]:
    """Pain first, then the others in the protocol's order; those taken once have no course."""
    pain = pain_of(trial.protocol)
    followed = [one for one in trial.protocol.measure if len(visits_of(trial.protocol, one.id)) > 1]
    return sorted(followed, key=lambda one: one is not pain)


def _named(measure: Measure) -> str:
    return f"{measure.name.in_language('en')}{f', {measure.unit}' if measure.unit else ''}"


def _patients(trial: Trial) -> Section:
    steps = {
        "Randomised": [len(rows) + trial.left_out.get(arm, 0) for arm, rows in trial.arms.items()],
        "Agreed to take part": [sum(bool(row["joined_utc"]) for row in rows) for rows in trial.arms.values()],
        "Withdrawn": [sum(bool(row["withdrawn_utc"]) for row in rows) for rows in trial.arms.values()],
        "Diary no longer used": [trial.left_out.get(arm, 0) for arm in trial.arms],
        "In these tables": [len(rows) for rows in trial.arms.values()],
    }
    return Section(
        "Patients",
        f"Kits not handed out: {trial.unused}. Of patients who stopped the use of their diary nothing but their "
        "number is here.",
        ("", *trial.arms),
        [(step, *map(str, numbers)) for step, numbers in steps.items()],
    )


def _means(trial: Trial, measure: Measure) -> Section:
    head = ["Visit", *(f"{arm}: mean (SD), n" for arm in trial.arms)]
    for arm in trial.others:
        against = f"{arm} - {trial.reference}"
        head += [f"{against}: difference (95 % CI)", "p", "adjusted difference (95 % CI)", "p adjusted"]
    visits = visits_of(trial.protocol, measure.id)
    return Section(
        _named(measure),
        "p by Welch's t test; adjusted for the value before treatment by analysis of covariance. Before treatment "
        "nothing is tested: there, differences are chance by design.",
        tuple(head),
        [_mean_row(trial, measure.id, visit, before=visit is visits[0]) for visit in visits],
    )


def _mean_row(trial: Trial, measure: str, visit: Visit, *, before: bool) -> tuple[str, ...]:
    samples = {arm: trial.sample(arm, visit.id, measure) for arm in trial.arms}
    row = [visit.name.in_language("en"), *(spread(mean_of(sample)) for sample in samples.values())]
    for arm in trial.others:
        found = welch(samples[trial.reference], samples[arm])
        if before:
            row += [figure(found.value), "", "", ""]
            continue
        row += [interval(found), p_value(found.p)]
        even = adjusted(trial.pairs(trial.reference, visit.id, measure), trial.pairs(arm, visit.id, measure))
        row += [interval(even), p_value(even.p)]
    return tuple(row)


def _changes(trial: Trial) -> Section:
    rows = []
    for measure in _measured(trial):
        last = visits_of(trial.protocol, measure.id)[-1]
        for arm in trial.arms:
            pairs = trial.pairs(arm, last.id, measure.id)
            before, after = [early for early, _ in pairs], [late for _, late in pairs]
            change = within(before, after)
            rows.append(
                (
                    _named(measure),
                    last.name.in_language("en"),
                    arm,
                    spread(mean_of(before)),
                    spread(mean_of(after)),
                    interval(change),
                    p_value(change.p),
                )
            )
    head = ("Measure", "At", "Arm", "before: mean (SD), n", "then: mean (SD), n", "change (95 % CI)", "p")
    note = "Of patients with both values; p by the paired t test. A change within an arm is no effect of it."
    return Section("Change from before treatment to the last visit", note, head, rows)


def _responders(trial: Trial) -> Iterator[Section]:
    pain = pain_of(trial.protocol)
    if pain is None or len(visits_of(trial.protocol, pain.id)) < 2:  # noqa: PLR2004 - before and after
        return
    head = ["Visit", "Fall of pain", *(f"{arm}: n/N (%)" for arm in trial.arms), *_compared(trial)]
    rows = [
        _responder_row(trial, pain.id, visit, least)
        for visit in visits_of(trial.protocol, pain.id)[1:]
        for least in (MODERATE, SUBSTANTIAL)
    ]
    yield Section(
        "Responders",
        "Patients whose pain fell by at least 30 % (moderate) and 50 % (substantial; Dworkin, J Pain 2008;9:105), "
        "of those with both values and pain before treatment. p by Fisher's exact test, interval by Newcombe's "
        "hybrid score.",
        tuple(head),
        rows,
    )


def _compared(trial: Trial) -> list[str]:
    return [
        text for arm in trial.others for text in (f"{arm} - {trial.reference}: points (95 % CI)", "p")
    ]  # percentage points


def _responder_row(trial: Trial, pain: str, visit: Visit, least: int) -> tuple[str, ...]:
    found = {arm: _fell(trial.pairs(arm, visit.id, pain), least) for arm in trial.arms}
    row = [visit.name.in_language("en"), f"at least {least} %", *(per_cent(share) for share in found.values())]
    for arm in trial.others:
        difference = shares(found[trial.reference], found[arm])
        row += [interval(difference, scale=100), p_value(difference.p)]
    return tuple(row)


def _fell(pairs: Sequence[tuple[float, float]], least: int) -> Share:
    known = [fell for before, after in pairs if (fell := reduction(before, after)) is not None]
    return Share(sum(fell >= least for fell in known), len(known))


def _adherence(export: Exported, trial: Trial) -> Section:
    arm_of = {row["subject"]: arm for arm, rows in trial.arms.items() for row in rows}
    found: dict[tuple[str, str], dict[str, list[Share]]] = defaultdict(lambda: {arm: [] for arm in trial.arms})
    for row in export.rows("adherence"):
        if row["subject"] in arm_of:
            of_arm = arm_of[row["subject"]]
            answered = Share(int(row["on_time"]) + int(row["late"]), int(row["expected"]))
            found[row["item"], "answered"][of_arm].append(answered)
            if row["item_kind"] == "dose":
                found[row["item"], "said to be taken"][of_arm].append(Share(int(row["taken"]), int(row["doses"])))
    head = ("Item", "What", *(f"{arm}: n/N (%), mean of patients (SD), n" for arm in trial.arms))
    return Section(
        "Adherence",
        "Of all slots of the arm that have run their course; and the mean of the patients' own rates.",
        head,
        [(*key, *(_rates(of_each) for of_each in by_arm.values())) for key, by_arm in found.items()],
    )


def _rates(of_each: Sequence[Share]) -> str:
    whole = Share(sum(one.numerator for one in of_each), sum(one.denominator for one in of_each))
    rates = [100 * one.rate for one in of_each if one.rate is not None]
    return f"{per_cent(whole)}; {spread(mean_of(rates))}"


def _missing_visits(trial: Trial) -> Section:
    rows: list[tuple[str, ...]] = []
    for visit in trial.protocol.visit:
        reasons = {arm: Counter(_why(trial, row, visit) for row in found) for arm, found in trial.arms.items()}
        for reason in dict.fromkeys(why for counted in reasons.values() for why in sorted(counted)):
            numbers = (count(reasons[arm][reason], len(trial.arms[arm])) for arm in trial.arms)
            rows.append((visit.name.in_language("en"), reason, *numbers))
    note = "Whether a visit is due is told by the planned day, counted from the patient's own first day."
    return Section("Visits held and missing, by reason", note, ("Visit", "What became of it", *trial.arms), rows)


def _why(trial: Trial, row: Row, visit: Visit) -> str:
    """What became of a visit of a patient."""
    due = date.fromisoformat(row["first_day"]) + timedelta(days=visit.day)
    if (row["subject"], visit.id) in trial.forms:
        missing = [one for one in visit.measures if (row["subject"], visit.id, one) not in trial.values]
        return "held, not all measured" if missing else "held"
    if not row["joined_utc"]:
        return "never agreed to take part"
    if row["withdrawn_local"] and date.fromisoformat(row["withdrawn_local"][:10]) <= due:
        return "withdrawn before"
    return "not due yet" if due > trial.cut_off else "not held"


def _missing_slots(export: Exported, trial: Trial) -> Section:
    arm_of = {row["subject"]: arm for arm, rows in trial.arms.items() for row in rows}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in export.rows("slots"):
        if row["subject"] in arm_of:
            found[_what_became(row)][arm_of[row["subject"]]] += 1
    whole: Counter[str] = sum(found.values(), start=Counter())
    rows = [
        (what, *(count(by_arm[arm], whole[arm]) for arm in trial.arms)) for what, by_arm in sorted(found.items())
    ]
    note = "Every slot that was planned, by what became of it; n/N (%) of the arm's."
    return Section("Diary entries and missing ones, by reason", note, ("What became of it", *trial.arms), rows)


def _what_became(row: Row) -> str:
    reason = {"excused": row["excused_because"], "cancelled": row["cancelled_because"]}.get(row["state"])
    return f"{row['state']}: {reason}" if reason else row["state"]


__all__ = ["Difference", "Trial", "joined", "pain_of", "sections", "visits_of"]
