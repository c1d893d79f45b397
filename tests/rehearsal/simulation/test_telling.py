"""Messages, texts and load as they are written, worked out by hand."""

from datetime import date, timedelta
from random import Random

from rehearsal.simulation import transcript as t
from rehearsal.simulation.load import load_of
from rehearsal.simulation.messages import as_markdown, as_page, texts_of
from rehearsal.simulation.temperament import TEMPERAMENTS, drawn, errands
from rehearsal.simulation.transcript import Line
from rehearsal.simulation.words import pieces, spelled
from tests.cast import cairo
from tests.rehearsal.simulation.conftest import WEEK, Left

NOON = cairo("2026-11-24 12:00")


def line(
    kind=t.MESSAGE, *, at=NOON, text="hello", language="en", code="north-001", staff=False, to=True, buttons=()
):
    return Line(at, code, staff, "Africa/Cairo", language, to, kind, "by itself" if to else "", text, buttons, 1)


def test_messages_are_counted_by_day_hour_and_second_on_the_trials_own_clock():
    late = cairo("2026-11-24 23:59")
    lines = [
        line(), line(), line(t.CHANGED), line(t.TOAST), line(t.TAP, to=False), line(staff=True),
        line(at=late), line(at=late + timedelta(minutes=2)),
    ]  # fmt: skip
    load = load_of(lines, "Africa/Cairo")
    days = [
        (span.begins.date(), span.to_patients, span.to_staff, span.changes, span.from_patients)
        for span in load.days
    ]
    assert days == [(date(2026, 11, 24), 3, 1, 1, 1), (date(2026, 11, 25), 1, 0, 0, 0)]
    assert (load.busiest_hour.begins.hour, load.busiest_hour.counted) == (12, 4)
    assert load.busiest_second.counted == 4


def texts(lines):
    [english, arabic] = texts_of(lines, WEEK.protocol, date(2026, 11, 1), date(2027, 1, 31))
    return list(english), list(arabic)


def test_texts_that_differ_in_dates_times_and_numbers_are_one():
    english, arabic = texts(
        [
            line(text="✓ 7 recorded at 20:03\npain rating, Tue 24 Nov, 20:00"),
            line(text="✓ 10 recorded at 09:15\npain rating, Fri 1 Jan 2027, 21:30", code="north-002"),
            line(text="✓ 3 recorded at 20:03\ninfusion, Tue 24 Nov, 20:00"),
            line(text="Your next reminder: today 20:00."),
            line(text="Your next reminder: tomorrow 09:00."),
            line(text="التذكير القادم: اليوم ٢٠:٠٠.", language="ar"),
        ]
    )
    assert [(text.text.partition("\n")[0], text.times, text.patients) for text in english] == [
        ("✓ 7 recorded at 20:03", 2, 2),
        ("✓ 3 recorded at 20:03", 1, 1),
        ("Your next reminder: today 20:00.", 2, 1),
    ]
    assert len(arabic) == 1


def test_what_staff_got_and_what_patients_wrote_are_not_among_the_texts():
    english, _ = texts([line(staff=True), line(t.TEXT, to=False), line(t.BUTTONS_OFF, text="")])
    assert english == []


def test_the_same_text_with_other_buttons_is_another():
    english, _ = texts([line(buttons=("Yes", "No")), line(buttons=("Yes",)), line(buttons=("Yes", "No"))])
    assert [(text.buttons, text.times) for text in english] == [(("Yes", "No"), 2), (("Yes",), 1)]


def test_an_ethics_board_reads_each_language_the_right_way_round():
    found = texts_of(
        [line(text="<b>"), line(text="مرحبا", language="ar")], WEEK.protocol, date(2026, 11, 1), date(2026, 12, 1)
    )
    page = as_page("a trial", found)
    assert '<blockquote lang="ar" dir="rtl">مرحبا</blockquote>' in page
    assert "&lt;b&gt;" in page
    assert "> مرحبا" in as_markdown("a trial", found)


def test_every_text_that_came_stands_in_the_page_for_the_board(week: Left):
    page = (week.folder / "messages.md").read_text(encoding="utf-8")
    assert "## English" in page
    assert "## العربية" in page
    for told in ("Do you agree?", "✓", "The diary was out of service from", "Leave the study diary for good?"):
        assert told in page
    # A text is there once: not one for each day.
    assert page.count("How strong is your pain at this moment?") < 40


def test_the_results_are_one_page_that_fetches_nothing(week: Left):
    page = (week.folder / "index.html").read_text(encoding="utf-8")
    for told in (
        "0 lost, 0 doubled",
        "Adherence by temperament",
        "punctual",
        "said not now",
        "Messages per day",
        "<svg",
    ):
        assert told in page
    assert "http" not in page.replace("http://www.w3.org/", "")


def test_eighty_patients_have_every_temperament_in_its_share_and_few_have_one_each():
    assert {one.name for one in drawn(len(TEMPERAMENTS), Random(1))} == {one.name for one in TEMPERAMENTS}
    eighty = drawn(80, Random(1))
    assert len(eighty) == 80
    assert all(abs(eighty.count(one) - one.of_hundred * 0.8) < 1 for one in TEMPERAMENTS)


def test_errands_fit_into_a_short_trial_too():
    for number in range(200):
        found = [errand.day for one in TEMPERAMENTS for errand in errands(one, 7, Random(number))]
        assert all(0 < day < 7 for day in found)


def test_a_score_is_spelled_as_people_spell_it_and_a_long_text_comes_in_pieces():
    assert [spelled(7, form, 10) for form in ("{}", "{}/10", "{arabic}", "{wide}")] == ["7", "7/10", "٧", "７"]
    assert [len(piece) for piece in pieces("x" * 10_000)] == [4096, 4096, 1808]
