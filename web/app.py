"""The service's own address: a page that says what runs here, and its health without any patient's data."""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from diary import Database
from reports.health import complaints, health_of

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Daybook</title></head>
<body><h1>Daybook</h1><p>The diary runs here. Patients and the study team use it in their chat.</p></body>
</html>
"""


def web_app(db: Database, clock: Callable[[], datetime]) -> Starlette:
    """The routes, on this database and clock."""

    async def start(_request: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_HEADERS)

    async def healthz(_request: Request) -> Response:
        now = clock()
        wrong = complaints(await health_of(db, now=now), polling=True, now=now)
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        return JSONResponse({"healthy": not wrong, "wrong": wrong}, status_code=status, headers=_HEADERS)

    return Starlette(routes=[Route("/", start), Route("/healthz", healthz)])
