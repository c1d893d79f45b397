"""Figures and records without a single patient: adherence, outages, how many alerts there are."""

from typing import Final

from starlette.responses import Response

from diary.protocols import newest_protocol
from diary.roles import Act
from diary.team import sites_of
from protocol.errors import UnknownCodeError
from reports.adherence import By
from reports.alerts import alert_load
from reports.definitions import Figures
from reports.health import outages
from reports.site import adherence_page
from web.asked import Asked
from web.pages import Page
from web.today import zone_for


async def _adherence(asked: Asked) -> Response:
    """Answered of expected, by what was chosen; who sees no patients is not offered them one by one."""
    groups = [by for by in By if by is not By.PATIENT or asked.may(Act.SEE_PATIENTS)]
    chosen = asked.query("by")
    by = By(chosen) if chosen in groups else By.PHASE
    sites = await sites_of(asked.db, asked.scope)
    site = asked.query("site") or None
    if site is not None and site not in {one.code for one in sites}:
        raise UnknownCodeError("There is no such site.")
    found = await adherence_page(asked.db, asked.scope, asked.now, by=by, site=site, page=asked.page_number())
    protocol = (await newest_protocol(asked.db)).protocol
    language = asked.words.language
    names = {phase.id: phase.name.in_language(language) for phase in protocol.phase}
    names |= {item.id: item.name.in_language(language) for _, item in protocol.items()}
    return asked.page(
        "adherence.html",
        # Weeks that nobody has reached yet say nothing; a phase to come says that it is to come.
        rows=[row for row in found.rows if by is not By.WEEK or row.figures != Figures()],
        page=found.page,
        pages=found.pages,
        whole=found.whole,
        by=by,
        groups=groups,
        sites=sites,
        names=names if by in (By.PHASE, By.ITEM) else {},
    )


async def _outages(asked: Asked) -> Response:
    return asked.page("outages.html", outages=await outages(asked.db, asked.scope), zone=await zone_for(asked))


async def _alerts(asked: Asked) -> Response:
    """How many alerts there are and how long they wait: whoever is called too often stops listening."""
    return asked.page("alert_load.html", load=await alert_load(asked.db, asked.scope, asked.now))


PAGES: Final = (
    Page("/adherence", Act.SEE_FIGURES, _adherence),
    Page("/outages", Act.SEE_OUTAGES, _outages),
    Page("/alerts", Act.SEE_PATIENTS, _alerts),
)
