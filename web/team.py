"""Staff and sites, for administrators: who is in, with which role and where; invites and shutting out."""

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from diary.roles import Act, Role
from diary.signing_in import SHORTEST_PASSPHRASE, change_passphrase, reset_passphrase
from diary.team import (
    add_site,
    add_staff,
    change_staff,
    code_of_staff,
    disable_staff,
    id_of_staff,
    invite_staff,
    list_staff,
    readmit_staff,
    sites_of,
)
from protocol.errors import SignInError
from web.asked import Asked
from web.forms import Form, Shown, code_in, needed
from web.invites import invite_page
from web.pages import Page
from web.words import languages
from web.zones import zones_of


async def _team(asked: Asked) -> Shown:
    """The members and sites that an administrator's own sites hold."""
    sites = await sites_of(asked.db, asked.scope)
    codes = {site.code for site in sites}
    members = [
        (member, bound)
        for member, bound in await list_staff(asked.db)
        if asked.scope is None or (bound and set(bound) <= codes)
    ]
    return {"sites": sites, "members": members, "roles": tuple(Role), "speaks": languages()}


async def _show(asked: Asked) -> Response:
    return asked.page("team.html", problem=None, **await _team(asked))


async def _add(asked: Asked, _shown: Shown) -> Response:
    made = await add_staff(
        asked.db,
        code=code_in(asked),
        role=needed(asked, "role"),
        sites=[str(site) for site in asked.form.getlist("sites")],
        language=needed(asked, "language"),
        actor=asked.actor,
        now=asked.now,
        form=asked.typed("form"),
    )
    return await invite_page(asked, made, language=asked.typed("language"), back="/team")


async def _new_site(asked: Asked) -> Shown:
    return {"zones": zones_of(await sites_of(asked.db, asked.scope))}


async def _add_site(asked: Asked, _shown: Shown) -> Response:
    await add_site(
        asked.db,
        code=code_in(asked),
        name=needed(asked, "name"),
        timezone=needed(asked, "timezone"),
        actor=asked.actor,
        now=asked.now,
    )
    return asked.go("/team", done="site")


async def _member(asked: Asked) -> Shown:
    staff_id = await id_of_staff(asked.db, code=asked.request.path_params["code"], actor=asked.actor)
    return {"code": await code_of_staff(asked.db, staff_id)}


async def _invite(asked: Asked) -> Response:
    code, form = asked.request.path_params["code"], asked.typed("form")
    made = await invite_staff(asked.db, code=code, actor=asked.actor, now=asked.now, form=form)
    return await invite_page(asked, made, language=asked.words.language, back="/team")


async def _disable(asked: Asked, shown: Shown) -> Response:
    reason = needed(asked, "reason")
    await disable_staff(asked.db, code=shown["code"], actor=asked.actor, reason=reason, now=asked.now)
    return asked.go("/team", done="disabled")


async def _changed(asked: Asked) -> Shown:
    """The member with what holds now, and what may be chosen."""
    team, shown = await _team(asked), await _member(asked)
    member, bound = next((one, sites) for one, sites in team["members"] if one.code == shown["code"])
    return {**team, **shown, "member": member, "bound": bound}


async def _change(asked: Asked, shown: Shown) -> Response:
    await change_staff(
        asked.db,
        code=shown["code"],
        role=needed(asked, "role"),
        sites=[str(site) for site in asked.form.getlist("sites")],
        actor=asked.actor,
        reason=needed(asked, "reason"),
        now=asked.now,
        seen=(asked.typed("was-role"), frozenset(asked.typed("was-sites").split())),
    )
    return asked.go("/team", done="changed")


async def _readmit(asked: Asked, shown: Shown) -> Response:
    reason = needed(asked, "reason")
    await readmit_staff(asked.db, code=shown["code"], actor=asked.actor, reason=reason, now=asked.now)
    return asked.go("/team", done="readmitted")


async def _own(_asked: Asked) -> Shown:
    return {"shortest": SHORTEST_PASSPHRASE}


async def _choose(asked: Asked, shown: Shown) -> Response:
    """Another passphrase of one's own; no field of it is ever shown again."""
    why = await _why_not_chosen(asked)
    if why is None:
        return asked.go("/", done="passphrase")
    problem = asked.words(f"sign-in.{why}", shortest=SHORTEST_PASSPHRASE)
    return asked.page("passphrase.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, problem=problem, **shown)


async def _why_not_chosen(asked: Asked) -> str | None:
    # Blanks around a passphrase are part of it.
    held, chosen, again = (str(asked.form.get(name, "")) for name in ("passphrase", "chosen", "again"))
    if chosen != again:
        return "differs"
    who: Any = {"member": asked.member, "session_id": asked.session_id}
    try:
        await change_passphrase(asked.db, **who, passphrase=held, chosen=chosen, now=asked.now)
    except SignInError as error:
        return error.why
    return None


async def _reset(asked: Asked, shown: Shown) -> Response:
    reason = needed(asked, "reason")
    await reset_passphrase(asked.db, code=shown["code"], actor=asked.actor, reason=reason, now=asked.now)
    return asked.go("/team", done="reset")


_FORMS: Final = (
    Form("/team/new", Act.MANAGE_TEAM, "team_new.html", _team, _add),
    Form("/team/site", Act.MANAGE_TEAM, "team_site.html", _new_site, _add_site),
    Form("/team/{code}/change", Act.MANAGE_TEAM, "team_change.html", _changed, _change),
    Form("/team/{code}/readmit", Act.MANAGE_TEAM, "team_readmit.html", _member, _readmit),
    Form("/passphrase", Act.SEE_FIGURES, "passphrase.html", _own, _choose),
    Form("/team/{code}/disable", Act.MANAGE_TEAM, "team_disable.html", _member, _disable),
    Form("/team/{code}/reset", Act.MANAGE_TEAM, "team_reset.html", _member, _reset),
)
PAGES: Final = (
    Page("/team", Act.SEE_TEAM, _show),
    *(form.page() for form in _FORMS),
    Page("/team/{code}/invite", Act.MANAGE_TEAM, post=_invite),
)
