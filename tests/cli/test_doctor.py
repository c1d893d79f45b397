import socket
from datetime import timedelta

import pytest

from cli.doctor import _compared
from cli.wiring import clock
from diary.service import beat
from rehearsal.telegram import TOKEN
from tests.cast import T0
from tests.cli.conftest import NOBODY, Shell, refuse_writing


def findings(said):
    return {check["check"]: (check["ok"], check["says"]) for check in said.json["checks"]}


def test_a_doctor_who_finds_nothing_to_mend_leaves_with_0(online: Shell):
    online.now = clock()
    said = online("doctor", "--json")
    assert (said.code, said.json["ok"]) == (0, True)
    found = findings(said)
    assert set(found) == {
        "settings",
        "key",
        "protocol",
        "database",
        "disk",
        "sites",
        "clock",
        "backups",
        "web",
        "token",
        "telegram",
    }
    assert "@daybook_rehearsal_bot" in found["token"][1]
    assert "journal mode" in found["database"][1]


def test_for_people_each_line_begins_with_ok_or_mend(online: Shell, monkeypatch):
    online.now = clock()
    monkeypatch.delenv("DAYBOOK_BOT_TOKEN")
    said = online("doctor")
    assert said.code == 1
    marks = [line.split()[0] for line in said.out.splitlines()]
    assert set(marks) == {"ok", "warn", "mend"}
    assert marks.count("mend") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ("BOT_TOKEN", "123456:not-a-bots-token", "token", "@BotFather"),
        ("TELEGRAM_API", NOBODY, "token", "cannot be reached"),
        ("PROTOCOL", "mine.toml", "protocol", "no such file"),
        ("DATABASE_URL", "sqlite:///no.db", "database", "daybook init"),
        ("SECRET_KEY", "short", "key", "32 bytes"),
        ("WEB_PRT", "1", "settings", "DAYBOOK_WEB_PRT"),
        ("LOG_LEVEL", "loud", "settings", "debug, info"),
        ("WEBHOOK", "1", "settings", "take it out, and Daybook polls"),
        ("PUBLIC_URL", "http://diary.example.org", "public address", "not HTTPS"),
        ("TRUSTED_PROXIES", "bridge", "settings", "172.16.0.0/12"),
        ("BOT_TOKEN", f"{TOKEN},4343:another", "settings", "keep one token"),
        ("WEB_HOST", "8.8.8.8", "web", "choose an address of this machine"),
        ("WEB_HOST", "no..where", "web", "choose an address of this machine"),
    ],
)
def test_what_is_wrong_is_found_with_its_mend(online: Shell, monkeypatch, wrong):
    name, value, check, mend = wrong
    monkeypatch.setenv(f"DAYBOOK_{name}", value)
    said = online("doctor", "--json")
    ok, says = findings(said)[check]
    assert (said.code, ok) == (1, False)
    assert mend in says
    assert TOKEN not in said.out
    assert "not-a-bots-token" not in said.out


def test_a_clock_that_went_back_is_found(online: Shell):
    online.behind(lambda stage: beat(stage.db, "serve", now=T0 + timedelta(days=2)))
    ok, says = findings(online("doctor", "--json"))["clock"]
    assert not ok
    assert "NTP" in says


def test_a_clock_that_differs_from_telegrams_is_found():
    assert _compared(T0, T0 + timedelta(seconds=3)).ok
    found = _compared(T0, T0 - timedelta(minutes=2))
    assert not found.ok
    assert "120 s apart" in found.says


def test_a_taken_port_is_found_unless_the_service_itself_holds_it(online: Shell, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("DAYBOOK_WEB_PORT", str(taken.getsockname()[1]))
        ok, says = findings(online("doctor", "--json"))["web"]
        assert (ok, "choose another port" in says, "DAYBOOK_WEB_PORT" in says) == (False, True, True)

        online.behind(lambda stage: beat(stage.db, "serve", now=online.now))
        assert findings(online("doctor", "--json"))["web"][0]


def test_a_database_that_cannot_be_written_is_found(online: Shell, monkeypatch):
    refuse_writing(monkeypatch)
    ok, says = findings(online("doctor", "--json"))["database"]
    assert not ok
    assert "readonly database" in says
    assert "give the user that runs Daybook the right to write" in says


def test_a_doctor_leaves_the_database_as_it_was(online: Shell):
    online("doctor")

    async def values(stage):
        async with stage.db.read() as conn:
            return (await conn.exec_driver_sql("SELECT count(*) FROM key_check")).scalar_one()

    assert online.behind(values) == 1


def test_pages_behind_a_proxy_that_is_not_trusted_are_a_thing_to_mend(online: Shell, monkeypatch):
    online.now = clock()
    for name, value in (("PUBLIC_URL", "https://diary.example.org"), ("WEB_HOST", "0.0.0.0"), ("WEB_PORT", "0")):
        monkeypatch.setenv(f"DAYBOOK_{name}", value)
    assert "DAYBOOK_TRUSTED_PROXIES" in findings(online("doctor", "--json"))["proxy"][1]
    monkeypatch.setenv("DAYBOOK_TRUSTED_PROXIES", "172.16.0.0/12, 127.0.0.1")
    assert "proxy" not in findings(online("doctor", "--json"))
