"""Reads what a bot sends: query, form, JSON or multipart, as Telegram takes them all."""

import json
from email import message_from_bytes
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from rehearsal.parameters import Upload
from rehearsal.rules import RefusalError, bad_request

# Telegram's own limit for uploads is 50 MB; some room for the form around it.
BODY_BYTES = 55_000_000


async def fields_of(request: Request) -> dict[str, Any]:
    """Answer the parameters of a call by name; files as `Upload`."""
    fields: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    body = await _body(request)
    if not body:
        return fields
    if kind.startswith("application/json"):
        return fields | _json_object(body)
    if kind.startswith("multipart/form-data"):
        return fields | _parts(kind, body)
    return fields | dict(parse_qsl(body.decode(), keep_blank_values=True))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES:
            raise RefusalError(413, "Request Entity Too Large")
    return bytes(body)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError:
        raise bad_request("can't parse JSON object") from None
    if not isinstance(given, dict):
        raise bad_request("JSON object expected")
    return given


def _parts(kind: str, body: bytes) -> dict[str, Any]:
    form = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=HTTP)
    fields: dict[str, Any] = {}
    for part in form.iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes), "a part of a form is not a form itself"
        file_name = part.get_filename()
        fields[name] = (
            content.decode()
            if file_name is None
            else Upload(name=file_name, content=content, mime=part.get_content_type())
        )
    return fields
