"""A sample of the evenings in which one call fails, and that a fault put in is found."""

from pathlib import Path

from tests.evidence import every_call


async def test_whichever_statement_fails_the_evening_ends_the_same(template: Path):
    tried, amiss = await every_call.failing_statements(template, 9)
    assert tried > 10
    assert amiss == []


async def test_whichever_call_fails_the_evening_ends_the_same(template: Path):
    tried, amiss = await every_call.failing_calls(template, 3)
    assert tried > 10
    assert amiss == []


async def test_it_is_found_when_an_update_that_fails_is_set_aside_at_once(template: Path):
    with every_call.MUTANTS["an update that fails is set aside at once"]():
        _, amiss = await every_call.failing_statements(template, 11)
    assert amiss


async def test_it_is_found_when_a_message_of_unknown_fate_is_sent_again(template: Path):
    with every_call.MUTANTS["a message of unknown fate is sent again"]():
        _, amiss = await every_call.failing_calls(template, 7)
    assert amiss
