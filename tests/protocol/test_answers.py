import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.answers import Score, Unclear, looks_like_a_score, read_score
from protocol.model import Scale

NRS = Scale()
RTL, LTR_ISOLATE, POP = "\N{RIGHT-TO-LEFT MARK}", "\N{LEFT-TO-RIGHT ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
KEYCAP = "\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}"

ZEROS = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.decimal(chr(code), None) == 0]
DIGITS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isdecimal()]
BLANKS = [" ", "\t", "\n", "\N{NO-BREAK SPACE}", "\N{EM SPACE}", "\N{LINE SEPARATOR}", RTL, LTR_ISOLATE, POP]
BEFORE = st.text(st.sampled_from([*BLANKS, "(", '"', "'"]), max_size=4)
AFTER = st.text(st.sampled_from([*BLANKS, ")", '"', "'", ".", "!", "،", ","]), max_size=4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("7/10", 7),
        ("٧", 7),
        ("７", 7),
        (" 7. ", 7),
        ("٧/١٠", 7),
        ("７／１０", 7),
        ("7 / 10", 7),
        ("۷", 7),
        ("७", 7),
        ("7" + KEYCAP, 7),
        ("\N{KEYCAP TEN}", 10),
        (RTL + "٧" + RTL, 7),
        (LTR_ISOLATE + "7/10" + POP, 7),
        ("\ufeff7", 7),
        ("07", 7),
        ("10", 10),
        ("١٠", 10),
        ("0", 0),
        ("(7)", 7),
        ("7!", 7),
        ("7،", 7),
        (". 7", 7),
    ],
)
def test_one_whole_number_is_understood_however_it_is_written(text, value):
    assert read_score(text, NRS) == Score(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("12", Unclear.OUT_OF_RANGE),
        ("11", Unclear.OUT_OF_RANGE),
        ("-1", Unclear.OUT_OF_RANGE),
        ("−1", Unclear.OUT_OF_RANGE),
        ("１２", Unclear.OUT_OF_RANGE),
        ("12/10", Unclear.OUT_OF_RANGE),
        ("1234567890", Unclear.OUT_OF_RANGE),
        ("7.5", Unclear.NOT_WHOLE),
        ("7,5", Unclear.NOT_WHOLE),
        ("٧٫٥", Unclear.NOT_WHOLE),
        (".7", Unclear.NOT_WHOLE),
        (",7", Unclear.NOT_WHOLE),
        ("٫٧", Unclear.NOT_WHOLE),
        ("-.7", Unclear.NOT_WHOLE),
        ("7 or 8", Unclear.SEVERAL),
        ("7-8", Unclear.SEVERAL),
        ("7 8", Unclear.SEVERAL),
        ("7/5", Unclear.SEVERAL),
        ("7½", Unclear.SEVERAL),
        ("", Unclear.NOT_A_NUMBER),
        ("...", Unclear.NOT_A_NUMBER),
        ("seven", Unclear.NOT_A_NUMBER),
        ("about 7", Unclear.NOT_A_NUMBER),
        ("7 kg", Unclear.NOT_A_NUMBER),
        ("😀", Unclear.NOT_A_NUMBER),
    ],
)
def test_what_is_not_plainly_one_whole_number_is_refused_with_the_reason(text, why):
    assert read_score(text, NRS) is why


@given(zero=st.sampled_from(ZEROS), value=st.integers(0, 10), before=BEFORE, after=AFTER)
def test_every_whole_number_on_the_scale_is_understood_in_every_script(zero, value, before, after):
    written = "".join(chr(ord(zero) + int(digit)) for digit in str(value))
    assert read_score(before + written + after, NRS) == Score(value)


@given(zero=st.sampled_from(ZEROS), value=st.one_of(st.integers(max_value=-1), st.integers(min_value=11)))
def test_a_number_off_the_scale_is_never_a_score(zero, value):
    sign, number = ("-", -value) if value < 0 else ("", value)
    written = sign + "".join(chr(ord(zero) + int(digit)) for digit in str(number))
    assert read_score(written, NRS) is Unclear.OUT_OF_RANGE


@given(
    whole=st.integers(0, 10),
    mark=st.sampled_from(".,٫"),
    part=st.integers(0, 99),
    before=BEFORE,
    after=AFTER,
    bare=st.booleans(),
)
def test_a_fraction_is_never_rounded(*, whole, mark, part, before, after, bare):
    text = f"{before}{'' if bare else whole}{mark}{part}{after}"
    assert read_score(text, NRS) is Unclear.NOT_WHOLE


@given(
    st.lists(st.integers(0, 10), min_size=2, max_size=4),
    st.sampled_from([" ", " or ", "-", ", ", " bis ", " أو ", "\n", "+"]),
)
def test_several_numbers_are_never_a_score(numbers, between):
    assert read_score(between.join(map(str, numbers)), NRS) is Unclear.SEVERAL


@given(st.text(st.one_of(st.characters(), st.sampled_from([*DIGITS, *" ./,-"])), max_size=12))
def test_no_text_breaks_the_reader_and_a_score_is_always_on_the_scale(text):
    read = read_score(text, NRS)
    assert isinstance(read, Unclear) or 0 <= read.value <= 10
    assert looks_like_a_score(text) in (True, False)


@given(st.text(st.characters(categories=["L", "P", "S", "Z", "C"]), max_size=20))
def test_a_text_without_a_digit_is_never_a_score(text):
    if not any(character.isnumeric() for character in unicodedata.normalize("NFKC", text)):
        assert text.count("\N{KEYCAP TEN}") or isinstance(read_score(text, NRS), Unclear)


@given(st.text(st.characters(categories=["Ll"]), min_size=3), st.integers(0, 10))
def test_a_number_among_words_is_never_a_score(word, number):
    assert isinstance(read_score(f"{word} {number}", NRS), Unclear)
    assert isinstance(read_score(f"{number} {word}", NRS), Unclear)


def test_the_scale_of_the_trial_decides():
    five = Scale(min=1, max=5)
    assert read_score("5/5", five) == Score(5)
    assert read_score("5/10", five) is Unclear.SEVERAL
    assert read_score("0", five) is Unclear.OUT_OF_RANGE
    assert read_score("6", five) is Unclear.OUT_OF_RANGE


@pytest.mark.parametrize("text", ["7", "12", "7.5", "7 or 8", "٧", "-1"])
def test_a_number_badly_put_is_told_from_a_note(text):
    assert looks_like_a_score(text)


@pytest.mark.parametrize("text", ["", "hello", "I took 2 paracetamol at noon", "شكرا"])
def test_a_note_is_told_from_a_number(text):
    assert not looks_like_a_score(text)
