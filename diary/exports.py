"""The verb around an export: who took which copy, and when, stands in the trail."""

from datetime import datetime

from diary.roles import Act, allow
from protocol.errors import UnknownCodeError
from storage import people
from storage.audit import Actor, Audit, write_audit
from storage.database import Database


async def note_export(db: Database, *, site: str | None, actor: Actor, now: datetime) -> None:
    """Note that somebody takes a copy of the diary, of one site or, who may see all sites, of all."""
    async with db.write() as conn:
        clinic = await people.site_by_code(conn, site) if site is not None else None
        foreign = actor.sites is not None and (clinic is None or clinic.id not in actor.sites)
        if (site is not None and clinic is None) or foreign:
            raise UnknownCodeError(f"There is no site {site}; `daybook site list` shows those there are.")
        allow(actor, Act.EXPORT)
        await write_audit(conn, Audit(now, actor, "export", details={"site": site}))
