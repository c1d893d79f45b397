"""The way in: a link from the chat, a tap that spends it, a passphrase; and the way out.

A link is only looked at when it is opened, so previews spend nothing. The tap exchanges it for a ticket in a
cookie, which binds what follows to this browser and keeps the link's secret out of every later address.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from diary.signing_in import (
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
from web.pages import LANGUAGE_COOKIE, Door
from web.words import languages

_TRIES: Final = 20
_WITHIN: Final = timedelta(minutes=15)
_A_YEAR: Final = 365 * 24 * 3600


class SigningIn:
    """The routes for whoever is not signed in yet, and for whoever leaves."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._too_often = TooOften(_TRIES, _WITHIN)

    def routes(self) -> list[Route]:
        """The addresses as Starlette takes them."""
        return [
            Route("/sign-in", self._limited(self._ask), methods=["GET"]),
            Route("/sign-in", self._limited(self._enter), methods=["POST"]),
            Route("/sign-in/{token}", self._limited(self._look), methods=["GET"]),
            Route("/sign-in/{token}", self._limited(self._take), methods=["POST"]),
            Route("/sign-out", self._leave, methods=["POST"]),
            Route("/language", self._speak, methods=["POST"]),
        ]

    def _limited(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Answer so many times and no more, and say what is wrong with a link or passphrase."""

        async def limited(request: Request) -> Response:
            words = self._door.words(request)
            if request.method == "POST" and self._too_often(who_asks(request), now=self._door.clock()):
                too_often = HTTPStatus.TOO_MANY_REQUESTS
                return plain_page("sign_in_no.html", words, status=too_often, why=words("sign-in.too-often"))
            if request.method == "POST" and not comes_from_here(request, self._door.pages_url):
                wrong = HTTPStatus.FORBIDDEN
                return plain_page("sign_in_no.html", words, status=wrong, why=words("problem.form"))
            try:
                return await answer(request)
            except SignInError as error:
                why = words(f"sign-in.{error.why}")
                return plain_page("sign_in_no.html", words, status=HTTPStatus.FORBIDDEN, why=why)

        return limited

    async def _look(self, request: Request) -> Response:
        await check_link(self._door.db, token=request.path_params["token"], now=self._door.clock())
        return plain_page("sign_in_link.html", self._door.words(request), path=request.url.path)

    async def _take(self, request: Request) -> Response:
        ticket = await take_link(self._door.db, token=request.path_params["token"], now=self._door.clock())
        answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
        self._keep(answer, self._ticket_cookie, ticket, seconds=600)
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
            return plain_page("sign_in_how.html", words)
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
            return plain_page("sign_in_no.html", words, status=HTTPStatus.FORBIDDEN, why=words("problem.form"))
        passphrase = str(form.get("passphrase", ""))
        if found.chooses and passphrase != str(form.get("again", "")):
            return self._passphrase(
                request, code=found.code, chooses=True, ticket=ticket, why=words("sign-in.differs")
            )
        try:
            session = await sign_in(door.db, ticket=ticket, passphrase=passphrase, now=door.clock())
        except SignInError as error:
            why = words(f"sign-in.{error.why}", shortest=SHORTEST_PASSPHRASE)
            return self._passphrase(request, code=found.code, chooses=found.chooses, ticket=ticket, why=why)
        answer = RedirectResponse("/", status_code=HTTPStatus.SEE_OTHER)
        answer.delete_cookie(self._ticket_cookie, path="/", secure=door.https, httponly=True, samesite="lax")
        self._keep(answer, door.cookie, session, seconds=int(LONGEST.total_seconds()))
        return answer

    async def _leave(self, request: Request) -> Response:
        token = request.cookies.get(self._door.cookie, "")
        form = await form_of(request)
        if token and is_csrf(self._door.db.keys, token, str(form.get("csrf", ""))):
            await sign_out(self._door.db, token=token, now=self._door.clock())
        answer = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
        answer.delete_cookie(self._door.cookie, path="/", secure=self._door.https, httponly=True, samesite="lax")
        return answer

    async def _speak(self, request: Request) -> Response:
        """Choose the pages' language: no secret, so it needs no session."""
        form = await form_of(request)
        language, back = str(form.get("language", "")), str(form.get("back", "/"))
        inside = back.startswith("/") and not back.startswith(("//", "/\\"))
        answer = RedirectResponse(back if inside else "/", status_code=HTTPStatus.SEE_OTHER)
        if language in languages() and comes_from_here(request, self._door.pages_url):
            self._keep(answer, LANGUAGE_COOKIE, language, seconds=_A_YEAR)
        return answer

    @property
    def _ticket_cookie(self) -> str:
        return "__Host-ticket" if self._door.https else "ticket"

    def _keep(self, answer: Response, name: str, value: str, *, seconds: int) -> None:
        answer.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._door.https, httponly=True, samesite="lax"
        )
