"""The way in: a link from the chat, a tap that spends it, a passphrase; and the way out.

A link is only looked at when it is opened, so previews spend nothing. Opening it leaves a cookie, without which
nobody can tap, and the tap exchanges it for a ticket in another: what follows is bound to this browser, and the
link's secret is kept out of every later address.
"""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from diary.arrivals import may_pass
from diary.signing_in import (
    LINK_LASTS,
    LONGEST,
    SHORTEST_PASSPHRASE,
    check_link,
    session_of,
    sign_in,
    sign_out,
    take_link,
    ticket_of,
)
from protocol.errors import SignInError
from web.asked import plain_page
from web.guard import TooOften, comes_from_here, csrf_of, form_of, is_csrf, who_asks
from web.pages import BACK_COOKIE, LANGUAGE_COOKIE, Door
from web.words import languages

log = structlog.get_logger(__name__)

_TRIES: Final = 20
_WITHIN: Final = timedelta(minutes=15)
_LINK_SECONDS: Final = int(LINK_LASTS.total_seconds())
_A_YEAR: Final = 365 * 24 * 3600


class SigningIn:
    """The routes for whoever is not signed in yet, and for whoever leaves."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._failures = TooOften(_TRIES, _WITHIN)

    def routes(self) -> list[Route]:
        """The addresses as Starlette takes them."""
        return [
            Route("/sign-in", self._guarded(self._ask), methods=["GET"]),
            Route("/sign-in", self._guarded(self._enter), methods=["POST"]),
            Route("/sign-in/{token}", self._guarded(self._look), methods=["GET"]),
            Route("/sign-in/{token}", self._guarded(self._take), methods=["POST"]),
            Route("/sign-out", self._guarded(self._leave), methods=["POST"]),
            Route("/language", self._speak, methods=["POST"]),
        ]

    def _guarded(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Answer forms of these pages, until too many of them failed, and say what is wrong."""

        async def guarded(request: Request) -> Response:
            sent, words = request.method == "POST", self._door.words(request)
            if sent and not comes_from_here(request, self._door.pages_url):
                log.warning("sign_in_refused", why="sent from elsewhere")
                return self._no(request, words("problem.form"))
            if sent and self._failures.reached(who_asks(request), now=self._door.clock()):
                log.warning("sign_in_refused", why="too often")
                return self._no(request, words("sign-in.too-often"), status=HTTPStatus.TOO_MANY_REQUESTS)
            try:
                return await answer(request)
            except SignInError as error:
                self._count(request)
                log.warning("sign_in_refused", why=error.why)
                return self._no(request, words(f"sign-in.{error.why}"))
            except Exception as error:
                if not may_pass(error):
                    raise
                back = "/" if request.url.path == "/sign-out" else request.url.path
                busy = HTTPStatus.SERVICE_UNAVAILABLE
                return plain_page("busy.html", words, status=busy, path=back, again=False)

        return guarded

    def _no(self, request: Request, why: str, *, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> Response:
        return plain_page("sign_in_no.html", self._door.words(request), status=status, why=why)

    def _count(self, request: Request) -> None:
        """Count a failure of whoever guesses; opening a link guesses nothing that a form would not."""
        if request.method == "POST":
            self._failures.count(who_asks(request), now=self._door.clock())

    async def _look(self, request: Request) -> Response:
        """Show what to tap, and leave a word with this browser: only who opened a link can take it."""
        token = request.path_params["token"]
        await check_link(self._door.db, token=token, now=self._door.clock())
        nonce = request.cookies.get(self._opened_cookie, "") or secrets.token_urlsafe(16)
        csrf = csrf_of(self._door.db.keys, f"{nonce} {token}")
        answer = plain_page("sign_in_link.html", self._door.words(request), path=request.url.path, csrf=csrf)
        self._door.keep(answer, self._opened_cookie, nonce, seconds=_LINK_SECONDS)
        return answer

    async def _take(self, request: Request) -> Response:
        token, nonce = request.path_params["token"], request.cookies.get(self._opened_cookie, "")
        given = str((await form_of(request)).get("csrf", ""))
        if not nonce or not is_csrf(self._door.db.keys, f"{nonce} {token}", given):
            self._count(request)
            return self._no(request, self._door.words(request)("sign-in.not-here"))
        ticket = await take_link(self._door.db, token=token, now=self._door.clock())
        answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
        self._door.forget(answer, self._opened_cookie)
        self._door.keep(answer, self._ticket_cookie, ticket, seconds=_LINK_SECONDS)
        return answer

    async def _is_in(self, request: Request) -> bool:
        """Whether somebody has signed in here already, as by the first click of two."""
        token = request.cookies.get(self._door.cookie, "")
        return bool(token) and await session_of(self._door.db, token=token, now=self._door.sessions()) is not None

    async def _ask(self, request: Request) -> Response:
        if await self._is_in(request):
            return RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
        ticket = request.cookies.get(self._ticket_cookie, "")
        words = self._door.words(request)
        if not ticket:
            out = words("sign-in.out") if request.cookies.get(self._door.cookie) else None
            return plain_page("sign_in_how.html", words, why=out)
        found = await ticket_of(self._door.db, ticket=ticket, now=self._door.clock())
        return self._passphrase(request, code=found.code, chooses=found.chooses, ticket=ticket)

    def _passphrase(
        self, request: Request, *, code: str, chooses: bool, ticket: str, why: str | None = None
    ) -> Response:
        return plain_page(
            "sign_in.html",
            self._door.words(request),
            status=HTTPStatus.FORBIDDEN if why else HTTPStatus.OK,
            code=code,
            chooses=chooses,
            shortest=SHORTEST_PASSPHRASE,
            csrf=csrf_of(self._door.db.keys, ticket),
            why=why,
        )

    async def _enter(self, request: Request) -> Response:
        door, ticket = self._door, request.cookies.get(self._ticket_cookie, "")
        if await self._is_in(request):
            return RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
        found = await ticket_of(door.db, ticket=ticket, now=door.clock())
        form, words = await form_of(request), door.words(request)
        if not is_csrf(door.db.keys, ticket, str(form.get("csrf", ""))):
            return self._no(request, words("problem.form"))
        passphrase = str(form.get("passphrase", ""))
        if found.chooses and passphrase != str(form.get("again", "")):
            return self._passphrase(
                request, code=found.code, chooses=True, ticket=ticket, why=words("sign-in.differs")
            )
        try:
            session = await sign_in(door.db, ticket=ticket, passphrase=passphrase, now=door.clock())
        except SignInError as error:
            self._count(request)
            log.warning("sign_in_refused", why=error.why)
            why = words(f"sign-in.{error.why}", shortest=SHORTEST_PASSPHRASE)
            return self._passphrase(request, code=found.code, chooses=found.chooses, ticket=ticket, why=why)
        back = unquote(request.cookies.get(self._back_cookie, "/"))
        answer = RedirectResponse(_inside(back), status_code=HTTPStatus.SEE_OTHER)
        for spent in (self._ticket_cookie, self._back_cookie):
            door.forget(answer, spent)
        door.keep(answer, door.cookie, session, seconds=int(LONGEST.total_seconds()))
        return answer

    async def _leave(self, request: Request) -> Response:
        token = request.cookies.get(self._door.cookie, "")
        form = await form_of(request)
        if token and is_csrf(self._door.db.keys, token, str(form.get("csrf", ""))):
            await sign_out(self._door.db, token=token, now=self._door.clock())
        answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
        for gone in (self._door.cookie, self._back_cookie):
            self._door.forget(answer, gone)
        return answer

    async def _speak(self, request: Request) -> Response:
        """Choose the pages' language: no secret, so it needs no session."""
        form = await form_of(request)
        language, back = str(form.get("language", "")), str(form.get("back", "/"))
        answer = RedirectResponse(_inside(back), status_code=HTTPStatus.SEE_OTHER)
        if language in languages() and comes_from_here(request, self._door.pages_url):
            self._door.keep(answer, LANGUAGE_COOKIE, language, seconds=_A_YEAR)
        return answer

    @property
    def _ticket_cookie(self) -> str:
        return self._door.cookie_called("ticket")

    @property
    def _opened_cookie(self) -> str:
        return self._door.cookie_called("opened")

    @property
    def _back_cookie(self) -> str:
        return self._door.cookie_called(BACK_COOKIE)


def _inside(path: str) -> str:
    """A path of these pages; anything that leads elsewhere is the first page."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
