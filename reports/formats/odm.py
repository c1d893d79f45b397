"""CDISC ODM 1.3.2: the study, its sites and every patient's diary and visits in one XML file, a snapshot.

A file has one ClinicalData, and repeats are counted from 1: LibreClinica reads the first ClinicalData alone, and
keys as numbers. Of a corrected value the file has the one that holds, with who changed it, when and why; a snapshot
has no place for the one before, which stands in entries.csv and visits.csv.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from reports.bundle import Bundle
from reports.columns import Cells
from reports.formats.by_subject import BySubject, Line, Patient, given_at
from reports.formats.markup import element, plain
from reports.formats.odm_study import REPORTS, SIDE_EFFECT, oid, study, study_oid, units_of, version_oid
from reports.formats.taking import About, Add
from reports.formats.united import united
from reports.tables import NOTES, Table

_FILE: Final = "odm/daybook.xml"
_NAMESPACE: Final = "http://www.cdisc.org/ns/odm/v1.3"
_PATIENT, _SYSTEM = "USR_PATIENT", "USR_SYSTEM"


class Odm:
    """The file, written patient by patient once all tables are known."""

    def __init__(self, bundle: Bundle, about: About) -> None:
        self._bundle = bundle
        self._about = about
        self._protocol = united(about.protocol, about.earlier)
        self._units = units_of(self._protocol)
        self._kept = BySubject(bundle.folder, "odm")
        self._staff: set[str] = set()
        self._longest_report = 1

    @contextmanager
    def taking(self, table: Table) -> Iterator[Add]:
        """Keep a table, and note what the head of the file has to tell of it."""
        names = [column.name for column in table.columns]
        with self._kept.taking(table) as keep:

            def add(cells: list[Cells]) -> None:
                keep(cells)
                if "staff" in names:
                    self._staff.update(cells[names.index("staff")])
                if table.name == NOTES.name:
                    texts = cells[names.index("text")]
                    self._longest_report = max([self._longest_report, *(len(text or "") for text in texts)])

            yield add

    def finish(self) -> None:
        """Write the file."""
        with self._bundle.path(_FILE).open("x", encoding="utf-8", newline="") as out:
            out.writelines(self._document())

    def _document(self) -> Iterator[str]:
        study_id = self._protocol.trial.id
        attributes = {
            "xmlns": _NAMESPACE,
            "ODMVersion": "1.3.2",
            "FileType": "Snapshot",
            "Granularity": "SingleSite" if self._about.site else "All",
            "FileOID": ".".join(filter(None, [study_id, self._about.site, self._about.cut_off_text])),
            "CreationDateTime": self._about.cut_off_text,
            "AsOfDateTime": self._about.cut_off_text,
            "SourceSystem": "Daybook",
            "SourceSystemVersion": version("daybook"),
        }
        of_version = {"StudyOID": study_oid(self._protocol), "MetaDataVersionOID": version_oid(self._protocol)}
        yield '<?xml version="1.0" encoding="UTF-8"?>\n'
        yield _opening("ODM", attributes)
        yield f"{study(self._protocol, longest_report=self._longest_report)}\n"
        yield f"{self._admin_data()}\n"
        yield _opening("ClinicalData", of_version)
        for patient in self._kept.patients():
            yield from self._subject(patient)
        yield "</ClinicalData>\n</ODM>\n"

    def _admin_data(self) -> str:
        """Who recorded values, by code alone, and the sites; a site has the version since its first patient."""
        users = {
            _PATIENT: "Patient",
            _SYSTEM: "Daybook",
            **{_user(code): code for code in sorted(self._staff - {None})},
        }
        since: dict[str, str] = {}
        for line in self._kept.subjects.values():
            day = line["added_local"][:10]
            since[line["site"]] = min(since.get(line["site"], day), day)
        return element(
            "AdminData",
            {"StudyOID": study_oid(self._protocol)},
            *(
                element("User", {"OID": name, "UserType": "Other"}, plain("DisplayName", shown))
                for name, shown in users.items()
            ),
            *(self._location(site, since[site]) for site in sorted(since)),
        )

    def _location(self, site: str, since: str) -> str:
        of_version = {
            "StudyOID": study_oid(self._protocol),
            "MetaDataVersionOID": version_oid(self._protocol),
            "EffectiveDate": since,
        }
        about = {"OID": _location(site), "Name": site, "LocationType": "Site"}
        return element("Location", about, element("MetaDataVersionRef", of_version))

    def _subject(self, patient: Patient) -> Iterator[str]:
        yield _opening("SubjectData", {"SubjectKey": patient.code})
        yield element("SiteRef", {"LocationOID": _location(patient.site)})
        yield from self._diary(patient)
        yield from self._visits(patient)
        yield from _side_effects(patient)
        yield "</SubjectData>\n"

    def _diary(self, patient: Patient) -> Iterator[str]:
        """An event for each phase, a form for each item, a repeat for each slot, counted with those to come."""
        corrections = {line["entry"]: line for line in patient.entries if line["supersedes"] is not None}
        forms: dict[str, dict[str, list[str]]] = {}
        repeats: dict[tuple[str, str], int] = {}
        settled = {line["slot"] for line in patient.settled}
        for line in patient.slots:
            place = line["phase"], line["item"]
            repeats[place] = repeat = repeats.get(place, 0) + 1
            if line["slot"] in settled:
                values = _slot(line, patient, corrections.get(line["entry"]))
                forms.setdefault(line["phase"], {}).setdefault(line["item"], []).append(
                    _group(oid("IG_DIARY", line["item"]), values, repeat)
                )
        for phase, items in forms.items():
            written = (
                element("FormData", {"FormOID": oid("F_DIARY", item)}, *groups) for item, groups in items.items()
            )
            yield element("StudyEventData", {"StudyEventOID": oid("SE_DIARY", phase)}, *written)

    def _visits(self, patient: Patient) -> Iterator[str]:
        for visit, lines in patient.held.items():
            values = _value("I_HELD_ON", lines[0]["held_on"])
            for line in lines:
                if line["measure"] is not None:
                    values += self._measured(line, patient.site)
            group = _group(oid("IG_VISIT", visit), values)
            form = element("FormData", {"FormOID": oid("F_VISIT", visit)}, group)
            yield element("StudyEventData", {"StudyEventOID": oid("SE_VISIT", visit)}, form)

    def _measured(self, line: Line, site: str) -> str:
        corrected = _audit(line, f"form {line['form']}", site) if line["supersedes"] is not None else ""
        unit = self._units.get(self._protocol.measure_of(line["measure"]).unit)
        of_unit = element("MeasurementUnitRef", {"MeasurementUnitOID": unit}) if unit else ""
        return _value(oid("I_VISIT", line["measure"]), f"{line['value']:.10g}", corrected + of_unit)


def _slot(line: Line, patient: Patient, correction: Line | None) -> str:
    """What is known of a slot, as items."""
    corrected = _audit(correction, f"entry {correction['entry']}", patient.site) if correction else ""
    given = line["score"] if line["item_kind"] == "rating" else line["answer"]
    return "".join((
        _value("I_SLOT", line["slot"]),
        _value("I_DUE", line["due_local"]),
        _value("I_STATE", line["state"]),
        _value("I_EXCUSED", line["excused_because"]),
        _value("I_GIVEN", patient.given.get(line["slot"])),
        _value(oid("I_DIARY", line["item"]), given, corrected),
        _value(oid("I_REASON", line["item"]), line["skip_reason"]),
    ))  # fmt: skip


def _side_effects(patient: Patient) -> Iterator[str]:
    """What the patient reported, whose words may be withheld."""
    groups = [
        _group(
            oid("IG", SIDE_EFFECT), _value("I_REPORTED", given_at(line)) + _value("I_REPORT", line["text"]), repeat
        )
        for repeat, line in enumerate(patient.side_effects, start=1)
    ]
    if groups:
        form = element("FormData", {"FormOID": oid("F", SIDE_EFFECT)}, *groups)
        yield element("StudyEventData", {"StudyEventOID": REPORTS}, form)


def _opening(name: str, attributes: dict[str, str]) -> str:
    return f"{element(name, attributes)[:-2]}>\n"


def _group(name: str, values: str, repeat: int | None = None) -> str:
    return element("ItemGroupData", {"ItemGroupOID": name, "ItemGroupRepeatKey": repeat}, values) + "\n"


def _value(name: str, value: str | int | None, *inside: str) -> str:
    return "" if value is None else element("ItemData", {"ItemOID": name, "Value": value}, *inside)


def _audit(line: Line, source: str, site: str) -> str:
    """Who gave a value in place of another, when and why."""
    who = _user(line["staff"]) if line["staff"] else _PATIENT if line.get("recorded_by") == "patient" else _SYSTEM
    return element(
        "AuditRecord",
        {},
        element("UserRef", {"UserOID": who}),
        element("LocationRef", {"LocationOID": _location(site)}),
        plain("DateTimeStamp", line["recorded_local"]),
        plain("ReasonForChange", line["change_reason"]),
        plain("SourceID", source),
    )


def _user(code: str) -> str:
    return f"USR_STAFF_{code}"


def _location(site: str) -> str:
    return f"LOC_{site}"
