"""One patient: the whole calendar, past and coming, every answer with its times, and what may be done."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from diary import PatientStatus
from diary.comments import add_comment, comments_of
from diary.enrolment import invite_patient
from diary.roles import Act
from protocol.calendar import zone_of
from reports.doses import doses_of
from reports.history import history_picture
from reports.record import Line, Record, pain_series, record, whole_history
from reports.sheet import DESK
from reports.trail import told
from reports.visits import VisitLine, clinic_days, counted, visits_of
from web.asked import Asked
from web.forms import Form, Shown, needed
from web.invites import invite_page
from web.pages import Page
from web.pictures import as_file, drawn
from web.refusals import NotUnderstoodError
from web.trail import in_words
from web.visits import low_value

_RECENT_DAYS: Final = 3
_AT: Final = "/patients/{code}"


async def _shown(asked: Asked) -> Shown:
    code = asked.request.path_params["code"]
    found = await record(asked.db, code, asked.scope, asked.now)
    visits = await visits_of(asked.db, code, asked.scope, asked.now)
    whole = whole_history(found, clinic_days(visits))
    return {
        "record": found,
        "code": code,
        "zone": found.zone,
        "visits": visits,
        "calendar": _calendar(found),
        "doses": doses_of(found),
        "pains": pain_series(found),
        "trail": [in_words(asked, one, found.zone) for one in await told(asked.db, found.trail)]
        if asked.may(Act.SEE_AUDIT)
        else [],
        "left_because": _left_because(asked, found, visits),
        "counted": await counted(asked.db, code, asked.scope, asked.now),
        "comments": await comments_of(asked.db, code, asked.scope),
        "chart": drawn(history_picture(whole, asked.words.language, width=DESK)),
    }


def _calendar(found: Record) -> dict[str, list[Line]]:
    """The last days with a question first, since these are what somebody comes for; the rest is folded."""
    today = found.now.astimezone(zone_of(found.zone)).date()
    lines = sorted(found.lines, key=lambda line: line.slot.due_at)
    begun = [line for line in reversed(lines) if line.slot.local_date <= today]
    recent = sorted({line.slot.local_date for line in begun})[-_RECENT_DAYS:]
    return {
        "recent": [line for line in begun if line.slot.local_date in recent],
        "coming": [line for line in lines if line.slot.local_date > today],
        "earlier": [line for line in begun if line.slot.local_date not in recent],
    }


def _left_because(asked: Asked, found: Record, visits: Sequence[VisitLine]) -> str | None:
    """Why the patient had to leave, where a value below the protocol's least was the reason."""
    if found.patient.status is not PatientStatus.WITHDRAWN:
        return None
    reasons = {line.reason for line in found.trail}
    low = [form.below for visit in visits for form in visit.history if form.below is not None]
    return next((low_value(asked.words, one) for one in low if str(one) in reasons), None)


async def _comment(asked: Asked, shown: Shown) -> Response:
    text = asked.typed("text").replace("\r\n", "\n")
    if not text:
        raise NotUnderstoodError("needed.text")
    form = needed(asked, "form")
    await add_comment(asked.db, code=shown["code"], text=text, form=form, actor=asked.actor, now=asked.now)
    return asked.go(f"/patients/{shown['code']}", done="comment")


async def _invite(asked: Asked) -> Response:
    code = asked.request.path_params["code"]
    made = await invite_patient(asked.db, code=code, actor=asked.actor, now=asked.now, form=asked.typed("form"))
    found = await record(asked.db, code, asked.scope, asked.now)
    return await invite_page(
        asked, made, language=found.patient.language, back=f"/patients/{code}", zone=found.zone
    )


async def _history_file(asked: Asked) -> Response:
    """The picture of the page, to be kept or shown elsewhere."""
    code = asked.request.path_params["code"]
    found = await record(asked.db, code, asked.scope, asked.now)
    days = clinic_days(await visits_of(asked.db, code, asked.scope, asked.now))
    whole = whole_history(found, days)
    return await as_file(
        lambda: history_picture(whole, asked.words.language, width=DESK), f"history-{found.patient.code}"
    )


PAGES: Final = (
    Form(_AT, Act.COMMENT, "patient.html", _shown, _comment, sees=Act.SEE_PATIENTS).page(),
    Page(f"{_AT}/history.png", Act.SEE_PATIENTS, _history_file),
    Page(f"{_AT}/invite", Act.INVITE, post=_invite),
)
