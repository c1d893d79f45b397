from datetime import datetime, timedelta

import pytest

from diary.joining import join
from diary.signing_in import LINK_LASTS, sign_in, take_link, ticket_of
from diary.tokens import holder_of
from protocol.errors import InviteError, SignInError
from tests.cast import BOT, NOUR_CHAT
from tests.cli.conftest import Shell

NOUR = ("staff", "add", "nour", "--role", "coordinator", "--site", "main")


def test_a_staff_member_gets_an_invite_like_a_patient(online: Shell):
    row = online(*NOUR, "--json").json
    assert set(row) == {"code", "link", "token", "typed_code", "expires_at"}
    assert row["link"].endswith(f"?start={row['token']}")
    again = online("staff", "invite", "nour", "--json", "--qr", "nour.svg").json
    assert set(again) == set(row) | {"pages_link", "pages_expires_at"}
    assert (online.folder / "nour.svg").exists()


def test_the_code_of_a_member_or_a_site_is_one_however_its_letters_are_typed(shell: Shell):
    assert shell("staff", "add", "Nour", "--role", "coordinator", "--site", "MAIN").code == 0
    shell(*NOUR).refuses("Nour", "another code")
    shell("site", "add", "Main", "--name", "Main", "--timezone", "Africa/Cairo").refuses("main", "another code")
    assert shell("staff", "invite", "nour", "--json").json["code"] == "Nour"
    assert shell("staff", "reset", "NOUR", "--reason", "forgotten").out.startswith("Nour has no passphrase")
    assert shell("staff", "disable", "NOUR").out == "Nour is shut out.\n"
    assert [(row["code"], row["sites"]) for row in shell("staff", "list", "--json").json] == [("Nour", ["main"])]


def test_a_new_invite_comes_with_a_link_to_the_pages(shell: Shell, monkeypatch):
    shell(*NOUR)
    row = shell("staff", "invite", "nour", "--json").json
    assert row["pages_link"].startswith("http://127.0.0.1:8080/sign-in/")
    assert datetime.fromisoformat(row["pages_expires_at"]) == shell.now + LINK_LASTS
    monkeypatch.setenv("DAYBOOK_PUBLIC_URL", "https://diary.example.org/")
    assert "https://diary.example.org/sign-in/" in shell("staff", "invite", "nour").out

    async def use(stage):
        with pytest.raises(SignInError):  # the second invite made a newer link
            await take_link(stage.db, token=row["pages_link"].rpartition("/")[2], now=shell.now)

    shell.behind(use)


def test_a_forgotten_passphrase_is_chosen_anew_with_the_next_link(shell: Shell):
    shell(*NOUR)
    choose(shell, "winter on the Nile")
    assert shell("staff", "reset", "nour", "--reason", "forgotten").code == 0
    choose(shell, "summer on the Nile")
    shell("staff", "reset", "nobody", "--reason", "r").refuses("daybook staff list")
    shell("staff", "reset", "nour", "--reason", " ").refuses("--reason", code=2)


def choose(shell, passphrase):
    """Sign in by a new link, as somebody who has no passphrase yet."""
    token = shell("staff", "invite", "nour", "--json").json["pages_link"].rpartition("/")[2]

    async def enter(stage):
        ticket = await take_link(stage.db, token=token, now=shell.now)
        assert (await ticket_of(stage.db, ticket=ticket, now=shell.now)).chooses
        assert await sign_in(stage.db, ticket=ticket, passphrase=passphrase, now=shell.now)

    shell.behind(enter)


def test_the_team_is_listed_with_roles_and_sites(shell: Shell):
    shell(*NOUR)
    shell("staff", "add", "root", "--role", "administrator", "--language", "ar")
    rows = shell("staff", "list", "--json").json
    assert [(row["code"], row["role"], row["sites"], row["language"]) for row in rows] == [
        ("nour", "coordinator", ["main"], "en"),
        ("root", "administrator", [], "ar"),
    ]
    assert "all" in shell("staff", "list").out.splitlines()[2]


def test_a_disabled_member_is_out_and_cannot_be_invited(shell: Shell):
    token = shell(*NOUR, "--json").json["token"]
    assert shell("staff", "disable", "nour").code == 0
    shell("staff", "invite", "nour").refuses("disabled")
    assert shell("staff", "list", "--json").json[0]["disabled_at"] is not None

    async def use(stage):
        with pytest.raises(InviteError):
            await join(stage.db, bot_id=BOT, chat_id=NOUR_CHAT, token=token, now=shell.now)

    shell.behind(use)


def test_a_member_changes_role_and_site_and_comes_back(shell: Shell):
    shell(*NOUR)
    shell("site", "add", "north", "--name", "North", "--timezone", "Africa/Cairo")
    to_north = ("staff", "change", "nour", "--role", "monitor", "--site", "north")
    assert "nour is monitor now" in shell(*to_north, "--reason", "moves").out
    row = shell("staff", "list", "--json").json[0]
    assert (row["role"], row["sites"]) == ("monitor", ["north"])
    shell(*to_north).refuses("--reason", code=2)
    shell("staff", "change", "nour", "--role", "monitor", "--reason", "r").refuses("--site", code=2)
    shell("staff", "change", "nobody", "--role", "administrator", "--reason", "r").refuses("daybook staff list")
    shell("staff", "disable", "nour")
    assert "daybook staff invite nour" in shell("staff", "readmit", "nour", "--reason", "back").out
    assert shell("staff", "list", "--json").json[0]["disabled_at"] is None
    assert shell("staff", "invite", "nour").code == 0


def test_a_token_is_shown_once_then_listed_and_revoked(shell: Shell):
    assert shell("staff", "tokens").out.startswith("There is no token yet")
    shell(*NOUR)
    row = shell("staff", "token", "NOUR", "--name", "statistics server", "--json").json
    assert set(row) == {"code", "name", "token", "expires_at"}
    assert (row["code"], datetime.fromisoformat(row["expires_at"]) - shell.now) == ("nour", timedelta(days=90))
    said = shell("staff", "token", "nour", "--name", "backup", "--days", "7").out
    assert "daybook_" in said
    assert "shown this once" in said
    shell("staff", "token", "nour", "--name", "backup").refuses("revoke it first")
    listed = shell("staff", "tokens").out
    assert row["token"] not in listed
    assert "statistics server" in listed
    assert "never" in listed
    assert "no longer works" in shell("staff", "revoke-token", "Nour", "--name", "backup", "--reason", "gone").out
    rows = shell("staff", "tokens", "nour", "--json").json
    assert [(one["name"], one["revoked_at"] is None) for one in rows] == [
        ("backup", False), ("statistics server", True),
    ]  # fmt: skip
    assert "revoked" in shell("staff", "tokens", "nour").out

    async def use(stage):
        assert await holder_of(stage.db, token=row["token"], now=shell.now)

    shell.behind(use)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["token", "nobody", "--name", "x"], 1, "daybook staff list"),
        (["token", "nour"], 2, "--name"),
        (["token", "nour", "--name", " "], 2, "--name"),
        (["token", "nour", "--name", "x", "--days", "366"], 2, "365"),
        (["token", "nour", "--name", "x", "--days", "x"], 2, "--days"),
        (["tokens", "nobody"], 1, "daybook staff list"),
        (["revoke-token", "nour", "--name", "x"], 1, "daybook staff tokens"),
        (["revoke-token", "nobody", "--name", "x"], 1, "daybook staff list"),
    ],
)
def test_what_cannot_be_done_with_tokens_is_refused(shell: Shell, arguments, code, word):
    shell(*NOUR)
    shell("staff", *arguments).refuses(word, code=code)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["add", "x", "--role", "boss", "--site", "main"], 2, "coordinator"),
        (["add", "x", "--role", "monitor"], 2, "--site"),
        (["add", "x", "--role", "monitor", "--site", "nowhere"], 1, "daybook site list"),
        (["add", "x", "--role", "administrator", "--language", "fr"], 2, "en, ar"),
        (["add", "x y", "--role", "administrator"], 2, "cannot be a code"),
        (["invite", "nobody"], 1, "daybook staff list"),
        (["disable", "nobody"], 1, "daybook staff list"),
    ],
)
def test_what_cannot_be_done_with_staff_is_refused(shell: Shell, arguments, code, word):
    shell("staff", *arguments).refuses(word, code=code)


def test_sites_are_added_and_listed(shell: Shell):
    assert shell("site", "add", "north", "--name", "Nordklinik", "--timezone", "Europe/Berlin").code == 0
    assert [row["code"] for row in shell("site", "list", "--json").json] == ["main", "north"]
    assert "Nordklinik" in shell("site", "list").out


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["main", "--name", "x", "--timezone", "Europe/Berlin"], 1, "another code"),
        (["a/b", "--name", "x", "--timezone", "Europe/Berlin"], 2, "cannot be a code"),
        (["north", "--name", " ", "--timezone", "Europe/Berlin"], 2, "--name"),
        (["north", "--name", "a\x07b", "--timezone", "Europe/Berlin"], 2, "control character"),
        (["north", "--name", "x", "--timezone", "Berlin"], 2, "Africa/Cairo"),
    ],
)
def test_a_site_that_cannot_be_is_refused(shell: Shell, arguments, code, word):
    shell("site", "add", *arguments).refuses(word, code=code)
