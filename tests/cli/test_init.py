import re
import sqlite3
import stat

import pytest

from cli.settings import load_settings, not_served, unknown_names
from diary import Keys, new_secret_key
from tests.cli.conftest import Shell
from tests.conftest import KEY


def set_form(shell: Shell, form: str) -> None:
    with sqlite3.connect(shell.folder / "data" / "daybook.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (form,))
    connection.close()


def test_init_makes_all_that_is_needed_and_says_what_comes_next(empty: Shell):
    said = empty("init")

    assert said.code == 0, said
    Keys(load_settings().secret_keys)
    assert stat.S_IMODE((empty.folder / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((empty.folder / "data" / "daybook.db").stat().st_mode) == 0o600
    for word in ("magnesium-clbp 1", "site, main", "Africa/Cairo", "@BotFather", "daybook patient add"):
        assert word in said.out
    assert load_settings().secret_keys[0] not in said.out
    assert empty("site", "list", "--json").json == [
        {"code": "main", "name": "Main site", "timezone": "Africa/Cairo"}
    ]


def test_init_again_changes_nothing(empty: Shell):
    empty("init")
    before = (empty.folder / ".env").read_bytes()
    empty("site", "add", "second", "--name", "Second", "--timezone", "Europe/Berlin")
    said = empty("init")

    assert said.code == 0
    assert (empty.folder / ".env").read_bytes() == before
    assert [site["code"] for site in empty("site", "list", "--json").json] == ["main", "second"]


@pytest.mark.parametrize("line", ["DAYBOOK_SECRET_KEY=\n", ""])
def test_init_puts_a_key_into_an_env_file_without_one_and_keeps_the_rest(empty: Shell, line):
    env = empty.folder / ".env"
    env.write_text(f"DAYBOOK_WEB_PORT=8181\n{line}DAYBOOK_LOG_LEVEL=error")
    assert empty("init").code == 0

    settings = load_settings()
    Keys(settings.secret_keys)
    assert (settings.web_port, settings.log_level) == (8181, "error")
    assert len(re.findall("DAYBOOK_SECRET_KEY", env.read_text())) == 1
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_init_with_a_key_in_the_environment_writes_none(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", new_secret_key())
    assert empty("init").code == 0
    assert not (empty.folder / ".env").exists()


def test_init_makes_no_new_key_for_a_database_that_has_one(empty: Shell):
    empty("init")
    (empty.folder / ".env").unlink()
    empty("init").refuses("DAYBOOK_SECRET_KEY", "put that key back", code=2)
    assert not (empty.folder / ".env").exists()


def test_another_good_key_is_noticed_by_every_command(shell: Shell, monkeypatch):
    shell("patient", "add", "P-001", "--start", "tomorrow")
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", new_secret_key())
    for command in ("init", "migrate", "health", "export --out out", "patient invite P-001"):
        shell(*command.split()).refuses("another DAYBOOK_SECRET_KEY", "add the old key back, after a comma", code=2)
    assert "add the old key back" in shell("doctor").out
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", f"{new_secret_key()},{KEY}")
    assert shell("patient", "invite", "P-001").code == 0


def test_init_with_a_protocol_that_cannot_be_read_leaves_nothing_behind(empty: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_PROTOCOL", "mine.toml")
    empty("init").refuses("mine.toml", "no such file")
    assert list(empty.folder.iterdir()) == []


def test_init_in_a_folder_that_cannot_be_written_says_so(empty: Shell, monkeypatch):
    monkeypatch.chdir("/proc")
    empty("init").refuses(".env cannot be written", "a folder of yours", code=2)


def test_init_with_a_file_where_the_database_folder_should_be_says_so(empty: Shell):
    (empty.folder / "data").write_text("in the way")
    empty("init").refuses("DAYBOOK_DATABASE_URL", code=2)


def test_an_older_form_of_the_database_is_refused_and_the_command_named(shell: Shell):
    set_form(shell, "0000")
    for command in (("patient", "list"), ("health",), ("patient", "add", "P-001", "--start", "today")):
        shell(*command).refuses("`daybook migrate`")
    assert "`daybook migrate`" in shell("doctor").out


def test_a_missing_database_is_not_made_on_the_way(shell: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_DATABASE_URL", "sqlite:///elsewhere/daybook.db")
    shell("patient", "list").refuses("`daybook init`", "elsewhere")
    shell("migrate").refuses("`daybook init`")
    assert not (shell.folder / "elsewhere").exists()


def test_migrate_says_that_the_database_is_up_to_date(shell: Shell):
    said = shell("migrate")
    assert (said.code, said.err) == (0, "")
    assert "up to date" in said.out


def test_a_key_that_is_no_key_is_refused_without_showing_it(shell: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_SECRET_KEY", "hunter2")
    said = shell("patient", "list")
    said.refuses("DAYBOOK_SECRET_KEY", "32 bytes", code=2)
    assert "hunter2" not in said.err


def test_a_key_that_is_no_key_says_how_to_get_out_and_that_way_leads_out(empty: Shell):
    env = empty.folder / ".env"
    env.write_text("DAYBOOK_SECRET_KEY=short\nDAYBOOK_LOG_LEVEL=error\n")
    empty("init").refuses("take its line out of .env and run `daybook init`", "urandom | base64", code=2)
    env.write_text("DAYBOOK_LOG_LEVEL=error\n")
    assert empty("init").code == 0


def test_the_env_file_offers_nothing_that_serve_refuses(empty: Shell):
    empty("init")
    env = empty.folder / ".env"
    env.write_text(re.sub(r"^# (DAYBOOK_\w+=)", r"\1", env.read_text(), flags=re.MULTILINE))
    assert not_served(load_settings()) == []
    assert unknown_names() == []
    assert "several" not in env.read_text()
