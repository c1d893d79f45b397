"""The service's web address: the staff pages, their files, and its health without any patient's data."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from importlib.resources import files
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from diary import Database
from reports.health import complaints, health_of
from web import acts, exports, figures, grid, patient, patients, progress, team, today, tokens, trail, visits
from web.api import Api
from web.asked import plain_page
from web.guard import Guard
from web.pages import Door, Page
from web.signing_in import SigningIn

log = structlog.get_logger(__name__)

# The order matters where a name could be a code: what is written out comes first.
PAGES: Final[tuple[Page, ...]] = (
    *today.PAGES,
    *patients.PAGES,
    *grid.PAGES,
    *patient.PAGES,
    *acts.PAGES,
    *visits.PAGES,
    *figures.PAGES,
    *progress.PAGES,
    *trail.PAGES,
    *exports.PAGES,
    *team.PAGES,
    *tokens.PAGES,
)
_KINDS: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Browsers ask again at each start of Daybook's new version, by the tag.
_KEEP: Final = {"Cache-Control": "no-cache"}


def web_app(
    db: Database,
    clock: Callable[[], datetime],
    *,
    pages_url: str | None = None,
    sessions: Callable[[], datetime] | None = None,
    makes_backups: bool = False,
) -> ASGIApp:
    """The routes, on this database and clock; `pages_url` is where staff reach them.

    `sessions` is the clock that ends sessions, where the other one is moved by hand; `makes_backups` tells whether
    the service is to make backups, so that their absence is a thing to show.
    """
    door = Door(db, clock, sessions or clock, pages_url)

    async def healthz(_request: Request) -> Response:
        now = clock()
        wrong = complaints(await health_of(db, now=now), polling=True, now=now)
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        return JSONResponse({"healthy": not wrong, "wrong": wrong}, status_code=status)

    async def http_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        key = f"problem.{error.status_code}"
        key = key if door.words(request).knows(key) else "problem.unknown"
        return await door.problem(request, key, HTTPStatus(error.status_code))

    async def hung_up(_request: Request, _error: Exception) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it

    async def last_resort(request: Request, error: Exception) -> Response:
        log.error("page_failed", error=type(error).__name__)
        words = door.words(request)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return plain_page("problem.html", words, status=status, problem=words("problem.ours"), fields=())

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            *Api(db, clock, door.sessions).routes(),
            Route("/static/{name}", _static),
            *SigningIn(door).routes(),
            *door.routes(PAGES),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=2000)],
        exception_handlers={HTTPException: http_problem, ClientDisconnect: hung_up, Exception: last_resort},
    )
    app.state.makes_backups = makes_backups
    # Around it all: among Starlette's own middleware it would stand inside of what answers the last errors.
    return Guard(app, https=door.https)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    file = files("web") / "static" / name
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or not file.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(file.read_bytes(), media_type=kind, headers=_KEEP)
