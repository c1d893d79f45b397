from protocol.codes import codes_of
from protocol.load import load_protocol, read_protocol
from reports.formats.united import items_of, united

TEXT = load_protocol("postop-week").text
OLD = read_protocol("old", TEXT).protocol


def newer(*changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_protocol("new", text).protocol


def test_one_version_is_what_it_is():
    assert united(OLD, []) == OLD
    assert united(OLD, [OLD, OLD]) == OLD


def test_what_only_an_earlier_version_has_is_taken_over_and_the_newest_says_what_a_thing_is():
    new = newer(
        ('id = "tablet"', 'id = "drops"'),
        ('id = "week"', 'id = "days"'),
        ('id = "check"', 'id = "last"'),
        ("range = [0, 5]", "range = [0, 9]"),
        ('"First week"', '"First days"'),
    )
    both = united(new, [OLD])
    assert [phase.id for phase in both.phase] == ["days", "week"]
    assert set(items_of(both)) == {"pain", "drops", "tablet"}
    assert [visit.id for visit in both.visit] == ["last", "check"]
    assert [(measure.id, measure.range[1]) for measure in both.measure] == [("wound", 9)]


def test_a_phase_keeps_an_item_and_an_item_a_reason_that_the_newest_version_dropped():
    new = newer(('id = "tablet"', 'id = "drops"'), ('["not-needed", "forgot", "other"]', '["other"]'))
    [phase] = united(new, [OLD]).phase
    assert [item.id for item in phase.item] == ["pain", "drops", "tablet"]
    fewer = newer(('["not-needed", "forgot", "other"]', '["other"]'))
    assert items_of(united(fewer, [OLD]))["tablet"].skip_reasons == ["other", "not-needed", "forgot"]


def test_a_code_that_the_newest_version_gives_to_another_is_not_given_twice():
    old = newer(('id = "wound"', 'id = "scar"\ncode = "SCORE"'), ('["wound"]', '["scar"]'))
    new = newer(('id = "wound"', 'id = "wound"\ncode = "SCORE"'))
    assert codes_of(united(new, [old])).measures == {"wound": "SCORE", "scar": "SCAR"}
