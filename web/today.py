"""Today: what needs a person, first; and the alerts that are taken from there."""

from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from diary.alerts import close_alert, see_alert
from diary.roles import Act
from diary.team import sites_of
from reports.health import OldBackup, old_backup
from reports.today import OpenAlert, open_alert, open_alerts_total, today
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
    theirs = asked.number("theirs")
    return asked.page(
        "today.html",
        theirs=await open_alert(asked.db, asked.scope, theirs) if theirs else None,
        today=await today(asked.db, asked.scope, asked.now),
        visits=await visits_due(asked.db, asked.scope, asked.now),
        zone=await zone_for(asked),
        backup=await _backup(asked),
    )


async def _backup(asked: Asked) -> OldBackup | None:
    """What an administrator is to know of the backups; where the service makes none, the doctor says so."""
    wanted = asked.request.app.state.makes_backups and asked.may(Act.MANAGE_TEAM)
    return await old_backup(asked.db, now=asked.now) if wanted else None


async def _seen(asked: Asked) -> Response:
    alert_id = asked.request.path_params["alert"]
    await see_alert(asked.db, alert_id=alert_id, actor=asked.actor, now=asked.now)
    line = await open_alert(asked.db, asked.scope, alert_id)
    if line.owner != asked.member.code and not _by_script(asked):
        return asked.go(f"/?theirs={alert_id}")
    return await _taken(asked, line, "seen")


async def _done(asked: Asked) -> Response:
    alert_id = asked.request.path_params["alert"]
    await close_alert(asked.db, alert_id=alert_id, actor=asked.actor, now=asked.now)
    return await _taken(asked, await open_alert(asked.db, asked.scope, alert_id), "alert")


async def _taken(asked: Asked, line: OpenAlert, done: str) -> Response:
    """The alert's line as it is now, with how many are open; or without a script the page it stands on."""
    if not _by_script(asked):
        return asked.go("/", done=done)
    # Other pages show the lines without counting them.
    from_today = urlsplit(asked.request.headers.get("hx-current-url", "")).path == "/"
    total = await open_alerts_total(asked.db, asked.scope) if from_today else None
    return asked.page("alert_taken.html", open=line, zone=await zone_for(asked), total=total)


def _by_script(asked: Asked) -> bool:
    return bool(asked.request.headers.get("hx-request"))


PAGES: Final = (
    Page("/", Act.SEE_FIGURES, _today),
    Page("/alerts/{alert:id}/seen", Act.TAKE_ALERTS, post=_seen),
    Page("/alerts/{alert:id}/done", Act.TAKE_ALERTS, post=_done),
)
