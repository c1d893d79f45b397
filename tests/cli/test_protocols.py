import json

import pytest

from protocol.load import bundled_names, load_protocol
from tests.cli.conftest import Shell


@pytest.mark.parametrize("name", bundled_names())
def test_every_bundled_protocol_is_praised(empty: Shell, name):
    said = empty("protocol", "check", name)
    assert (said.code, said.err) == (0, "")
    assert f"{name} can be used" in said.out


def test_each_place_to_mend_is_a_line_of_its_own(empty: Shell):
    text = load_protocol("postop-week").text.replace('late = "4h"', 'late = "7h"').replace("doses", "pills")
    (empty.folder / "mine.toml").write_text(text.replace('id = "check"', 'idd = "check"'))
    said = empty("protocol", "check", "mine.toml")
    assert said.code == 1
    assert len(said.err.splitlines()) == 2
    assert "visit[1].idd: is not a key Daybook knows" in said.err
    found = empty("protocol", "check", "mine.toml", "--json")
    assert (found.code, found.json["ok"], len(found.json["findings"])) == (1, False, 2)


@pytest.mark.parametrize(
    ("content", "word"), [(b"\xff\xfe", "UTF-8"), (b"[trial", "not TOML"), (None, "no such file")]
)
def test_an_unreadable_protocol_is_refused_in_one_line(empty: Shell, content, word):
    if content is not None:
        (empty.folder / "mine.toml").write_bytes(content)
    empty("protocol", "check", "mine.toml").refuses(word)
    empty("protocol", "show", "mine.toml").refuses(word)


def test_the_schema_is_json_that_names_the_parts(empty: Shell):
    schema = empty("protocol", "schema").json
    assert {"trial", "phase", "visit", "measure", "alert"} <= set(schema["properties"])


def test_the_whole_calendar_of_a_patient_is_shown_by_phase(empty: Shell):
    said = empty("protocol", "show", "--start", "2026-11-24")
    assert (said.code, said.err) == (0, "")
    for word in (
        "Infusion weeks (iv): 14 days from Tue 2026-11-24: infusion 14, pain 14",
        "Capsule weeks (oral): 28 days from Tue 2026-12-08: capsule 56, pain 28",
        "Follow-up (follow-up): 140 days from Tue 2027-01-05: pain 32",
        "  0  Tue 2026-11-24  visit baseline",
        "182  Tue 2027-05-25  visit month-6",
        "12:00+1",
        "In all: infusion 14, pain 74, capsule 56.",
    ):
        assert word in said.out
    assert not any(line != line.rstrip() for line in said.out.splitlines())


def test_the_calendar_as_json_has_every_slot_with_its_window_and_messages(empty: Shell):
    found = empty("protocol", "show", "--start", "2026-11-24", "--evening", "21:30", "--json").json
    assert (found["id"], found["timezone"], len(found["slots"])) == ("magnesium-clbp", "Africa/Cairo", 144)
    assert found["phases"][1] == {
        "id": "oral",
        "start": "2026-12-08",
        "days": 28,
        "slots": {"capsule": 56, "pain": 28},
    }
    assert found["visits"][-1] == {"id": "month-6", "date": "2027-05-25"}
    pain = next(slot for slot in found["slots"] if slot["item"] == "pain")
    assert pain["due_at"] == "2026-11-24T21:30:00+02:00"
    assert pain["closes_at"] == "2026-11-25T13:30:00+02:00"
    # The second repeat would fall into the quiet hours and waits for the morning.
    assert [at[11:16] for at in pain["messages"]] == ["21:30", "22:15", "07:00"]


def test_the_calendar_follows_another_zone_through_its_clock_change(empty: Shell):
    found = empty("protocol", "show", "--start", "2027-03-20", "--timezone", "Europe/Berlin", "--json").json
    offsets = {slot["local_date"]: slot["due_at"][-6:] for slot in found["slots"]}
    assert (offsets["2027-03-27"], offsets["2027-03-28"]) == ("+01:00", "+02:00")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--evening", "25:00"], "20:30"),
        (["--evening", "12:00"], "between 18:00 and 22:00"),
        (["--timezone", "Mars/Base"], "Africa/Cairo"),
        (["--start", "someday"], "2026-11-24"),
        (["--start", "9999-01-01"], "check the year"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(empty: Shell, arguments, word):
    empty("protocol", "show", *arguments).refuses(word, code=2)


def test_an_evening_for_a_protocol_without_choice_is_refused(empty: Shell):
    text = load_protocol("postop-week").text.replace('patient_may_choose = ["19:00", "21:30"]', "")
    (empty.folder / "mine.toml").write_text(text)
    empty("protocol", "show", "mine.toml", "--evening", "20:00").refuses("leave --evening out", code=2)


def test_findings_stay_json_on_standard_output_alone(empty: Shell):
    said = empty("protocol", "check", "no.toml", "--json")
    assert said.err == ""
    assert json.loads(said.out)["source"] == "no.toml"
