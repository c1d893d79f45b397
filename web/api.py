"""The API for machines: read-only JSON under /api/v1, for whoever sends a token.

Nothing here knows of cookies, forms or other origins, so a browser that is led here has nothing to give away.
Why it is as it is: docs/decisions/0013.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

import orjson
import structlog
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from diary import Database
from diary.arrivals import may_pass
from diary.tokens import Holder, holder_of, mark_token
from protocol.errors import UnknownCodeError
from web.api_document import document_of
from web.api_problems import RETRY_SECONDS, Refusal, problem
from web.api_questions import NotUnderstoodError, question_in
from web.api_rows import OPERATIONS, ROOT, Asked, Operation
from web.guard import TooOften
from web.marking import Marking

log = structlog.get_logger(__name__)

DOCUMENT: Final = "openapi.json"
JSON: Final = "application/json"
OFTEN: Final = 100  # answers in RETRY_SECONDS, for one token
_DOCUMENT: Final = orjson.dumps(document_of(OPERATIONS))
_ACCEPTED: Final = frozenset({"*/*", "application/*", JSON})
_NEVER: Final = re.compile(r"\bq=0(\.0*)?(;|$)")


@dataclass(frozen=True, slots=True)
class Api:
    """What every address of the API is answered with; `real` is the clock by which tokens end."""

    db: Database
    clock: Callable[[], datetime]
    real: Callable[[], datetime]
    too_often: TooOften = field(default_factory=lambda: TooOften(OFTEN, timedelta(seconds=RETRY_SECONDS)))
    marking: Marking = field(default_factory=lambda: Marking("token_not_marked"))

    def routes(self) -> list[BaseRoute]:
        """Everything at /api and below: whatever goes wrong there is a problem in JSON, never a page."""
        app = self._app()
        return [Mount("/api", app), Route("/api", app)]

    def _app(self) -> Starlette:
        version = ROOT.removeprefix("/api")
        routes = [Route(f"{version}/{one.name}", self._endpoint(one)) for one in OPERATIONS]
        app = Starlette(
            routes=[*routes, Route(f"{version}/{DOCUMENT}", _document)],
            exception_handlers={HTTPException: _elsewhere, ClientDisconnect: _hung_up},
        )
        # Led to an address with http:// in it, a program would send its token for all to read.
        app.router.redirect_slashes = False
        return app

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            holder = None
            try:
                holder = await self._holder(request)
                answered = await self._answered(operation, request, holder)
            except Refusal as refusal:
                answered = problem(refusal.status, refusal.says, refusal.headers)
            except Exception as error:
                if not may_pass(error):
                    log.exception("api_failed", address=_written(operation), error=type(error).__name__)
                answered = _failed(error)
            if answered.status_code != HTTPStatus.OK:
                # The address as it is written down, not as it was asked: it may name a patient.
                told = {"address": _written(operation), "status": int(answered.status_code)}
                log.warning("api_refused", token=holder.token_id if holder else None, **told)
            return self._marked(answered, holder)

        return answer

    async def _holder(self, request: Request) -> Holder:
        """Whoever sends a token that holds, and not too often."""
        given = request.headers.getlist("authorization")
        if not given:
            raise _unknown("This takes a token; send it as `Authorization: Bearer ...`.", "")
        scheme, _, token = given[0].partition(" ")
        now = self.real()
        holder = None
        if len(given) == 1 and scheme.lower() == "bearer":
            holder = await holder_of(self.db, token=token.strip(), now=now)
        if holder is None:
            raise _unknown(
                "This token does not lead anywhere; `daybook staff tokens` shows which ones hold.",
                ', error="invalid_token"',
            )
        if self.too_often(str(holder.token_id), now=now):
            says = f"This token asks more than {OFTEN} times in {RETRY_SECONDS} seconds; wait, then go on."
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, says, Retry_After=str(RETRY_SECONDS))
        return holder

    async def _answered(self, operation: Operation, request: Request, holder: Holder) -> Response:
        if not _takes_json(request):
            raise Refusal(HTTPStatus.NOT_ACCEPTABLE, f"There is nothing but {JSON} here; accept that.")
        try:
            question = question_in(operation.question, request.query_params)
        except NotUnderstoodError as error:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        asked = Asked(self.db, holder.actor, question, self.clock())
        asked.check(operation.acts)
        try:
            found = await operation.answer(asked)
        except UnknownCodeError:
            says = "There is no such site or patient among those that this token may know of."
            raise Refusal(HTTPStatus.NOT_FOUND, says) from None
        headers = {"Link": f'<{found.next}>; rel="next"'} if found.next else None
        return Response(orjson.dumps(found.body()), headers=headers, media_type=JSON)

    def _marked(self, answered: Response, holder: Holder | None) -> Response:
        """Note the token's use when the answer is out."""
        if holder is not None and holder.unmarked:
            answered.background = BackgroundTask(self._mark, holder.token_id)
        return answered

    async def _mark(self, token_id: int) -> None:
        await self.marking.note(token_id, lambda: mark_token(self.db, token_id=token_id, now=self.real()))


def _unknown(says: str, more: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, says, WWW_Authenticate=f'Bearer realm="daybook"{more}')


def _written(operation: Operation) -> str:
    return f"{ROOT}/{operation.name}"


def _failed(error: Exception) -> Response:
    if may_pass(error):
        says = "The database is busy; ask again in a moment."
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, says, {"Retry-After": str(RETRY_SECONDS)})
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong in Daybook; it stands in its log.")


def _takes_json(request: Request) -> bool:
    """Whether JSON is among what is accepted; nothing said is anything."""
    accepted = ",".join(request.headers.getlist("accept")).lower().replace(" ", "")
    ranges = [one.partition(";") for one in accepted.split(",") if one]
    return not ranges or any(kind in _ACCEPTED and not _NEVER.search(how) for kind, _, how in ranges)


async def _document(_request: Request) -> Response:
    return Response(_DOCUMENT, media_type=JSON)


async def _elsewhere(_request: Request, error: Exception) -> Response:
    """An address that is not there, or a method that nothing here has."""
    assert isinstance(error, HTTPException)
    says = {
        HTTPStatus.NOT_FOUND: f"There is nothing here; what there is stands in {ROOT}/{DOCUMENT}.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This can only be read; ask with GET.",
    }
    status = HTTPStatus(error.status_code)
    headers = {"Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else None
    return problem(status, says.get(status, "The request cannot be read."), headers)


async def _hung_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it
