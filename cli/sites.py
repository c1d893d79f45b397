"""`daybook site`: the clinics that take part."""

import asyncio
from typing import Annotated

import typer

from cli import wiring
from cli.printing import JsonFlag, print_json, table
from cli.reading import code_of, plain_text
from cli.settings import load_settings
from diary import SYSTEM, Site
from diary.team import add_site, list_sites

site = typer.Typer(help="The clinics that take part.", no_args_is_help=True)


@site.command("add")
def add(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Short code, such as cairo-1.")],
    name: Annotated[str, typer.Option(help="Name of the clinic as staff know it.")],
    timezone: Annotated[str, typer.Option(help="IANA time zone, such as Africa/Cairo.")],
) -> None:
    """Add a clinic."""
    asyncio.run(_add(code_of(code), plain_text("--name", name), timezone))


async def _add(code: str, name: str, timezone: str) -> None:
    async with wiring.opened(load_settings()) as db:
        await add_site(db, code=code, name=name, timezone=timezone, actor=SYSTEM, now=wiring.clock())
    print(f"The site {code} is added, with the clock of {timezone}.")


@site.command("list")
def list_(*, as_json: JsonFlag = False) -> None:
    """List the clinics."""
    found = asyncio.run(_list())
    if as_json:
        print_json([{"code": one.code, "name": one.name, "timezone": one.timezone} for one in found])
    elif found:
        print(table(("code", "name", "timezone"), [(one.code, one.name, one.timezone) for one in found]))
    else:
        print("There is no site yet; `daybook site add` adds one.")


async def _list() -> list[Site]:
    async with wiring.opened(load_settings()) as db:
        return await list_sites(db)
