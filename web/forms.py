"""A form on a page of its own: shown with what holds now, shown again with what was typed when it is refused."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from http import HTTPStatus
from typing import Any, TypeAlias

from starlette.responses import Response

from diary.roles import Act
from protocol.errors import ConflictError, DaybookError, NotAllowedError, UnknownCodeError, WrongCallError
from protocol.typed import DAY_TOO_FAR, FIRST_DAY, code_of, is_plain
from protocol.values import parse_wall
from web.asked import Asked
from web.pages import Page

Shown: TypeAlias = Mapping[str, Any]


class NotUnderstoodError(WrongCallError):
    """A field that cannot be read; `key` is the catalogue's sentence about it."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


class MeanwhileError(ConflictError):
    """What somebody else did meanwhile leaves another way than sending it again; `key` says which."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__()


@dataclass(frozen=True, slots=True)
class Form:
    """An address with one form: what it shows, and the verb it calls, which answers where to go then."""

    path: str
    changes: Act
    template: str
    shown: Callable[[Asked], Awaitable[Shown]]
    do: Callable[[Asked, Shown], Awaitable[Response]]
    sees: Act | None = None  # where there is more to see than the form

    def page(self) -> Page:
        """The form's address among the pages: who may not change has mostly nothing to see there."""
        return Page(self.path, self.sees or self.changes, self._show, self._send, self.changes)

    async def _show(self, asked: Asked) -> Response:
        return asked.page(self.template, problem=None, **await self.shown(asked))

    async def _send(self, asked: Asked) -> Response:
        shown = await self.shown(asked)
        try:
            return await self.do(asked, shown)
        except UnknownCodeError:
            raise
        except DaybookError as error:
            status = HTTPStatus.CONFLICT if isinstance(error, ConflictError) else HTTPStatus.UNPROCESSABLE_ENTITY
            # What holds now is read again: after a conflict it is not what the form began with.
            return asked.page(self.template, status=status, problem=_said(asked, error), **await self.shown(asked))


def _said(asked: Asked, error: DaybookError) -> str:
    match error:
        case NotUnderstoodError(key=key) | MeanwhileError(key=key):
            return asked.words(key)
        case ConflictError():
            return asked.words("problem.changed")
        case NotAllowedError() | DaybookError():
            return str(error)


def needed(asked: Asked, name: str) -> str:
    """A field that must not be empty."""
    text = asked.typed(name)
    if not text:
        raise NotUnderstoodError(f"needed.{name}")
    if not is_plain(text):
        raise NotUnderstoodError("problem.plain")
    return text


def code_in(asked: Asked, name: str = "code") -> str:
    """A new code of a patient, a site or a staff member."""
    try:
        return code_of(needed(asked, name))
    except NotUnderstoodError:
        raise
    except WrongCallError:
        raise NotUnderstoodError("problem.code") from None


def day_in(asked: Asked, name: str) -> date:
    """A day as browsers send it, 2026-11-24."""
    try:
        day = date.fromisoformat(needed(asked, name))
    except ValueError:
        raise NotUnderstoodError("problem.day") from None
    if not FIRST_DAY <= day < DAY_TOO_FAR:
        raise NotUnderstoodError("problem.day")
    return day


def wall_in(asked: Asked, name: str) -> time:
    """A time of day as browsers send it, 20:00."""
    try:
        return parse_wall(needed(asked, name))
    except ValueError:
        raise NotUnderstoodError("problem.time") from None
