"""Where staff land: after a search, in another language, at an address there is not."""

import re

import pytest

from tests.cast import cairo
from tests.web.desk import words_of

BACK = re.compile(r'name="back" value="([^"]*)"')


async def test_an_exact_code_in_any_case_leads_to_the_patient_at_once(stage, nour):
    await stage.add("P-0011")
    for typed in ("P-001", " p-001 "):
        found = await nour.client.get("/patients", params={"search": typed})
        assert (found.status_code, found.headers["location"]) == (303, "/patients/P-001")
    both = await nour.sees("/patients?search=P-00")
    assert ("P-001" in both, "P-0011" in both) == (True, True)


async def test_a_code_beside_other_filters_narrows_the_list(nour):
    assert "There is no patient here." in await nour.sees("/patients?search=P-001&status=paused")


async def test_the_exact_code_of_another_site_is_looked_for_like_any_text(stage, desk, nour):
    await desk.site("north")
    await stage.add("P-900", site="north")
    assert "There is no patient here." in await nour.sees("/patients?search=P-900")


async def test_another_language_shows_the_same_question(nour):
    page = (await nour.client.get("/patients?status=active&page=2&done=added")).text
    assert BACK.findall(page) == ["/patients?status=active&amp;page=2"]
    answer = await nour.client.post("/language", data={"language": "ar", "back": "/patients?status=active&page=2"})
    assert answer.headers["location"] == "/patients?status=active&page=2"


async def test_another_language_after_a_refused_form_shows_the_form_and_after_a_mere_act_the_first_page(nour):
    refused = await nour.sends("/patients/P-001/pause", reason="")
    assert BACK.findall(refused.text) == ["/patients/P-001/pause"]
    assert BACK.findall((await nour.sends("/patients/P-001/invite")).text) == ["/"]


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/nothing/here", (404, "There is no such page")),
        ("PUT", "/patients", (405, "does not take that")),
        ("POST", "/patients/new", (413, "too large")),
    ],
)
async def test_what_goes_wrong_is_no_request_to_sign_in(nour, method, path, said):
    content = b"csrf=" + b"x" * 70_000 if method == "POST" else None
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await nour.client.request(method, path, content=content, headers=headers)
    assert (answer.status_code, said[1] in words_of(answer.text)) == (said[0], True)
    assert re.search(r"<h1>(.*?)</h1>", answer.text)[1] == "That did not work"
    assert 'class="rooms"' in answer.text  # the ways to everywhere else


async def test_an_address_there_is_not_says_so_to_strangers_too_and_shows_them_nothing_else(desk):
    answer = await desk.browser().get("/nothing/here")
    assert (answer.status_code, 'class="rooms"' in answer.text) == (404, False)
    assert re.search(r"<h1>(.*?)</h1>", answer.text)[1] == "That did not work"


def acts_of(page):
    """The names of the acts in lists, as they are heard."""
    page = page.partition("<main")[2]
    return [words_of(one) for one in re.findall(r"<(?:a|button)\b[^>]*>[^<]*<span class=\"unseen\">.*?</", page)]


async def test_no_two_acts_on_a_page_have_the_same_name(stage, desk):
    await stage.lived()
    desk.now = cairo("2026-11-26 21:00")
    root = await desk.member("root", "administrator")
    await desk.add("omar", "monitor")
    acts = acts_of((await root.client.get("/patients/P-001")).text)
    assert len(acts) == len(set(acts)) == 6
    assert {act.partition(" ")[0] for act in acts} == {"Correct", "Enter"}
    team = acts_of((await root.client.get("/team")).text)
    assert len(team) == len(set(team)) == 10


async def test_visits_lead_to_their_form_only_those_who_may_fill_it_in(desk, amina):
    desk.now = cairo("2026-11-24 08:00")
    nour = await desk.member("nour")
    mona = await desk.member("mona", "monitor")
    form = 'href="/patients/P-001/visits/baseline"'
    mine, theirs = [(await who.client.get("/")).text for who in (nour, mona)]
    assert (form in mine, form in theirs) == (True, False)
    assert "Baseline" in words_of(theirs)
