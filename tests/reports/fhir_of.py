"""A trial with everything that FHIR has a place for, exported; and what R4 (4.0.1) asks of the resources we write.

fhir.resources has no models of R4. Those of R4B have the same elements for every type here, but check no code that
R4 requires; the tables are written from the definitions of 4.0.1.
"""

import json
from pathlib import Path
from typing import Any, Final

from diary.answers import TAKEN, correct_entry, enter_answer, not_taken, scored
from diary.enrolment import patient_id_of
from reports.export import export_bundle
from reports.formats.fhir import TYPES
from tests.cast import Stage, cairo
from tests.reports.bundle_of import FRIDAY
from tests.reports.cdisc_of import two_sites
from tests.reports.diary_of import correct, slot_of

STANDARD: Final = "http://hl7.org/fhir/StructureDefinition/"

# Every element of ours whose codes R4 requires, and all of its codes; [x] is left out of names.
CODES: Final = {
    "Bundle.type": {
        "document", "message", "transaction", "transaction-response", "batch", "batch-response", "history",
        "searchset", "collection",
    },
    "ResearchStudy.status": {
        "active", "administratively-completed", "approved", "closed-to-accrual",
        "closed-to-accrual-and-intervention", "completed", "disapproved", "in-review",
        "temporarily-closed-to-accrual", "temporarily-closed-to-accrual-and-intervention", "withdrawn",
    },
    "ResearchSubject.status": {
        "candidate", "eligible", "follow-up", "ineligible", "not-registered", "off-study", "on-study",
        "on-study-intervention", "on-study-observation", "pending-on-study", "potential-candidate", "screening",
        "withdrawn",
    },
    "Questionnaire.status": {"draft", "active", "retired", "unknown"},
    "Questionnaire.subjectType": {"Patient"},  # of all types of resources there are
    "Questionnaire.item.type": {
        "group", "display", "question", "boolean", "decimal", "integer", "date", "dateTime", "time", "string",
        "text", "url", "choice", "open-choice", "attachment", "reference", "quantity",
    },
    "Questionnaire.item.item.type": {"display"},
    "QuestionnaireResponse.status": {"in-progress", "completed", "amended", "entered-in-error", "stopped"},
    "MedicationAdministration.status": {
        "in-progress", "not-done", "on-hold", "completed", "entered-in-error", "stopped", "unknown",
    },
    "MedicationStatement.status": {
        "active", "completed", "entered-in-error", "intended", "stopped", "on-hold", "unknown", "not-taken",
    },
    "Observation.status": {
        "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
    },
    "AdverseEvent.actuality": {"actual", "potential"},
    "Provenance.entity.role": {"derivation", "revision", "quotation", "source", "removal"},
}  # fmt: skip

# What a resource must have beside its id.
REQUIRED: Final = {
    "Bundle": {"type"},
    "ResearchStudy": {"status"},
    "ResearchSubject": {"status", "study", "individual"},
    "Questionnaire": {"status"},
    "Organization": {"identifier"},  # or a name
    "Patient": set(),
    "QuestionnaireResponse": {"status"},
    "MedicationAdministration": {"status", "medicationCodeableConcept", "subject", "effectiveDateTime"},
    "MedicationStatement": {"status", "medicationCodeableConcept", "subject"},
    "Observation": {"status", "code"},
    "AdverseEvent": {"actuality", "subject"},
    "Provenance": {"target", "recorded", "agent"},
}

# What each reference of ours may point to.
_ANSWERS = {"QuestionnaireResponse", "MedicationAdministration", "MedicationStatement", "Observation"}
_PEOPLE = {"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"}
TARGETS: Final = {
    "Patient.managingOrganization": {"Organization"},
    "ResearchSubject.study": {"ResearchStudy"},
    "ResearchSubject.individual": {"Patient"},
    "QuestionnaireResponse.subject": {"Patient"},  # anything
    "QuestionnaireResponse.author": {*_PEOPLE, "Device", "Organization"},
    "QuestionnaireResponse.source": _PEOPLE,
    "MedicationAdministration.subject": {"Patient", "Group"},
    "MedicationAdministration.note.authorReference": {*_PEOPLE, "Organization"} - {"PractitionerRole"},
    "MedicationStatement.subject": {"Patient", "Group"},
    "MedicationStatement.informationSource": {*_PEOPLE, "Organization"},
    "MedicationStatement.note.authorReference": {*_PEOPLE, "Organization"} - {"PractitionerRole"},
    "Observation.subject": {"Patient", "Group", "Device", "Location"},
    "Observation.encounter": {"Encounter"},
    "Observation.performer": {*_PEOPLE, "Organization", "CareTeam"},
    "AdverseEvent.subject": {"Patient", "Group", "Practitioner", "RelatedPerson"},
    "AdverseEvent.recorder": _PEOPLE,
    "AdverseEvent.study": {"ResearchStudy"},
    "Provenance.target": _ANSWERS,  # anything
    "Provenance.agent.who": {*_PEOPLE, "Device", "Organization"},
    "Provenance.entity.what": _ANSWERS,  # anything
}  # fmt: skip

# The extensions that FHIR defines and we use: what each holds, and the codes it requires.
EXTENSIONS: Final[dict[str, tuple[str, set[str] | None]]] = {
    "translation": ("extension", None),
    "minValue": ("valueInteger", None),
    "maxValue": ("valueInteger", None),
    "questionnaire-itemControl": ("valueCodeableConcept", {"lower", "upper"}),
    "questionnaireresponse-completionMode": ("valueCodeableConcept", {"ELECTRONIC", "VERBAL", "WRITTEN"}),
    "data-absent-reason": ("valueCode", {"unknown", "masked", "not-applicable", "unsupported", "as-text", "error"}),
}


async def hard_trial(stage: Stage) -> None:
    """Both sites of the trial for CDISC, and answers that were corrected, told by phone, and corrected by staff."""
    await two_sites(stage)
    amina, basma = [await patient_id_of(stage.db, code) for code in ("P-001", "P-900")]
    await correct(stage, amina, "infusion 2026-11-24", not_taken("unwell"), "2026-11-24 10:00", reason="slip")
    await correct(stage, basma, "capsule 2026-11-25", TAKEN, "2026-11-25 09:20", reason="found it")
    by_phone = await slot_of(stage, amina, "pain 2026-11-25")
    salma = await stage.actor("salma", chat=2004)
    told = await enter_answer(
        stage.db,
        code="P-001",
        slot_id=by_phone.id,
        answer=scored(6),
        source="phone",
        said_at=cairo("2026-11-26 09:00"),
        actor=salma,
        now=cairo("2026-11-26 09:10"),
    )
    await correct_entry(
        stage.db,
        code="P-001",
        slot_id=by_phone.id,
        entry_id=told.entry.id,
        answer=scored(4),
        reason="misheard",
        actor=salma,
        now=cairo("2026-11-26 09:30"),
    )
    # Codes that differ by a character that an id of FHIR cannot hold.
    await stage.add("P_002")


Found = dict[str, list[dict[str, Any]]]


async def exported(stage: Stage, out: Path, **extra: Any) -> Found:
    """Export, and give the resources of each type in the order of their file."""
    await export_bundle(stage.db, out, formats=["csv", "fhir"], now=FRIDAY, **extra)
    return {kind: resources_in(out / "fhir" / f"{kind}.ndjson") for kind in TYPES}


def resources_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def whole(found: Found) -> list[dict[str, Any]]:
    """All resources of an export."""
    return [resource for resources in found.values() for resource in resources]


def elements(value: Any, path: str):
    """Every element of a resource with its path, the resource itself first, lists taken apart."""
    if isinstance(value, list):
        for one in value:
            yield from elements(one, path)
        return
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from elements(inner, f"{path}.{name}")


def faults(resource: dict[str, Any]) -> list[str]:
    """What R4 requires and this resource lacks: elements, codes, targets of references, values of extensions."""
    kind = resource["resourceType"]
    found = [f"{kind}.{name} is missing" for name in REQUIRED[kind] - set(resource)]
    for path, value in elements(resource, kind):
        if path in CODES and value not in CODES[path]:
            found.append(f"{path} cannot be {value}")
        if path in TARGETS and _target(value) not in TARGETS[path]:
            found.append(f"{path} cannot point to {value}")
        if path not in TARGETS and isinstance(value, dict) and "reference" in value:
            found.append(f"{path} is a reference nobody looked at")
        if isinstance(value, dict) and str(value.get("url", "")).startswith(STANDARD):
            found += _faults_of_extension(path, value)
    return found


def _target(reference: dict[str, Any]) -> str:
    return reference["reference"].split("/")[0] if "reference" in reference else reference["type"]


def _faults_of_extension(path: str, value: dict[str, Any]) -> list[str]:
    holds, codes = EXTENSIONS[value["url"].removeprefix(STANDARD)]
    if set(value) != {"url", holds}:
        return [f"{path} is not an extension {value['url']}"]
    said = value[holds]
    given = {said} if isinstance(said, str) else {one["code"] for one in said["coding"]} if codes else set()
    return [f"{path} cannot be {code}" for code in given - (codes or set())] if codes else []
