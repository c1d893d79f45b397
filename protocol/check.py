"""What a reader of the protocol would stumble over: overlaps, nudges at the wrong time, missing words."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta

from protocol.model import Item, Measure, Protocol, in_quiet_hours
from protocol.values import Text, format_duration, format_wall

_DAY = timedelta(days=1)
_ANY_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - arithmetic on wall times of one nominal day


def faults(protocol: Protocol) -> tuple[str, ...]:
    """All findings, each a line that names the key and the mend; none means that the protocol can be used."""
    return (
        *_doubled_names(protocol),
        *_doubled_codes(protocol),
        *_unknown_names(protocol),
        *_missing_translations(protocol),
        *_overlaps(protocol),
        *_nudges(protocol),
        *_chosen_times(protocol),
    )


def _doubled_names(protocol: Protocol) -> Iterator[str]:
    groups: dict[str, Iterable[str]] = {
        "phase": (phase.id for phase in protocol.phase),
        "visit": (visit.id for visit in protocol.visit),
        "measure": (measure.id for measure in protocol.measure),
        "reason": (reason.id for reason in protocol.reason),
        "alert": (alert.kind for alert in protocol.alert),
        **{f"phase.{phase.id}.item": (item.id for item in phase.item) for phase in protocol.phase},
    }
    for place, names in groups.items():
        for name, count in Counter(names).items():
            if count > 1:
                yield f"{place}: {name} is there {count} times; give each its own id"
    kinds: dict[str, str] = {}
    for phase, item in protocol.items():
        if kinds.setdefault(item.id, item.kind) != item.kind:
            yield f"{_place(phase.id, item)}.kind: another phase has {item.id} as a {kinds[item.id]}; rename one"


def _doubled_codes(protocol: Protocol) -> Iterator[str]:
    """A code is one item's, in all its phases, or one measure's."""
    codes: dict[str, str] = {}
    owners: dict[str, str] = {}
    written = [(f"{_place(phase.id, item)}.code", f"item {item.id}", item.code) for phase, item in protocol.items()]
    written += [(f"measure.{one.id}.code", f"measure {one.id}", one.code) for one in protocol.measure]
    for place, owner, code in written:
        if code is None:
            continue
        if owners.setdefault(code, owner) != owner:
            yield f"{place}: {code} is the code of {owners[code]} already; give each its own"
        elif codes.setdefault(owner, code) != code:
            yield f"{place}: another phase has {codes[owner]} for {owner}; write the same"


def _unknown_names(protocol: Protocol) -> Iterator[str]:
    reasons = {reason.id for reason in protocol.reason}
    visits = {visit.id for visit in protocol.visit}
    measures = {measure.id for measure in protocol.measure}
    for phase, item in protocol.items():
        for name in set(item.skip_reasons) - reasons:
            yield f"{_place(phase.id, item)}.skip_reasons: {name} has no [[reason]]; add one with its words"
        for name in set(item.daily_before.visits if item.daily_before else ()) - visits:
            yield f"{_place(phase.id, item)}.daily_before: there is no visit {name}; name one of the [[visit]]s"
    for visit in protocol.visit:
        for name in set(visit.measures) - measures:
            yield f"visit.{visit.id}.measures: {name} has no [[measure]]; add one with its range"
        if visit.day > protocol.days:
            yield f"visit.{visit.id}.day: {visit.day} is after the end of the last phase, day {protocol.days}"
    for measure in protocol.measure:
        if measure.require and measure.require.at not in visits:
            yield f"measure.{measure.id}.require.at: there is no visit {measure.require.at}"
        yield from _counts(protocol, measure)


def _counts(protocol: Protocol, measure: Measure) -> Iterator[str]:
    """What is returned must be doses of the trial, and no more than was handed out."""
    if measure.counts is None:
        return
    place = f"measure.{measure.id}.counts"
    kinds = {item.id: item.kind for _, item in protocol.items()}
    if measure.counts.item not in kinds:
        yield f"{place}.item: there is no item {measure.counts.item}; name one of the doses"
    elif kinds[measure.counts.item] != "dose":
        yield f"{place}.item: {measure.counts.item} is a {kinds[measure.counts.item]}; only doses can be counted"
    if measure.range[1] > measure.counts.dispensed:
        yield f"{place}.dispensed: {measure.range[1]:g} in range could come back, more than were handed out"


def _missing_translations(protocol: Protocol) -> Iterator[str]:
    for place, text in _texts(protocol):
        for language in protocol.trial.languages:
            if not text.root.get(language, "").strip():
                yield f'{place}: has no words in {language}; add {language} = "..."'
        for language in set(text.root) - set(protocol.trial.languages):
            yield f"{place}: has words in {language}, which trial.languages does not name"


def _texts(protocol: Protocol) -> Iterator[tuple[str, Text]]:
    trial = protocol.trial
    yield "trial.emergency", trial.emergency
    yield "trial.consent", trial.consent
    yield "trial.privacy", trial.privacy
    if any(item.kind == "rating" for _, item in protocol.items()):
        yield "trial.nrs.low", trial.nrs.low
        yield "trial.nrs.high", trial.nrs.high
    for phase in protocol.phase:
        yield f"phase.{phase.id}.name", phase.name
    for phase, item in protocol.items():
        yield f"{_place(phase.id, item)}.name", item.name
        yield f"{_place(phase.id, item)}.prompt", item.prompt
    for group, parts in (
        ("visit", protocol.visit),
        ("measure", protocol.measure),
        ("reason", protocol.reason),
    ):
        for part in parts:
            yield f"{group}.{part.id}.name", part.name


def _overlaps(protocol: Protocol) -> Iterator[str]:
    for phase, item in protocol.items():
        gap = _shortest_gap(item)
        if item.late + item.early > gap:
            yield (
                f"{_place(phase.id, item)}.late: a window of {format_duration(item.late + item.early)} runs into "
                f"the next one, {format_duration(gap)} later; make late or early shorter"
            )
        if item.min_gap and item.min_gap > gap:
            yield f"{_place(phase.id, item)}.min_gap: is longer than the {format_duration(gap)} between two doses"


def _shortest_gap(item: Item) -> timedelta:
    """The least time between two slots of one item, also on the day a patient moves it."""
    dues = [_on_day(wall) for wall in item.at]
    gaps = [later - earlier for earlier, later in zip(dues, [*dues[1:], dues[0] + _DAY], strict=True)]
    if item.patient_may_choose:
        earliest, latest = map(_on_day, item.patient_may_choose)
        gaps.append(earliest + _DAY - latest)
    return min(gaps)


def _nudges(protocol: Protocol) -> Iterator[str]:
    for phase, item in protocol.items():
        place = _place(phase.id, item)
        for delay in item.nudge_after:
            if delay >= item.late:
                yield f"{place}.nudge_after: {format_duration(delay)} comes after the window; make it shorter"
        for wall in item.at:
            for delay in (timedelta(), *item.nudge_after):
                at = (_on_day(wall) + delay).time()
                if in_quiet_hours(at, protocol.trial.quiet_hours):
                    key = "nudge_after" if delay else "at"
                    yield f"{place}.{key}: a message at {format_wall(at)} falls into the quiet hours; move it"


def _chosen_times(protocol: Protocol) -> Iterator[str]:
    choices: dict[str, tuple[time, time]] = {}
    for phase, item in protocol.items():
        if item.patient_may_choose is None:
            continue
        place = f"{_place(phase.id, item)}.patient_may_choose"
        earliest, latest = item.patient_may_choose
        if not earliest <= item.at[0] <= latest:
            yield f"{place}: does not hold the time in at, {format_wall(item.at[0])}"
        for wall in (earliest, latest):
            if in_quiet_hours(wall, protocol.trial.quiet_hours):
                yield f"{place}: {format_wall(wall)} falls into the quiet hours; narrow the range"
        if choices.setdefault(item.id, (earliest, latest)) != (earliest, latest):
            yield f"{place}: another phase has another range for {item.id}; a patient chooses once, write the same"


def _place(phase_id: str, item: Item) -> str:
    return f"phase.{phase_id}.item.{item.id}"


def _on_day(wall: time) -> datetime:
    return datetime.combine(_ANY_DAY, wall)
