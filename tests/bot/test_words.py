"""The catalogues of the chat: whole, alike in every language, discreet, short, and right to left where that is."""

import ast
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import chain
from pathlib import Path
from string import Formatter
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from bot import commands, looking_back, screens, staff
from bot.buttons import Buttons
from bot.screens import Asked, Screens
from bot.turn import Screen
from bot.words import Words, languages, words_in
from bot.zones import PLACES
from diary import Entry, Keys, PatientStatus
from diary.answers import Verdict
from protocol.answers import Unclear
from protocol.load import bundled_names, load_protocol
from protocol.model import Alert, Item, Protocol
from storage.tables import ANSWERS, ENTRY_KINDS, REACHABLE
from tests.conftest import KEY

ROOMS = Path(__file__).parents[2]
LANGUAGES = languages()
OTHERS = [language for language in LANGUAGES if language != "en"]
RIGHT_TO_LEFT = [language for language in LANGUAGES if words_in(language).locale.text_direction == "rtl"]
PROTOCOLS = [load_protocol(name).protocol for name in bundled_names()]

RLM, ISOLATES, POP = "\u200f", "\u2066\u2067\u2068", "\u2069"
EMBEDDINGS = "\u202a\u202b\u202c\u202d\u202e"

# A message, a button that is read whole, a toast (answerCallbackQuery), a command's description.
LONGEST_TEXT, LONGEST_LABEL, LONGEST_TOAST, LONGEST_DESCRIPTION = 4096, 64, 200, 256
CODE = "SITE-12-P-0001"
TOLD = "Since the second day I feel dizzy, above all in the morning. " * 40


@cache
def catalogue(language: str) -> Catalog:
    with (ROOMS / "bot" / "locale" / f"{language}.po").open("rb") as file:
        return read_po(file)


@cache
def sentences(language: str) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in catalogue(language) if message.id}


KEYS = sorted(sentences("en"))


def places(sentence: str) -> Counter[str]:
    return Counter(name for _, name, _, _ in Formatter().parse(sentence) if name is not None)


# The catalogues agree.


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence(language):
    assert str(catalogue(language).locale) == language
    assert sorted(sentences(language)) == KEYS


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_stands_twice_in_a_catalogue(language):
    text = (ROOMS / "bot" / "locale" / f"{language}.po").read_text(encoding="utf-8")
    written = Counter(re.findall(r'^msgid "(.+)"$', text, re.MULTILINE))
    assert [key for key, times in written.items() if times > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty_or_waits_for_a_translator(language):
    assert [key for key, sentence in sentences(language).items() if not sentence.strip()] == []
    assert [message.id for message in catalogue(language) if message.id and message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_places_are_filled_in_every_language(language):
    english = sentences("en")
    differing = [key for key, text in sentences(language).items() if places(text) != places(english[key])]
    assert differing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_commands_are_named_in_every_language(language):
    english = sentences("en")
    for key, sentence in sentences(language).items():
        assert re.findall(r"/[a-z]+", sentence) == re.findall(r"/[a-z]+", english[key]), key


def _own_words(sentence: str) -> str:
    """A sentence without places, commands, marks and digits."""
    return re.sub(r"\{\w+\}|/[a-z]+( CODE)?|\bP-001\b|[\W\d_]", "", sentence)


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_in_english(language):
    english = sentences("en")
    untranslated = [key for key in KEYS if _own_words(english[key]) and english[key] == sentences(language)[key]]
    assert untranslated == []


def test_arabic_sentences_are_written_in_arabic_letters():
    english, arabic = sentences("en"), sentences("ar")
    for key in KEYS:
        letters = {unicodedata.name(letter).split()[0] for letter in _own_words(arabic[key])}
        assert letters <= {"ARABIC"}, key
        assert letters or not _own_words(english[key]), key


def test_a_language_without_a_catalogue_is_answered_in_english():
    assert Words("bot", "fr")("button.yes") == "Yes"
    assert Words("bot", "fr").knows("button.yes")
    assert not Words("bot", "fr").knows("button.perhaps")


# Every key has its place in the code.


def _raised(error: str) -> set[str]:
    """The first words an error is raised with anywhere in the diary."""
    found = set()
    for path in (ROOMS / "diary").glob("*.py"):
        found |= set(re.findall(rf'{error}\("([^"]+)"\)', path.read_text(encoding="utf-8")))
    return found


def _told_of() -> set[str]:
    """What the study team is told of: the protocol's rules, and what patients do by themselves."""
    rules = set(get_args(Alert.model_fields["kind"].annotation))
    by_patients = {str(PatientStatus.PAUSED), str(PatientStatus.WITHDRAWN)}
    return rules | by_patients | {"note", "invite-reused"}


# Keys made from a value: where the values come from. {} stands for the value.
FAMILIES = {
    "moment.{}": {"today", "tomorrow", "yesterday"},
    "invite.{}": _raised("InviteError"),
    "not-open.{}": set(Verdict)
    - {Verdict.RECORDED, Verdict.ALREADY, Verdict.DIFFERENT, Verdict.SAME_DOSE},  # each has a screen of its own
    "unclear.{}": set(Unclear),
    "change.reason.{}": set(screens._CHANGE_REASONS),
    "{}.ask": {"note", "side-effect"},
    "alert.{}": _told_of(),
    "command.{}": {*commands.PATIENT, *commands.STAFF},
    "status.name.{}": set(PatientStatus),
    "entry.kind.{}": set(ENTRY_KINDS),
    "answer.{}": set(ANSWERS) - {"score"},  # a score is its own word
    "staff.reachable.{}": set(REACHABLE) - {"yes"},
    "way-in.{}": {"link", "reset", "token"},
    "today.line.{}": set(looking_back._LINES.values()),
}


def _is_words(function: ast.expr) -> bool:
    """Tell whether a call asks a catalogue: words(…), turn.words(…), words_in(language)(…), or self(…) in Words."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("words", "self")
        case ast.Call(func=ast.Name(id="words_in")):
            return True
    return False


def _keys_in(node: ast.expr) -> Iterator[str]:
    """The keys an expression may stand for, families with {} for the value."""
    match node:
        case ast.Constant(value=str(key)):
            yield key
        case ast.IfExp(body=body, orelse=other):
            yield from chain(_keys_in(body), _keys_in(other))
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


@cache
def _trees() -> tuple[ast.Module, ...]:
    files = [*sorted((ROOMS / "bot").glob("*.py")), ROOMS / "reports" / "words.py"]
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in files)


def _asked_for() -> set[str]:
    """The keys and families that stand in a call of a catalogue."""
    found: set[str] = set()
    for node in chain.from_iterable(map(ast.walk, _trees())):
        if isinstance(node, ast.Call) and node.args and _is_words(node.func):
            found.update(_keys_in(node.args[0]))
    return found


def _written() -> set[str]:
    """Every plain string in the chat's code: a key may be kept in a table or handed to a function first."""
    nodes = chain.from_iterable(map(ast.walk, _trees()))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _of_family(family: str) -> set[str]:
    return {family.replace("{}", value) for value in FAMILIES[family]}


def test_every_sentence_the_code_asks_for_is_there():
    asked = _asked_for()
    assert len(asked) > 100  # the scan sees the calls
    assert sorted(key for key in asked if "{}" not in key and key not in KEYS) == []


def test_every_family_of_keys_is_known_here():
    assert {key for key in _asked_for() if "{}" in key} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_a_sentence_for_each_of_its_values(family):
    assert FAMILIES[family]
    assert _of_family(family) <= set(KEYS)


def test_no_sentence_is_left_that_nobody_says():
    of_families = set().union(*map(_of_family, FAMILIES))
    assert sorted(set(KEYS) - _asked_for() - _written() - of_families) == []


# Discretion.

# Lock screens are read by others: only the protocol's own texts may name a drug or a disease.
TELLING = {
    "en": "magnes|placebo|infus|capsul|tablet|pill|drug|drip|pain|neuropath|opioid|gabapentin|disease",
    # مرض, disease, is also the beginning of مرضى, patients, which staff read.
    "ar": "مغنيسيوم|ماغنسيوم|بلاسيبو|دواء|أدوية|تسريب|محلول|كبسول|قرص|أقراص|حقن|ألم|آلام|الظهر|عصب|مرض(?![ىا])",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_names_no_drug_and_no_disease(language):
    telling = re.compile(TELLING[language], re.IGNORECASE)
    assert {key: text for key, text in sentences(language).items() if telling.search(text)} == {}


# Filled with the longest.

ITEMS = [item for protocol in PROTOCOLS for _, item in protocol.items()]
A_YEAR = [date(2026, 1, 1) + timedelta(days=day) for day in range(366)]


@cache
def longest(language: str) -> dict[str, Any]:
    """For each place of a sentence the longest that is likely to fill it."""
    words = words_in(language)
    moments = [words.stamp(datetime.combine(day, time(20, 8))) for day in A_YEAR]
    moment = max([*moments, words("moment.yesterday", time=words.time(time(20, 8)))], key=len)
    item = max((item.name.in_language(language) for item in ITEMS), key=len)
    reasons = [reason.name.in_language(language) for protocol in PROTOCOLS for reason in protocol.reason]
    scales = [protocol.trial.nrs for protocol in PROTOCOLS]
    values: dict[str, Any] = dict.fromkeys(("moment", "opens", "closed", "began", "ended"), moment)
    values |= dict.fromkeys(("answered", "expected", "on_time", "late", "missed", "excused", "open"), 10_000)
    values |= {
        "time": words.time(time(20, 8)),
        "at": words.time(time(20, 8)),
        "date": max((words.date(day) for day in A_YEAR), key=len),
        "item": item,
        "slot": words("slot.name", item=item, moment=moment),
        "place": max((words.place(zone) for zone in PLACES), key=len),
        "reason": max([*reasons, words("staff.reachable.gone")], key=len),
        "answer": words("answer.not-taken-because", reason=max(reasons, key=len)),
        "new": 10,
        "min": 0,
        "max": 10,
        "low": max((scale.low.in_language(language) for scale in scales), key=len),
        "high": max((scale.high.in_language(language) for scale in scales), key=len),
        "days": 28,
        "day": 182,
        "rate": words.digits("100 %"),
        "code": CODE,
        "staff": CODE,
        "status": max((words(f"status.name.{status}") for status in PatientStatus), key=len),
        "kind": max((words(f"entry.kind.{kind}") for kind in ENTRY_KINDS), key=len),
        "phase": "follow-up",
        "text": TOLD,
        "count": 9999,
        "codes": " ".join([CODE] * 15),
        "lines": words.digits("1,000,000"),
        "digits": "0123 4567 89ab cdef",
        "minutes": 10,
        "link": f"https://diary.hospital.example/sign-in/{'x' * 22}",
    }
    said = (words(f"alert.{rule}", code=CODE) for rule in _told_of())
    return values | {"alert": max(said, key=len)}


def filled(language: str, key: str) -> str:
    return words_in(language)(key, **longest(language))


LABELS = [
    *(key for key in KEYS if key.startswith("button.") and key not in ("button.foreign", "button.stale")),
    *(key for key in KEYS if key.startswith("change.reason.")),
    *("language.name", "consent.agree", "consent.not-now", "time.of", "time.zone", "slot.name", "today.answer"),
    *("same-dose.same", "same-dose.another", "change.yes", "note.pass-on", "note.is-side-effect", "note.leave"),
    *("pause.yes", "stop.yes", "stop.pause", "alert.seen", "alert.done"),
]
TOASTS = [
    *("button.foreign", "button.stale", "toast.recorded", "toast.already", "same-dose.kept", "later.again"),
    *("later.too-late", "alert.mine", "alert.taken"),
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_outgrows_a_message(language):
    assert [key for key in KEYS if len(filled(language, key)) >= LONGEST_TEXT] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_a_bundled_protocol_outgrows_a_message(language):
    for protocol in PROTOCOLS:
        trial, words = protocol.trial, words_in(language)
        emergency = trial.emergency.in_language(language)
        together = [trial.consent.in_language(language), emergency, words("consent.ask")]
        assert len("\n\n".join(together)) < LONGEST_TEXT
        assert len("\n\n".join([words("help"), emergency])) < LONGEST_TEXT


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("line", ["staff.adherence-line", "staff.silent-line", "staff.unreachable-line"])
def test_a_full_table_for_the_study_team_fits_into_a_message(language, line):
    assert staff._MOST_LINES * (len(filled(language, line)) + 1) < LONGEST_TEXT


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_of_buttons_are_short_and_of_one_line(language):
    labels = {key: filled(language, key) for key in LABELS}
    assert {key: text for key, text in labels.items() if len(text) > LONGEST_LABEL or "\n" in text} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_toasts_fit(language):
    assert {key: text for key in TOASTS if len(text := filled(language, key)) > LONGEST_TOAST} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_descriptions_of_commands_fit(language):
    described = {key: filled(language, key) for key in _of_family("command.{}")}
    assert {key: text for key, text in described.items() if len(text) > LONGEST_DESCRIPTION or "\n" in text} == {}


# Right to left.


def first_strong(line: str) -> str | None:
    """Which way a line runs: its first strong letter outside isolates (Unicode Bidirectional Algorithm, P2)."""
    depth = 0
    for character in line:
        kind = unicodedata.bidirectional(character)
        if kind in ("LRI", "RLI", "FSI"):
            depth += 1
        elif kind == "PDI":
            depth = max(0, depth - 1)
        elif depth == 0 and kind in ("L", "R", "AL"):
            return kind
    return None


def runs_right_to_left(text: str) -> bool:
    return all(first_strong(line) in ("R", "AL") for line in text.split("\n") if line)


def outside_isolates(text: str) -> str:
    kept, depth = [], 0
    for character in text:
        if character in ISOLATES:
            depth += 1
        elif character == POP:
            depth -= 1
        elif depth == 0:
            kept.append(character)
    return "".join(kept)


@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
def test_every_line_runs_from_the_right_whatever_fills_it(language):
    assert [key for key in KEYS if not runs_right_to_left(filled(language, key))] == []


@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
def test_latin_letters_and_digits_stand_between_isolates(language):
    for key in KEYS:
        around = re.sub(r"\{\w+\}", "", outside_isolates(sentences(language)[key]))
        assert not re.search(r"[A-Za-z0-9]", around), key


@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
@pytest.mark.parametrize("place", ["code", "staff", "text", "place", "item", "phase"])
def test_what_others_have_named_stands_between_isolates(language, place):
    for key, sentence in sentences(language).items():
        assert f"{{{place}}}" not in outside_isolates(sentence), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_isolates_are_closed_on_their_line(language):
    for key, sentence in sentences(language).items():
        for line in sentence.split("\n"):
            depth = 0
            for character in line:
                depth += (character in ISOLATES) - (character == POP)
                assert 0 <= depth <= 1, key
            assert depth == 0, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_mark_is_used_that_telegram_takes_out_or_spoils(language):
    for key in KEYS:
        text = filled(language, key)
        assert not set(text) & set(EMBEDDINGS), key
        assert not re.search("[\u200e\u200f]{2}", text), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_can_be_tapped(language):
    # Telegram finds a command where no letter, digit, "_", "/", "<" or ">" stands before its slash.
    known = {*commands.PATIENT, *commands.STAFF, "start"}
    for key, sentence in sentences(language).items():
        slashes = re.sub(r"\}/\{| / ", "", sentence).count("/")  # beside fractions
        tappable = re.findall(r"(?<![\w/<>])/([a-z]+)(?![\w/<>])", sentence)
        assert len(tappable) == slashes, key
        assert set(tappable) <= known, key


@pytest.mark.parametrize("language", RIGHT_TO_LEFT)
def test_texts_of_bundled_protocols_run_from_the_right(language):
    for protocol in PROTOCOLS:
        trial = protocol.trial
        for text in (trial.consent, trial.emergency, trial.privacy, trial.nrs.low, trial.nrs.high):
            written = text.in_language(language)
            assert runs_right_to_left(written)
            assert not re.search(r"[A-Za-z]", outside_isolates(written))
    for item in ITEMS:
        assert runs_right_to_left(item.prompt.in_language(language))


def _screens(protocol: Protocol, language: str) -> Iterator[Screen]:
    """Everything a patient sees about one slot of each item."""
    shown = Screens(words_in(language), Buttons(Keys([KEY]), 4242), 1001, protocol)
    due = datetime(2026, 11, 25, 20, 0, tzinfo=ZoneInfo(protocol.trial.timezone))
    for phase, item in protocol.items():
        asked = Asked(1, phase.id, item.id, item.kind, protocol.trial.timezone, due.date(), due)
        entry = _entry(item, due)
        yield from (shown.question(asked), shown.question(asked, repeat=True, later=False))
        yield from (shown.recorded(asked, entry), shown.recorded(asked, entry, was=entry))
        yield from (shown.skip_reasons(asked), shown.same_dose(asked), shown.change(asked, entry))
        yield from (shown.change_reason(asked, "7"), shown.offer_change(asked, entry, 10))


def _entry(item: Item, at: datetime) -> Entry:
    """A score, or a dose not taken for the first of its reasons."""
    told = {"answer": "score", "score": 7} if item.kind == "rating" else {"answer": "not-taken"}
    reason = item.skip_reasons[0] if item.skip_reasons else None
    unused = dict.fromkeys(Entry.__slots__)
    return Entry(**{**unused, **told, "skip_reason": reason, "kind": "late", "recorded_at": at})  # type: ignore[arg-type]


SCREENS = [(language, protocol) for language in LANGUAGES for protocol in PROTOCOLS]


@pytest.mark.parametrize(("language", "protocol"), SCREENS)
def test_a_slots_screens_have_short_labels(language, protocol):
    for screen in _screens(protocol, language):
        assert all(0 < len(label) < LONGEST_LABEL for row in screen.rows for label, _ in row)


@pytest.mark.parametrize(("language", "protocol"), [shown for shown in SCREENS if shown[0] in RIGHT_TO_LEFT])
def test_a_slots_screens_run_from_the_right_and_are_in_one_language(language, protocol):
    for screen in _screens(protocol, language):
        labels = [label for row in screen.rows for label, _ in row]
        assert not re.search(r"[A-Za-z0-9]", "".join([screen.text, *labels]))
        # A number alone on its button has no letter, and nothing that could be put out of order.
        assert all(runs_right_to_left(text) or text.isdecimal() for text in [screen.text, *labels])


# Digits, days and times.


def test_arabic_writes_its_own_digits_wherever_a_figure_stands():
    words = words_in("ar")
    assert words.digits("0123456789") == "٠١٢٣٤٥٦٧٨٩"
    assert words.time(time(9, 5)) == "٠٩:٠٥"
    assert words.date(date(2026, 11, 24)) == "الثلاثاء ٢٤ نوفمبر"
    assert words("change.yes", new=10) == "تغيير إلى ١٠"


def test_a_code_keeps_the_digits_it_was_given():
    assert "P-001" in words_in("ar")("alert.note", code="P-001")


@pytest.mark.parametrize("key", KEYS)
def test_no_latin_digit_is_left_in_an_arabic_sentence(key):
    assert not re.search("[0-9]", outside_isolates(filled("ar", key)))


def wall(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "at", "said"),
    [
        ("2026-11-24 10:00", "2026-11-24 20:00", "today 20:00"),
        ("2026-11-24 23:59", "2026-11-24 00:00", "today 00:00"),
        ("2026-11-24 23:59", "2026-11-25 00:00", "tomorrow 00:00"),
        ("2026-11-24 00:00", "2026-11-25 23:59", "tomorrow 23:59"),
        ("2026-11-24 00:00", "2026-11-23 23:59", "yesterday 23:59"),
        ("2026-11-24 23:59", "2026-11-23 00:00", "yesterday 00:00"),
        ("2026-11-24 23:59", "2026-11-26 00:00", "Thu 26 Nov, 00:00"),
        ("2026-11-24 00:00", "2026-11-22 23:59", "Sun 22 Nov, 23:59"),
        ("2026-12-31 23:00", "2027-01-01 07:00", "tomorrow 07:00"),
    ],
)
@pytest.mark.parametrize("zone", ["Africa/Cairo", "Asia/Kathmandu", "Pacific/Honolulu", "Pacific/Auckland"])
def test_days_are_counted_on_the_patients_calendar(zone, now, at, said):
    assert words_in("en").moment(wall(zone, at), now=wall(zone, now), zone=zone) == said


def test_one_instant_is_today_here_and_tomorrow_there():
    words, now, at = words_in("en"), datetime(2026, 11, 24, 12, tzinfo=UTC), datetime(2026, 11, 24, 18, tzinfo=UTC)
    assert words.moment(at, now=now, zone="Africa/Cairo") == "today 20:00"
    assert words.moment(at, now=now, zone="Asia/Tokyo") == "tomorrow 03:00"


@pytest.mark.parametrize(
    ("zone", "now", "at", "said"),
    [
        # 25 hours: Berlin, 25 October 2026
        ("Europe/Berlin", "2026-10-24 23:30", "2026-10-25 23:50", "tomorrow 23:50"),
        ("Europe/Berlin", "2026-10-25 00:10", "2026-10-26 00:05", "tomorrow 00:05"),
        ("Europe/Berlin", "2026-10-25 23:50", "2026-10-25 00:10", "today 00:10"),
        ("Europe/Berlin", "2026-10-26 00:05", "2026-10-25 00:10", "yesterday 00:10"),
        # 23 hours: Berlin, 29 March 2026
        ("Europe/Berlin", "2026-03-28 00:10", "2026-03-30 00:00", "Mon 30 Mar, 00:00"),
        ("Europe/Berlin", "2026-03-29 00:10", "2026-03-30 00:05", "tomorrow 00:05"),
        ("Europe/Berlin", "2026-03-30 00:05", "2026-03-28 23:59", "Sat 28 Mar, 23:59"),
        # Cairo leaves out midnight itself: 24 April 2026 begins at 01:00
        ("Africa/Cairo", "2026-04-23 23:30", "2026-04-24 01:00", "tomorrow 01:00"),
        ("Africa/Cairo", "2026-04-24 01:00", "2026-04-23 23:59", "yesterday 23:59"),
        # and has the last hour of 29 October 2026 twice
        ("Africa/Cairo", "2026-10-29 22:30", "2026-10-30 00:00", "tomorrow 00:00"),
        ("Africa/Cairo", "2026-10-28 23:30", "2026-10-29 23:45", "tomorrow 23:45"),
    ],
)
def test_a_clock_change_moves_no_day(zone, now, at, said):
    assert words_in("en").moment(wall(zone, at), now=wall(zone, now), zone=zone) == said


def test_both_passes_of_a_repeated_hour_are_today():
    first = datetime(2026, 10, 29, 20, 30, tzinfo=UTC)  # 23:30 in Cairo, still at UTC+3
    second = first + timedelta(hours=1)  # 23:30 again, at UTC+2
    words = words_in("en")
    assert words.moment(first, now=second, zone="Africa/Cairo") == "today 23:30"
    assert words.moment(second, now=first, zone="Africa/Cairo") == "today 23:30"


def test_a_moment_is_said_in_arabic_with_arabic_digits():
    now = wall("Africa/Cairo", "2026-11-24 10:00")
    said = [
        words_in("ar").moment(wall("Africa/Cairo", at), now=now, zone="Africa/Cairo")
        for at in ("2026-11-24 20:00", "2026-11-25 09:00", "2026-11-23 21:00", "2026-12-01 20:00")
    ]
    assert said == ["اليوم الساعة ٢٠:٠٠", "غدًا الساعة ٠٩:٠٠", "أمس الساعة ٢١:٠٠", "الثلاثاء ١ ديسمبر، ٢٠:٠٠"]


def test_a_stamp_stays_right_when_it_is_read_again_later():
    assert words_in("en").stamp(datetime(2026, 11, 24, 20, 0, tzinfo=UTC)) == "Tue 24 Nov, 20:00"
