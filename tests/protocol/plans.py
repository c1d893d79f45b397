"""Small trials for the tests of the calendar."""

from datetime import UTC, date, datetime, timedelta

from protocol.calendar import Enrolment, PlannedSlot, Standing, ZoneSince, plan
from protocol.load import read_protocol
from protocol.model import Protocol

_TRIAL = """
[trial]
id = "small"
version = "1"
title = "A small trial"
timezone = "UTC"
languages = ["en"]
quiet_hours = [{quiet}]
nrs = {{ low = {{ en = "none" }}, high = {{ en = "worst" }} }}
emergency = {{ en = "e" }}
consent = {{ en = "c" }}
privacy = {{ en = "p" }}

[[phase]]
id = "only"
name = {{ en = "Only" }}
days = {days}

  [[phase.item]]
  id = "asked"
  kind = "{kind}"
  name = {{ en = "n" }}
  prompt = {{ en = "p" }}
  at = [{at}]
  {more}
"""


def small(
    *at: str,
    days: int = 5,
    kind: str = "rating",
    quiet: str = '"12:00", "12:00"',
    more: str = 'on_time = "30m"\n  late = "30m"',
) -> Protocol:
    """A trial of one phase and one item; without quiet hours unless some are given."""
    walls = ", ".join(f'"{wall}"' for wall in at)
    text = _TRIAL.format(at=walls, days=days, kind=kind, quiet=quiet, more=more)
    return read_protocol("small", text).protocol


def planned(
    protocol: Protocol, start: date, *zones: str | tuple[datetime, str], standing: Standing = Standing.ASKED
) -> tuple[PlannedSlot, ...]:
    """The slots of somebody who begins on a date, in a zone and those moved to later."""
    since = [
        ZoneSince(datetime(1990, 1, 1, tzinfo=UTC), zone) if isinstance(zone, str) else ZoneSince(*zone)
        for zone in zones
    ]
    starts: dict[str, date] = {}
    for phase in protocol.phase:
        starts[phase.id] = start
        start += timedelta(days=phase.days)
    return plan(protocol, Enrolment(starts, tuple(since), {}, standing))
