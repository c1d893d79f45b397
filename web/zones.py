"""The time zones a form offers: those of the sites first, then every other."""

from collections.abc import Iterable
from functools import cache
from zoneinfo import available_timezones

from diary import Site

_REGIONS = (
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
)  # fmt: skip


def zones_of(sites: Iterable[Site]) -> list[str]:
    """The zones by name, without the old names of zones that stand in no region."""
    return list(dict.fromkeys([*sorted(site.timezone for site in sites), *_everywhere()]))


@cache
def _everywhere() -> tuple[str, ...]:
    return tuple(sorted(zone for zone in available_timezones() if zone.partition("/")[0] in _REGIONS))
