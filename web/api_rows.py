"""What each address of the API answers: the rows, what they take to be read, and what may be asked of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import orjson
from pydantic import BaseModel, ConfigDict, Field

from diary import Actor, Database
from diary.roles import Act, may
from reports.adherence import By, adherence
from reports.columns import Kind
from reports.paged import ENTRIES, PATIENTS, SLOTS, Page, Resource, Row, Sought, page_of
from web.api_problems import Refusal
from web.api_questions import AdherenceQuestion, EntriesQuestion, PatientsQuestion, Question, SlotsQuestion, Walk
from web.cursors import cursor_at, place_of

Schema: TypeAlias = dict[str, Any]

ROOT: Final = "/api/v1"
# A row under a patient's code is for whoever sees patients, or may take a copy of the diary anyway.
CODED: Final = frozenset({Act.SEE_PATIENTS, Act.EXPORT})


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks what, and when."""

    db: Database
    actor: Actor
    question: Any
    now: datetime

    def check(self, acts: frozenset[Act]) -> None:
        """Refuse where the member may do none of these."""
        if not any(may(self.actor, act) for act in acts):
            raise Refusal(HTTPStatus.FORBIDDEN, "The member whose token this is may not read this in their role.")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, as of when they are true, and where there are more of them."""

    rows: list[Row]
    as_of: datetime
    next: str | None = None

    def body(self) -> Mapping[str, Any]:
        """The answer as it is sent."""
        return {"rows": self.rows, "as_of": _written(self.as_of), "next": self.next}


def _written(at: datetime) -> str:
    """An instant as the rows have it: in UTC, to the millisecond."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@dataclass(frozen=True, slots=True)
class Operation:
    """One address: what it is for, which acts open it (any of them), what it takes and what it gives."""

    name: str
    summary: str
    acts: frozenset[Act]
    question: type[Question]
    row: Schema
    answer: Callable[[Asked], Awaitable[Answer]]


def _walk(summary: str, resource: Resource, question: type[Walk]) -> Operation:
    """The address of rows that are many: a page, and the way to the next one."""

    async def answer(asked: Asked) -> Answer:
        put: Walk = asked.question
        words = put.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"cursor"})
        same = f"{resource.name}?{urlencode(sorted((name, one) for name, one in words.items() if name != 'limit'))}"
        found = await page_of(
            asked.db,
            resource,
            Sought(**{one.name: getattr(put, one.name) for one in fields(Sought) if hasattr(put, one.name)}),
            Page(put.limit, _place(asked, same)),
            site=put.site,
            patient=getattr(put, "patient", None),
            scope=asked.actor.sites,
            now=asked.now,
        )
        if found.last is None:
            return Answer(found.rows, asked.now)
        cursor = cursor_at(asked.db.keys, same, orjson.dumps(found.last))
        return Answer(found.rows, asked.now, f"{ROOT}/{resource.name}?{urlencode({**words, 'cursor': cursor})}")

    return Operation(resource.name, summary, CODED, question, _row_of(resource), answer)


def _place(asked: Asked, same: str) -> Any:
    """The key of the row after which to go on."""
    cursor = asked.question.cursor
    if cursor is None:
        return None
    place = place_of(asked.db.keys, same, cursor)
    if place is None:
        says = (
            "The cursor does not belong to this question; take `next` as it was given, or begin without a cursor."
        )
        raise Refusal(HTTPStatus.BAD_REQUEST, says)
    return orjson.loads(place)


_KINDS: Final[Mapping[Kind, Schema]] = {
    Kind.TEXT: {"type": "string"},
    Kind.CODE: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.UTC: {"type": "string", "format": "date-time"},
    Kind.LOCAL: {"type": "string", "format": "date-time"},
}


def _row_of(resource: Resource) -> Schema:
    """The schema of a row, from the columns that it is made of."""
    properties = {}
    for column in resource.columns:
        empty = resource.may_lack(column)
        schema = dict(_KINDS[column.kind])
        if column.kind is Kind.CODE:
            schema["enum"] = [*column.codes, *([None] if empty else [])]
        if empty:
            schema["type"] = [schema["type"], "null"]
        properties[column.name] = {**schema, "description": column.meaning}
    return {
        "type": "object",
        "description": resource.table.meaning,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class AdherenceRow(BaseModel):
    """A group's figures, each with its denominator: the row that `daybook adherence --json` gives."""

    model_config = ConfigDict(extra="forbid")

    site: str | None = Field(None, description="By patient: code of the clinic.")
    patient: str | None = Field(None, description="By patient: subject code.")
    phase: str | None = Field(None, description="By phase: its id in the protocol.")
    item: str | None = Field(None, description="By item: its id in the protocol.")
    week: int | None = Field(None, description="By week: of the trial, from 1.")
    expected: int = Field(description="on_time + late + missed: what has run its course.")
    on_time: int = Field(description="Answered by `on time until`.")
    late: int = Field(description="Answered later, inside the window.")
    missed: int = Field(description="The window closed unanswered.")
    excused: int = Field(description="Not to be answered, for a reason that is kept.")
    open: int = Field(description="May be answered now; neither done nor missed yet.")
    rate: float | None = Field(description="(on_time + late) / expected; null where nothing is expected.")
    doses: int = Field(description="The part of `expected` that are doses.")
    taken: int = Field(description="Doses said to be taken.")
    not_taken: int = Field(description="Doses said not to be taken.")


async def _adherence(asked: Asked) -> Answer:
    put: AdherenceQuestion = asked.question
    if put.by is By.PATIENT or put.patient is not None:
        asked.check(CODED)
    if put.as_of is not None and put.as_of > asked.now:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The instant as_of lies in the future; name one that has passed."
        )
    found = await adherence(
        asked.db,
        now=asked.now,
        by=put.by,
        site=put.site,
        patient=put.patient,
        as_of=put.as_of,
        scope=asked.actor.sites,
    )
    return Answer([row.flat() for row in found], put.as_of or asked.now)


OPERATIONS: Final = (
    _walk("Patients under their codes, by code.", PATIENTS, PatientsQuestion),
    _walk("Every expected occurrence of an item, with its state now, by patient and name.", SLOTS, SlotsQuestion),
    _walk("Every answer, corrected ones too, by patient and time of recording.", ENTRIES, EntriesQuestion),
    Operation(
        "adherence",
        "How complete the diaries are.",
        frozenset({Act.SEE_FIGURES}),
        AdherenceQuestion,
        AdherenceRow.model_json_schema(),
        _adherence,
    ),
)
