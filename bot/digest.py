"""The morning's digest: what needs a person at the reader's sites, in one message; codes only, never names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bot.words import Words
from diary import Actor, Database
from diary.roles import Role
from diary.team import sites_of
from protocol.calendar import zone_of
from reports.chain import trail_head
from reports.today import Today, today
from reports.visits import DueVisit, visits_due

# A message for a small screen: who has more on the list opens the pages.
_MOST_CODES: Final = 15
# Of a digest as many as a person can compare and nobody can hit by trying.
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest's words, and whether anything in it needs a person."""

    text: str
    calls: bool


async def digest(db: Database, actor: Actor, words: Words, *, now: datetime, site_id: int | None = None) -> Digest:
    """The digest as of now, dated as it is at this site; where nothing needs anybody it says so."""
    zone = await _zone(db, actor, site_id)
    found = await today(db, actor.sites, now)
    visits = await visits_due(db, actor.sites, now)
    title = words("digest.title", date=words.date(now.astimezone(zone_of(zone)).date()))
    lines = _lines(found, visits, words, now=now, zone=zone)
    told = [*(lines or [words("digest.well")]), *_yesterday(found, words), *await _trail(db, actor, words)]
    text = "\n".join([title, *told])
    return Digest(text, calls=bool(lines))


async def _zone(db: Database, actor: Actor, site_id: int | None) -> str:
    """The zone of this site, or of the first one that is the reader's."""
    sites = await sites_of(db, actor.sites)
    sites.sort(key=lambda site: site.id != site_id)
    return sites[0].timezone if sites else "UTC"


def _lines(found: Today, visits: Sequence[DueVisit], words: Words, *, now: datetime, zone: str) -> list[str]:
    lines = []
    if found.alerts:
        oldest = min(open_one.alert.raised_at for open_one in found.alerts)
        moment = words.moment(oldest, now=now, zone=zone)
        lines.append(words("digest.alerts", count=found.alerts_total, moment=moment))
    for key, codes in (
        ("digest.silent", [one.code for one in found.silent]),
        ("digest.doses", [one.code for one in found.missed_doses]),
        ("digest.unreachable", [one.code for one in found.unreachable]),
        ("digest.visits", [one.code for one in visits]),
    ):
        if codes:
            lines.append(words(key, count=len(codes), codes=_some(codes)))
    return lines


def _some(codes: Sequence[str]) -> str:
    shown = list(dict.fromkeys(codes))
    more = " …" if len(shown) > _MOST_CODES else ""
    return " ".join(shown[:_MOST_CODES]) + more


async def _trail(db: Database, actor: Actor, words: Words) -> list[str]:
    """Where the audit trail ends, for administrators: what their phones keep, nobody changes at the server."""
    if actor.role != Role.ADMINISTRATOR:
        return []
    head = await trail_head(db)
    shown = head.sha256[:_DIGITS]
    parts = " ".join(shown[at : at + 4] for at in range(0, len(shown), 4))
    return [words("digest.trail", lines=words.digits(f"{head.lines:,}"), digits=parts)]


def _yesterday(found: Today, words: Words) -> list[str]:
    figures = found.day_counts.yesterday
    if figures.rate is None:
        return []
    rate = words.digits(f"{figures.rate * 100:.0f} %")
    return [words("digest.yesterday", answered=figures.answered, expected=figures.expected, rate=rate)]
