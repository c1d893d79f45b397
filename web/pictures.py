"""Pictures on the pages: drawn into them as SVG, and as PNG to be kept or shown elsewhere."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from markupsafe import Markup
from starlette.responses import Response

from reports.marks import Picture
from reports.png import png
from reports.svg import svg


def drawn(picture: Picture) -> Markup:
    """A picture within a page, which says its title and what it spans itself."""
    return Markup(svg(picture, heading=False))  # noqa: S704 - made by us, with everything from outside escaped


async def as_file(draw: Callable[[], Picture], name: str) -> Response:
    """A picture to be saved, composed and painted in a thread."""
    painted = await asyncio.to_thread(lambda: png(draw()))
    headers = {"Content-Disposition": f'attachment; filename="{name}.png"'}
    return Response(painted, HTTPStatus.OK, headers, "image/png")
