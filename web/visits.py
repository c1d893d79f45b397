"""Clinic days: which are due, and a form for what is measured there."""

from typing import Final

from starlette.responses import Response

from diary.roles import Act
from diary.visits import record_visit
from protocol.errors import UnknownCodeError
from protocol.model import Measure
from reports.visits import visits_due, visits_of
from web.asked import Asked
from web.forms import Form, NotUnderstoodError, Shown, day_in, needed
from web.pages import Page

_DAYS_AHEAD: Final = 28
# Arabic keyboards write these; browsers hand them on in a text field.
_POINTS: Final = str.maketrans({"٫": ".", ",": ".", "٬": ""})


async def _due(asked: Asked) -> Response:
    due = await visits_due(asked.db, asked.scope, asked.now, within=_DAYS_AHEAD)
    return asked.page("visits.html", visits=due, today=asked.now.date())


async def _visit(asked: Asked) -> Shown:
    code, name = asked.request.path_params["code"], asked.request.path_params["visit"]
    visits = await visits_of(asked.db, code, asked.scope, asked.now)
    visit = next((one for one in visits if one.visit == name), None)
    if visit is None:
        raise UnknownCodeError("There is no such visit.")
    return {"code": code, "visit": visit, "values": {one.measure: one.shown for one in visit.measured}}


async def _enter(asked: Asked, shown: Shown) -> Response:
    visit = shown["visit"]
    seen = asked.typed("supersedes")
    done = await record_visit(
        asked.db,
        code=shown["code"],
        visit=visit.visit,
        held_on=day_in(asked, "held_on"),
        measured={
            measure.id: value for measure in visit.measures if (value := _number(asked, measure)) is not None
        },
        supersedes=int(seen) if seen.isdigit() else None,
        reason=needed(asked, "reason") if seen.isdigit() else None,
        actor=asked.actor,
        now=asked.now,
    )
    return asked.go(f"/patients/{shown['code']}", done="stopped" if done.stopped_because else "visit")


def _number(asked: Asked, measure: Measure) -> float | None:
    """A measure as it was typed, in any script's digits; None where the field was left empty."""
    text = asked.typed(f"m-{measure.id}").translate(_POINTS)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise NotUnderstoodError("problem.number") from None
    if value in (float("inf"), float("-inf")) or value != value:  # noqa: PLR0124 - not a number
        raise NotUnderstoodError("problem.number")
    return value


PAGES: Final = (
    Page("/visits", Act.SEE_PATIENTS, _due),
    Form("/patients/{code}/visits/{visit}", Act.ENTER_VISIT, "act_visit.html", _visit, _enter).page(),
)
