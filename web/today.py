"""Today: what needs a person, first; and the alerts that are taken from there."""

from typing import Final

from starlette.responses import Response

from diary.alerts import close_alert, see_alert
from diary.roles import Act
from diary.team import sites_of
from reports.today import open_alert, today
from reports.visits import visits_due
from web.asked import Asked
from web.pages import Page


async def zone_for(asked: Asked) -> str:
    """The zone of the asker's first site, whose wall the pages without a patient show."""
    sites = await sites_of(asked.db, asked.scope)
    return sites[0].timezone if sites else "UTC"


async def _today(asked: Asked) -> Response:
    if not asked.may(Act.SEE_PATIENTS):
        return asked.go("/adherence")
    return asked.page(
        "today.html",
        today=await today(asked.db, asked.scope, asked.now),
        visits=await visits_due(asked.db, asked.scope, asked.now),
        zone=await zone_for(asked),
    )


async def _seen(asked: Asked) -> Response:
    alert_id = asked.request.path_params["alert"]
    await see_alert(asked.db, alert_id=alert_id, actor=asked.actor, now=asked.now)
    return await _taken(asked, alert_id, "seen")


async def _done(asked: Asked) -> Response:
    alert_id = asked.request.path_params["alert"]
    await close_alert(asked.db, alert_id=alert_id, actor=asked.actor, now=asked.now)
    return await _taken(asked, alert_id, "alert")


async def _taken(asked: Asked, alert_id: int, done: str) -> Response:
    """The alert's line as it is now, or without a script the page it stands on."""
    if not asked.request.headers.get("hx-request"):
        return asked.go("/", done=done)
    line = await open_alert(asked.db, asked.scope, alert_id)
    return asked.page("alert_line.html", open=line, zone=await zone_for(asked))


PAGES: Final = (
    Page("/", Act.SEE_FIGURES, _today),
    Page("/alerts/{alert:int}/seen", Act.TAKE_ALERTS, post=_seen),
    Page("/alerts/{alert:int}/done", Act.TAKE_ALERTS, post=_done),
)
