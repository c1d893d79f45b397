"""What an export in FHIR R4 (4.0.1) says of the study, and what it calls things.

Names are of the study's own: no terminology has a code for the evening capsule of a trial, and none is made up. The
code of LOINC is the one the protocol gives, if any. A medication is called what patients call it, never by a drug.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from protocol.codes import codes_of
from protocol.model import Item, Measure, Protocol, Scale
from protocol.values import Text

Resource: TypeAlias = dict[str, Any]

STANDARD: Final = "http://hl7.org/fhir/StructureDefinition"
LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_ITEM_CONTROL: Final = "http://hl7.org/fhir/questionnaire-item-control"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
# A unit that is not here stands as it is written, and is not said to be UCUM.
_UCUM_CODES: Final = {
    "deg": "deg", "°": "deg", "%": "%", "mm": "mm", "cm": "cm", "m": "m", "mg": "mg", "g": "g", "kg": "kg",
    "mL": "mL", "mmHg": "mm[Hg]", "mmol/L": "mmol/L", "°C": "Cel", "/min": "/min", "s": "s", "min": "min", "h": "h",
    "d": "d",
}  # fmt: skip
# Vital signs have none: their category asks for codes and units that a protocol need not have (R4, "vitalsigns").
_CATEGORIES: Final = {"QS": "survey", "LB": "laboratory", "FT": "exam", "MK": "exam", "NV": "exam"}


def system(study: str, kind: str) -> str:
    """Under which the study's own names of a kind stand."""
    return f"urn:daybook:{study}:{kind}"


def identifier(study: str, kind: str, value: str) -> Resource:
    """A name of the study's own."""
    return {"system": system(study, kind), "value": value}


def id_of(code: str) -> str:
    """A code as an id, which holds no underscore; what tells it from the same code with a hyphen follows it."""
    return code if "_" not in code else f"{code.replace('_', '-')}.{_digest(code)[:8]}"


def reference(kind: str, name: str) -> Resource:
    """Points to a resource of the same export."""
    return {"reference": f"{kind}/{name}"}


def extension(name: str, **value: Any) -> Resource:
    """An extension that FHIR itself defines."""
    return {"url": f"{STANDARD}/{name}", **value}


def translated(element: str, words: Text, language: str) -> Resource:
    """An element in the trial's language, with its translations beside it."""
    said = {one: text for one, text in words.root.items() if text}
    if not said:
        return {}
    own = language if language in said else next(iter(said))
    others = [_translation(one, text) for one, text in said.items() if one != own]
    return {element: said[own], f"_{element}": {"extension": others}} if others else {element: said[own]}


def _translation(language: str, text: str) -> Resource:
    parts = [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": text}]
    return extension("translation", extension=parts)


@dataclass(frozen=True, slots=True)
class Asked:
    """An item as the lines of its entries need it; `questionnaire` is the canonical name of a rating's."""

    item: Item
    medication: Resource
    reasons: Mapping[str, Resource]
    questionnaire: str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure as its values need it: what stands around each of them."""

    code: Resource
    category: Resource
    unit: Resource


class Study:
    """The protocol versions of an export, the newest first: two that have one version's name are taken as one."""

    def __init__(self, protocols: Sequence[Protocol]) -> None:
        self._protocols = protocols
        self._questionnaires: dict[str, Resource] = {}
        self.asked: dict[tuple[str, str, str, str], Asked] = {}
        self.measured: dict[tuple[str, str, str], Measured] = {}
        self.visits: dict[tuple[str, str, str], str] = {}
        for protocol in protocols:
            self._read(protocol)

    def resources(self) -> Iterator[Resource]:
        """The study, and a questionnaire for each rating of each version."""
        titles = {protocol.trial.id: protocol.trial.title for protocol in reversed(self._protocols)}
        for study, title in titles.items():
            yield {
                "resourceType": "ResearchStudy",
                "id": study,
                "identifier": [identifier(study, "study", study)],
                "title": title,
                "status": "active",  # as far as Daybook knows, which takes patients at any time
            }
        yield from self._questionnaires.values()

    def _read(self, protocol: Protocol) -> None:
        trial = protocol.trial
        version = trial.id, trial.version
        reasons = {
            reason.id: _concept(trial.id, "reason", reason.id, reason.name, language=trial.language)
            for reason in protocol.reason
        }
        names = _questionnaire_names(protocol)
        for phase, item in protocol.items():
            name = names.get((phase.id, item.id))
            asked = Asked(
                item,
                _concept(trial.id, "item", item.id, item.name, language=trial.language),
                reasons,
                name and self._add(_questionnaire(protocol, item, name)),
            )
            self.asked.setdefault((*version, phase.id, item.id), asked)
        for measure in protocol.measure:
            self.measured.setdefault((*version, measure.id), _measured(trial.id, measure, trial.language))
        for visit in protocol.visit:
            self.visits.setdefault((*version, visit.id), visit.name.in_language(trial.language))

    def _add(self, questionnaire: Resource) -> str:
        canonical = f"{questionnaire['url']}|{questionnaire['version']}"
        self._questionnaires.setdefault(
            canonical,
            {"resourceType": "Questionnaire", "id": f"questionnaire-{_digest(canonical)[:16]}", **questionnaire},
        )
        return canonical


def _questionnaire_names(protocol: Protocol) -> dict[tuple[str, str], str]:
    """What each rating's questionnaire is called: by its item, and by its phase where that asks in other words."""
    first: dict[str, Item] = {}
    names: dict[tuple[str, str], str] = {}
    for phase, item in protocol.items():
        if item.kind == "rating":
            same = _words(first.setdefault(item.id, item)) == _words(item)
            names[phase.id, item.id] = item.id if same else f"{item.id}.{phase.id}"
    return names


def _words(item: Item) -> tuple[Text, Text, str | None]:
    return item.name, item.prompt, item.loinc


def _questionnaire(protocol: Protocol, item: Item, name: str) -> Resource:
    trial = protocol.trial
    return {
        "language": trial.language,
        "url": system(trial.id, f"questionnaire:{name}"),
        # It follows a "|" in a canonical name, which holds no blank.
        "version": quote(trial.version, safe=""),
        "name": codes_of(protocol).items[item.id],
        **translated("title", item.name, trial.language),
        "status": "active",
        "subjectType": ["Patient"],
        "item": [_question(trial.id, item, trial.nrs, trial.language)],
    }


def _question(study: str, item: Item, scale: Scale, language: str) -> Resource:
    """A whole number between two ends, which are put into words beside it."""
    ends = [
        _end(item.id, place, words, language)
        for place, words in (("lower", scale.low), ("upper", scale.high))
        if any(words.root.values())
    ]
    asked = item.prompt if any(item.prompt.root.values()) else item.name
    question = {
        "extension": [extension("minValue", valueInteger=scale.min), extension("maxValue", valueInteger=scale.max)],
        "linkId": item.id,
        "code": _codings(study, "item", item.id, item.loinc),
        **translated("text", asked, language),
        "type": "integer",
        "required": True,
    }
    return {**question, "item": ends} if ends else question


def _end(item: str, place: str, words: Text, language: str) -> Resource:
    control = {"coding": [{"system": _ITEM_CONTROL, "code": place}]}
    return {
        "extension": [extension("questionnaire-itemControl", valueCodeableConcept=control)],
        "linkId": f"{item}.{place}",
        **translated("text", words, language),
        "type": "display",
    }


def _measured(study: str, measure: Measure, language: str) -> Measured:
    category = _CATEGORIES.get(measure.domain)
    return Measured(
        _concept(study, "measure", measure.id, measure.name, language=language, loinc=measure.loinc),
        {"category": [{"coding": [{"system": _CATEGORY, "code": category}]}]} if category else {},
        _unit(measure),
    )


def _unit(measure: Measure) -> Resource:
    """A measure without a unit counts something: points of a scale, what came back, or plainly one."""
    if measure.unit:
        code = _UCUM_CODES.get(measure.unit)
        return {"unit": measure.unit, "system": _UCUM, "code": code} if code else {"unit": measure.unit}
    if measure.counts:
        return {"unit": measure.counts.item, "system": _UCUM, "code": f"{{{measure.counts.item}}}"}
    if measure.domain == "QS":
        return {"unit": "score", "system": _UCUM, "code": "{score}"}
    return {"system": _UCUM, "code": "1"}


def _concept(study: str, kind: str, name: str, words: Text, *, language: str, loinc: str | None = None) -> Resource:
    return {"coding": _codings(study, kind, name, loinc), "text": words.in_language(language) or name}


def _codings(study: str, kind: str, name: str, loinc: str | None) -> list[Resource]:
    own = {"system": system(study, kind), "code": name}
    return [{"system": LOINC, "code": loinc}, own] if loinc else [own]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
