"""What stands in two places must be complete in both: commands and their handlers, rules and kinds."""

from typing import get_args

import pytest
from sqlalchemy import CheckConstraint

from bot import commands, patient, staff
from bot.words import languages, words_in
from diary.alerts import _holds
from protocol.lifecycle import PatientStatus
from protocol.model import Alert, Item
from storage import tables
from tests.cast import T0


def test_every_command_that_is_offered_is_answered():
    assert set(commands.PATIENT) <= set(patient._COMMANDS)
    assert set(commands.STAFF) - {"help"} <= set(staff._COMMANDS)


def test_every_act_of_a_button_fits_the_bytes_telegram_allows():
    assert all(len(act) <= 2 for act in patient._ACTS)


@pytest.mark.parametrize("kind", get_args(Alert.model_fields["kind"].annotation))
def test_every_alert_rule_has_words_in_every_language(kind):
    for language in languages():
        assert words_in(language).knows(f"alert.{kind}")


def test_a_rule_that_nobody_evaluates_is_one_that_calls_at_once():
    numbers = {"days": 1, "doses": 1, "score": 5, "by": 1}
    takes = {
        "silent-days": ("days",),
        "missed-doses": ("doses",),
        "pain-at-least": ("score", "days"),
        "pain-jump": ("by",),
        "side-effect": (),
        "unreachable": (),
    }
    kinds = get_args(Alert.model_fields["kind"].annotation)
    assert set(takes) == set(kinds)
    for kind in kinds:
        rule = Alert(kind=kind, **{name: numbers[name] for name in takes[kind]})
        assert _holds(rule, [], T0) == []  # with an empty ledger no rule holds, and none raises


def test_the_table_of_slots_takes_every_kind_of_item():
    checks = [str(c.sqltext) for c in tables.slots.constraints if isinstance(c, CheckConstraint)]
    [check] = [text for text in checks if "kind IN" in text]
    for kind in get_args(Item.model_fields["kind"].annotation):
        assert f"'{kind}'" in check


def test_every_status_and_every_kind_of_entry_has_a_name():
    for language in languages():
        words = words_in(language)
        assert all(words.knows(f"status.name.{status}") for status in PatientStatus)
        assert all(words.knows(f"entry.kind.{kind}") for kind in tables.ENTRY_KINDS)
