"""The protocol as values: what design §8's TOML file says, refused with the key and the mend."""

from collections.abc import Iterator
from datetime import time, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from protocol.values import Code, Duration, Identifier, Loinc, Text, Wall, is_zone

NOON: Final = time(12)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(_Part):
    """The numerical rating scale; whole numbers, both ends included (NRS 0-10, Dworkin 2008)."""

    min: Annotated[int, Field(ge=0, le=10)] = 0
    max: Annotated[int, Field(ge=0, le=10)] = 10
    low: Text = Text({})
    high: Text = Text({})

    @model_validator(mode="after")
    def _has_two_ends(self) -> Self:
        if self.min >= self.max:
            raise ValueError("max must be greater than min")
        return self


class Trial(_Part):
    """The whole study: its names, home zone, languages, quiet hours and standing sentences.

    `remind_staff_after`: coordinators hear of an alert first; one that nobody has taken for so long is brought to
    the others. `digest_at`: when the team hears what needs a person, in the morning, on the wall of each site.
    `weekly_mean_days`: on how many days of a week pain must be rated for the week to have a mean.
    """

    id: Identifier
    version: Annotated[str, Field(min_length=1, max_length=20)]
    title: Annotated[str, Field(min_length=1)]
    timezone: str
    languages: Annotated[list[str], Field(min_length=1)]
    quiet_hours: tuple[Wall, Wall]
    nrs: Scale = Scale()
    emergency: Text
    consent: Text
    privacy: Text
    correction: Duration = timedelta(hours=48)
    remind_staff_after: Duration = timedelta(hours=4)
    digest_at: Wall = time(8)
    weekly_mean_days: Annotated[int, Field(ge=1, le=7)] = 4

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if not is_zone(zone):
            raise ValueError(f'"{zone}" is not an IANA time zone; write one such as "Africa/Cairo"')
        return zone

    @field_validator("digest_at")
    @classmethod
    def _in_the_morning(cls, at: time) -> time:
        if at >= NOON:
            raise ValueError("the digest is a morning's; write a time before 12:00")
        return at

    @property
    def language(self) -> str:
        """The language used where nobody has chosen one."""
        return self.languages[0]


class BeforeVisits(_Part):
    """Extra days: every day of the `days` days before each of these visits."""

    visits: Annotated[list[Identifier], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=60)]


class Item(_Part):
    """Something asked for again and again; its slots are numbered by the place in `at`.

    `code`: its name in files whose standards hold eight characters; protocol/codes.py gives one where none stands
    here. `given`: who gives a dose, the clinic or the patient. `loinc`: what LOINC calls the question of a rating.
    """

    id: Identifier
    code: Code | None = None
    kind: Literal["dose", "rating"]
    given: Literal["clinic", "self"] = "self"
    loinc: Loinc | None = None
    name: Text
    prompt: Text = Text({})
    at: Annotated[list[Wall], Field(min_length=1, max_length=12)]
    every_days: Annotated[int, Field(ge=1, le=366)] = 1
    first_day: Annotated[int, Field(ge=0, le=366)] = 0
    daily_before: BeforeVisits | None = None
    patient_may_choose: tuple[Wall, Wall] | None = None
    early: Duration = timedelta()
    on_time: Duration
    late: Duration
    nudge_after: list[Duration] = []
    min_gap: Duration | None = None
    skip_reasons: list[Identifier] = []

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if sorted(set(self.at)) != self.at:
            raise ValueError("at: write the times of day in order, each once")
        if self.on_time > self.late:
            raise ValueError("late: counted from the due time like on_time, so it cannot be shorter")
        if self.patient_may_choose and len(self.at) > 1:
            raise ValueError("patient_may_choose: only an item with one time in at can be moved")
        if sorted(set(self.nudge_after)) != self.nudge_after:
            raise ValueError("nudge_after: write the delays in order, each once")
        if self.kind != "dose" and "given" in self.model_fields_set:
            raise ValueError("given: only a dose is given; take it out")
        if self.kind != "rating" and self.loinc is not None:
            raise ValueError("loinc: only a rating has a code of LOINC; take it out")
        return self


class Phase(_Part):
    """A stretch of the trial with its own items; day 0 is set for each patient."""

    id: Identifier
    name: Text
    days: Annotated[int, Field(ge=1, le=1000)]
    item: list[Item] = []


class Visit(_Part):
    """A clinic day, counted from day 0 of the trial as planned."""

    id: Identifier
    name: Text
    day: Annotated[int, Field(ge=0, le=2000)]
    measures: list[Identifier] = []


class Requirement(_Part):
    """The least value a measure must have at a visit for the patient to go on."""

    min: float
    at: Identifier


class Count(_Part):
    """That what is measured is what came back of an item's doses, and how many had been handed out."""

    item: Identifier
    dispensed: Annotated[int, Field(ge=1, le=10_000)]


class Measure(_Part):
    """A figure staff type in at a visit, with its unit and range.

    `code`: its name in files whose standards hold eight characters; protocol/codes.py gives one where none stands
    here. `domain`: which dataset of SDTM it belongs to: drug accountability (DA), functional tests (FT),
    laboratory (LB), musculoskeletal findings (MK), nervous system findings (NV), questionnaires and scales (QS),
    vital signs (VS). `loinc`: what LOINC calls it.
    """

    id: Identifier
    code: Code | None = None
    domain: Literal["DA", "FT", "LB", "MK", "NV", "QS", "VS"] = "QS"
    loinc: Loinc | None = None
    name: Text
    unit: str = ""
    range: tuple[float, float]
    decimals: Annotated[int, Field(ge=0, le=3)] = 0
    require: Requirement | None = None
    counts: Count | None = None

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.range[0] >= self.range[1]:
            raise ValueError("range: write the least value first, then the greatest")
        return self


class Reason(_Part):
    """A reason a patient may give for a dose not taken."""

    id: Identifier
    name: Text


class Alert(_Part):
    """A rule that calls staff; which numbers it takes depends on its kind."""

    kind: Literal["silent-days", "missed-doses", "pain-at-least", "pain-jump", "side-effect", "unreachable"]
    days: Annotated[int, Field(ge=1, le=60)] | None = None
    doses: Annotated[int, Field(ge=1, le=60)] | None = None
    score: Annotated[int, Field(ge=0, le=10)] | None = None
    by: Annotated[int, Field(ge=1, le=10)] | None = None

    @model_validator(mode="after")
    def _has_its_numbers(self) -> Self:
        wanted = {
            "silent-days": {"days"},
            "missed-doses": {"doses"},
            "pain-at-least": {"score", "days"},
            "pain-jump": {"by"},
        }.get(self.kind, set())
        given = {key for key in ("days", "doses", "score", "by") if getattr(self, key) is not None}
        if given != wanted:
            raise ValueError(f"an alert of kind {self.kind} takes {', '.join(sorted(wanted)) or 'no number'}")
        return self


class Protocol(_Part):
    """A trial's plan: phases with items, visits with measures, alerts and texts."""

    trial: Trial
    phase: Annotated[list[Phase], Field(min_length=1)]
    visit: list[Visit] = []
    measure: list[Measure] = []
    reason: list[Reason] = []
    alert: list[Alert] = []

    def items(self) -> Iterator[tuple[Phase, Item]]:
        """Each item with its phase, in the order of the file."""
        for phase in self.phase:
            for item in phase.item:
                yield phase, item

    def item(self, phase_id: str, item_id: str) -> Item:
        """Find one item of one phase; KeyError where there is none."""
        for phase, item in self.items():
            if (phase.id, item.id) == (phase_id, item_id):
                return item
        raise KeyError(f"{phase_id}/{item_id}")

    def measure_of(self, measure_id: str) -> Measure:
        """Find a measure; KeyError where there is none."""
        for measure in self.measure:
            if measure.id == measure_id:
                return measure
        raise KeyError(measure_id)

    def visit_of(self, visit_id: str) -> Visit | None:
        """Find a visit; None where there is none."""
        return next((visit for visit in self.visit if visit.id == visit_id), None)

    def movable_items(self) -> dict[str, Item]:
        """The items whose time the patient may choose, by id; the same id in two phases is one choice."""
        return {item.id: item for _, item in self.items() if item.patient_may_choose}

    def reason_text(self, reason_id: str, language: str) -> str:
        """The words of a skip reason."""
        names = {reason.id: reason.name for reason in self.reason}
        return names[reason_id].in_language(language) if reason_id in names else reason_id

    def alert_of(self, kind: str) -> Alert | None:
        """The rule of this kind, where the protocol has one."""
        return next((alert for alert in self.alert if alert.kind == kind), None)

    @property
    def days(self) -> int:
        """Length of the trial as planned."""
        return sum(phase.days for phase in self.phase)


def in_quiet_hours(wall: time, quiet: tuple[time, time]) -> bool:
    """Tell whether a time of day lies after the beginning and before the end of the quiet hours."""
    begins, ends = quiet
    if begins <= ends:
        return begins < wall < ends
    return wall > begins or wall < ends
