"""An invite on the screen: the link as a picture to scan, the short code to type, and a card to print."""

from dataclasses import dataclass

import segno
from markupsafe import Markup
from starlette.responses import Response

from diary.invites import IssuedInvite
from diary.service import bot_usernames
from web.asked import Asked
from web.words import words_in


@dataclass(frozen=True, slots=True)
class Card:
    """What stands on the card: the link is None where no bot's name is known yet."""

    code: str
    link: str | None
    picture: Markup | None
    typed_code: str


async def invite_page(asked: Asked, made: IssuedInvite, *, language: str, back: str, zone: str = "UTC") -> Response:
    """Show an invite in the language of whom it is for; the same form sent again shows the same."""
    names = await bot_usernames(asked.db)
    link = f"https://t.me/{names[-1]}?start={made.token}" if names else None
    picture = segno.make(link, error="m").svg_inline(scale=6, svgclass="qr", lineclass=None) if link else None
    drawn = Markup(picture) if picture else None  # noqa: S704 - drawn here; a link becomes squares, not markup
    card = Card(made.code, link, drawn, made.typed_code)
    return asked.page(
        "invite.html", card=card, until=made.expires_at, theirs=words_in(language), back=back, zone=zone
    )
