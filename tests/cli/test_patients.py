import io
import struct
from datetime import UTC, datetime, timedelta

import pytest
import segno

from cli.reading import start_of
from diary.alerts import note_unreachable
from diary.answers import Arrival, record_answer, scored
from diary.joining import who_is
from rehearsal.telegram import TOKEN
from reports.patient import today
from tests.cast import AMINA_CHAT, BOT, cairo
from tests.cli.conftest import NOBODY, Shell
from tests.conftest import KEY

ADD = ("patient", "add", "P-001", "--start", "2026-11-24")


def codes(shell: Shell) -> list[str]:
    return [row["code"] for row in shell("patient", "list", "--json").json]


def joined(shell: Shell) -> None:
    shell.behind(lambda stage: stage.joined())


def test_an_added_patient_has_exactly_these_keys_as_json(online: Shell):
    said = online(*ADD, "--json")
    assert (said.code, said.err) == (0, "")
    row = said.json
    assert set(row) == {"code", "link", "token", "typed_code", "expires_at"}
    assert row["code"] == "P-001"
    assert row["link"] == f"https://t.me/daybook_rehearsal_bot?start={row['token']}"
    assert datetime.fromisoformat(row["expires_at"]) == online.now + timedelta(hours=72)
    assert len(row["typed_code"]) == 8


def test_for_people_the_invite_is_a_few_lines(online: Shell):
    said = online(*ADD, "--timezone", "Europe/Berlin", "--language", "ar")
    assert "P-001 is added at main; the trial begins on Tue 2026-11-24." in said.out
    assert "https://t.me/daybook_rehearsal_bot?start=" in said.out
    assert "Thu 2026-11-26 09:00 Europe/Berlin, once" in said.out
    row = online("patient", "show", "P-001", "--json").json
    assert (row["timezone"], row["language"]) == ("Europe/Berlin", "ar")


def test_a_first_day_in_the_past_is_pointed_out(shell: Shell):
    assert "which is past" in shell("patient", "add", "P-001", "--start", "2026-11-22").out
    assert "which is past" not in shell("patient", "add", "P-002", "--start", "today").out


def test_a_new_invite_makes_the_old_one_void(online: Shell):
    old = online(*ADD, "--json").json
    new = online("patient", "invite", "P-001", "--json").json
    assert set(new) == set(old)
    assert new["token"] != old["token"]


def test_without_a_token_there_is_no_link_but_a_code_to_type(shell: Shell):
    said = shell(*ADD, "--json")
    assert (said.code, said.json["link"]) == (0, None)
    assert "DAYBOOK_BOT_TOKEN" in said.err
    assert said.json["typed_code"] in said.err


def test_while_telegram_is_away_the_name_it_last_gave_makes_the_link(online: Shell, monkeypatch):
    online(*ADD)
    monkeypatch.setenv("DAYBOOK_TELEGRAM_API", NOBODY)
    said = online("patient", "invite", "P-001", "--json")
    assert said.err == ""
    assert said.json["link"].startswith("https://t.me/daybook_rehearsal_bot?start=")


def test_with_a_wrong_token_the_patient_is_added_and_the_reason_said(online: Shell, monkeypatch):
    monkeypatch.setenv("DAYBOOK_BOT_TOKEN", "123456:not-a-bots-token")
    said = online(*ADD, "--json")
    assert (said.code, said.json["link"]) == (0, None)
    assert "@BotFather" in said.err
    assert "not-a-bots-token" not in said.err


def test_a_qr_picture_holds_the_link(online: Shell):
    row = online(*ADD, "--qr", "card.png", "--json").json
    picture = (online.folder / "card.png").read_bytes()
    expected = segno.make(row["link"], error="m", micro=False)
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == expected.symbol_size(scale=8, border=4)
    assert min(expected.symbol_size(scale=8, border=4)) > 250
    online("patient", "invite", "P-001", "--qr", "card.svg")
    assert "<svg" in (online.folder / "card.svg").read_text()
    assert sorted(path.name for path in online.folder.glob("*")) == ["card.png", "card.svg", "data"]


@pytest.mark.parametrize(
    ("place", "code", "word"),
    [
        ("card.gif", 2, ".png or .svg"),
        ("card", 2, ".png or .svg"),
        ("nowhere/card.png", 1, "No such file"),
        ("data/daybook.db/card.png", 1, "Not a directory"),
        ("/proc/card.png", 1, "cannot be written"),
    ],
)
def test_a_picture_that_cannot_be_written_leaves_nothing_half_done(online: Shell, place, code, word):
    online(*ADD, "--qr", place).refuses("--qr", word, code=code)
    assert codes(online) == []


def test_a_picture_without_a_link_is_refused_and_nothing_added(shell: Shell):
    shell(*ADD, "--qr", "card.png").refuses("Leave --qr out")
    assert codes(shell) == []
    assert not (shell.folder / "card.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--start", "24.11.2026"], 2, "2026-11-24"),
        (["--start", "2026-02-30"], 2, "2026-11-24"),
        (["--start", "today", "--timezone", "Mars/Base"], 2, "Africa/Cairo"),
        (["--start", "today", "--language", "fr"], 2, "en, ar"),
        (["--start", "today", "--site", "nowhere"], 1, "main"),
        (["--start", "today", "--site", "no\x1bwhere"], 2, "cannot be a code"),
    ],
)
def test_a_patient_that_cannot_be_added_is_refused_with_the_mend(shell: Shell, arguments, code, word):
    shell("patient", "add", "P-001", *arguments).refuses(word, code=code)
    assert codes(shell) == []


@pytest.mark.parametrize("code", ["", "P 1", "-P", "P\n1", "P\x1b[31m", "م-١", "P" * 33, "../x"])
def test_what_cannot_be_a_code_is_refused_and_shown_harmlessly(shell: Shell, code):
    said = shell("patient", "add", "--start", "today", "--", code)
    said.refuses("cannot be a code", code=2)
    assert "\x1b" not in said.err


def test_a_code_that_is_taken_is_refused(shell: Shell):
    shell(*ADD)
    shell(*ADD).refuses("P-001", "another code")


def test_a_code_is_one_code_however_its_letters_are_typed(shell: Shell):
    joined(shell)
    shell("patient", "add", "p-001", "--start", "today").refuses("P-001", "another code")
    assert codes(shell) == ["P-001"]
    assert shell("patient", "show", "p-001", "--json").json["code"] == "P-001"
    assert shell("patient", "invite", "p-001", "--json").json["code"] == "P-001"
    move = ("--phase", "oral", "--start", "2026-12-10", "--reason", "ill")
    assert "oral of P-001" in shell("patient", "move", "p-001", *move).out
    assert shell("patient", "pause", "p-001", "--reason", "travelling").out.startswith("P-001 is paused")
    shell("patient", "withdraw", "p-001", "--reason", "moved away")
    assert shell("patient", "erase", "p-001", "--reason", "asked", "--yes").out.startswith("P-001 is a code")
    [row] = shell("adherence", "--patient", "p-001", "--site", "MAIN", "--json").json
    assert row["patient"] == "P-001"


def test_with_several_sites_one_must_be_named(shell: Shell):
    shell("site", "add", "north", "--name", "North", "--timezone", "Europe/Berlin")
    shell(*ADD).refuses("main, north", "--site")
    assert shell(*ADD, "--site", "North").code == 0
    assert [row["site"] for row in shell("patient", "list", "--json").json] == ["north"]
    assert shell("patient", "list", "--site", "main", "--json").json == []


def test_days_on_a_screen_count_from_one_and_there_is_none_before_the_first(shell: Shell):
    for code, start in (("P-001", "today"), ("P-002", "tomorrow"), ("P-003", "2026-12-24")):
        shell("patient", "add", code, "--start", start)

    assert [shell("patient", "show", f"P-00{n}", "--json").json["day"] for n in (1, 2, 3)] == [1, None, None]


@pytest.mark.parametrize(
    ("said", "zone", "day"),
    [
        ("today", "Africa/Cairo", "2026-11-25"),
        ("TOMORROW", "Africa/Cairo", "2026-11-26"),
        ("today", "America/New_York", "2026-11-24"),
        ("2026-12-01", "Africa/Cairo", "2026-12-01"),
    ],
)
def test_today_is_that_of_the_site(said, zone, day):
    evening = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    assert start_of(said, zone=zone, now=evening).isoformat() == day


@pytest.mark.parametrize("verb", ["show", "invite", "pause", "resume", "withdraw", "erase", "move"])
def test_an_unknown_patient_is_refused_by_every_verb(shell: Shell, verb):
    why = ["--reason", "ill"] if verb not in ("show", "invite") else []
    move = ["--phase", "oral", "--start", "2026-12-10"] if verb == "move" else []
    shell("patient", verb, "P-404", *why, *move).refuses("P-404", "`daybook patient list`")


def test_the_list_says_who_has_joined_and_whose_chat_answers(shell: Shell):
    joined(shell)
    shell("patient", "add", "P-002", "--start", "2026-12-01")
    rows = {row["code"]: row for row in shell("patient", "list", "--json").json}
    assert (rows["P-001"]["status"], rows["P-001"]["chat"]) == ("active", "yes")
    assert (rows["P-002"]["status"], rows["P-002"]["chat"], rows["P-002"]["joined_at"]) == ("invited", "no", None)
    head, amina, _ = shell("patient", "list").out.splitlines()
    assert head.split() == ["code", "site", "status", "chat", "language", "zone", "added", "joined"]
    assert amina.index("active") == head.index("status")


def test_an_empty_list_says_how_to_begin(shell: Shell):
    assert "daybook patient add" in shell("patient", "list").out
    assert shell("patient", "list", "--json").json == []


def test_a_patient_is_shown_with_phases_figures_and_what_comes_next(shell: Shell):
    joined(shell)
    evening = cairo("2026-11-24 20:05")

    async def answer(stage):
        person = await who_is(stage.db, bot_id=BOT, chat_id=AMINA_CHAT)
        pain = next(
            line.slot for line in await today(stage.db, person.patient.id, evening) if line.slot.item == "pain"
        )
        await record_answer(
            stage.db,
            patient_id=person.patient.id,
            slot_id=pain.id,
            answer=scored(7),
            arrival=Arrival("button", evening),
            now=evening,
        )

    shell.behind(answer)
    shell.now = cairo("2026-11-24 23:30")
    row = shell("patient", "show", "P-001", "--json").json
    assert row["phases"] == {"iv": "2026-11-24", "oral": "2026-12-08", "follow-up": "2027-01-05"}
    assert (row["day"], row["phase"], row["coming"]) == (1, "iv", 142)
    assert (row["adherence"]["expected"], row["adherence"]["on_time"], row["adherence"]["missed"]) == (2, 1, 1)
    assert row["next"][0] == {"phase": "iv", "item": "infusion", "due_at": "2026-11-25T09:00:00+02:00"}
    text = shell("patient", "show", "P-001").out
    for words in ("1/2 50.0 %", "Infusion weeks", "linked", "Wed 2026-11-25 09:00", "of 142 slots to come"):
        assert words in text
    assert str(AMINA_CHAT) not in text


def test_a_blocked_bot_is_seen_on_the_card(shell: Shell):
    joined(shell)

    async def block(stage):
        person = await who_is(stage.db, bot_id=BOT, chat_id=AMINA_CHAT)
        await note_unreachable(stage.db, contact_id=person.contact.id, reachable="blocked", now=shell.now)

    shell.behind(block)
    assert "blocked" in shell("patient", "show", "P-001").out
    assert shell("patient", "show", "P-001", "--json").json["chat"] == "blocked"


def test_an_invited_patient_is_asked_for_nothing_yet(shell: Shell):
    shell(*ADD)
    assert "Nothing is asked before P-001 has joined" in shell("patient", "show", "P-001").out


def test_a_phase_moves_with_those_after_it(shell: Shell):
    joined(shell)
    said = shell(
        "patient", "move", "P-001", "--phase", "oral", "--start", "2026-12-10", "--reason", "clinic closed"
    )
    assert (said.code, said.err) == (0, "")
    assert "oral of P-001 now begins on Thu 2026-12-10" in said.out
    assert shell("patient", "show", "P-001", "--json").json["phases"]["follow-up"] == "2027-01-07"


@pytest.mark.parametrize("typed", ["", "n\n"])
def test_a_move_that_takes_more_than_half_of_a_phase_is_asked_about(shell: Shell, monkeypatch, typed):
    joined(shell)
    slip = ("patient", "move", "P-001", "--phase", "oral", "--start", "2026-11-25", "--reason", "moved")
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    said = shell(*slip)
    assert said.code == 1
    assert "iv would be shortened by 13 days, from 14 to 1. Move oral all the same?" in said.err
    assert said.err.endswith("Nothing was changed.\n")
    assert shell("patient", "show", "P-001", "--json").json["phases"]["oral"] == "2026-12-08"

    assert "iv is shortened by 13 days, from 14 to 1." in shell(*slip, "--yes").out
    back = shell("patient", "move", "P-001", "--phase", "oral", "--start", "2026-12-08", "--reason", "a slip")
    assert (back.code, back.err) == (0, "")
    assert "iv is lengthened by 13 days, from 1 to 14." in back.out


def test_a_move_that_leaves_half_of_a_phase_is_said_and_not_asked_about(shell: Shell):
    joined(shell)
    said = shell("patient", "move", "P-001", "--phase", "oral", "--start", "2026-12-01", "--reason", "hurry")
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("iv is shortened by 7 days, from 14 to 7.\n")


def test_a_phase_that_does_not_exist_cannot_move(shell: Shell):
    shell(*ADD)
    shell("patient", "move", "P-001", "--phase", "x", "--start", "2026-12-10", "--reason", "y").refuses("iv, oral")


def test_a_pause_and_its_end(shell: Shell):
    joined(shell)
    assert "paused" in shell("patient", "pause", "P-001", "--reason", "travelling").out
    assert "nothing changed" in shell("patient", "pause", "P-001", "--reason", "travelling").out
    assert "during the pause" in shell("patient", "show", "P-001").out
    assert shell("patient", "resume", "P-001", "--reason", "back").code == 0
    assert shell("patient", "show", "P-001", "--json").json["status"] == "active"


def test_nobody_but_the_patient_can_agree(shell: Shell):
    shell(*ADD)
    shell("patient", "resume", "P-001", "--reason", "hurry").refuses("has not agreed")
    assert shell("patient", "show", "P-001", "--json").json["status"] == "invited"


@pytest.mark.parametrize("reason", ["", "   ", "a\nb", "\x1b[2J"])
def test_a_reason_must_say_something_plain(shell: Shell, reason):
    joined(shell)
    shell("patient", "pause", "P-001", "--reason", reason).refuses("--reason", code=2)


@pytest.mark.parametrize("typed", ["", "n\n", "\n"])
def test_a_patient_is_forgotten_only_if_somebody_says_yes(shell: Shell, monkeypatch, typed):
    joined(shell)
    shell("patient", "withdraw", "P-001", "--reason", "moved away")
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    said = shell("patient", "erase", "P-001", "--reason", "asked")
    assert said.code == 1
    assert said.err.endswith("Nothing was changed.\n")
    assert shell("patient", "show", "P-001", "--json").json["erased_at"] is None


def test_only_a_withdrawn_patient_is_forgotten(shell: Shell):
    joined(shell)
    shell("patient", "erase", "P-001", "--reason", "asked", "--yes").refuses("withdraw the patient first")
    shell("patient", "withdraw", "P-001", "--reason", "moved away")
    assert shell("patient", "erase", "P-001", "--reason", "asked", "--yes").code == 0
    row = shell("patient", "show", "P-001", "--json").json
    assert (row["status"], row["chat"]) == ("withdrawn", "no")
    assert row["erased_at"] is not None


def test_no_answer_ever_shows_the_token_or_the_key(online: Shell):
    calls = [ADD, ("patient", "list"), ("patient", "show", "P-001"), ("doctor",), ("patient", "show", "P-404")]
    for arguments in calls:
        said = online(*arguments)
        assert TOKEN not in said.out + said.err
        assert KEY not in said.out + said.err
