"""The phone page: a patient's and a staff member's phone side by side, over a clock that can be moved."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from rehearsal.accounts import Account
from rehearsal.clock import Clock
from rehearsal.people import Person
from rehearsal.telegram import Telegram
from rehearsal.travel import TimeControls
from rehearsal.view import phone_json

PAGE = Path(__file__).parent / "page"
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HEARTBEAT_SECONDS = 15.0
_BLINK_SECONDS = 0.02

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Phone:
    """Whose phone it is, which bot it talks to, and the link the person was invited with."""

    person: Person
    bot: Account
    title: str
    invite: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A page elsewhere the newcomer may want to open."""

    title: str
    url: str


class Act(BaseModel):
    """What a tap on the page asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    act: Literal["start", "type", "tap", "press", "edit", "send", "block", "unblock", "show"]
    text: str = Field(default="", max_length=20_000)
    message: int = 0
    row: int = 0
    column: int = 0
    which: int = 0


class Move(BaseModel):
    """How far the clock is asked to move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: Literal["next", "hour", "day"]


@dataclass(slots=True)
class _Stand:
    """A place on the page; the patient's may be handed from one patient to the next."""

    phones: list[Phone]
    shown: int = 0

    @property
    def phone(self) -> Phone:
        return self.phones[self.shown]


class PhonePage:
    """The routes of the page, to be mounted at the root beside the Bot API."""

    def __init__(
        self,
        telegram: Telegram,
        *,
        phones: Sequence[Phone],
        clock: Clock,
        controls: TimeControls | None = None,
        zone: str = "UTC",
        new_patient: Callable[[], Awaitable[Phone]] | None = None,
        links: Sequence[Link] = (),
        earlier: Sequence[Phone] = (),
    ) -> None:
        """Stand up the phones; `earlier` are patients who can have the first one back."""
        self._telegram = telegram
        self._stands = [_Stand([phone]) for phone in phones]
        self._stands[0] = _Stand([*earlier, phones[0]], shown=len(earlier))
        self._clock = clock
        self._controls = controls
        self._zone = zone
        self._new_patient = new_patient
        self._links = tuple(links)

    def routes(self) -> list[Route]:
        """Answer the routes; acts are POST and JSON only, so that no other site can send them."""
        return [
            Route("/", self._index),
            Route("/rehearsal/page/{name}", self._page),
            Route("/rehearsal/files/{file_id}", self._file),
            Route("/rehearsal/state", self._state_now),
            Route("/rehearsal/live", self._live),
            Route("/rehearsal/phones/{number:int}", self._act, methods=["POST"]),
            Route("/rehearsal/time", self._move, methods=["POST"]),
            Route("/rehearsal/patients", self._another, methods=["POST"]),
        ]

    async def state(self) -> dict[str, Any]:
        """Answer all that the page shows."""
        controls = self._controls
        event = await controls.next_event() if controls and not controls.moving else None
        return {
            "now": self._clock().isoformat(),
            "zone": self._zone,
            "next": event.isoformat() if event else None,
            "controls": controls is not None,
            "moving": controls is not None and controls.moving,
            "another": self._new_patient is not None,
            "links": [{"title": link.title, "url": link.url} for link in self._links],
            "phones": [self._stand_json(stand) for stand in self._stands],
        }

    def _stand_json(self, stand: _Stand) -> dict[str, Any]:
        phone = stand.phone
        return phone_json(phone.person, phone.bot) | {
            "title": phone.title,
            "titles": [each.title for each in stand.phones],
            "shown": stand.shown,
        }

    # What the browser reads.

    async def _index(self, _: Request) -> Response:
        return _static("index.html")

    async def _page(self, request: Request) -> Response:
        return _static(request.path_params["name"])

    async def _file(self, request: Request) -> Response:
        file = self._telegram.files.get(request.path_params["file_id"])
        if file is None:
            return Response(status_code=HTTPStatus.NOT_FOUND, headers=_HEADERS)
        # Only pictures are shown; anything else is saved, so that no sent file runs as a page.
        if file.mime in ("image/png", "image/jpeg", "image/webp", "image/gif"):
            return Response(file.content, media_type=file.mime, headers=_HEADERS)
        saved = _HEADERS | {"Content-Disposition": "attachment"}
        return Response(file.content, media_type="application/octet-stream", headers=saved)

    async def _state_now(self, _: Request) -> Response:
        return _json(await self.state())

    async def _live(self, _: Request) -> Response:
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=_HEADERS)

    async def _events(self) -> AsyncIterator[bytes]:
        seen = -1
        last = b""
        while True:
            if seen == self._telegram.bell.rings:
                await self._telegram.bell.wait(_HEARTBEAT_SECONDS)
            if seen == self._telegram.bell.rings:
                yield b": still here\n\n"
            # What happens within a blink is shown at once.
            await asyncio.sleep(_BLINK_SECONDS)
            seen = self._telegram.bell.rings
            state = orjson.dumps(await self.state())
            if state != last:
                last = state
                yield b"data: " + state + b"\n\n"

    # What the browser asks for.

    async def _act(self, request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(self._stands):
            return _json({"error": "there is no such phone"}, HTTPStatus.NOT_FOUND)
        try:
            act = await _asked(request, Act)
            self._do(self._stands[number], act)
        except (ValueError, LookupError, AssertionError) as reason:
            return _json({"error": str(reason)}, HTTPStatus.BAD_REQUEST)
        self._telegram.bell.ring()
        return _json({})

    def _do(self, stand: _Stand, act: Act) -> None:
        phone = stand.phone
        person, bot = phone.person, phone.bot
        match act.act:
            case "start":
                person.press_start(bot, act.text or _payload(phone))
            case "type":
                if act.text.strip():
                    person.type(act.text, bot=bot)
            case "tap":
                message = person.chat(bot).messages[act.message]
                button = (message.keyboard or ())[act.row][act.column]
                person.tap(data=button["callback_data"], message=message, bot=bot)
            case "press":
                person.press_key(act.text, bot=bot)
            case "edit":
                person.edit(person.chat(bot).messages[act.message], act.text)
            case "send":
                _SENDABLE[act.text](person, bot)
            case "block":
                person.block(bot)
            case "unblock":
                person.unblock(bot)
            case "show":
                stand.phones[act.which]
                stand.shown = act.which

    async def _move(self, request: Request) -> Response:
        try:
            move = await _asked(request, Move)
        except ValueError as reason:
            return _json({"error": str(reason)}, HTTPStatus.BAD_REQUEST)
        if self._controls is None:
            return _json({"error": "this clock cannot be moved"}, HTTPStatus.CONFLICT)
        reached = await self._moved(self._controls, move)
        self._telegram.bell.ring()
        return _json({"now": reached})

    async def _moved(self, controls: TimeControls, move: Move) -> str | None:
        if move.to == "next":
            event = await controls.to_next(self._clock)
            return event.isoformat() if event else None
        span = timedelta(hours=1) if move.to == "hour" else timedelta(days=1)
        return (await controls.forward(self._clock, span)).isoformat()

    async def _another(self, request: Request) -> Response:
        if self._new_patient is None or not _is_json(request):
            return _json({"error": "no other patient can be made here"}, HTTPStatus.CONFLICT)
        stand = self._stands[0]
        stand.phones.append(await self._new_patient())
        stand.shown = len(stand.phones) - 1
        self._telegram.bell.ring()
        return _json({})


_SENDABLE: Mapping[str, Callable[[Person, Account], object]] = {
    "photo": lambda person, bot: person.send_photo(bot=bot),
    "voice": lambda person, bot: person.send_voice(bot=bot),
    "sticker": lambda person, bot: person.send_sticker(bot=bot),
    "location": lambda person, bot: person.send_location(bot=bot),
    "forward": lambda person, bot: person.forward("7", bot=bot),
}


async def _asked(request: Request, model: type[T]) -> T:
    if not _is_json(request):
        raise ValueError("acts are JSON")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as reason:
        raise ValueError(str(reason.errors()[0]["msg"])) from None


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


def _payload(phone: Phone) -> str | None:
    return phone.invite.partition("start=")[2] or None if phone.invite else None


def _static(name: str) -> Response:
    file = PAGE / name
    if file.parent != PAGE or not file.is_file():
        return Response(status_code=HTTPStatus.NOT_FOUND, headers=_HEADERS)
    kind = _KINDS.get(file.suffix[1:], "application/octet-stream")
    return Response(file.read_bytes(), media_type=kind, headers=_HEADERS)


def _json(content: dict[str, Any], status: int = HTTPStatus.OK) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json", headers=_HEADERS)
