"""The team on its page: another role, other sites, coming back, a passphrase of one's own."""

import io
import re
import zipfile

import pytest

from diary import SYSTEM
from diary.tokens import holder_of, make_token
from storage import tables
from tests.web.desk import PASSPHRASE, rows, trail, words_of


async def test_a_role_and_sites_are_changed_once_and_the_second_of_two_is_told(stage, desk):
    await desk.site("north")
    root, other = await desk.member("root", "administrator", ()), await desk.member("boss", "administrator", ())
    await desk.add("nour", "coordinator")
    page = (await root.client.get("/team/nour/change")).text
    assert 'name="was-role" value="coordinator"' in page
    assert re.search(r'value="main" checked', page)
    form = {"was-role": "coordinator", "was-sites": "main", "role": "monitor", "sites": "north", "reason": "moves"}
    for _ in range(2):
        answer = await root.sends("/team/nour/change", **form)
        assert answer.headers["location"] == "/team?done=changed"
    late = await other.sends("/team/nour/change", **(form | {"role": "investigator"}))
    assert (late.status_code, "meanwhile" in words_of(late.text) or "meantime" in words_of(late.text)) == (
        409,
        True,
    )
    assert 'value="investigator" selected' in late.text
    assert ("nour", "monitor") in await rows(stage, tables.staff, "code", "role")
    nowhere = await root.sends("/team/nour/change", role="monitor", reason="r")
    assert nowhere.status_code == 422


async def test_who_was_shut_out_is_let_in_again_with_a_reason(stage, desk):
    root = await desk.member("root", "administrator", ())
    await desk.add("nour", "coordinator")
    await root.sends("/team/nour/disable", reason="left")
    assert "/team/nour/readmit" in (await root.client.get("/team")).text
    assert (await root.sends("/team/nour/readmit", reason=" ")).status_code == 422
    for _ in range(2):
        answer = await root.sends("/team/nour/readmit", reason="back")
        assert answer.headers["location"] == "/team?done=readmitted"
    assert "/team/nour/change" in (await root.client.get("/team")).text


async def test_a_statisticians_bundle_has_none_of_the_words_that_may_name_people(stage, desk):
    await stage.alert(await stage.joined(), "this is Amina, call me")
    for code, role, named in (("stella", "statistician", False), ("nour", "coordinator", True)):
        member = await desk.member(code, role)
        page = words_of((await member.client.get("/exports")).text)
        assert ("in their own words is left empty" in page) == (not named)
        with zipfile.ZipFile(io.BytesIO((await member.sends("/exports", site="main")).content)) as bundle:
            assert any(b"Amina" in bundle.read(name) for name in bundle.namelist()) == named


async def test_everybody_may_change_their_own_passphrase_and_it_is_never_shown(desk):
    stella = await desk.member("stella", "statistician")
    new = {"passphrase": PASSPHRASE, "chosen": " other plain words ", "again": " other plain words "}
    for wrong, said in (
        ({"again": "something else here"}, "not the same"),
        ({"passphrase": "not this one at all"}, "is another one"),
        ({"chosen": "short", "again": "short"}, "At least 12"),
    ):
        answer = await stella.sends("/passphrase", **(new | wrong))
        assert answer.status_code == 422
        assert said in words_of(answer.text), words_of(answer.text)
        assert "other plain words" not in answer.text
    assert (await stella.sends("/passphrase", **new)).status_code == 303
    assert (await stella.client.get("/adherence")).status_code == 200


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_an_administrator_sees_a_members_tokens_and_ends_one(stage, desk, language):
    await desk.add("root", "administrator", (), language=language)
    root = await desk.signed_in("root")
    await desk.add("stella", "statistician")
    assert "/team/stella/tokens" in (await root.client.get("/team")).text
    assert 'name="reason"' not in (await root.client.get("/team/stella/tokens")).text
    new = {"code": "stella", "days": 90, "actor": SYSTEM, "now": desk.now}
    made = [await make_token(stage.db, name=name, **new) for name in ("statistics server", "<b>old</b>")]
    page = (await root.client.get("/team/stella/tokens")).text
    assert "statistics server" in page
    assert "&lt;b&gt;old&lt;/b&gt;" in page
    assert page.count('type="radio"') == 2
    assert made[0].token not in page
    assert (await root.sends("/team/stella/tokens", token=2, reason=" ")).status_code == 422
    for _ in range(2):
        answer = await root.sends("/team/stella/tokens", token=2, reason="gone")
        assert answer.headers["location"] == "/team/stella/tokens?done=revoked"
    assert (await root.client.get("/team/stella/tokens")).text.count('type="radio"') == 1
    for token in (99, "x", ""):
        assert (await root.sends("/team/stella/tokens", token=token, reason="gone")).status_code == 404
    assert await trail(stage, "revoke token") == [("staff", "gone")]
    assert await holder_of(stage.db, token=made[0].token, now=desk.now)
    assert await holder_of(stage.db, token=made[1].token, now=desk.now) is None
