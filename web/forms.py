"""A form on a page of its own: shown with what holds now, shown again with what was typed when it is refused."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from diary.roles import Act
from protocol.calendar import zone_of
from protocol.errors import ConflictError, DaybookError, UnknownCodeError
from protocol.typed import DAY_TOO_FAR, FIRST_DAY, code_of, plain_of
from protocol.values import parse_wall
from web.asked import Asked
from web.numbers import ID_DIGITS, number_of
from web.pages import Page
from web.refusals import Doubt, NotSureError, NotUnderstoodError, said
from web.words import day

Shown: TypeAlias = Mapping[str, Any]

_FAR: Final = timedelta(days=366)


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
        except NotSureError as unsure:
            status, shown = HTTPStatus.UNPROCESSABLE_ENTITY, await self.shown(asked)
            return asked.page(self.template, status=status, problem=None, doubts=unsure.doubts, **shown)
        except DaybookError as error:
            status = HTTPStatus.CONFLICT if isinstance(error, ConflictError) else HTTPStatus.UNPROCESSABLE_ENTITY
            # What holds now is read again: after a conflict it is not what the form began with.
            return asked.page(
                self.template, status=status, problem=said(asked.words, error), **await self.shown(asked)
            )


def needed(asked: Asked, name: str) -> str:
    """A field that must not be empty."""
    text = plain_of(asked.typed(name))
    if text is None:
        raise NotUnderstoodError("problem.plain")
    if not text:
        raise NotUnderstoodError(f"needed.{name}")
    return text


def code_in(asked: Asked, name: str = "code") -> str:
    """A new code of a patient, a site or a staff member."""
    return code_of(needed(asked, name))


def day_in(asked: Asked, name: str) -> date:
    """A day as browsers send it, 2026-11-24."""
    try:
        found = date.fromisoformat(needed(asked, name))
    except ValueError:
        raise NotUnderstoodError("problem.day") from None
    if not FIRST_DAY <= found < DAY_TOO_FAR:
        raise NotUnderstoodError("problem.day")
    return found


def wall_in(asked: Asked, name: str) -> time:
    """A time of day as browsers send it, 20:00."""
    return _wall(needed(asked, name))


def wall_if_any(asked: Asked, name: str) -> time | None:
    """The same of a field that may be left empty."""
    text = asked.typed(name)
    return _wall(text) if text else None


def _wall(text: str) -> time:
    try:
        return parse_wall(text)
    except ValueError:
        raise NotUnderstoodError("problem.time") from None


def id_in(asked: Asked, name: str) -> int:
    """The id of something a form was about; one that cannot be any is as unknown as one that is not there."""
    found = number_of(asked.typed(name), digits=ID_DIGITS)
    if found is None:
        raise UnknownCodeError("There is no such thing.")
    return found


def ask_first(asked: Asked, effects: Sequence[str], *, about: str) -> None:
    """Show what would follow before it is done; a yes is good only for what it was said to."""
    if effects and about not in asked.ticked("meant"):
        raise NotSureError([Doubt(about, effects, asked.words("doubt.yes"))])


def strange_day(asked: Asked, start: date, *, zone: str) -> list[str]:
    """What is strange about a first day, in words, if anything is."""
    today = asked.now.astimezone(zone_of(zone)).date()
    if start < today:
        return [asked.words("sure.past", day=day(asked.words, start))]
    return [asked.words("sure.far", day=day(asked.words, start))] if start > today + _FAR else []
