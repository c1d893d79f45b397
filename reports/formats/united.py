"""One protocol of several versions, so that whatever a patient was asked has its definition and its code.

The newest version says what a thing is; what only an earlier version has is taken over from there.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from protocol.model import Item, Measure, Phase, Protocol, Reason, Visit
from protocol.values import Text

_Part = TypeVar("_Part", Phase, Item, Visit, Measure, Reason)


def united(newest: Protocol, earlier: Iterable[Protocol]) -> Protocol:
    """The newest version with what only earlier ones have, each part after those there are already."""
    whole = newest
    for older in earlier:
        whole = whole.model_copy(
            update={
                "phase": _with_added(_with_items(whole.phase, older), older.phase),
                "visit": _with_added(_with_measures(whole.visit, older), older.visit),
                "measure": _with_added(whole.measure, older.measure),
                "reason": _with_added(whole.reason, older.reason),
            }
        )
    return whole


def items_of(protocol: Protocol) -> dict[str, Item]:
    """Each item once, by id: as the first phase that has it says, with the reasons that any phase offers."""
    items: dict[str, Item] = {}
    for phase in protocol.phase:
        for item in phase.item:
            items[item.id] = _with_reasons(items.get(item.id, item), item.skip_reasons)
    return items


def in_english(words: Text) -> str:
    """The words in English, which the standards of the authorities are written in, or in the first language."""
    return words.in_language("en")


def _with_added(parts: Sequence[_Part], others: Sequence[_Part]) -> list[_Part]:
    known = {part.id for part in parts}
    added = list(parts)
    added.extend(other for other in others if other.id not in known)
    return added


def _with_items(phases: Sequence[Phase], older: Protocol) -> list[Phase]:
    items = {phase.id: phase.item for phase in older.phase}
    reasons = {(phase.id, item.id): item.skip_reasons for phase, item in older.items()}
    return [
        phase.model_copy(
            update={
                "item": [
                    _with_reasons(item, reasons.get((phase.id, item.id), []))
                    for item in _with_added(phase.item, items.get(phase.id, []))
                ]
            }
        )
        for phase in phases
    ]


def _with_reasons(item: Item, reasons: Sequence[str]) -> Item:
    return item.model_copy(update={"skip_reasons": list(dict.fromkeys([*item.skip_reasons, *reasons]))})


def _with_measures(visits: Sequence[Visit], older: Protocol) -> list[Visit]:
    measures = {visit.id: visit.measures for visit in older.visit}
    return [
        visit.model_copy(update={"measures": list(dict.fromkeys([*visit.measures, *measures.get(visit.id, [])]))})
        for visit in visits
    ]
