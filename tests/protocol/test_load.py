import json
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from protocol.calendar import Enrolment, ZoneSince, phase_starts_from, plan, visit_dates
from protocol.errors import ProtocolError
from protocol.load import bundled_names, load_protocol, read_protocol
from protocol.model import Protocol
from protocol.values import format_duration, format_wall, parse_duration, parse_wall

GOOD = load_protocol("postop-week").text
TWO_SCARS = """
[[measure]]
id = "scar"
code = "SCAR"
name = { en = "Scar", ar = "الندبة" }
range = [0, 5]

[[measure]]
id = "new-scar"
code = "SCAR"
name = { en = "New scar", ar = "الندبة الجديدة" }
range = [0, 5]

[[measure]]
"""


def findings(text):
    with pytest.raises(ProtocolError) as caught:
        read_protocol("trial.toml", text)
    return caught.value.findings


def changed(old, new, count=1):
    assert old in GOOD
    return GOOD.replace(old, new, count)


def whole_trial(name):
    protocol = load_protocol(name).protocol
    zones = (ZoneSince(datetime(2026, 1, 1, tzinfo=UTC), protocol.trial.timezone),)
    starts = phase_starts_from(protocol, date(2026, 11, 24))
    return protocol, plan(protocol, Enrolment(starts, zones, {}))


def test_two_protocols_come_with_daybook():
    assert bundled_names() == ["magnesium-clbp", "postop-week"]


def test_the_trial_asks_for_as_much_as_the_trial_did():
    protocol, slots = whole_trial("magnesium-clbp")
    assert Counter((slot.phase, slot.item) for slot in slots) == {
        ("iv", "infusion"): 14,
        ("iv", "pain"): 14,
        ("oral", "capsule"): 56,
        ("oral", "pain"): 28,
        ("follow-up", "pain"): 32,
    }
    assert protocol.days == 182


def test_the_trial_is_followed_up_weekly_and_daily_in_the_week_before_a_visit():
    protocol, slots = whole_trial("magnesium-clbp")
    starts = phase_starts_from(protocol, date(2026, 11, 24))
    visits = {visit.visit: visit.on for visit in visit_dates(protocol, starts)}
    rated = {slot.local_date for slot in slots if slot.phase == "follow-up"}
    for name in ("month-3", "month-6"):
        assert {visits[name] - timedelta(days=days) for days in range(1, 8)} <= rated
    assert {starts["follow-up"] + timedelta(days=7 * week) for week in range(20)} <= rated


def test_the_second_protocol_asks_three_times_a_day_and_at_night():
    _, slots = whole_trial("postop-week")
    assert Counter(slot.item for slot in slots) == {"pain": 21, "tablet": 7}


def test_a_visit_keeps_its_distance_from_the_phase_it_falls_into():
    protocol = load_protocol("magnesium-clbp").protocol
    starts = phase_starts_from(protocol, date(2026, 11, 24))
    later = starts | {"oral": starts["oral"] + timedelta(days=2)}
    plain, moved = (dict(_pairs(visit_dates(protocol, these))) for these in (starts, later))
    assert plain["month-6"] == date(2027, 5, 25)
    assert {name: (moved[name] - plain[name]).days for name in plain} == {
        "baseline": 0,
        "week-2": 2,
        "week-6": 0,
        "month-3": 0,
        "month-6": 0,
    }


def _pairs(visits):
    return [(visit.visit, visit.on) for visit in visits]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (
            'at = ["21:00"]',
            'att = ["21:00"]',
            "phase[1].item[2].att: is not a key Daybook knows; mend its spelling",
        ),
        ('at = ["21:00"]', "", "phase[1].item[2].at: is missing; add it"),
        ("days = 7", 'days = "seven"', "phase[1].days: input should be a valid integer"),
        ('on_time = "90m"', 'on_time = "90"', 'on_time: write a duration as "45m", "9h", "1h30m" or "2d"'),
        ('at = ["21:00"]', 'at = ["9 pm"]', 'at[1]: write a time of day as "09:00"'),
        ('at = ["21:00"]', 'at = ["25:00"]', 'at[1]: write a time of day as "09:00"'),
        ('timezone = "Europe/Berlin"', 'timezone = "Berlin"', '"Berlin" is not an IANA time zone'),
        ('on_time = "90m"', 'on_time = "5h"', "late: counted from the due time like on_time"),
        ('"14:00", "20:00"', '"20:00", "14:00"', "at: write the times of day in order, each once"),
        ('nudge_after = ["30m"]', 'nudge_after = ["60m", "30m"]', "nudge_after: write the delays in order"),
        ("min = 0", "min = 10", "max must be greater than min"),
        ("days = 1\n", "", "an alert of kind silent-days takes days"),
        ('"side-effect"', '"side-effect"\nscore = 3', "an alert of kind side-effect takes no number"),
        (
            'at = ["21:00"]',
            'at = ["09:00", "21:00"]',
            "patient_may_choose: only an item with one time in at can be moved",
        ),
        ('id = "tablet"', 'id = "Tablet 1"', "phase[1].item[2].id: string should match pattern"),
        ('id = "wound"', 'id = "wound"\ncode = "WOUNDSCORE"', "measure[1].code: string should match pattern"),
        ('id = "wound"', 'id = "wound"\ndomain = "AE"', "measure[1].domain: input should be 'DA', 'FT'"),
        ('kind = "rating"', 'kind = "rating"\n  given = "self"', "given: only a dose is given; take it out"),
        ('loinc = "72514-3"', 'loinc = "72514-4"', "72514-4 is no code of LOINC: its last digit does not check"),
        ('loinc = "72514-3"', 'loinc = "pain"', "loinc: "),
        (
            'kind = "dose"',
            'kind = "dose"\n  loinc = "72514-3"',
            "loinc: only a rating has a code of LOINC; take it out",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_key_and_its_mend(old, new, finding):
    assert finding in "; ".join(findings(changed(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('id = "other"', 'id = "forgot"', "reason: forgot is there 2 times; give each its own id"),
        ('id = "tablet"', 'id = "pain"', "phase.week.item: pain is there 2 times; give each its own id"),
        (
            'id = "not-needed"',
            'id = "unneeded"',
            "phase.week.item.tablet.skip_reasons: not-needed has no [[reason]]; add one with its words",
        ),
        (
            "[[measure]]",
            TWO_SCARS,
            "measure.new-scar.code: SCAR is the code of measure scar already; give each its own",
        ),
        (
            'measures = ["wound"]',
            'measures = ["scar"]',
            "visit.check.measures: scar has no [[measure]]; add one with its range",
        ),
        ("day = 7", "day = 8", "visit.check.day: 8 is after the end of the last phase, day 7"),
        (
            "range = [0, 5]",
            'range = [0, 5]\nrequire = { min = 1, at = "start" }',
            "measure.wound.require.at: there is no visit start",
        ),
        (
            "range = [0, 5]",
            'range = [0, 5]\ncounts = { item = "pill", dispensed = 5 }',
            "measure.wound.counts.item: there is no item pill; name one of the doses",
        ),
        (
            "range = [0, 5]",
            'range = [0, 5]\ncounts = { item = "pain", dispensed = 5 }',
            "measure.wound.counts.item: pain is a rating; only doses can be counted",
        ),
        (
            "range = [0, 5]",
            'range = [0, 5]\ncounts = { item = "tablet", dispensed = 4 }',
            "measure.wound.counts.dispensed: 5 in range could come back, more than were handed out",
        ),
        (
            'at = ["21:00"]',
            'at = ["21:00"]\n  daily_before = { visits = ["start"], days = 2 }',
            "phase.week.item.tablet.daily_before: there is no visit start; name one of the [[visit]]s",
        ),
        (
            ', ar = "نسيت"',
            "",
            'reason.forgot.name: has no words in ar; add ar = "..."',
        ),
        (
            ', ar = "نسيت"',
            ', ar = "نسيت", fr = "oublié"',
            "reason.forgot.name: has words in fr, which trial.languages does not name",
        ),
        ('low = { en = "no pain", ar = "لا يوجد ألم" }', "", 'trial.nrs.low: has no words in en; add en = "..."'),
        (
            "[trial]",
            '[trial]\ndigest_at = "14:00"',
            "trial.digest_at: the digest is a morning's; write a time before 12:00",
        ),
        (
            'late = "4h"',
            'late = "7h"',
            "phase.week.item.pain.late: a window of 7h runs into the next one, 6h later; make late",
        ),
        (
            'late = "10h"',
            'late = "10h"\n  early = "12h"',
            "phase.week.item.tablet.late: a window of 22h runs into the next one, 21h30m later",
        ),
        (
            'min_gap = "12h"',
            'min_gap = "22h"',
            "phase.week.item.tablet.min_gap: is longer than the 21h30m between two doses",
        ),
        (
            'nudge_after = ["30m"]',
            'nudge_after = ["30m", "4h"]',
            "phase.week.item.pain.nudge_after: 4h comes after the window; make it shorter",
        ),
        (
            'nudge_after = ["45m"]',
            'nudge_after = ["61m"]',
            "phase.week.item.tablet.nudge_after: a message at 22:01 falls into the quiet hours; move it",
        ),
        (
            'at = ["08:00"',
            'at = ["06:00"',
            "phase.week.item.pain.at: a message at 06:00 falls into the quiet hours; move it",
        ),
        (
            '["19:00", "21:30"]',
            '["19:00", "20:30"]',
            "phase.week.item.tablet.patient_may_choose: does not hold the time in at, 21:00",
        ),
        (
            '["19:00", "21:30"]',
            '["19:00", "22:30"]',
            "phase.week.item.tablet.patient_may_choose: 22:30 falls into the quiet hours; narrow the range",
        ),
    ],
)
def test_what_a_reader_would_stumble_over_is_named_with_its_key_and_its_mend(old, new, finding):
    assert any(line.startswith(finding) for line in findings(changed(old, new)))


SECOND_PHASE = """
[[phase]]
id = "more"
name = { en = "More", ar = "المزيد" }
days = 7

  [[phase.item]]
  id = "tablet"
  kind = "%s"
  name = { en = "evening tablet", ar = "قرص المساء" }
  prompt = { en = "Have you taken the evening tablet?", ar = "هل تناولت قرص المساء؟" }
  at = ["21:00"]
  patient_may_choose = ["%s", "21:30"]
  on_time = "2h"
  late = "10h"

[[visit]]
"""


def test_one_item_is_one_kind_and_one_choice_in_all_phases():
    assert read_protocol("two.toml", changed("[[visit]]", SECOND_PHASE % ("dose", "19:00"))).protocol.days == 14
    assert findings(changed("[[visit]]", SECOND_PHASE % ("rating", "19:00"))) == (
        "phase.more.item.tablet.kind: another phase has tablet as a dose; rename one",
    )
    (finding,) = findings(changed("[[visit]]", SECOND_PHASE % ("dose", "20:00")))
    assert finding.startswith(
        "phase.more.item.tablet.patient_may_choose: another phase has another range for tablet"
    )


def test_an_item_has_one_code_in_all_phases_and_nobody_else_has_it():
    coded = SECOND_PHASE.replace("kind =", 'code = "%s"\n  kind =')
    text = GOOD.replace('id = "tablet"', 'id = "tablet"\n  code = "NIGHT"').replace("[[visit]]", coded)
    assert read_protocol("two.toml", text % ("NIGHT", "dose", "19:00")).protocol.days == 14
    assert findings(text % ("DAY", "dose", "19:00")) == (
        "phase.more.item.tablet.code: another phase has NIGHT for item tablet; write the same",
    )


def test_every_finding_is_told_at_once():
    text = changed('late = "4h"', 'late = "7h"').replace("day = 7", "day = 70")
    assert len(findings(text)) == 2


def test_a_file_that_is_not_toml_is_refused_with_the_line(tmp_path):
    path = tmp_path / "trial.toml"
    path.write_text("[trial\nid = 1")
    with pytest.raises(ProtocolError, match=r"it is not TOML: .*line 1.*; mend that place, or name another file"):
        load_protocol(str(path))


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "trial.toml"
    path.write_bytes("title = 'Schmerztagebuch für Köln'".encode("latin-1"))
    with pytest.raises(ProtocolError, match="not UTF-8 text; save it as UTF-8"):
        load_protocol(str(path))


def test_a_file_that_an_editor_marked_as_utf8_is_read(tmp_path):
    path = tmp_path / "trial.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_protocol(str(path)).sha256 == load_protocol("postop-week").sha256


def test_a_missing_file_is_refused_with_the_names_there_are(tmp_path):
    with pytest.raises(ProtocolError, match=r"no such file.*magnesium-clbp, postop-week"):
        load_protocol(str(tmp_path / "none.toml"))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ProtocolError, match="it is a folder; name the file in it"):
        load_protocol(str(tmp_path))


def test_the_fingerprint_changes_with_any_letter():
    assert read_protocol("x", GOOD).sha256 != read_protocol("x", GOOD + "\n").sha256


def test_the_json_schema_names_every_key_and_refuses_others():
    schema = Protocol.model_json_schema()
    assert set(schema["properties"]) == {"trial", "phase", "visit", "measure", "reason", "alert"}
    item = schema["$defs"]["Item"]
    assert item["additionalProperties"] is False
    assert item["properties"]["on_time"]["pattern"]
    assert item["properties"]["given"]["enum"] == ["clinic", "self"]
    assert schema["$defs"]["Measure"]["properties"]["domain"]["enum"] == ["DA", "FT", "LB", "MK", "NV", "QS", "VS"]
    assert "code" in item["properties"]
    assert json.dumps(schema)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("45m", 45), ("9h", 540), ("1h30m", 90), ("2d", 2880), ("1d2h3m", 1563), ("0m", 0), ("90m", 90)],
)
def test_a_duration_is_read(text, minutes):
    assert parse_duration(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize("wrong", ["", "9", "h", "9 h", "-9h", "1.5h", "9s", "30m1h", 9, None, "9" * 20 + "d"])
def test_what_is_no_duration_is_refused(wrong):
    with pytest.raises(ValueError, match="write a duration as"):
        parse_duration(wrong)


@pytest.mark.parametrize("minutes", [0, 1, 59, 60, 90, 540, 1440, 2895])
def test_a_duration_is_written_as_it_is_read(minutes):
    duration = timedelta(minutes=minutes)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("wrong", ["", "9:00", "24:00", "09:60", "0900", "09:00:00", 9, None])
def test_what_is_no_time_of_day_is_refused(wrong):
    with pytest.raises(ValueError, match="write a time of day as"):
        parse_wall(wrong)


def test_a_time_of_day_is_written_as_it_is_read():
    for minute in range(24 * 60):
        wall = time(minute // 60, minute % 60)
        assert parse_wall(format_wall(wall)) == wall


def test_an_item_is_found_by_phase_and_name():
    protocol = load_protocol("magnesium-clbp").protocol
    assert protocol.item("oral", "capsule").min_gap == timedelta(hours=6)
    with pytest.raises(KeyError):
        protocol.item("iv", "capsule")


def test_an_unknown_reason_is_shown_by_its_name():
    protocol = load_protocol("magnesium-clbp").protocol
    assert protocol.reason_text("forgot", "en") == "I forgot"
    assert protocol.reason_text("gone", "en") == "gone"
