"""`daybook staff`: the study team and what each may see."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import invites, tokens, wiring
from cli.invites import Issued
from cli.printing import JsonFlag, moment, print_json, table
from cli.reading import code_of, plain_text
from cli.settings import Settings, load_settings
from diary import SYSTEM, Database, StaffMember
from diary.signing_in import make_link, reset_passphrase
from diary.team import (
    add_staff,
    change_staff,
    code_of_staff,
    disable_staff,
    id_of_staff,
    invite_staff,
    list_staff,
    readmit_staff,
)
from protocol.errors import WrongCallError

staff = typer.Typer(help="The study team and what each may see.", no_args_is_help=True)

# A member may belong to sites in several zones.
_ZONE = "UTC"

Code = Annotated[str, typer.Argument(metavar="CODE", help="Code of the staff member; no name is needed.")]
Qr = Annotated[Path | None, typer.Option(help="Also write the link as a QR picture (.png or .svg).")]
Reason = Annotated[str, typer.Option(help="Why, in a few words; it is kept in the audit trail.")]


@staff.command("add")
def add(
    code: Code,
    role: Annotated[str, typer.Option(help="administrator, coordinator, investigator, monitor or statistician.")],
    site: Annotated[
        list[str] | None,
        typer.Option(help="Site whose patients they see; repeat for several. An administrator without sees all."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the bot's messages; the protocol's first one if left out.")
    ] = None,
    qr: Qr = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Add a staff member and print the invite."""
    code, sites, settings = code_of(code), [code_of(one) for one in site or []], load_settings()
    spoken = _language(settings, language)

    async def issue(db: Database) -> Issued:
        made = await add_staff(
            db, code=code, role=role, sites=sites, language=spoken, actor=SYSTEM, now=wiring.clock()
        )
        return Issued(made, f"{code} is added as {role}.", _ZONE)

    asyncio.run(invites.invite(issue, settings=settings, qr=qr, as_json=as_json))


def _language(settings: Settings, wanted: str | None) -> str:
    """The protocol's texts are what the bot can say; another language would leave a member without words."""
    trial = wiring.protocol_file(settings).protocol.trial
    if wanted is not None and wanted not in trial.languages:
        raise WrongCallError(f"The protocol has no words in {wanted}; choose one of {', '.join(trial.languages)}.")
    return wanted or trial.language


@staff.command("invite")
def invite(code: Code, qr: Qr = None, *, as_json: JsonFlag = False) -> None:
    """Make a new invite and a link to the staff pages; earlier ones stop working."""
    code = code_of(code)

    async def issue(db: Database) -> Issued:
        now = wiring.clock()
        made = await invite_staff(db, code=code, actor=SYSTEM, now=now)
        staff_id = await id_of_staff(db, code=code, actor=SYSTEM)
        pages = await make_link(db, staff_id=staff_id, actor=SYSTEM, now=now)
        return Issued(made, f"A new invite for {made.code}; earlier ones are void.", _ZONE, pages)

    asyncio.run(invites.invite(issue, settings=load_settings(), qr=qr, as_json=as_json))


@staff.command("list")
def list_(*, as_json: JsonFlag = False) -> None:
    """List the study team."""
    rows = [_row(member, sites) for member, sites in asyncio.run(_list())]
    if as_json:
        print_json(rows)
    elif rows:
        head = ("code", "role", "sites", "language", "disabled")
        print(table(head, [[*_shown(row)] for row in rows]))
    else:
        print("There is no staff member yet; `daybook staff add` adds one.")


async def _list() -> list[tuple[StaffMember, list[str]]]:
    async with wiring.opened(load_settings()) as db:
        return await list_staff(db)


def _row(member: StaffMember, sites: list[str]) -> dict[str, Any]:
    return {
        "code": member.code,
        "role": member.role,
        "sites": sites,
        "language": member.language,
        "disabled_at": member.disabled_at,
    }


def _shown(row: dict[str, Any]) -> tuple[str | None, ...]:
    sees = ", ".join(row["sites"]) or ("all" if row["role"] == "administrator" else "none")
    return row["code"], row["role"], sees, row["language"], moment(row["disabled_at"], _ZONE)


@staff.command("change")
def change(
    code: Code,
    *,
    reason: Reason,
    role: Annotated[str, typer.Option(help="administrator, coordinator, investigator, monitor or statistician.")],
    site: Annotated[
        list[str] | None,
        typer.Option(help="Site whose patients they see from now on; repeat for several. They lose all others."),
    ] = None,
) -> None:
    """Give a staff member another role or other sites, from this moment on."""
    sites, why = [code_of(one) for one in site or []], plain_text("--reason", reason)
    who = asyncio.run(_done(change_staff, code_of(code), role=role, sites=sites, reason=why))
    print(f"{who} is {role} now.")


@staff.command("readmit")
def readmit(code: Code, *, reason: Reason) -> None:
    """Let a staff member in again who was shut out; they need a new invite."""
    who = asyncio.run(_done(readmit_staff, code_of(code), reason=plain_text("--reason", reason)))
    print(f"{who} may come back; `daybook staff invite {who}` makes an invite.")


@staff.command("disable")
def disable(
    code: Code,
    reason: Annotated[str | None, typer.Option(help="Why, in a few words; it is kept in the audit trail.")] = None,
) -> None:
    """Shut a staff member out at once, chat, pages and all."""
    why = plain_text("--reason", reason) if reason is not None else None
    print(f"{asyncio.run(_done(disable_staff, code_of(code), reason=why))} is shut out.")


async def _done(verb: Callable[..., Awaitable[None]], code: str, **how: Any) -> str:
    """Do something about a member and give their code as it was written."""
    async with wiring.opened(load_settings()) as db:
        await verb(db, code=code, actor=SYSTEM, now=wiring.clock(), **how)
        return await code_of_staff(db, await id_of_staff(db, code=code, actor=SYSTEM))


@staff.command("reset")
def reset(code: Code, *, reason: Reason) -> None:
    """Forget a staff member's passphrase and end their sessions; with the next link they choose a new one."""
    who = asyncio.run(_done(reset_passphrase, code_of(code), reason=plain_text("--reason", reason)))
    print(f"{who} has no passphrase now; `daybook staff invite` makes a link to choose one with.")


staff.command("token")(tokens.token)
staff.command("tokens")(tokens.tokens)
staff.command("revoke-token")(tokens.revoke)
