"""`daybook simulate` as a user calls it."""

from rehearsal.simulation import outcome
from rehearsal.simulation.check import LOST, Fault, Findings
from tests.cli.conftest import Shell


def test_a_small_trial_is_lived_through_and_told(empty: Shell):
    said = empty("simulate", "--patients", 2, "--protocol", "postop-week", "--out", "there")
    assert (said.code, said.err) == (0, "")
    assert "0 lost, 0 doubled" in said.out
    assert "begin with index.html" in said.out
    assert (empty.folder / "there" / "index.html").is_file()


def test_it_answers_in_json(empty: Shell):
    found = empty("simulate", "--patients", 1, "--protocol", "postop-week", "--out", "there", "--json").json
    assert found["patients"] == 1
    assert found["faults"] == []


def test_a_folder_in_use_is_refused(empty: Shell):
    (empty.folder / "mine.txt").write_text("mine")
    empty("simulate", "--patients", 1, "--protocol", "postop-week", "--out", ".").refuses("not an empty folder")
    assert [path.name for path in empty.folder.iterdir()] == ["mine.txt"]


def test_a_number_of_patients_that_makes_no_trial_is_a_wrong_call(empty: Shell):
    empty("simulate", "--patients", 0).refuses("--patients", code=2)


def test_a_protocol_there_is_not_is_said_before_anything_is_done(empty: Shell):
    assert empty("simulate", "--protocol", "nonsense").code != 0
    assert list(empty.folder.iterdir()) == []


def test_a_format_there_is_not_is_named_and_nothing_is_left(empty: Shell):
    empty("simulate", "--patients", 1, "--protocol", "postop-week", "--format", "clay").refuses("clay", code=2)
    assert list(empty.folder.iterdir()) == []


def test_a_fault_that_the_check_finds_is_told_and_is_exit_1(empty: Shell, monkeypatch):
    really = outcome.check

    async def finds(*arguments: object, **named: object) -> Findings:
        found = await really(*arguments, **named)
        found.faults.append(Fault(LOST, "north-001, pain of 2026-10-07: 5 was acknowledged and is not there."))
        return found

    monkeypatch.setattr(outcome, "check", finds)
    said = empty("simulate", "--patients", 1, "--protocol", "postop-week")
    said.refuses("north-001", "is not there")
    assert "1 lost" in said.out
    assert "1 lost" in (empty.folder / "simulation" / "index.html").read_text(encoding="utf-8")
