"""Shows an invite: the link with its QR picture, and the short code for a chat that is open already."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cli import wiring
from cli.printing import moment, pairs, print_json, warn
from cli.qr import picture
from cli.settings import Settings, bot_id_of
from cli.telegram_name import NoNameError, ask_name
from diary import Database
from diary.invites import IssuedInvite
from diary.service import bot_username, note_bot
from diary.signing_in import SignInLink
from protocol.errors import DaybookError


@dataclass(frozen=True, slots=True)
class Issued:
    """An invite with the sentence that goes before it and the zone in which its end is told.

    Staff get a link to their pages beside it, in `pages`.
    """

    invite: IssuedInvite
    said: str
    zone: str
    pages: SignInLink | None = None


@dataclass(frozen=True, slots=True)
class _Bot:
    """The bot that invites lead to; without a username there is no link, and `why_not` says why."""

    username: str | None
    why_not: str = ""

    def link(self, invite: IssuedInvite) -> str | None:
        return f"https://t.me/{self.username}?start={invite.token}" if self.username else None


async def invite(
    issue: Callable[[Database], Awaitable[Issued]], *, settings: Settings, qr: Path | None, as_json: bool
) -> None:
    """Find the bot's name, then issue an invite and show it; what can fail is tried before anything is written."""
    with picture(qr) as draw:
        async with wiring.opened(settings) as db:
            bot = await _inviting_bot(db, settings)
            if qr and bot.username is None:
                raise DaybookError(
                    f"There is no link to draw: {bot.why_not} Leave --qr out to get the short code alone."
                )
            issued = await issue(db)
        _show(bot, issued, settings=settings, qr=qr, as_json=as_json)
        draw(bot.link(issued.invite) or "")


async def _inviting_bot(db: Database, settings: Settings) -> _Bot:
    """The first bot of the settings, by the name Telegram gives or last gave."""
    if not settings.bot_tokens:
        return _Bot(None, "DAYBOOK_BOT_TOKEN is not set.")
    token = settings.bot_tokens[0]
    try:
        found = await ask_name(settings.telegram_api, token)
    except NoNameError as error:
        return _Bot(await bot_username(db, bot_id_of(token)), str(error))
    await note_bot(db, bot_id=bot_id_of(token), username=found.username)
    return _Bot(found.username)


def _show(bot: _Bot, issued: Issued, *, settings: Settings, qr: Path | None, as_json: bool) -> None:
    """Print an invite; where there is no link, say why on standard error and what works instead."""
    made, pages = issued.invite, issued.pages
    pages_link = f"{settings.pages_url}/sign-in/{pages.token}" if pages else None
    if as_json:
        print_json(
            {
                "code": made.code,
                "link": bot.link(made),
                "token": made.token,
                "typed_code": made.typed_code,
                "expires_at": made.expires_at,
                **({"pages_link": pages_link, "pages_expires_at": pages.expires_at} if pages else {}),
            }
        )
    else:
        facts = [
            ("link", bot.link(made)),
            ("picture", qr),
            ("short code", made.typed_code),
            ("good until", _until(made.expires_at, issued.zone)),
            ("staff pages", pages_link),
            ("pages until", _until(pages.expires_at, issued.zone) if pages else None),
        ]
        print(f"{issued.said}\n{pairs(facts)}")
    if bot.username is None:
        warn(f"There is no link: {bot.why_not} {made.code} can type {made.typed_code} to the bot instead.")


def _until(at: datetime, zone: str) -> str:
    return f"{moment(at, zone)} {zone}, once"
