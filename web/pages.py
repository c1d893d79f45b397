"""The addresses of the staff pages: which act opens each, and what stands between a request and its answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import quote

import structlog
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from diary import Database
from diary.arrivals import may_pass
from diary.roles import Act
from diary.signing_in import Session, mark_session, session_of
from protocol.errors import ConflictError, DaybookError, NotAllowedError, UnknownCodeError
from web.asked import Asked, plain_page
from web.guard import comes_from_here, csrf_of, form_of, is_csrf
from web.marking import Marking
from web.refusals import said
from web.words import Words, languages, words_in

log = structlog.get_logger(__name__)

LANGUAGE_COOKIE: Final = "language"
BACK_COOKIE: Final = "back"
_BACK_SECONDS: Final = 30 * 60
_REFUSED: Final = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_SECRET_FIELDS: Final = frozenset({"csrf", "passphrase", "chosen", "again"})

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
    marking: Marking = field(default_factory=lambda: Marking("session_not_marked"))

    @property
    def https(self) -> bool:
        """Whether the pages are reached by HTTPS, so that cookies can insist on it."""
        return (self.pages_url or "").startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return self.cookie_called("daybook")

    def cookie_called(self, name: str) -> str:
        """A cookie's name; `__Host-` binds it to this host and to HTTPS."""
        return f"__Host-{name}" if self.https else name

    def keep(self, answer: Response, name: str, value: str, *, seconds: int) -> None:
        """Leave a cookie with the browser, which no script reads and no other site sends."""
        answer.set_cookie(name, value, max_age=seconds, path="/", secure=self.https, httponly=True, samesite="lax")

    def forget(self, answer: Response, name: str) -> None:
        """Take a cookie away."""
        answer.delete_cookie(name, path="/", secure=self.https, httponly=True, samesite="lax")

    def routes(self, pages: Sequence[Page]) -> list[Route]:
        """The addresses as Starlette takes them."""
        return [Route(page.path, self._endpoint(page), methods=list(page.acts)) for page in pages]

    def _endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            # Read first: whatever happens from here on, what was typed can be shown again.
            request.state.form = await form_of(request) if request.method == "POST" else FormData()
            try:
                session = await self._session(request)
            except Exception as error:
                if not may_pass(error):
                    raise
                return self._busy(request)
            if session is None:
                return self._signed_out(page, request)
            answered = await self._answer(page, self._asked(request, session, readable=page.get is not None))
            if answered.status_code in _REFUSED:
                # The address as it is written down, not as it was asked: it would name a patient.
                told = {"page": page.path, "method": request.method, "status": int(answered.status_code)}
                log.warning("page_refused", staff=session.member.id, **told)
            return self._marked(answered, session) if session.unmarked else answered

        return answer

    def _token(self, request: Request) -> str:
        """The session's token, as the browser sends it."""
        return request.cookies.get(self.cookie, "")

    def _is_own(self, request: Request) -> bool:
        """Whether a form was sent from these pages, by this session."""
        given = str(request.state.form.get("csrf", ""))
        return comes_from_here(request, self.pages_url) and is_csrf(self.db.keys, self._token(request), given)

    def _busy(self, request: Request) -> Response:
        """The database cannot even say who asks; a form of theirs can be sent again, which asks anew."""
        own = request.method == "POST" and self._is_own(request)
        return plain_page(
            "busy.html",
            self.words(request),
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            path=request.url.path,
            csrf=csrf_of(self.db.keys, self._token(request)),
            fields=fields_of(request.state.form) if own else (),
            again=own,
        )

    def _signed_out(self, page: Page, request: Request) -> Response:
        """To the sign-in, and from there back; what was typed is shown, to be copied, and kept nowhere."""
        if request.headers.get("hx-request"):
            return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": "/sign-in"})
        typed = fields_of(request.state.form) if comes_from_here(request, self.pages_url) else []
        answer: Response = RedirectResponse("/sign-in", status_code=HTTPStatus.SEE_OTHER)
        if typed:
            words = self.words(request)
            answer = plain_page("signed_out.html", words, status=HTTPStatus.FORBIDDEN, fields=typed)
        query = f"?{request.url.query}" if request.url.query else ""
        back = f"{request.url.path}{query}" if page.get else "/"
        self.keep(answer, self.cookie_called(BACK_COOKIE), quote(back), seconds=_BACK_SECONDS)
        return answer

    def _marked(self, answered: Response, session: Session) -> Response:
        """Note the session's use when the answer is out."""
        tasks = [answered.background, BackgroundTask(self._mark, session.session_id)]
        answered.background = BackgroundTasks([task for task in tasks if task is not None])
        return answered

    async def _mark(self, session_id: int) -> None:
        await self.marking.note(
            session_id, lambda: mark_session(self.db, session_id=session_id, now=self.sessions())
        )

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
        token = self._token(request)
        return await session_of(self.db, token=token, now=self.sessions()) if token else None

    def _asked(self, request: Request, session: Session, *, readable: bool) -> Asked:
        return Asked(
            request=request,
            db=self.db,
            now=self.clock(),
            member=session.member,
            actor=session.actor,
            words=self.words(request, session.member.language),
            session_id=session.session_id,
            csrf=csrf_of(self.db.keys, self._token(request)),
            readable=readable,
        )

    async def _answer(self, page: Page, asked: Asked) -> Response:
        request = asked.request
        if request.method == "POST" and not self._is_own(request):
            typed = fields_of(asked.form) if comes_from_here(request, self.pages_url) else []
            return _problem(asked, "problem.form", HTTPStatus.FORBIDDEN, typed)
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
        return _again(asked, said(asked.words, error), _STATUS.get(type(error), HTTPStatus.UNPROCESSABLE_ENTITY))
    except Exception as error:
        if may_pass(error):
            log.warning("page_waits_for_database", error=type(error).__name__)
            again = asked.request.method == "POST"
            unavailable = HTTPStatus.SERVICE_UNAVAILABLE
            return asked.page("busy.html", status=unavailable, fields=fields_of(asked.form), again=again)
        log.exception("page_failed", path=asked.request.scope["path"], error=type(error).__name__)
        return _problem(asked, "problem.ours", HTTPStatus.INTERNAL_SERVER_ERROR)


_STATUS: Final = {NotAllowedError: HTTPStatus.FORBIDDEN, ConflictError: HTTPStatus.CONFLICT}


def _problem(asked: Asked, key: str, status: HTTPStatus, fields: Sequence[tuple[str, str]] = ()) -> Response:
    return asked.page("problem.html", status=status, problem=asked.words(key), fields=fields)


def _again(asked: Asked, problem: str, status: HTTPStatus) -> Response:
    """What an error of the diary says, with what was typed in sight."""
    return asked.page("problem.html", status=status, problem=problem, fields=fields_of(asked.form))


def fields_of(form: FormData) -> list[tuple[str, str]]:
    """What was typed and may be shown again."""
    typed = form.multi_items()
    return [(name, value) for name, value in typed if isinstance(value, str) and name not in _SECRET_FIELDS]
