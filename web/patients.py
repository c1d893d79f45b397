"""All patients: the list sorted by need, and a new one."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from markupsafe import Markup
from starlette.responses import Response

from diary import PatientStatus
from diary.enrolment import add_patient, beginning_at
from diary.protocols import newest_protocol
from diary.roles import Act
from diary.team import list_sites, sites_of
from reports.history import small_line
from reports.roster import code_called, roster
from web.asked import Asked
from web.forms import Form, Shown, ask_first, code_in, day_in, needed, strange_day
from web.pages import Page
from web.pictures import drawn
from web.refusals import NotUnderstoodError
from web.today import zone_for
from web.zones import zones_of


async def _patients(asked: Asked) -> Response:
    protocol = (await newest_protocol(asked.db)).protocol
    status, search = asked.query("status"), asked.query("search")
    narrowed = status or asked.query("site") or asked.query("phase")
    if search and not narrowed and (code := await code_called(asked.db, asked.scope, search)):
        return asked.go(f"/patients/{quote(code)}")
    found = await roster(
        asked.db,
        asked.scope,
        asked.now,
        site=asked.query("site") or None,
        phase=asked.query("phase") or None,
        status=PatientStatus(status) if status in set(PatientStatus) else None,
        search=search,
        page=asked.page_number(),
    )
    scale = protocol.trial.nrs

    def spark(pains: Sequence[int | None]) -> Markup:
        known = [asked.words.digits(str(pain)) if pain is not None else "–" for pain in pains]
        label = asked.words("patients.pains", pains=" ".join(known))
        return drawn(small_line(pains, asked.words.language, scale=(scale.min, scale.max), told=label))

    return asked.page(
        "patients.html",
        roster=found,
        sites=await sites_of(asked.db, asked.scope),
        phases=protocol.phase,
        phase_names={phase.id: phase.name.in_language(asked.words.language) for phase in protocol.phase},
        statuses=tuple(PatientStatus),
        spark=spark,
        zone=await zone_for(asked),
    )


async def _new(asked: Asked) -> Shown:
    file = await newest_protocol(asked.db)
    everywhere, sites = await list_sites(asked.db), await sites_of(asked.db, asked.scope)
    return {
        "sites": sites,
        "speaks": file.protocol.trial.languages,
        "protocol_id": file.id,
        "zones": zones_of(sites),
        "begins": [beginning_at(site.code) for site in sites] if len(sites) < len(everywhere) else [],
    }


async def _add(asked: Asked, shown: Shown) -> Response:
    if not shown["sites"]:
        raise NotUnderstoodError("needed.site")
    code, start, site = code_in(asked), day_in(asked, "start"), needed(asked, "site")
    zone = next((one.timezone for one in shown["sites"] if one.code == site), "UTC")
    ask_first(asked, strange_day(asked, start, zone=zone), about=f"{start}")
    await add_patient(
        asked.db,
        code=code,
        start=start,
        site=site,
        protocol_id=shown["protocol_id"],
        timezone=asked.typed("zone") or None,
        language=needed(asked, "language"),
        actor=asked.actor,
        now=asked.now,
        form=asked.typed("form"),
    )
    return asked.go(f"/patients/{code}", done="added")


PAGES: Final = (
    Page("/patients", Act.SEE_PATIENTS, _patients),
    Form("/patients/new", Act.ADD_PATIENT, "patient_new.html", _new, _add).page(),
)
