"""One patient's diary and visits as records of SDTM (SDTMIG 3.4).

Study day 1 is the first day of the trial, once the patient has agreed and it has come; there is no day 0. A rating
is the value that holds, at the time of the first answer. A dose is dated by the day it was for, since only the hour
of the question and of the answer are known. A name of more than 40 characters gives way to its id: nothing is cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, Final, TypeAlias

from protocol.calendar import zone_of
from protocol.codes import codes_of
from protocol.model import Measure
from protocol.values import Text
from reports.formats.by_subject import Line, Patient, given_at
from reports.formats.taking import About
from reports.formats.united import in_english, items_of, united
from storage.states import SlotState

Record: TypeAlias = dict[str, Any]

_LONGEST_NAME: Final = 40
_NOT_DONE: Final = "NOT DONE"
_UNANSWERED: Final = "not answered"


@dataclass(frozen=True, slots=True)
class _Span:
    """The days a patient's records are counted and divided by."""

    first: date | None  # study day 1; None before it has come, and for who never began
    last: date | None  # the last day of who has left or come to the end
    phases: tuple[tuple[date, str], ...]

    def study_day(self, day: str) -> int | None:
        """The study day of a date; the day before day 1 is day -1."""
        if self.first is None:
            return None
        after = _day(day).toordinal() - self.first.toordinal()
        return after + 1 if after >= 0 else after

    def epoch(self, day: str) -> str | None:
        """The phase a date lies in; None before the first."""
        begun = [phase for start, phase in self.phases if start <= _day(day)]
        return _epoch(begun[-1]) if begun else None


class Sdtm:
    """Makes records of patients, by the protocol they follow."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._protocol = united(about.protocol, about.earlier)
        self._codes = codes_of(self._protocol)
        self._items = items_of(self._protocol)
        self._visits = {visit.id: (number, visit) for number, visit in enumerate(self._protocol.visit, start=1)}

    def records(self, patient: Patient) -> dict[str, list[Record]]:
        """Every record of a patient, by domain, numbered within each."""
        span = self._span(patient)
        records: dict[str, list[Record]] = {"DM": [self._dm(patient, span)]}
        for domain, record in self._observed(patient, span):
            records.setdefault(domain, []).append(record)
        for domain, found in records.items():
            for number, record in enumerate(found, start=1):
                record.update(self._who(domain, patient), **{f"{domain}SEQ": number})
        return records

    def _who(self, domain: str, patient: Patient) -> Record:
        study = self._protocol.trial.id
        return {"STUDYID": study, "DOMAIN": domain, "USUBJID": f"{study}-{patient.site}-{patient.code}"}

    def _span(self, patient: Patient) -> _Span:
        line = patient.of_subject
        today = self._about.cut_off.astimezone(zone_of(line["timezone"])).date()
        first, agreed = _day(line["first_day"]), line["joined_local"] is not None
        left = _day(line["withdrawn_local"]) if line["withdrawn_local"] else None
        starts = sorted((start, phase) for phase, start in self._about.phase_starts.get(patient.code, {}).items())
        days = {phase.id: phase.days for phase in self._protocol.phase}
        end = starts[-1][0] + timedelta(days=days[starts[-1][1]] - 1)
        begun = agreed and first <= today and (left is None or first <= left)
        return _Span(first if begun else None, left or (end if begun and end < today else None), tuple(starts))

    def _dm(self, patient: Patient, span: _Span) -> Record:
        taken = [line["local_date"] for line in patient.settled if line["answer"] == "taken"]
        ended = span.last.isoformat() if span.last else None
        return {
            "SUBJID": patient.code,
            "RFSTDTC": span.first.isoformat() if span.first else None,
            "RFENDTC": ended if span.first else None,
            "RFXSTDTC": min(taken, default=None),
            "RFXENDTC": max(taken, default=None),
            "RFICDTC": patient.of_subject["joined_local"],
            "RFPENDTC": ended,
            "SITEID": patient.site,
        }

    def _observed(self, patient: Patient, span: _Span) -> Iterator[tuple[str, Record]]:
        for line in patient.settled:
            if line["item_kind"] == "dose":
                if line["answer"] == "taken":
                    yield "EX", self._dose("EX", line, patient, span)
                yield "EC", self._asked_dose(line, patient, span)
            else:
                yield "QS", self._rating(line, patient, span)
        for visit, lines in patient.held.items():
            yield "SV", self._visit(visit, lines[0]["held_on"], span)
            yield from self._measured(visit, lines, span)
        for line in patient.side_effects:
            yield "AE", _side_effect(line, span)

    def _dose(self, domain: str, line: Line, patient: Patient, span: _Span) -> Record:
        day = line["local_date"]
        found = {
            "SPID": line["slot"],
            "TRT": _name(self._items[line["item"]].name, line["item"]),
            "DTC": patient.given.get(line["slot"]),
            "STDTC": day,
            "ENDTC": day,
            "STDY": span.study_day(day),
            "ENDY": span.study_day(day),
            **_time_point(line),
        }
        return {**_of_domain(domain, found), "EPOCH": _epoch(line["phase"])}

    def _asked_dose(self, line: Line, patient: Patient, span: _Span) -> Record:
        occurred = {"taken": "Y", "not-taken": "N"}.get(line["answer"])
        return {
            **self._dose("EC", line, patient, span),
            "ECPRESP": "Y",
            "ECOCCUR": occurred,
            "ECREASOC": line["skip_reason"],
            **_of_domain("EC", _not_done(line)),
        }

    def _rating(self, line: Line, patient: Patient, span: _Span) -> Record:
        item = self._items[line["item"]]
        given = patient.given.get(line["slot"])
        found = {
            "SPID": line["slot"],
            "TESTCD": self._codes.items[item.id],
            "TEST": _name(item.name, item.id),
            "CAT": "DIARY",
            **_result(line["score"]),
            **_not_done(line),
            "DTC": given or line["local_date"],
            "DY": span.study_day(given or line["local_date"]),
            **_time_point(line),
        }
        return {**_of_domain("QS", found), "EPOCH": _epoch(line["phase"])}

    def _visit(self, visit_id: str, held_on: str, span: _Span) -> Record:
        day = span.study_day(held_on)
        return {
            **self._of_visit(visit_id),
            "SVPRESP": "Y",
            "SVOCCUR": "Y",
            "EPOCH": span.epoch(held_on),
            "SVSTDTC": held_on,
            "SVENDTC": held_on,
            "SVSTDY": day,
            "SVENDY": day,
        }

    def _of_visit(self, visit_id: str) -> Record:
        number, visit = self._visits[visit_id]
        return {"VISITNUM": number, "VISIT": in_english(visit.name), "VISITDY": visit.day + 1}

    def _measured(self, visit_id: str, lines: list[Line], span: _Span) -> Iterator[tuple[str, Record]]:
        """What was measured at a visit, and what should have been and was not."""
        values = {line["measure"]: line["value"] for line in lines if line["measure"] is not None}
        held_on, form = lines[0]["held_on"], lines[0]["form"]
        for measure in self._protocol.measure:
            if measure.id in values or measure.id in self._visits[visit_id][1].measures:
                found = {
                    "SPID": f"form {form}",
                    "TESTCD": self._codes.measures[measure.id],
                    "TEST": _name(measure.name, measure.id),
                    "CAT": "VISIT",
                    **_value(measure, values.get(measure.id)),
                    "DTC": held_on,
                    "DY": span.study_day(held_on),
                }
                record = _of_domain(measure.domain, found)
                yield measure.domain, {**record, **self._of_visit(visit_id), "EPOCH": span.epoch(held_on)}


def _side_effect(line: Line, span: _Span) -> Record:
    reported = given_at(line)
    return {
        "AESPID": f"note {line['note']}",
        "AETERM": line["text"],
        "EPOCH": span.epoch(line["local_date"]),
        "AEDTC": reported,
        "AEDY": span.study_day(reported),
    }


def _of_domain(domain: str, found: Record) -> Record:
    return {f"{domain}{name}": value for name, value in found.items()}


def _time_point(line: Line) -> Record:
    """The time of the day the slot was for, on the patient's wall."""
    return {"TPT": line["due_local"][11:16], "TPTNUM": line["occurrence"] + 1}


def _not_done(line: Line) -> Record:
    """What is said of a slot that has no answer."""
    if line["answer"] is not None:
        return {}
    missed = line["state"] == SlotState.MISSED
    return {"STAT": _NOT_DONE, "REASND": _UNANSWERED if missed else line["excused_because"]}


def _value(measure: Measure, value: float | None) -> Record:
    if value is None:
        return {"STAT": _NOT_DONE}
    unit = measure.unit or None
    return {**_result(value), "ORRESU": unit, "STRESU": unit}


def _result(value: float | None) -> Record:
    if value is None:
        return {}
    return {"ORRES": f"{value:.10g}", "STRESC": f"{value:.10g}", "STRESN": value}


def _name(words: Text, name: str) -> str:
    shown = in_english(words)
    return shown if len(shown) <= _LONGEST_NAME else name


def _epoch(phase: str) -> str:
    return phase.upper()


def _day(at: str) -> date:
    """The date of a date or of an instant on the patient's wall."""
    return _date(at[:10])


@cache
def _date(day: str) -> date:
    return date.fromisoformat(day)
