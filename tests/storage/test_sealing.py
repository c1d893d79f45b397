import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diary import Keys, new_secret_key
from protocol.errors import SealError, SettingsError
from storage import contacts
from storage.audit import SYSTEM, Audit, write_audit
from tests.cast import AMINA_CHAT, BOT, T0, Stage
from tests.conftest import KEY

OTHER = "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="
KEYS = Keys([KEY])


def test_what_is_sealed_opens_with_its_key_and_context():
    sealed = KEYS.seal({"chat": 1001}, context="contact:patient:1")
    assert KEYS.open(sealed, context="contact:patient:1") == {"chat": 1001}
    assert b"1001" not in sealed


def test_the_same_value_is_never_sealed_alike():
    assert KEYS.seal({"chat": 1}, context="c") != KEYS.seal({"chat": 1}, context="c")


@given(st.data())
def test_a_seal_with_one_changed_bit_does_not_open(data):
    sealed = bytearray(KEYS.seal({"chat": 1001}, context="c"))
    place, bit = data.draw(st.integers(0, len(sealed) - 1)), data.draw(st.integers(0, 7))
    sealed[place] ^= 1 << bit
    with pytest.raises(SealError):
        KEYS.open(bytes(sealed), context="c")


def test_a_seal_that_was_cut_short_does_not_open():
    sealed = KEYS.seal({"chat": 1001}, context="c")
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            KEYS.open(sealed[:length], context="c")


def test_a_seal_that_was_moved_to_another_row_does_not_open():
    sealed = KEYS.seal({"chat": 1001}, context="contact:patient:1")
    with pytest.raises(SealError, match="changed or moved"):
        KEYS.open(sealed, context="contact:patient:2")


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens():
    old, both, new = Keys([KEY]), Keys([OTHER, KEY]), Keys([OTHER])
    assert both.open(old.seal({"chat": 1}, context="c"), context="c") == {"chat": 1}
    assert new.open(both.seal({"chat": 1}, context="c"), context="c") == {"chat": 1}
    with pytest.raises(SealError, match="no longer holds; add it back"):
        new.open(old.seal({"chat": 1}, context="c"), context="c")


def test_lookups_name_the_newest_key_first_and_the_old_ones_after_it():
    assert Keys([OTHER, KEY]).lookups("chat", "1") == Keys([OTHER]).lookups("chat", "1") + KEYS.lookups("chat", "1")


def test_a_lookup_is_bound_to_its_purpose_and_its_key():
    found = {*KEYS.lookups("chat", "1"), *KEYS.lookups("invite", "1"), *Keys([OTHER]).lookups("chat", "1")}
    assert len(found) == 3


def test_a_signature_holds_after_a_rotation_and_for_its_value_only():
    signature = KEYS.sign("a:1")
    assert Keys([OTHER, KEY]).signed("a:1", signature[:8])
    assert not KEYS.signed("a:2", signature[:8])
    assert not Keys([OTHER]).signed("a:1", signature[:8])


@pytest.mark.parametrize("length", range(8))
def test_a_signature_too_short_to_prove_anything_is_none(length):
    assert not KEYS.signed("a:1", KEYS.sign("a:1")[:length])


@pytest.mark.parametrize(
    "wrong",
    ["", "short", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "ключ", "?" * 44],
)
def test_a_key_of_another_length_is_refused_in_a_sentence(wrong):
    with pytest.raises(SettingsError, match="32 bytes in base64") as caught:
        Keys([wrong])
    assert not wrong or wrong not in str(caught.value)


def test_no_key_at_all_is_refused_in_a_sentence():
    with pytest.raises(SettingsError, match="DAYBOOK_SECRET_KEY is missing"):
        Keys([])


def test_fresh_keys_are_good_and_differ():
    assert len({new_secret_key() for _ in range(10)}) == 10
    Keys([new_secret_key()])


async def test_a_chat_is_found_and_opened_after_a_rotation(stage: Stage):
    amina = await stage.joined()
    rotated = Keys([OTHER, KEY])
    async with stage.db.write() as conn:
        contact = await contacts.contact_by_chat(conn, rotated, bot_id=BOT, chat_id=AMINA_CHAT)
        assert contacts.open_chat(rotated, contact.sealed, patient_id=amina.id, staff_id=None) == AMINA_CHAT
        audit = await write_audit(conn, Audit(T0, SYSTEM, "bind again", amina.id))
        await contacts.add_contact(conn, rotated, bot_id=BOT, chat_id=AMINA_CHAT, patient_id=amina.id, audit=audit)
        alone = await contacts.contact_by_chat(conn, Keys([OTHER]), bot_id=BOT, chat_id=AMINA_CHAT)
        assert alone.patient_id == amina.id


async def test_a_contact_does_not_open_as_somebody_elses(stage: Stage):
    amina = await stage.joined()
    async with stage.db.read() as conn:
        contact = await contacts.contact_of_patient(conn, amina.id)
    with pytest.raises(SealError):
        contacts.open_chat(KEYS, contact.sealed, patient_id=amina.id + 1, staff_id=None)
    with pytest.raises(SealError):
        contacts.open_chat(KEYS, contact.sealed, patient_id=None, staff_id=amina.id)
