from datetime import timedelta

import pytest

from diary.service import beat
from reports.health import Health, complaints
from tests.cast import T0, cairo
from tests.cli.conftest import Shell

FRESH = T0 - timedelta(seconds=5)


def ago(seconds: int):
    return T0 - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("health", "wrong"),
    [
        (Health(FRESH, FRESH, FRESH, None), []),
        (Health(ago(59), ago(89), FRESH, ago(300)), []),
        (Health(ago(60), FRESH, FRESH, None), ["the service was last seen 60 s ago"]),
        (Health(FRESH, ago(90), FRESH, None), ["polling was last seen 90 s ago"]),
        (Health(FRESH, FRESH, FRESH, ago(301)), ["a message is overdue by 301 s"]),
        (Health(None, None, None, None), ["the service was never seen working", "polling was never seen working"]),
    ],
)
def test_healthy_means_seen_lately_and_nothing_overdue(health, wrong):
    assert complaints(health, polling=True, now=T0) == wrong


def test_with_a_webhook_nobody_polls_and_that_is_well():
    assert complaints(Health(FRESH, None, FRESH, None), polling=False, now=T0) == []


def test_health_before_the_service_ever_ran_is_1(shell: Shell):
    said = shell("health", "--json")
    assert said.code == 1
    assert said.json["healthy"] is False
    assert said.json["serve_seconds_ago"] is None


def test_health_of_a_service_that_lives_is_0(shell: Shell):
    async def live(stage):
        for part in ("serve", "poll", "dispatch"):
            await beat(stage.db, part, now=FRESH)

    shell.behind(live)
    said = shell("health", "--json")
    assert (said.code, said.json["healthy"], said.json["because"]) == (0, True, [])
    assert said.json["poll_seconds_ago"] == 5.0
    assert shell("health").out == "healthy\n"


def test_a_reminder_that_did_not_go_out_makes_unhealthy(shell: Shell):
    async def overdue(stage):
        for part in ("serve", "poll", "dispatch"):
            await beat(stage.db, part, now=FRESH)
        await stage.joined()

    # Amina's first question is due on the next morning at 9 in Cairo.
    shell.behind(overdue)
    shell.now = FRESH
    assert shell("health").code == 0
    shell.now = cairo("2026-11-24 09:06")
    said = shell("health")
    assert said.code == 1
    assert "overdue" in said.out
