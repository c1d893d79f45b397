"""`daybook staff token`, `tokens` and `revoke-token`: with what other programs read in a member's name."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import typer

from cli import wiring
from cli.printing import JsonFlag, moment, pairs, print_json, table
from cli.reading import code_of, plain_text, quoted
from cli.settings import load_settings
from diary import SYSTEM, Database
from diary.team import code_of_staff, id_of_staff, list_staff
from diary.tokens import USUAL_DAYS, IssuedToken, list_tokens, make_token, revoke_token
from protocol.errors import UnknownCodeError

_ZONE = "UTC"

Code = Annotated[str, typer.Argument(metavar="CODE", help="Code of the staff member in whose name it reads.")]


def token(
    code: Code,
    *,
    name: Annotated[str, typer.Option(help='Who is to use it, such as "statistics server".')],
    days: Annotated[int, typer.Option(help="For how many days it is good; a year at most.")] = USUAL_DAYS,
    as_json: JsonFlag = False,
) -> None:
    """Make a token with which a program reads what the member may read; it is shown this once."""
    made = asyncio.run(_make(code_of(code), plain_text("--name", name), days))
    if as_json:
        said = {"code": made.code, "name": made.name, "token": made.token, "expires_at": made.expires_at}
        print_json(said)
        return
    print(f"A token for {quoted(made.name)}, which reads what {made.code} may read at the time.")
    print(pairs([("token", made.token), ("good until", f"{moment(made.expires_at, _ZONE)} {_ZONE}")]))
    print("It is shown this once: put it where that program keeps its secrets.")


async def _make(code: str, name: str, days: int) -> IssuedToken:
    async with wiring.opened(load_settings()) as db:
        return await make_token(db, code=code, name=name, days=days, actor=SYSTEM, now=wiring.clock())


def tokens(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Only those of this staff member.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """List the tokens for programs, those that ended too."""
    rows = asyncio.run(_rows(code_of(code) if code is not None else None))
    if as_json:
        print_json(rows)
    elif rows:
        now = wiring.clock()
        head = ("code", "name", "made", "last used", "good until")
        print(table(head, [_shown(row, now) for row in rows]))
    else:
        print("There is no token yet; `daybook staff token` makes one.")


async def _rows(code: str | None) -> list[dict[str, Any]]:
    async with wiring.opened(load_settings()) as db:
        codes = [await _as_written(db, code)] if code else [member.code for member, _ in await list_staff(db)]
        return [
            {
                "code": one,
                "name": kept.name,
                "made_at": kept.made_at,
                "used_at": kept.used_at,
                "expires_at": kept.expires_at,
                "revoked_at": kept.revoked_at,
            }
            for one in codes
            for kept in await list_tokens(db, code=one, actor=SYSTEM)
        ]


async def _as_written(db: Database, code: str) -> str:
    return await code_of_staff(db, await id_of_staff(db, code=code, actor=SYSTEM))


def _shown(row: dict[str, Any], now: datetime) -> tuple[str | None, ...]:
    until = f"revoked {moment(row['revoked_at'], _ZONE)}" if row["revoked_at"] else moment(row["expires_at"], _ZONE)
    ended = " (ended)" if not row["revoked_at"] and row["expires_at"] <= now else ""
    used = moment(row["used_at"], _ZONE) or "never"
    return row["code"], row["name"], moment(row["made_at"], _ZONE), used, f"{until}{ended}"


def revoke(
    code: Code,
    *,
    name: Annotated[str, typer.Option(help="What the token is called.")],
    reason: Annotated[str | None, typer.Option(help="Why, in a few words; it is kept in the audit trail.")] = None,
) -> None:
    """End a token at once and for good."""
    why = plain_text("--reason", reason) if reason is not None else None
    who = asyncio.run(_revoke(code_of(code), plain_text("--name", name), why))
    print(f"The token of {who} for {quoted(name)} no longer works.")


async def _revoke(code: str, name: str, reason: str | None) -> str:
    async with wiring.opened(load_settings()) as db:
        code, now = await _as_written(db, code), wiring.clock()
        called = [one for one in await list_tokens(db, code=code, actor=SYSTEM) if one.name == name]
        if not called:
            raise UnknownCodeError(
                f"{code} has no token called {quoted(name)}; `daybook staff tokens` shows those there are."
            )
        # The newest first: no two of a name work at the same time.
        await revoke_token(db, code=code, token_id=called[0].id, actor=SYSTEM, reason=reason, now=now)
        return code
