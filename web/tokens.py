"""A member's tokens for machines, for administrators: who uses them, until when, and ending one.

They are made at the console: what is shown only once should not pass through a browser.
"""

from typing import Final

from starlette.responses import Response

from diary.roles import Act
from diary.team import code_of_staff, id_of_staff
from diary.tokens import list_tokens, revoke_token
from web.asked import Asked
from web.forms import Form, Shown, id_in, needed
from web.today import zone_for


async def _tokens(asked: Asked) -> Shown:
    staff_id = await id_of_staff(asked.db, code=asked.request.path_params["code"], actor=asked.actor)
    code = await code_of_staff(asked.db, staff_id)
    tokens = await list_tokens(asked.db, code=code, actor=asked.actor)
    return {"code": code, "tokens": tokens, "now": asked.now, "zone": await zone_for(asked)}


async def _revoke(asked: Asked, shown: Shown) -> Response:
    await revoke_token(
        asked.db,
        code=shown["code"],
        token_id=id_in(asked, "token"),
        actor=asked.actor,
        reason=needed(asked, "reason"),
        now=asked.now,
    )
    return asked.go(asked.request.url.path, done="revoked")


PAGES: Final = (Form("/team/{code}/tokens", Act.MANAGE_TEAM, "team_tokens.html", _tokens, _revoke).page(),)
