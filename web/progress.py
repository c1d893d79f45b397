"""How the trial goes, in pictures with their figures beside them: as a whole, and by patient and day."""

from typing import Final

from starlette.responses import Response

from diary.roles import Act
from diary.team import sites_of
from protocol.errors import UnknownCodeError
from reports.heatmap import heatmap_picture
from reports.site import GridPage, grid_page
from reports.trial import Trial, trial
from reports.trial_pictures import arrivals_picture, course_picture, trial_picture, weeks_picture
from web.asked import Asked
from web.pages import Page
from web.pictures import as_file, drawn

_DAYS: Final = 28
_ROWS: Final = 50  # of a picture that is read from the top down


async def _site(asked: Asked) -> str | None:
    """The site that was chosen, of those the asker may know of."""
    site = asked.query("site") or None
    if site is not None and site not in {one.code for one in await sites_of(asked.db, asked.scope)}:
        raise UnknownCodeError("There is no such site.")
    return site


async def _trial(asked: Asked) -> Trial:
    return await trial(asked.db, asked.scope, asked.now, site=await _site(asked))


async def _progress(asked: Asked) -> Response:
    found, language = await _trial(asked), asked.words.language
    courses = [course_picture(one, language, scale=found.scale) for one in found.courses]
    return asked.page(
        "progress.html",
        trial=found,
        sites=await sites_of(asked.db, asked.scope),
        arrivals=arrivals_picture(found.arrivals, language, today=found.today),
        weeks=weeks_picture(found.weeks, language),
        courses=list(zip(found.courses, courses, strict=True)),
        days_wanted=asked.words.digits(" / ".join(map(str, found.at_least))),
        drawn=drawn,
    )


async def _progress_file(asked: Asked) -> Response:
    found = await _trial(asked)
    return await as_file(lambda: trial_picture(found, asked.words.language), f"trial-{found.today.isoformat()}")


async def _grid(asked: Asked) -> GridPage:
    site, page = await _site(asked), asked.page_number()
    return await grid_page(asked.db, asked.scope, asked.now, _DAYS, site=site, page=page, per_page=_ROWS)


async def _heatmap(asked: Asked) -> Response:
    found = await _grid(asked)
    return asked.page(
        "heatmap.html",
        grid=found.grid,
        page=found.page,
        pages=found.pages,
        sites=await sites_of(asked.db, asked.scope),
        picture=heatmap_picture(found.grid, asked.words.language),
        drawn=drawn,
    )


async def _heatmap_file(asked: Asked) -> Response:
    found = await _grid(asked)
    name = f"days-{found.grid.days[-1].isoformat()}-{found.page}"
    return await as_file(lambda: heatmap_picture(found.grid, asked.words.language), name)


PAGES: Final = (
    Page("/progress", Act.SEE_FIGURES, _progress),
    Page("/progress.png", Act.SEE_FIGURES, _progress_file),
    Page("/heatmap", Act.SEE_PATIENTS, _heatmap),
    Page("/heatmap.png", Act.SEE_PATIENTS, _heatmap_file),
)
