"""Clinic days: which are due, and a form for what is measured there."""

from typing import Final

from starlette.responses import Response

from diary import doubts
from diary.doubts import Below
from diary.roles import Act
from diary.visits import record_visit
from protocol.errors import UnknownCodeError
from protocol.model import Measure
from reports.visits import VisitLine, counted, visits_due, visits_of
from web.asked import Asked
from web.forms import Form, Shown, day_in, id_in, needed, wall_if_any
from web.pages import Page
from web.refusals import Doubt, NotSureError, NotUnderstoodError
from web.words import Words

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
    return {
        "code": code,
        "visit": visit,
        "values": {one.measure: one.shown for one in visit.measured},
        "needed": {one.id: one.require.min for one in visit.measures if one.require and one.require.at == name},
    }


async def _enter(asked: Asked, shown: Shown) -> Response:
    code: str = shown["code"]
    visit: VisitLine = shown["visit"]
    seen = asked.typed("supersedes")
    values = {measure.id: _number(asked, measure) for measure in visit.measures}
    measured = {name: value for name, value in values.items() if value is not None}
    done = await record_visit(
        asked.db,
        code=code,
        visit=visit.visit,
        held_on=day_in(asked, "held_on"),
        began=wall_if_any(asked, "began"),
        measured=measured,
        supersedes=id_in(asked, "supersedes") if seen else None,
        reason=needed(asked, "reason") if seen else None,
        actor=asked.actor,
        now=asked.now,
        meant=asked.ticked("meant"),
    )
    if done.doubts:
        raise NotSureError([_doubt(asked, doubt) for doubt in done.doubts])
    differs = await _differs(asked, code, visit)
    return asked.go(
        f"/patients/{code}", done="stopped" if done.stopped_because else "differs" if differs else "visit"
    )


async def _differs(asked: Asked, code: str, visit: VisitLine) -> bool:
    """Whether the doses counted at this visit and those said are too far apart."""
    shares = await counted(asked.db, code, asked.scope, asked.now)
    return any(one.flagged and one.visit == visit.visit for one in shares)


def _doubt(asked: Asked, doubt: doubts.Doubt) -> Doubt:
    words, language = asked.words, asked.words.language
    if isinstance(doubt, Below):
        return Doubt(doubt.key, [low_value(words, doubt)], words("doubt.below"))
    days = {"held": doubt.held_on, "planned": doubt.planned, "nearer": doubt.other_on}
    shown = {name: words.date(day, today=asked.today) for name, day in days.items()}
    visit, other = doubt.visit.name.in_language(language), doubt.other.name.in_language(language)
    sentence = words("doubt.nearer", visit=visit, other=other, **shown)
    return Doubt(doubt.key, [sentence], words("doubt.day", visit=visit))


def low_value(words: Words, low: Below) -> str:
    """The plain reason why a patient does not go on."""
    return words(
        "visit.below",
        measure=low.measure.name.in_language(words.language),
        value=words.digits(f"{low.value:g}"),
        least=words.digits(f"{low.least:g}"),
        visit=low.visit.name.in_language(words.language),
    )


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
