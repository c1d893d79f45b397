import pytest

from diary.joining import join
from protocol.errors import InviteError
from tests.cast import BOT, NOUR_CHAT
from tests.cli.conftest import Shell

NOUR = ("staff", "add", "nour", "--role", "coordinator", "--site", "main")


def test_a_staff_member_gets_an_invite_like_a_patient(online: Shell):
    row = online(*NOUR, "--json").json
    assert set(row) == {"code", "link", "token", "typed_code", "expires_at"}
    assert row["link"].endswith(f"?start={row['token']}")
    again = online("staff", "invite", "nour", "--json", "--qr", "nour.svg").json
    assert set(again) == set(row)
    assert (online.folder / "nour.svg").exists()


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
