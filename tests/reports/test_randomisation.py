from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import DaybookError, WrongCallError
from reports.randomisation import OPEN, Allocation, randomise, read_allocation, write_list

SITES = {"main": 20, "coast": 12}


def made(seed="7", sites=SITES, arms=("A", "B"), blocks=(4, 6)):
    return randomise(arms, blocks, seed, sites)


def test_the_same_seed_gives_the_same_list_and_another_gives_another():
    assert made() == made()
    assert made() != made("8")


def test_the_list_is_this_one_for_ever():
    # Held by the description at the top of reports/randomisation.py: whoever follows it gets this list.
    found = made("1", {"main": 8})
    assert "".join(kit.arm for kit in found) == "ABBABABABA"
    assert [int(kit.kit[1:]) for kit in found] == [1, 2, 9, 8, 4, 7, 5, 10, 3, 6]


@given(st.text(max_size=20), st.lists(st.sampled_from([2, 4, 6, 8]), min_size=1, max_size=3), st.integers(1, 60))
def test_arms_never_drift_apart_by_more_than_half_a_block(seed, blocks, size):
    found = randomise(("A", "B"), blocks, seed, {"main": size})
    ahead = 0
    for kit in found:
        ahead += 1 if kit.arm == "A" else -1
        assert abs(ahead) <= max(blocks) // 2
    assert ahead == 0  # the last block is whole
    assert size <= len(found) < size + max(blocks)


@given(st.text(max_size=20))
def test_every_kit_number_is_there_once_whatever_the_site(seed):
    found = made(seed)
    assert sorted(kit.kit for kit in found) == [f"K{number:04d}" for number in range(1, len(found) + 1)]


def test_kit_numbers_tell_neither_arm_nor_order():
    # Over many lists the low half of the numbers holds each arm about equally often.
    low = Counter(
        kit.arm
        for seed in range(200)
        for kit in made(str(seed), {"main": 20}, blocks=(4,))
        if int(kit.kit[1:]) <= 10
    )
    assert abs(low["A"] - low["B"]) < 0.1 * low.total()


def test_orders_of_a_block_are_equally_likely():
    # Six orders of AABB in 1,200 lists: 200 each; chi-square with 5 degrees of freedom is below 20.5 in 99.9 %.
    orders = Counter("".join(kit.arm for kit in made(f"s{seed}", {"m": 4}, blocks=(4,))) for seed in range(1_200))
    assert len(orders) == 6
    assert sum((count - 200) ** 2 / 200 for count in orders.values()) < 20.5


def test_each_site_has_a_list_of_its_own_that_does_not_depend_on_the_others():
    alone = [kit.arm for kit in made(sites={"coast": 12})]
    assert [kit.arm for kit in made() if kit.site == "coast"] == alone


def test_subjects_get_the_kits_in_their_order_and_the_rest_of_the_block_is_unused():
    found = made(sites={"main": ["P-001", "P-002", "P-003"]}, blocks=(4,))
    assert [kit.subject for kit in found] == ["P-001", "P-002", "P-003", ""]


@pytest.mark.parametrize(
    ("arms", "blocks", "says"),
    [
        (("A",), (4,), "two arms or more"),
        (("A", "A"), (4,), "two arms or more"),
        (("A", "B"), (5,), "block of 5 cannot hold 2 arms"),
        (("A", "B", "C"), (4,), "multiples of 3"),
        (("A", "B"), (0,), "block of 0"),
        (("A", "B"), (), "block size"),
    ],
)
def test_a_list_that_cannot_be_made_is_refused(arms, blocks, says):
    with pytest.raises(WrongCallError, match=says):
        made(arms=arms, blocks=blocks)


def test_the_list_for_who_hands_kits_out_has_no_arm(tmp_path):
    path = tmp_path / "kits.csv"
    with path.open("w", newline="") as out:
        write_list(out, made(arms=("verum", "placebo")), OPEN)
    text = path.read_text()
    assert text.startswith("site,sequence,kit,subject\n")
    assert "verum" not in text
    assert "placebo" not in text


def listed(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode(encoding))
    return read_allocation(path)


def test_a_list_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        write_list(out, made(sites={"main": ["P-001", "P-002", "P-003"]}, blocks=(4,)))
    allocation = read_allocation(path)
    assert set(allocation.arms) == {"P-001", "P-002", "P-003"}
    assert (allocation.names, allocation.unused) == (["A", "B"], 1)


@pytest.mark.parametrize(
    "text",
    [
        "subject;arm\nP-1;A\nP-2;B\n",
        "\ufeffArm,Subject,x\r\nA,P-1,\r\nB, P-2 ,\r\n\r\n,,\r\n",
        'note\tsubject\tarm\n"two\nlines"\tP-1\tA\n\tP-2\tB\n',
    ],
)
def test_a_list_that_a_spreadsheet_saved_is_read_too(tmp_path, text):
    assert listed(tmp_path, text) == Allocation({"P-1": "A", "P-2": "B"}, 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("subject,arm\nP-1,A\nP-1,B\n", "has P-1 more than once"),
        ("subject,arm\nP-1,A\nP-2,\n", "no arm for P-2"),
        ("subject,arm\nP-1,A\nP-2,A\n,B\n", "every subject in arm A"),
        ("subject,arm\n", "no kit that was handed out"),
        ("subject,arm\n,A\n,B\n", "no kit that was handed out"),
        ('subject,arm\n"P-1,A\n', "cannot be read as CSV"),
        ("subject,arm\nP-1,A\nP-2\n", "no arm for P-2"),
        ("code,group\nP-1,A\n", "needs a line of heads with `subject` and `arm`"),
        ("", "needs a line of heads"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(tmp_path, text, says):
    with pytest.raises(DaybookError, match=says):
        listed(tmp_path, text)


def test_a_list_that_is_not_there_or_not_text_says_so(tmp_path):
    with pytest.raises(DaybookError, match="cannot be read"):
        read_allocation(tmp_path / "none.csv")
    with pytest.raises(DaybookError, match="not UTF-8"):
        listed(tmp_path, "subject,arm\nP-1,Ä\n", "latin-1")
