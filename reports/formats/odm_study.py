"""What an ODM file says of the study: its visits and its diary as events, forms, items, code lists and units.

Every name is made of capital letters, digits and underscores, as OpenClinica and LibreClinica make theirs, so that
a study that is built there under the same names can take the data.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from protocol.codes import codes_of
from protocol.model import Item, Measure, Phase, Protocol, Visit
from protocol.values import Text
from reports.formats.markup import element, plain, translated
from reports.formats.united import in_english, items_of
from storage.states import SlotState

REPORTS: Final = "SE_REPORTS"
SIDE_EFFECT: Final = "SIDE_EFFECT"
# The longest a slot's name can be: code, item, date, number, and what joins them.
_SLOT_LENGTH: Final = 32 + 32 + 10 + 2 + 3
_ID_LENGTH: Final = 32
_ANSWERS: Final = (("taken", "Taken"), ("not-taken", "Not taken"))
_STATES: Final = (
    (SlotState.ON_TIME, "Answered on time"),
    (SlotState.LATE, "Answered late"),
    (SlotState.MISSED, "Not answered"),
    (SlotState.EXCUSED, "Need not be answered"),
)


def oid(kind: str, name: str) -> str:
    """The name of a definition in the file."""
    return f"{kind}_{name.upper().replace('-', '_')}"


def study_oid(protocol: Protocol) -> str:
    """The name of the study in the file."""
    return oid("S", protocol.trial.id)


def version_oid(protocol: Protocol) -> str:
    """The name of the protocol's version in the file."""
    return f"MDV_{protocol.trial.version}"


def units_of(protocol: Protocol) -> dict[str, str]:
    """The name of each unit of measurement in the file."""
    units = dict.fromkeys(measure.unit for measure in protocol.measure if measure.unit)
    return {unit: f"MU_{number}" for number, unit in enumerate(units, start=1)}


def study(protocol: Protocol, *, longest_report: int) -> str:
    """The element Study; `longest_report` is the length of the longest text that a patient wrote."""
    trial = protocol.trial
    units = [
        element("MeasurementUnit", {"OID": name, "Name": unit}, translated("Symbol", Text({trial.language: unit})))
        for unit, name in units_of(protocol).items()
    ]
    return element(
        "Study",
        {"OID": study_oid(protocol)},
        element(
            "GlobalVariables",
            {},
            plain("StudyName", trial.id),
            plain("StudyDescription", trial.title),
            plain("ProtocolName", trial.id),
        ),
        element("BasicDefinitions", {}, *units),
        element(
            "MetaDataVersion",
            {"OID": version_oid(protocol), "Name": f"Version {trial.version}"},
            *(f"\n{definition}" for definition in _Definitions(protocol, longest_report).written()),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Definitions:
    protocol: Protocol
    longest_report: int

    def written(self) -> Iterator[str]:
        """All definitions in the order the standard asks for: events, forms, groups, items, code lists."""
        items = items_of(self.protocol)
        events = [
            *(oid("SE_DIARY", phase.id) for phase in self.protocol.phase),
            *(oid("SE_VISIT", visit.id) for visit in self.protocol.visit),
            REPORTS,
        ]
        yield element("Protocol", {}, *_refs("StudyEvent", events, mandatory="No"))
        yield from map(_diary_event, self.protocol.phase)
        yield from map(_visit_event, self.protocol.visit)
        yield _event(REPORTS, "Side effects", Text({}), [oid("F", SIDE_EFFECT)], "Common")
        yield from (_form(oid("F_DIARY", item.id), item.name, oid("IG_DIARY", item.id)) for item in items.values())
        for visit in self.protocol.visit:
            yield _form(oid("F_VISIT", visit.id), visit.name, oid("IG_VISIT", visit.id))
        yield _form(oid("F", SIDE_EFFECT), Text({"en": "Side effect"}), oid("IG", SIDE_EFFECT))
        yield from map(_diary_group, items.values())
        yield from map(_visit_group, self.protocol.visit)
        yield _group(oid("IG", SIDE_EFFECT), Text({"en": "Side effect"}), ["I_REPORTED", "I_REPORT"], "Yes")
        yield from self._items(items.values())
        yield from self._code_lists(items.values())

    def _items(self, items: Iterable[Item]) -> Iterator[str]:
        codes = codes_of(self.protocol)
        yield _item("I_SLOT", "Name of the slot in all files", "text", _SLOT_LENGTH)
        yield _item("I_DUE", "When the question was due", "datetime")
        yield _item("I_STATE", "What became of the question", "text", 7, code_list="CL_STATE")
        yield _item("I_EXCUSED", "Why it need not be answered", "text", _ID_LENGTH)
        yield _item("I_GIVEN", "When it was first answered", "datetime")
        for item in items:
            yield self._answer(item, codes.items[item.id])
            if item.skip_reasons:
                name = f"{in_english(item.name)}: why not"
                yield _item(oid("I_REASON", item.id), name, "text", _ID_LENGTH, code_list=oid("CL_REASON", item.id))
        yield _item("I_HELD_ON", "The day of the visit", "date")
        yield from (self._measure(measure, codes.measures[measure.id]) for measure in self.protocol.measure)
        yield _item("I_REPORTED", "When the side effect was reported", "datetime")
        yield _item("I_REPORT", "What the patient wrote", "text", self.longest_report)

    def _answer(self, item: Item, code: str) -> str:
        name, asked = in_english(item.name), translated("Question", item.prompt)
        if item.kind == "dose":
            return _item(oid("I_DIARY", item.id), name, "text", 9, asked, code=code, code_list="CL_ANSWER")
        scale = self.protocol.trial.nrs
        ends = Text({
            language: f"{scale.min} = {low}; {scale.max} = {scale.high.in_language(language)}"
            for language, low in scale.low.root.items()
        })  # fmt: skip
        within = _within(scale.min, scale.max)
        about = translated("Description", ends) + asked
        return _item(oid("I_DIARY", item.id), name, "integer", len(str(scale.max)), about, within=within, code=code)

    def _measure(self, measure: Measure, code: str) -> str:
        whole, places = len(f"{max(map(abs, measure.range)):.0f}"), measure.decimals
        about = translated("Question", measure.name)
        unit = units_of(self.protocol).get(measure.unit)
        if unit:
            about += element("MeasurementUnitRef", {"MeasurementUnitOID": unit})
        return _item(
            oid("I_VISIT", measure.id),
            in_english(measure.name),
            "float" if places else "integer",
            whole + (places + 1 if places else 0),
            about,
            within=_within(*measure.range),
            code=code,
            places=places or None,
        )

    def _code_lists(self, items: Iterable[Item]) -> Iterator[str]:
        yield _code_list(
            "CL_ANSWER", "Answers about a dose", [(code, Text({"en": said})) for code, said in _ANSWERS]
        )
        yield _code_list("CL_STATE", "States of a question", [(code, Text({"en": said})) for code, said in _STATES])
        words = {reason.id: reason.name for reason in self.protocol.reason}
        for item in items:
            if item.skip_reasons:
                reasons = [(reason, words[reason]) for reason in item.skip_reasons]
                yield _code_list(oid("CL_REASON", item.id), f"Why not: {in_english(item.name)}", reasons)


def _refs(kind: str, names: Iterable[str], *, mandatory: str) -> Iterator[str]:
    for number, name in enumerate(names, start=1):
        yield element(f"{kind}Ref", {f"{kind}OID": name, "OrderNumber": number, "Mandatory": mandatory})


def _event(name: str, shown: str, words: Text, forms: Iterable[str], kind: str) -> str:
    about = {"OID": name, "Name": shown, "Repeating": "No", "Type": kind}
    return element("StudyEventDef", about, translated("Description", words), *_refs("Form", forms, mandatory="No"))


def _diary_event(phase: Phase) -> str:
    forms = [oid("F_DIARY", item.id) for item in phase.item]
    return _event(oid("SE_DIARY", phase.id), in_english(phase.name), phase.name, forms, "Scheduled")


def _visit_event(visit: Visit) -> str:
    forms = [oid("F_VISIT", visit.id)]
    return _event(oid("SE_VISIT", visit.id), in_english(visit.name), visit.name, forms, "Scheduled")


def _form(name: str, words: Text, group: str) -> str:
    about = {"OID": name, "Name": in_english(words), "Repeating": "No"}
    groups = _refs("ItemGroup", [group], mandatory="Yes")
    return element("FormDef", about, translated("Description", words), *groups)


def _group(name: str, words: Text, items: Iterable[str], repeating: str) -> str:
    about = {"OID": name, "Name": in_english(words), "Repeating": repeating}
    return element("ItemGroupDef", about, translated("Description", words), *_refs("Item", items, mandatory="No"))


def _diary_group(item: Item) -> str:
    asked = ["I_SLOT", "I_DUE", "I_STATE", "I_EXCUSED", "I_GIVEN", oid("I_DIARY", item.id)]
    why = [oid("I_REASON", item.id)] if item.skip_reasons else []
    return _group(oid("IG_DIARY", item.id), item.name, [*asked, *why], "Yes")


def _visit_group(visit: Visit) -> str:
    measures = (oid("I_VISIT", measure) for measure in visit.measures)
    return _group(oid("IG_VISIT", visit.id), visit.name, ["I_HELD_ON", *measures], "No")


def _item(
    name: str,
    shown: str,
    kind: str,
    length: int | None = None,
    about: str = "",
    *,
    within: str = "",
    code: str | None = None,
    code_list: str | None = None,
    places: int | None = None,
) -> str:
    attributes = {
        "OID": name,
        "Name": shown,
        "DataType": kind,
        "Length": length,
        "SignificantDigits": places,
        "SASFieldName": code,
    }
    values = element("CodeListRef", {"CodeListOID": code_list}) if code_list else ""
    return element("ItemDef", attributes, about, within, values)


def _within(least: float, most: float) -> str:
    return "".join(
        element("RangeCheck", {"Comparator": comparator, "SoftHard": "Hard"}, f"<CheckValue>{end:g}</CheckValue>")
        for comparator, end in (("GE", least), ("LE", most))
    )


def _code_list(name: str, shown: str, values: Iterable[tuple[str, Text]]) -> str:
    items = (
        element("CodeListItem", {"CodedValue": value, "OrderNumber": number}, translated("Decode", words))
        for number, (value, words) in enumerate(values, start=1)
    )
    return element("CodeList", {"OID": name, "Name": shown, "DataType": "text"}, *items)
