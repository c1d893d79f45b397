"""One request of a signed-in member of the study team, and the ways to answer it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from diary import Actor, Database, StaffMember
from diary.roles import Act, may
from protocol.calendar import zone_of
from web.numbers import ID_DIGITS, number_of
from web.words import Words, instant, languages, percent, points

_ICON: Final = (files("web") / "static" / "icon.svg").read_text(encoding="utf-8")
PAGES: Final = Environment(
    loader=PackageLoader("web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.globals.update(Act=Act, zone_of=zone_of, icon=Markup(_ICON))  # noqa: S704 - a file of ours


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, for what, and when.

    `csrf` is what every form of the session must carry; `readable` tells whether the address can be asked for
    again, or only a form leads there.
    """

    request: Request
    db: Database
    now: datetime
    member: StaffMember
    actor: Actor
    words: Words
    session_id: int
    csrf: str
    readable: bool

    @property
    def scope(self) -> frozenset[int] | None:
        """The sites whose patients exist for whoever asks; None is every site."""
        return self.actor.sites

    @property
    def today(self) -> date:
        """The day by which a date of another year is told with its year."""
        return self.now.date()

    @property
    def form(self) -> FormData:
        """What was typed; empty for a question."""
        return getattr(self.request.state, "form", FormData())

    def typed(self, name: str) -> str:
        """One field of the form, without blanks around it."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def ticked(self, name: str) -> frozenset[str]:
        """The boxes of this name that were ticked."""
        return frozenset(value for value in self.form.getlist(name) if isinstance(value, str))

    def query(self, name: str) -> str:
        """One part of the address's question."""
        return self.request.query_params.get(name, "").strip()

    def number(self, name: str) -> int | None:
        """A whole number in the address's question; None where there is none that can be read."""
        return number_of(self.query(name), digits=ID_DIGITS)

    def page_number(self) -> int:
        """The page of a long list; what cannot be read is the first."""
        return max(1, self.number("page") or 1)

    def may(self, act: Act) -> bool:
        """Tell whether whoever asks may do this."""
        return may(self.actor, act)

    def page(self, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """A page with the frame of the pages around it."""
        return HTMLResponse(self.text(template, **values), status_code=status)

    def text(self, template: str, **values: Any) -> str:
        """A template filled in."""
        return PAGES.get_template(template).render(
            **frame(self.words),
            asked=self,
            may=self.may,
            csrf=self.csrf,
            form_id=secrets.token_urlsafe(12),
            path=self.request.url.path,
            done=self.query("done"),
            here=self.here,
            day=partial(self.words.date, today=self.today),
            **values,
        )

    def here(self, **changed: object) -> str:
        """This address with parts of its question changed; None takes one out."""
        parts = {**self.request.query_params, **changed}
        parts.pop("done", None)
        kept = urlencode({name: str(value) for name, value in parts.items() if value not in (None, "")})
        return f"{self.request.url.path}?{kept}" if kept else self.request.url.path

    @property
    def back(self) -> str:
        """Where a choice of language leads: here again, with the question as it was asked."""
        return self.here() if self.readable else "/"

    def go(self, path: str, *, done: str | None = None) -> Response:
        """See another page after an act, so that a page loaded anew repeats nothing."""
        return RedirectResponse(f"{path}?done={done}" if done else path, status_code=HTTPStatus.SEE_OTHER)


def frame(words: Words) -> Mapping[str, Any]:
    """What every page needs, signed in or not."""
    return {
        "t": words,
        "languages": languages(),
        "percent": partial(percent, words),
        "points": partial(points, words),
        "instant": partial(instant, words),
    }


def plain_page(template: str, words: Words, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """A page for somebody who is not signed in."""
    return HTMLResponse(PAGES.get_template(template).render(**frame(words), **values), status_code=status)
