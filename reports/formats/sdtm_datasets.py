"""Which datasets SDTM asks for (SDTMIG 3.4), with the variables that a diary knows something of, in their order.

What is not known here is left out rather than empty: no arm, no age or sex, no dose or unit, no onset and no coding
of a side effect.
"""

from dataclasses import dataclass
from typing import Final

from protocol.model import Protocol


@dataclass(frozen=True, slots=True)
class Variable:
    """A column of a dataset; `key` is its place among those that tell rows apart, None outside of them."""

    name: str
    label: str
    kind: str = "string"
    key: int | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset: SDTM's two letters, what it holds, and its variables."""

    name: str
    label: str
    variables: tuple[Variable, ...]


_WHO: Final = (
    Variable("STUDYID", "Study Identifier", key=1),
    Variable("DOMAIN", "Domain Abbreviation"),
    Variable("USUBJID", "Unique Subject Identifier", key=2),
)
_EPOCH: Final = Variable("EPOCH", "Epoch")
_VISIT: Final = (
    Variable("VISITNUM", "Visit Number", "integer"),
    Variable("VISIT", "Visit Name"),
    Variable("VISITDY", "Planned Study Day of Visit", "integer"),
)
_DM: Final = Dataset(
    "DM",
    "Demographics; without arms, which are not known here",
    (
        *_WHO,
        Variable("SUBJID", "Subject Identifier for the Study"),
        Variable("RFSTDTC", "Subject Reference Start Date/Time", "date"),
        Variable("RFENDTC", "Subject Reference End Date/Time", "date"),
        Variable("RFXSTDTC", "Date/Time of First Study Treatment", "date"),
        Variable("RFXENDTC", "Date/Time of Last Study Treatment", "date"),
        Variable("RFICDTC", "Date/Time of Informed Consent", "datetime"),
        Variable("RFPENDTC", "Date/Time of End of Participation", "date"),
        Variable("SITEID", "Study Site Identifier"),
    ),
)
_SV: Final = Dataset(
    "SV",
    "Subject Visits that took place",
    (
        *_WHO,
        Variable("VISITNUM", "Visit Number", "integer", key=3),
        *_VISIT[1:2],
        Variable("SVPRESP", "Pre-specified"),
        Variable("SVOCCUR", "Occurrence"),
        *_VISIT[2:],
        _EPOCH,
        Variable("SVSTDTC", "Start Date/Time of Observation", "date"),
        Variable("SVENDTC", "End Date/Time of Observation", "date"),
        Variable("SVSTDY", "Study Day of Start of Observation", "integer"),
        Variable("SVENDY", "Study Day of End of Observation", "integer"),
    ),
)


def _numbered(domain: str) -> tuple[Variable, ...]:
    return (
        *_WHO,
        Variable(f"{domain}SEQ", "Sequence Number", "integer", key=3),
        Variable(f"{domain}SPID", "Sponsor-Defined Identifier"),
    )


def _treatment(domain: str) -> tuple[Variable, ...]:
    return (
        _EPOCH,
        Variable(f"{domain}DTC", "Date/Time of Collection", "datetime"),
        Variable(f"{domain}STDTC", "Start Date/Time of Treatment", "date"),
        Variable(f"{domain}ENDTC", "End Date/Time of Treatment", "date"),
        Variable(f"{domain}STDY", "Study Day of Start of Treatment", "integer"),
        Variable(f"{domain}ENDY", "Study Day of End of Treatment", "integer"),
        Variable(f"{domain}TPT", "Planned Time Point Name"),
        Variable(f"{domain}TPTNUM", "Planned Time Point Number", "integer"),
    )


_EX: Final = Dataset(
    "EX",
    "Exposure: doses said to be taken, under the names patients know",
    (*_numbered("EX"), Variable("EXTRT", "Name of Treatment"), *_treatment("EX")),
)
_EC: Final = Dataset(
    "EC",
    "Exposure as Collected: every dose asked about, under the names patients know",
    (
        *_numbered("EC"),
        Variable("ECTRT", "Name of Treatment"),
        Variable("ECPRESP", "Pre-Specified"),
        Variable("ECOCCUR", "Occurrence"),
        Variable("ECREASOC", "Reason for Occur Value"),
        Variable("ECSTAT", "Completion Status"),
        Variable("ECREASND", "Reason Not Done"),
        *_treatment("EC"),
    ),
)
_AE: Final = Dataset(
    "AE",
    "Side effects as patients reported them; not yet judged or coded",
    (
        *_numbered("AE"),
        Variable("AETERM", "Reported Term for the Adverse Event"),
        _EPOCH,
        Variable("AEDTC", "Date/Time of Collection", "datetime"),
        Variable("AEDY", "Study Day of Collection", "integer"),
    ),
)
_FINDINGS: Final = {
    "DA": "Product Accountability",
    "FT": "Functional Tests",
    "LB": "Laboratory Test Results",
    "MK": "Musculoskeletal System Findings",
    "NV": "Nervous System Findings",
    "QS": "Questionnaires",
    "VS": "Vital Signs",
}


def _findings(domain: str) -> Dataset:
    return Dataset(
        domain,
        _FINDINGS[domain],
        (
            *_numbered(domain),
            Variable(f"{domain}TESTCD", "Short Name of Measurement, Test or Exam"),
            Variable(f"{domain}TEST", "Name of Measurement, Test or Examination"),
            Variable(f"{domain}CAT", "Category"),
            Variable(f"{domain}ORRES", "Result or Finding in Original Units"),
            Variable(f"{domain}ORRESU", "Original Units"),
            Variable(f"{domain}STRESC", "Character Result/Finding in Std Format"),
            Variable(f"{domain}STRESN", "Numeric Result/Finding in Standard Units", "double"),
            Variable(f"{domain}STRESU", "Standard Units"),
            Variable(f"{domain}STAT", "Completion Status"),
            Variable(f"{domain}REASND", "Reason Not Done"),
            *_VISIT,
            _EPOCH,
            Variable(f"{domain}DTC", "Date/Time of Finding", "datetime" if domain == "QS" else "date"),
            Variable(f"{domain}DY", "Study Day of Finding", "integer"),
            Variable(f"{domain}TPT", "Planned Time Point Name"),
            Variable(f"{domain}TPTNUM", "Planned Time Point Number", "integer"),
        ),
    )


def datasets_of(protocol: Protocol) -> tuple[Dataset, ...]:
    """The datasets a trial of this protocol has, whether anything stands in them yet or not."""
    kinds = {item.kind for _, item in protocol.items()}
    domains = {measure.domain for measure in protocol.measure} | ({"QS"} if "rating" in kinds else set())
    return (
        _DM,
        *((_SV,) if protocol.visit else ()),
        *((_EX, _EC) if "dose" in kinds else ()),
        _AE,
        *map(_findings, sorted(domains)),
    )
