"""Exports: one bundle of a site's diary, or of all sites, made when it is asked for and kept nowhere."""

import asyncio
import shutil
import tempfile
import zipfile
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from diary.exports import note_export
from diary.roles import Act
from diary.team import sites_of
from reports.export import export_bundle
from reports.formats.choice import at_hand, checked
from web.asked import Asked
from web.guard import TooOften
from web.pages import Page

_TOO_OFTEN: Final = TooOften(6, timedelta(hours=1))
# Bundles made at the same cut-off are the same bytes: a zip must not tell when it was packed.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


async def _show(asked: Asked) -> Response:
    sites = await sites_of(asked.db, asked.scope)
    return asked.page(
        "exports.html", sites=sites, everywhere=asked.scope is None, formats=at_hand(), wanted=("csv", "xlsx")
    )


async def _make(asked: Asked) -> Response:
    if _TOO_OFTEN(asked.member.code, now=asked.now):
        return asked.page(
            "problem.html", status=HTTPStatus.TOO_MANY_REQUESTS, problem=asked.words("export.too-often"), fields=()
        )
    site = asked.typed("site") or None
    formats = sorted(asked.ticked("format")) or ["csv"]
    checked(formats)
    await note_export(asked.db, site=site, actor=asked.actor, now=asked.now)
    folder = Path(tempfile.mkdtemp(prefix="daybook-export-"))
    try:
        name = f"daybook-{site or 'all'}-{asked.now:%Y%m%dT%H%M%SZ}"
        await export_bundle(
            asked.db,
            folder / name,
            formats=formats,
            site=site,
            now=asked.now,
            free_text=asked.may(Act.SEE_PATIENTS),
        )
        await asyncio.to_thread(_pack, folder / name, folder / f"{name}.zip")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        folder / f"{name}.zip",
        media_type="application/zip",
        filename=f"{name}.zip",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _pack(folder: Path, into: Path) -> None:
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as bundle:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder.parent).as_posix()
            entry = zipfile.ZipInfo(name, date_time=_NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open("rb") as source, bundle.open(entry, "w") as target:
                shutil.copyfileobj(source, target)


PAGES: Final = (Page("/exports", Act.EXPORT, _show, _make),)
