import pytest

from cli.settings import load_settings, not_served, unknown_names
from protocol.errors import SettingsError
from tests.cli.conftest import NOBODY, Shell

TOKEN = "123456:AAH-a-token-that-nobody-should-see-0"


def refused(monkeypatch, name, value) -> str:
    monkeypatch.setenv(f"DAYBOOK_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


def test_everything_but_the_secrets_has_a_default(empty: Shell):
    settings = load_settings()
    assert (settings.bot_tokens, settings.secret_keys) == ((), ())
    assert settings.database == "sqlite:///data/daybook.db"
    assert (settings.protocol, settings.web_host, settings.web_port) == ("magnesium-clbp", "127.0.0.1", 8080)
    assert (settings.telegram_api, settings.public_url, settings.webhook) == (NOBODY, None, False)
    assert (settings.log_format, settings.log_level) == ("console", "info")


@pytest.mark.parametrize(
    ("names", "address"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"WEB_HOST": "0.0.0.0", "WEB_PORT": "80"}, "http://127.0.0.1:80"),
        ({"WEB_HOST": "::1"}, "http://[::1]:8080"),
        ({"PUBLIC_URL": "https://diary.example.org/", "WEB_PORT": "80"}, "https://diary.example.org"),
    ],
)
def test_the_pages_are_where_a_browser_can_open_them(empty: Shell, monkeypatch, names, address):
    for name, value in names.items():
        monkeypatch.setenv(f"DAYBOOK_{name}", value)
    assert load_settings().pages_url == address


def test_tokens_and_keys_are_comma_separated(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", "1:aa, 2:bb")
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", "new,old")
    settings = load_settings()
    assert settings.bot_tokens == ("1:aa", "2:bb")
    assert settings.secret_keys == ("new", "old")


def test_the_environment_comes_before_the_env_file(empty: Shell, monkeypatch):
    (empty.folder / ".env").write_text("DAYBOOK_WEB_PORT=8081\nDAYBOOK_LOG_LEVEL=warning\n")
    monkeypatch.setenv("DAYBOOK_WEB_PORT", "8082")
    settings = load_settings()
    assert (settings.web_port, settings.log_level) == (8082, "warning")


@pytest.mark.parametrize("name", ["BOT_TOKEN", "SECRET_KEY", "DATABASE_URL"])
def test_a_secret_may_stand_in_a_file(empty: Shell, monkeypatch, name):
    (empty.folder / "secret").write_text("77:from-a-file\n")
    monkeypatch.setenv(f"DAYBOOK_{name}_FILE", str(empty.folder / "secret"))
    settings = load_settings()
    found = {
        "BOT_TOKEN": settings.bot_tokens,
        "SECRET_KEY": settings.secret_keys,
        "DATABASE_URL": settings.database,
    }
    assert found[name] in ("77:from-a-file", ("77:from-a-file",))


def test_a_secret_and_its_file_together_are_refused(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", TOKEN)
    assert "keep one of them" in refused(monkeypatch, "BOT_TOKEN_FILE", "secret")


def test_an_empty_value_counts_as_not_set(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", "")
    monkeypatch.setenv("DAYBOOK_WEB_PORT", "")
    assert (load_settings().bot_tokens, load_settings().web_port) == ((), 8080)


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("WEB_PORT", "eighty", "port number such as 8080"),
        ("WEB_PORT", "99999", "port number such as 8080"),
        ("LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("LOG_FORMAT", "xml", "console or json"),
        ("WEBHOOK", "perhaps", "1 or 0"),
        ("PUBLIC_URL", "diary.example.org", "https://"),
        ("TELEGRAM_API", "telegram", "https://"),
        ("BOT_TOKEN", "hunter2-is-secret", "@BotFather"),
        ("BOT_TOKEN", f"{TOKEN},{TOKEN}", "twice"),
        ("SECRET_KEY_FILE", "/nowhere/hunter2", "cannot be read (No such file or directory)"),
        ("SECRET_KEY_FILE", "/", "cannot be read (Is a directory)"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(empty: Shell, monkeypatch, name, value, mend):
    sentence = refused(monkeypatch, name, value)
    assert f"DAYBOOK_{name}" in sentence
    assert mend in sentence
    if name == "BOT_TOKEN":
        assert value not in sentence


def test_every_wrong_setting_is_named_at_once(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_LOG_LEVEL", "loud")
    sentence = refused(monkeypatch, "WEB_PORT", "x")
    assert "DAYBOOK_LOG_LEVEL" in sentence
    assert "DAYBOOK_WEB_PORT" in sentence


def test_secrets_do_not_show_when_settings_are_printed(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", "hunter2")
    monkeypatch.setenv("DAYBOOK_DATABASE_URL", "postgresql://daybook:hunter2@db/daybook")
    settings = load_settings()
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert TOKEN not in text
        assert "hunter2" not in text


def test_an_env_file_that_is_not_text_is_refused(empty: Shell):
    (empty.folder / ".env").write_bytes(b"\xff\xfe\x00DAYBOOK")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings()


@pytest.mark.parametrize("broken", ["DAYBOOK_WEB_PORT 8080", "DAYBOOK_PROTOCOL='mine", "= 1"])
def test_a_line_of_the_env_file_that_says_nothing_is_named(empty: Shell, broken):
    (empty.folder / ".env").write_text(f"DAYBOOK_LOG_LEVEL=error\n{broken}\nDAYBOOK_LOG_FORMAT=json\n")
    said = empty("patient", "list")
    said.refuses(".env cannot be read at line 2;", "begin it with #", code=2)


def test_what_this_version_does_not_serve_is_named_with_its_mend(empty: Shell, monkeypatch):
    assert not_served(load_settings()) == []
    monkeypatch.setenv("DAYBOOK_WEBHOOK", "1")
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", "1:aa,2:bb")
    several, webhook = not_served(load_settings())
    assert "keep one token" in several
    assert "take it out" in webhook


def test_names_that_are_almost_settings_are_found(empty: Shell, monkeypatch):
    (empty.folder / ".env").write_text("DAYBOOK_PORT=1\nexport DAYBOOK_WEB_PORT=2\n# DAYBOOK_NOTED=3\nOTHER=4\n")
    monkeypatch.setenv("DAYBOOK_BOT_TOKN", "x")
    assert unknown_names() == ["DAYBOOK_BOT_TOKN", "DAYBOOK_PORT"]
