"""The catalogues of the pages: every sentence that is asked for is there, in every language, and no other."""

import ast
import re
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from babel.messages.pofile import read_po

from diary.answers import Verdict
from diary.roles import Role
from protocol.calendar import Label, Standing
from protocol.lifecycle import PatientStatus, SendOutcome
from protocol.model import Alert
from reports.adherence import By
from reports.formats.choice import FORMATS
from reports.trail import VERBS
from storage.states import SlotState
from storage.tables import ACTOR_KINDS, ANSWERS, ENTRY_KINDS, NOTE_KINDS, REACHABLE, SOURCES
from web.grid import CELLS
from web.trail import LABELS
from web.words import languages, words_in

WEB = Path(__file__).parents[2] / "web"
CALL = re.compile(r"\b(?:t|theirs)(?:\.knows)?\('([^']+)'(\s*~)?")
# Written in code as a part of a key that ends in a value.
FAMILIES = {
    "language.": languages(),
    "room.": (
        "today", "patients", "grid", "visits", "progress", "adherence", "exports", "outages", "trail", "team",
    ),
    "role.": Role,
    "status.": PatientStatus,
    "state.": SlotState,
    "cell.": CELLS,
    "because.": (*(one.value for one in Standing if one is not Standing.ASKED), *Label),
    "entry.": ENTRY_KINDS,
    "answer.": tuple(answer for answer in ANSWERS if answer != "score"),
    "source.": SOURCES,
    "chat.": tuple(one for one in REACHABLE if one != "yes"),
    "note.": NOTE_KINDS,
    "rule.": (*get_args(Alert.model_fields["kind"].annotation), "note", "paused", "withdrawn", "invite-reused"),
    "alert.": ("seen", "done"),
    "export.format.": FORMATS,
    "outcome.": SendOutcome,
    "by.": By,
    "actor.": ACTOR_KINDS,
    "verdict.": ("not-yet", "closed", "cancelled", "same-dose"),
    "outage.kind.": ("intake", "service"),
    "consent.": ("agreed", "not-now"),
    "detail.": LABELS,
    "verb.": VERBS,
    "calendar.": ("earlier", "coming"),
    "unit.": ("deg",),
    "visit.state.": ("to come", "due this week", "overdue", "held"),
    "patient.": ("summary", "doses", "visits", "calendar", "messages", "notes", "comments", "trail"),
    "moment.": ("today", "tomorrow", "yesterday", "date"),
    "change.": ("wrong-button", "remembered", "other"),
    "act.": ("move", "times", "pause", "resume", "withdraw", "stop-use", "erase"),
    "problem.": ("400", "405", "413"),
}  # fmt: skip


@cache
def catalogue(language):
    with (WEB / "locale" / f"{language}.po").open("rb") as file:
        return {message.id: message.string for message in read_po(file) if message.id}


def asked_for():
    """The keys in the templates and in the code."""
    found = set()
    for page in WEB.glob("templates/*.html"):
        found |= {key for key, more in CALL.findall(page.read_text(encoding="utf-8")) if not more}
    for path in WEB.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                first = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                if name in ("needed", "day_in", "wall_in", "code_in"):
                    found |= {f"needed.{field}" for field in first or ["code"]}
                found |= {
                    f"done.{word}"
                    for k in node.keywords
                    if name == "go" and k.arg == "done"
                    for word in _strings(k.value)
                }
                found |= {
                    f"done.{word}" for a in node.args[2:] if name in ("_back", "_taken") for word in _strings(a)
                }
    return found


def _strings(node):
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def of_families():
    return {f"{prefix}{value}" for prefix, values in FAMILIES.items() for value in values} | {
        f"refused.{key}" for key in refusals().values()
    }


# What is unknown has a page of its own, and so has a way in; no form shows these.
SAID_ELSEWHERE = ("UnknownCodeError", "SignInError", "InviteError")


@cache
def refusals():
    """Where in the diary an error is raised that a form can show, and its key; None where it has none."""
    found = {("protocol/errors.py", 0, "ConflictError"): "changed"}
    for path in (*(WEB.parent / "diary").glob("*.py"), WEB.parent / "protocol" / "typed.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = getattr(node.exc.func, "id", "")
                if name.endswith("Error") and name not in SAID_ELSEWHERE:
                    key = node.exc.args[1] if len(node.exc.args) > 1 else None
                    found[path.name, node.lineno, name] = key.value if isinstance(key, ast.Constant) else None
    return found


@pytest.mark.parametrize("language", languages())
def test_every_refusal_of_the_diary_has_its_sentence_in_the_language_of_the_page(language):
    assert len(refusals()) > 30
    missing = {where: key for where, key in refusals().items() if f"refused.{key}" not in catalogue(language)}
    assert missing == {}


@pytest.mark.parametrize("language", languages())
def test_every_sentence_the_pages_ask_for_is_there(language):
    keys = {key for key in asked_for() if re.fullmatch(r"[a-z][a-z-]*\.[a-z][a-z0-9 .-]*", key)}
    known = {key.partition(".")[0] for key in catalogue("en")}
    keys = {key for key in keys if key.partition(".")[0] in known and not key.endswith((".html", ".py", ".js"))}
    assert len(keys) > 200
    assert sorted((keys | of_families()) - set(catalogue(language))) == []


def test_no_sentence_is_left_that_no_page_shows():
    errors = {f"sign-in.{why}" for why in re.findall(r'SignInError\("([a-z-]+)"\)', _source("diary/signing_in.py"))}
    errors |= {"sign-in.wrong", "sign-in.locked"}  # given as the verb's answer
    done = {f"done.{act}" for act in ("pause", "resume", "withdraw", "stop-use", "erase")}
    acts = {f"act.{act}-text" for act in ("pause", "resume", "withdraw", "stop-use", "erase")}
    left = set(catalogue("en")) - asked_for() - of_families() - errors - done - acts
    assert left == set()


def _source(name):
    return (WEB.parent / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_same_sentences_with_the_same_places(language):
    english, other = catalogue("en"), catalogue(language)
    assert set(other) == set(english)
    places = {key: sorted(n for _, n, _, _ in Formatter().parse(text) if n) for key, text in english.items()}
    assert {k: sorted(n for _, n, _, _ in Formatter().parse(t) if n) for k, t in other.items()} == places
    assert [key for key, text in other.items() if not text.strip()] == []


def test_arabic_is_written_in_arabic():
    latin = {key: re.sub(r"\{\w+\}|\u2068[^\u2069]*\u2069", "", text) for key, text in catalogue("ar").items()}
    assert sorted(key for key, text in latin.items() if re.search("[A-Za-z]", text)) == ["language.en"]


def test_the_templates_hold_no_sentence_of_their_own():
    found = {}
    for page in WEB.glob("templates/*.html"):
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        words = re.findall(r"[A-Za-z]{3,}", re.sub(r"<[^>]*>", " ", text))
        if set(words) - {"Daybook", "UTC"}:
            found[page.name] = words
    assert found == {}


def test_the_templates_hold_no_style_and_no_script_of_their_own():
    for page in WEB.glob("templates/*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(
            r"\sstyle=|\son[a-z]+=\"|<style|<script(?! src=\"/static/)|javascript:|https?://", text
        ), page.name


def test_every_verdict_that_refuses_has_words():
    refusing = set(Verdict) - {Verdict.RECORDED, Verdict.ALREADY, Verdict.DIFFERENT}
    assert all(words_in("ar").knows(f"verdict.{verdict}") for verdict in refusing)


@pytest.mark.parametrize(
    ("language", "year", "said"),
    [
        ("en", 2026, "Wed 1 Jan 2020"),
        ("en", 2020, "Wed 1 Jan"),
        ("ar", 2026, "الأربعاء ١ يناير ٢٠٢٠"),
        ("ar", 2020, "الأربعاء ١ يناير"),
    ],
)
def test_a_day_of_another_year_is_told_with_its_year(language, year, said):
    assert words_in(language).date(date(2020, 1, 1), today=date(year, 6, 1)) == said
    assert words_in(language).date(date(2020, 1, 1)) == words_in(language).date(
        date(2020, 1, 1), today=date(2020, 6, 1)
    )


def test_an_instant_of_another_year_is_told_with_its_year():
    new_year = datetime(2027, 1, 5, 18, 0, tzinfo=UTC)
    for now, said in (
        (datetime(2026, 12, 20, tzinfo=UTC), "Tue 5 Jan 2027, 20:00"),
        (datetime(2027, 2, 1, tzinfo=UTC), "Tue 5 Jan, 20:00"),
    ):
        assert words_in("en").moment(new_year, now=now, zone="Africa/Cairo") == said
