"""The addresses of the staff pages: which act opens each, and what stands between a request and its answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from diary import Database
from diary.arrivals import may_pass
from diary.roles import Act
from diary.signing_in import Session, session_of
from protocol.errors import ConflictError, DaybookError, NotAllowedError, UnknownCodeError
from web.asked import Asked, plain_page
from web.guard import comes_from_here, csrf_of, form_of, is_csrf
from web.words import Words, languages, words_in

log = structlog.get_logger(__name__)

LANGUAGE_COOKIE: Final = "language"
_SECRET_FIELDS: Final = frozenset({"csrf", "passphrase", "again"})

Handler: TypeAlias = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """An address, the act it takes to ask there, and the act it takes to change something there."""

    path: str
    act: Act
    get: Handler | None = None
    post: Handler | None = None
    changes: Act | None = None

    @property
    def acts(self) -> dict[str, Act]:
        """What each method of HTTP needs."""
        need = {"GET": self.act} if self.get else {}
        return need | ({"POST": self.changes or self.act} if self.post else {})


@dataclass(frozen=True, slots=True)
class Door:
    """What every page is opened with; `sessions` is the clock that ends them, which nobody moves by hand."""

    db: Database
    clock: Callable[[], datetime]
    sessions: Callable[[], datetime]
    pages_url: str | None

    @property
    def https(self) -> bool:
        """Whether the pages are reached by HTTPS, so that cookies can insist on it."""
        return (self.pages_url or "").startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; `__Host-` binds it to this host and to HTTPS."""
        return "__Host-daybook" if self.https else "daybook"

    def routes(self, pages: Sequence[Page]) -> list[Route]:
        """The addresses as Starlette takes them."""
        return [Route(page.path, self._endpoint(page), methods=list(page.acts)) for page in pages]

    def _endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                session = await self._session(request)
            except Exception as error:
                if not may_pass(error):
                    raise
                return plain_page(
                    "busy.html", self.words(request), status=HTTPStatus.SERVICE_UNAVAILABLE, fields=()
                )
            if session is None:
                return _to_sign_in(request)
            return await self._answer(page, self._asked(request, session, readable=page.get is not None))

        return answer

    async def problem(self, request: Request, key: str, status: HTTPStatus) -> Response:
        """A page that says what went wrong, in the frame of the pages for whoever is signed in."""
        try:
            session = await self._session(request)
        except Exception as error:
            if not may_pass(error):
                raise
            session = None
        if session is None:
            words = self.words(request)
            return plain_page("problem.html", words, status=status, problem=words(key), fields=())
        return _problem(self._asked(request, session, readable=False), key, status)

    async def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(self.cookie, "")
        return await session_of(self.db, token=token, now=self.sessions()) if token else None

    def _asked(self, request: Request, session: Session, *, readable: bool) -> Asked:
        return Asked(
            request=request,
            db=self.db,
            now=self.clock(),
            member=session.member,
            actor=session.actor,
            words=self.words(request, session.member.language),
            csrf=csrf_of(self.db.keys, request.cookies.get(self.cookie, "")),
            readable=readable,
        )

    async def _answer(self, page: Page, asked: Asked) -> Response:
        request = asked.request
        if request.method == "POST":
            request.state.form = await form_of(request)
            sent_from_here = comes_from_here(request, self.pages_url)
            token = request.cookies.get(self.cookie, "")
            if not sent_from_here or not is_csrf(self.db.keys, token, asked.typed("csrf")):
                return _problem(asked, "problem.form", HTTPStatus.FORBIDDEN)
        if not asked.may(page.acts["GET" if request.method == "HEAD" else request.method]):
            return _problem(asked, "problem.role", HTTPStatus.FORBIDDEN)
        handler = page.post if request.method == "POST" else page.get
        assert handler is not None  # the route names only methods that have one
        return await _kept(asked, handler)

    def words(self, request: Request, language: str = "") -> Words:
        """The words for whoever asks: as chosen on the pages, else their own, else what the browser likes."""
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        liked = [part.partition("-")[0].strip() for part in request.headers.get("accept-language", "").split(",")]
        wanted = [chosen, language, *liked]
        return words_in(next((one for one in wanted if one in languages()), "en"))


async def _kept(asked: Asked, handler: Handler) -> Response:
    """Answer; whatever goes wrong is a page that says so, and nothing that was typed is lost."""
    try:
        return await handler(asked)
    except UnknownCodeError:
        return _problem(asked, "problem.unknown", HTTPStatus.NOT_FOUND)
    except DaybookError as error:
        return _again(asked, str(error), _STATUS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY))
    except Exception as error:
        if may_pass(error):
            log.warning("page_waits_for_database", error=type(error).__name__)
            return asked.page("busy.html", status=HTTPStatus.SERVICE_UNAVAILABLE, fields=_fields(asked))
        log.exception("page_failed", path=asked.request.scope["path"], error=type(error).__name__)
        return _problem(asked, "problem.ours", HTTPStatus.INTERNAL_SERVER_ERROR)


_STATUS: Final = {NotAllowedError: HTTPStatus.FORBIDDEN, ConflictError: HTTPStatus.CONFLICT}


def _problem(asked: Asked, key: str, status: HTTPStatus) -> Response:
    return asked.page("problem.html", status=status, problem=asked.words(key), fields=())


def _again(asked: Asked, problem: str, status: HTTPStatus) -> Response:
    """What an error of the diary says, with what was typed in sight."""
    return asked.page("problem.html", status=status, problem=problem, fields=_fields(asked))


def _fields(asked: Asked) -> list[tuple[str, str]]:
    """What was typed, to be sent again with one tap."""
    typed = asked.form.multi_items()
    return [(name, value) for name, value in typed if isinstance(value, str) and name not in _SECRET_FIELDS]


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("hx-request"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
