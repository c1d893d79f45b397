"""Lines of the export as FHIR R4 (4.0.1) resources.

Whatever was corrected is there twice, as it is in the CSV: the value that holds, `amended` where its resource knows
that word, and the one before as `entered-in-error`; a Provenance says who corrected it, when and why. A question
that nobody answered is no resource: slots.csv has it. A dose is dated by the day it was for, since a diary does not
know the hour; of a side effect it knows only when it was told, as its beginning stands in the words, if anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

from protocol.lifecycle import PatientStatus
from reports.formats.by_subject import Line, given_at
from reports.formats.fhir_study import Asked, Resource, Study, extension, id_of, identifier, reference
from reports.tables import ENTRIES, NOTES, SUBJECTS, VISITS

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    SUBJECTS.name: (
        "study", "site", "subject", "status", "language", "joined_local", "withdrawn_local", "use_stopped_local",
    ),
    ENTRIES.name: (
        "study", "protocol_version", "subject", "slot", "phase", "item", "local_date", "entry", "answer", "score",
        "skip_reason", "source", "recorded_by", "staff", "holds", "supersedes", "change_reason", "said_local",
        "received_local", "recorded_local",
    ),
    NOTES.name: (
        "study", "subject", "note", "text", "said_local", "received_local", "recorded_local", "passed_on_as",
    ),
    VISITS.name: (
        "study", "protocol_version", "subject", "form", "visit", "held_on", "measure", "value", "holds",
        "recorded_local", "staff", "supersedes", "change_reason",
    ),
}  # fmt: skip

_VOID: Final = "entered-in-error"
_LANGUAGES: Final = "urn:ietf:bcp:47"
_MODES: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
# FHIR knows three ways; what staff corrected on their own came by none of them.
_MODE_OF: Final = {
    "button": "ELECTRONIC",
    "text": "ELECTRONIC",
    "phone": "VERBAL",
    "visit": "VERBAL",
    "paper": "WRITTEN",
}
_DAYBOOK: Final = {"type": "Device", "display": "Daybook"}


class Resources:
    """Makes the resources of some lines of a table; the lines of a table come in its order."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._sites: set[str] = set()
        self._subject = ""
        self._observed: dict[int, list[str]] = {}  # of the patient at hand: the Observations of each form
        self._made = {
            SUBJECTS.name: self._subjects,
            ENTRIES.name: self._entries,
            NOTES.name: self._notes,
            VISITS.name: self._visits,
        }

    def of(self, table: str, lines: Sequence[Line]) -> Iterator[Resource]:
        """The resources of these lines."""
        return self._made[table](lines)

    def _subjects(self, lines: Sequence[Line]) -> Iterator[Resource]:
        for line in lines:
            if line["site"] not in self._sites:
                self._sites.add(line["site"])
                yield _site(line)
            yield _patient(line)
            yield _enrolment(line)

    def _entries(self, lines: Sequence[Line]) -> Iterator[Resource]:
        for line in lines:
            asked = self._study.asked[line["study"], line["protocol_version"], line["phase"], line["item"]]
            made = _answer(line, asked)
            yield made
            if line["supersedes"] is not None:
                kind = made["resourceType"]
                yield _correction(
                    f"entry-{line['entry']}",
                    line,
                    [reference(kind, made["id"])],
                    [reference(kind, f"entry-{line['supersedes']}")],
                )

    def _notes(self, lines: Sequence[Line]) -> Iterator[Resource]:
        return (_adverse_event(line) for line in lines if line["passed_on_as"] == "side-effect")

    def _visits(self, lines: Sequence[Line]) -> Iterator[Resource]:
        for form, of_form in groupby(lines, key=itemgetter("form")):
            values = list(of_form)
            if values[0]["subject"] != self._subject:
                self._subject, self._observed = values[0]["subject"], {}
            made = [self._observation(line) for line in values if line["measure"] is not None]
            yield from made
            self._observed[form] = [one["id"] for one in made]
            yield from self._corrected_form(values[0])

    def _corrected_form(self, line: Line) -> Iterator[Resource]:
        """Who corrected a form, when and why; where it has no value any more, of the values it had."""
        before, after = self._observed.get(line["supersedes"], []), self._observed[line["form"]]
        if line["supersedes"] is not None and (before or after):
            replaced = [reference("Observation", name) for name in before]
            holding = [reference("Observation", name) for name in after]
            yield _correction(f"form-{line['form']}", line, holding or replaced, replaced)

    def _observation(self, line: Line) -> Resource:
        version = line["study"], line["protocol_version"]
        measured = self._study.measured[*version, line["measure"]]
        return {
            "resourceType": "Observation",
            "id": f"form-{line['form']}-{line['measure']}",
            "status": _status(line, first="final"),
            **measured.category,
            "code": measured.code,
            "subject": _of_patient(line),
            # The visit by its name alone: a diary knows nothing else that an Encounter asks for.
            "encounter": {
                "type": "Encounter",
                "identifier": identifier(line["study"], "visit", f"{line['subject']}:{line['visit']}"),
                "display": self._study.visits.get((*version, line["visit"]), line["visit"]),
            },
            "effectiveDateTime": line["held_on"],
            "issued": line["recorded_local"],
            **({"performer": [_staff(line)]} if line["staff"] else {}),
            "valueQuantity": {"value": line["value"], **measured.unit},
        }


def _site(line: Line) -> Resource:
    return {
        "resourceType": "Organization",
        "id": id_of(line["site"]),
        "identifier": [identifier(line["study"], "site", line["site"])],
        "name": line["site"],
    }


def _patient(line: Line) -> Resource:
    """A subject code, a language and a site: nothing that says who it is."""
    return {
        "resourceType": "Patient",
        "id": id_of(line["subject"]),
        "identifier": [identifier(line["study"], "subject", line["subject"])],
        "active": line["use_stopped_local"] is None,
        "communication": [{"language": {"coding": [{"system": _LANGUAGES, "code": line["language"]}]}}],
        "managingOrganization": reference("Organization", id_of(line["site"])),
    }


def _enrolment(line: Line) -> Resource:
    return {
        "resourceType": "ResearchSubject",
        "id": id_of(line["subject"]),
        "identifier": [identifier(line["study"], "subject", line["subject"])],
        "status": _standing(line),
        **_period(line),
        "study": reference("ResearchStudy", line["study"]),
        "individual": _of_patient(line),
    }


def _standing(line: Line) -> str:
    """Where a patient stands; to FHIR, somebody who leaves after having agreed is off-study, not withdrawn."""
    match PatientStatus(line["status"]):
        case PatientStatus.INVITED:
            return "candidate"
        case PatientStatus.ACTIVE | PatientStatus.PAUSED:
            return "on-study"
        case PatientStatus.WITHDRAWN:
            return "withdrawn" if line["joined_local"] is None else "off-study"


def _period(line: Line) -> Resource:
    """From when the patient had agreed until he or she left; nothing of somebody who never agreed."""
    if line["joined_local"] is None:
        return {}
    ends = {"start": line["joined_local"], "end": line["withdrawn_local"]}
    return {"period": {end: at for end, at in ends.items() if at is not None}}


def _answer(line: Line, asked: Asked) -> Resource:
    match asked.item.kind:
        case "rating":
            return _response(line, asked)
        case "dose":
            return _dose(line, asked)


def _response(line: Line, asked: Asked) -> Resource:
    mode = _MODE_OF.get(line["source"])
    way = {"coding": [{"system": _MODES, "code": mode}]}
    return {
        "resourceType": "QuestionnaireResponse",
        "id": f"entry-{line['entry']}",
        **(
            {"extension": [extension("questionnaireresponse-completionMode", valueCodeableConcept=way)]}
            if mode
            else {}
        ),
        "identifier": identifier(line["study"], "slot", line["slot"]),
        "questionnaire": asked.questionnaire,
        "status": _status(line, first="completed"),
        "subject": _of_patient(line),
        "authored": given_at(line),
        "author": _recorder(line),
        "source": _source(line),
        "item": [{"linkId": line["item"], "answer": [{"valueInteger": line["score"]}]}],
    }


def _dose(line: Line, asked: Asked) -> Resource:
    """A dose given at the clinic or taken by the patient, as the patient tells.

    Who told of it, and when, has no place in a MedicationAdministration but its note; neither has what was told and
    holds no more, in either.
    """
    at_clinic = asked.item.given == "clinic"
    taken = line["answer"] == "taken"
    status = "completed" if taken else "not-done" if at_clinic else "not-taken"
    reason = line["skip_reason"]
    return {
        "resourceType": "MedicationAdministration" if at_clinic else "MedicationStatement",
        "id": f"entry-{line['entry']}",
        "identifier": [identifier(line["study"], "slot", line["slot"])],
        "status": status if _holds(line) else _VOID,
        **({"statusReason": [asked.reasons.get(reason, {"text": reason})]} if reason else {}),
        "medicationCodeableConcept": asked.medication,
        "subject": _of_patient(line),
        "effectiveDateTime": line["local_date"],
        **({} if at_clinic else {"dateAsserted": given_at(line), "informationSource": _source(line)}),
        **({"note": [_told(line)]} if at_clinic or not _holds(line) else {}),
    }


def _told(line: Line) -> Resource:
    return {"authorReference": _source(line), "time": given_at(line), "text": line["answer"]}


def _adverse_event(line: Line) -> Resource:
    """What a patient gave to the team as a side effect; its words may be withheld."""
    absent = {"extension": [extension("data-absent-reason", valueCode="masked")]}
    return {
        "resourceType": "AdverseEvent",
        "id": f"note-{line['note']}",
        "identifier": identifier(line["study"], "note", str(line["note"])),
        "actuality": "actual",
        "event": {"text": line["text"]} if line["text"] else {"_text": absent},
        "subject": _of_patient(line),
        "recordedDate": given_at(line),
        "recorder": _of_patient(line),
        "study": [reference("ResearchStudy", line["study"])],
    }


def _correction(name: str, line: Line, holding: list[Resource], replaced: list[Resource]) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": name,
        "target": holding,
        "recorded": line["recorded_local"],
        "reason": [{"text": line["change_reason"]}],
        "agent": [{"who": _recorder(line)}],
        **({"entity": [{"role": "revision", "what": one} for one in replaced]} if replaced else {}),
    }


def _status(line: Line, *, first: str) -> str:
    if not _holds(line):
        return _VOID
    return first if line["supersedes"] is None else "amended"


def _holds(line: Line) -> bool:
    return bool(line["holds"] == "yes")


def _of_patient(line: Line) -> Resource:
    return reference("Patient", id_of(line["subject"]))


def _staff(line: Line) -> Resource:
    """A member of the team by code alone, who is no resource of the export."""
    return {"type": "Practitioner", "identifier": identifier(line["study"], "staff", line["staff"])}


def _recorder(line: Line) -> Resource:
    if line["staff"]:
        return _staff(line)
    return _of_patient(line) if line.get("recorded_by") == "patient" else _DAYBOOK


def _source(line: Line) -> Resource:
    """Whose word it is: the patient's, by whatever way, but for what staff corrected on their own."""
    return _staff(line) if line["source"] == "staff" and line["staff"] else _of_patient(line)
