"""Asks Telegram who a token belongs to; one plain request, so that no command has to wait for the chat to load."""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import aiohttp

from protocol.errors import DaybookError

SECONDS = 3.0


class NoNameError(DaybookError):
    """Telegram did not say who this token belongs to, and why."""


@dataclass(frozen=True, slots=True)
class BotName:
    """A bot as Telegram knows it, and what time it was at Telegram."""

    username: str
    server_time: datetime | None


async def ask_name(api: str, token: str) -> BotName:
    """Ask `getMe`; NoNameError says in a sentence why there is no answer, never showing the token."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(f"{api}/bot{token}/getMe", allow_redirects=False) as reply,
        ):
            if reply.status in (401, 404):
                raise NoNameError("Telegram does not know this token; copy it again from @BotFather.")
            answer = await reply.json(content_type=None)
            return BotName(answer["result"]["username"], _time_of(reply.headers.get("Date")))
    except (aiohttp.ClientError, TimeoutError, OSError):
        raise NoNameError(f"{api} cannot be reached; check the network and DAYBOOK_TELEGRAM_API.") from None
    except (ValueError, LookupError, TypeError):
        raise NoNameError(f"{api} does not answer like Telegram; check DAYBOOK_TELEGRAM_API.") from None


def _time_of(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
