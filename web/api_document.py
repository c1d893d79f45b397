"""The API's OpenAPI document, made from what reads the questions and shapes the rows, so that it cannot drift."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from web.api_problems import PROBLEM_JSON, Problem
from web.api_questions import Walk
from web.api_rows import ROOT, Operation, Schema

_SECONDS: Final[Schema] = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
_PROBLEMS: Final[dict[HTTPStatus, tuple[str, Schema]]] = {
    HTTPStatus.BAD_REQUEST: ("The cursor is not one of ours, or belongs to another question.", {}),
    HTTPStatus.UNAUTHORIZED: (
        "There is no token, or it does not lead anywhere (any more).",
        {"WWW-Authenticate": {"description": "Bearer.", "required": True, "schema": {"type": "string"}}},
    ),
    HTTPStatus.FORBIDDEN: ("The member whose token it is may not read this in their role.", {}),
    HTTPStatus.NOT_FOUND: ("There is no such site or patient for the member whose token it is.", {}),
    HTTPStatus.NOT_ACCEPTABLE: ("Something else than JSON is asked for.", {}),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("A parameter is unknown, given twice, or cannot be read.", {}),
    HTTPStatus.TOO_MANY_REQUESTS: ("This token asks too often.", {"Retry-After": _SECONDS}),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("A fault of Daybook's; it stands in the log.", {}),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The database is busy.", {"Retry-After": _SECONDS}),
}


def document_of(operations: Sequence[Operation]) -> Schema:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Daybook",
            "version": "1",
            "summary": "A trial's diary under subject codes, for other programs to read.",
            "description": (
                "The rows are those of the export: the same names, meanings and values, instants in UTC beside the "
                "patient's wall. No identity, no chat, no treatment arm and no words of anybody's own is in any of "
                "them. What a token reads is what the member in whose name it was made may read at that moment."
            ),
        },
        "servers": [{"url": ROOT}],
        "security": [{"token": []}],
        "paths": {f"/{one.name}": {"get": _operation(one)} for one in operations},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by `daybook staff token`."}
            },
            "schemas": {"Problem": Problem.model_json_schema(), **{_row(one): one.row for one in operations}},
            "responses": {str(int(status)): _problem(status) for status in _PROBLEMS},
        },
    }


def _operation(one: Operation) -> Schema:
    return {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": list(_parameters(one)),
        "responses": {
            "200": _answer(one),
            **{str(int(s)): {"$ref": f"#/components/responses/{int(s)}"} for s in _PROBLEMS if _can_be(one, s)},
        },
    }


def _can_be(one: Operation, status: HTTPStatus) -> bool:
    return status != HTTPStatus.BAD_REQUEST or issubclass(one.question, Walk)


def _parameters(one: Operation) -> Iterator[Schema]:
    for name, schema in one.question.parameters().items():
        described = {"name": name, "in": "query", "description": schema["description"]}
        yield {**described, "schema": {key: value for key, value in schema.items() if key != "description"}}


def _answer(one: Operation) -> Schema:
    walk = issubclass(one.question, Walk)
    following: Schema = {"type": ["string", "null"]} if walk else {"type": "null"}
    properties: Schema = {
        "rows": {"type": "array", "items": {"$ref": f"#/components/schemas/{_row(one)}"}},
        "as_of": {"type": "string", "format": "date-time", "description": "The instant as of which the rows are."},
        "next": {**following, "description": "Address of the next page, on this same host; null: there is none."},
    }
    body = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    link = {"description": "The same as `next`, as rel=next (RFC 8288).", "schema": {"type": "string"}}
    return {
        "description": one.row["description"],
        **({"headers": {"Link": link}} if walk else {}),
        "content": {"application/json": {"schema": body}},
    }


def _problem(status: HTTPStatus) -> Schema:
    says, headers = _PROBLEMS[status]
    content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": says, **({"headers": headers} if headers else {}), "content": content}


def _row(one: Operation) -> str:
    return f"{one.name.capitalize()}Row"
