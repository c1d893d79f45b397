"""What may be asked of the API: the parameters, which are read and described by one and the same definition."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.datastructures import QueryParams

from diary import PatientStatus, SlotState
from protocol.typed import CODE
from protocol.values import Identifier
from reports.adherence import By
from web.numbers import number_of

MOST_ROWS: Final = 1000
USUAL_ROWS: Final = 100

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT: Final = re.compile(
    rf"{_DAY.pattern}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]+)?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})"
)


def _whole(text: str) -> int:
    found = number_of(text, digits=4)
    if found is None:
        raise ValueError
    return found


def _day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


def _instant(text: str) -> datetime:
    # A plus that was not escaped arrives as a blank.
    if not _INSTANT.fullmatch(text := text.replace(" ", "+")):
        raise ValueError
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError from None


Code = Annotated[str, Field(pattern=f"^{CODE.pattern}$")]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS), BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Cursor = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,400}$")]


class Question(BaseModel):
    """What one address takes; each description also says, in a refusal, what would have been right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parameters(cls) -> dict[str, dict[str, Any]]:
        """The JSON Schema of each parameter."""
        schema = cls.model_json_schema()
        return {name: _bare(one, schema.get("$defs", {})) for name, one in schema.get("properties", {}).items()}


def _bare(schema: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema by itself: one that may be left out is never sent as null."""
    [meant] = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    if "$ref" in meant:
        meant = {**meant, **named[meant["$ref"].rpartition("/")[2]]}
    left = {"anyOf", "title", "$ref"} | ({"default"} if schema.get("default") is None else set())
    description = {"description": schema["description"]}
    return {name: value for name, value in {**schema, **meant, **description}.items() if name not in left}


class Walk(Question):
    """A walk through many rows, a page at a time."""

    limit: Limit = Field(USUAL_ROWS, description=f"How many rows at most, from 1 to {MOST_ROWS}.")
    cursor: Cursor | None = Field(None, description="Where to go on, as `next` of the page before says it.")
    site: Code | None = Field(None, description="Code of a site: only its patients.")


class PatientsQuestion(Walk):
    """Which patients."""

    status: PatientStatus | None = Field(
        None, description=f"Only patients who stand so with the study: {', '.join(PatientStatus)}."
    )


class _ByDay(Walk):
    patient: Code | None = Field(None, description="Code of a patient: only their rows.")
    phase: Identifier | None = Field(None, description="Id of a phase in the protocol: only its rows.")
    item: Identifier | None = Field(None, description="Id of an item in the protocol: only its rows.")
    first_day: Day | None = Field(None, alias="from", description="First `local_date` wanted, such as 2026-11-24.")
    last_day: Day | None = Field(None, alias="to", description="Last `local_date` wanted, such as 2026-11-30.")


class SlotsQuestion(_ByDay):
    """Which slots."""

    state: SlotState | None = Field(None, description=f"Only slots in this state now: {', '.join(SlotState)}.")


class EntriesQuestion(_ByDay):
    """Which entries."""

    holds: Literal["yes", "no"] | None = Field(
        None, description="yes: only the answers that hold now; no: only those that were corrected since."
    )
    recorded_from: Instant | None = Field(
        None,
        description="Only what was recorded at this instant or later, such as 2026-11-24T00:00:00Z. To take what "
        "is new, begin a minute before the last `as_of`: an answer may have been on its way into the database.",
    )


class AdherenceQuestion(Question):
    """Which figures."""

    by: By = Field(By.PATIENT, description=f"What a row stands for: {', '.join(By)}; a week is one of the trial.")
    site: Code | None = Field(None, description="Code of a site: only its patients.")
    patient: Code | None = Field(None, description="Code of a patient: only their slots.")
    as_of: Instant | None = Field(
        None, description="What was known at this past instant, such as 2026-12-01T20:00:00+02:00."
    )


Asked = TypeVar("Asked", bound=Question)


class NotUnderstoodError(Exception):
    """A question that cannot be answered as it was put; the message says what would have been right."""


def question_in(kind: type[Asked], given: QueryParams) -> Asked:
    """Read the parameters of an address; NotUnderstoodError says about the first that is wrong."""
    pairs = given.multi_items()
    if len({name for name, _ in pairs}) < len(pairs):
        raise NotUnderstoodError("A parameter is given twice; give each once.")
    try:
        return kind.model_validate(dict(pairs))
    except ValidationError as error:
        raise NotUnderstoodError(_told(kind, error)) from None


def _told(kind: type[Question], error: ValidationError) -> str:
    """A sentence about the first fault, without what was sent: it may be anything, a token too."""
    known = kind.parameters()
    name = str(error.errors()[0]["loc"][0])
    if name not in known:
        return f"A parameter is not known here; known are {', '.join(known)}."
    takes: str = known[name]["description"]
    return f"The parameter {name} cannot be read; it takes: {takes[0].lower()}{takes[1:]}"
