import json
import logging
import secrets

import pytest
import structlog

from cli.logs import Redaction, configure_logging
from cli.settings import load_settings
from diary.tokens import PREFIX
from tests.cli.conftest import Shell

TOKEN = "7000000001:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.fixture(autouse=True)
def quiet_again():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


def logged(shell: Shell, monkeypatch, log_format: str) -> str:
    monkeypatch.setenv("DAYBOOK_LOG_FORMAT", log_format)
    monkeypatch.setenv("DAYBOOK_LOG_LEVEL", "debug")
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", "4242:short")
    configure_logging(load_settings())
    log = structlog.get_logger("bot.intake")
    log.info(
        "asked", address=f"https://api.telegram.org/bot{TOKEN}/getMe", nested={"a": [TOKEN]}, short="4242:short"
    )
    logging.getLogger("httpx").warning("went to %s", f"https://example.org/bot{TOKEN}/x")
    try:
        int(f"no {TOKEN}")
    except ValueError:
        log.exception("failed")
    return shell.capture.readouterr().err


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_log_line_holds_a_token_wherever_it_came_from(empty: Shell, monkeypatch, log_format):
    lines = logged(empty, monkeypatch, log_format)
    assert lines.count("[hidden]") >= 5
    assert TOKEN not in lines
    assert "4242:short" not in lines


def test_json_lines_are_json_with_time_level_and_logger(empty: Shell, monkeypatch):
    first = json.loads(logged(empty, monkeypatch, "json").splitlines()[0])
    assert (first["event"], first["level"], first["logger"]) == ("asked", "info", "bot.intake")
    assert first["timestamp"].endswith("Z")


def test_nobody_writes_a_json_line_of_their_own(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_LOG_FORMAT", "json")
    configure_logging(load_settings())
    forged = 'x\r\n{"event": "sign_in"}\u2028{"event": "sign_in"}'
    structlog.get_logger("web.pages").warning("page_refused", path=forged)
    logging.getLogger("httpx").warning("went to %s", forged)
    lines = empty.capture.readouterr().err.split("\n")
    assert [json.loads(line)["level"] for line in lines[:-1]] == ["warning", "warning"]
    assert lines[-1] == ""
    assert not any("\r" in line for line in lines)


@pytest.mark.parametrize("library", ["aiosqlite", "telegram.ext", "httpx", "aiohttp.access", "apscheduler"])
def test_libraries_stay_quiet_even_at_debug(empty: Shell, monkeypatch, library):
    logged(empty, monkeypatch, "console")
    logging.getLogger(library).info("INSERT INTO notes VALUES ('my back hurts')")
    assert empty.capture.readouterr().err == ""


def test_a_token_of_a_program_is_hidden_too():
    token = PREFIX + secrets.token_urlsafe(32)
    assert Redaction(()).redacted(f"asked with Bearer {token}, in vain") == "asked with Bearer [hidden], in vain"


def test_an_encoded_token_is_hidden_too():
    assert Redaction(()).redacted("bot7000000001%3A" + TOKEN.partition(":")[2]) == "bot[hidden]"
