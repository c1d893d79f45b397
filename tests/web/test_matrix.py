"""Every address of the pages, for every role, at an own and at a foreign site: as the table of roles says."""

import re
from itertools import product

import pytest

from diary.roles import MAY, Role
from diary.visits import record_visit  # noqa: F401 - the page of a visit is among the addresses
from tests.cast import Stage
from tests.web.desk import words_of
from web.app import PAGES

FOREIGN, OWN = "P-900", "P-001"
ABOUT_A_PATIENT = [page for page in PAGES if "{code}" in page.path and not page.path.startswith("/team")]


def path_of(page, code, slot, alert):
    values = {"code": code, "slot:id": slot, "visit": "baseline", "alert:id": alert}
    path = page.path
    for name, value in values.items():
        path = path.replace("{" + name + "}", str(value))
    return path


@pytest.fixture
async def two_sites(stage: Stage, desk):
    """A patient at each of two sites, with an alert; the team belongs to the first."""
    await desk.site("north")
    amina = await stage.joined(OWN)
    basma = await stage.joined(FOREIGN, chat=1002, site="north")
    return {
        OWN: (await stage.first_slot(amina), await stage.alert(amina)),
        FOREIGN: (await stage.first_slot(basma), await stage.alert(basma)),
    }


@pytest.mark.parametrize("role", Role)
async def test_every_address_answers_a_role_as_the_table_says(desk, two_sites, role):
    member = await desk.member("mina", role)
    csrf = await member.csrf()
    slot, alert = two_sites[OWN]
    wrong = []
    for page in PAGES:
        code = "mina" if page.path.startswith("/team") else OWN
        path = path_of(page, code, slot, alert)
        for method, act in page.acts.items():
            if method == "POST" and page.path in ("/team/{code}/disable", "/team/{code}/reset"):
                continue  # would shut the asker out
            answer = await (member.client.get(path) if method == "GET" else member.sends(path, csrf=csrf))
            allowed = act in MAY[role]
            if (answer.status_code == 403) == allowed or answer.status_code >= 500:
                wrong.append((method, path, answer.status_code, allowed))
    assert wrong == []


@pytest.mark.parametrize("role", Role)
async def test_a_patient_of_another_site_is_not_found_whatever_the_role(desk, two_sites, role):
    member = await desk.member("mina", role)
    csrf = await member.csrf()
    slot, alert = two_sites[FOREIGN]
    told = []
    for page, code in product(ABOUT_A_PATIENT, (FOREIGN, "P-404")):
        path = path_of(page, code, slot, alert)
        for method, act in page.acts.items():
            answer = await (member.client.get(path) if method == "GET" else member.sends(path, csrf=csrf))
            expected = 404 if act in MAY[role] else 403
            if answer.status_code != expected:
                told.append((method, path, answer.status_code))
    assert told == []


@pytest.mark.parametrize("role", Role)
async def test_no_list_and_no_search_names_a_patient_of_another_site(desk, two_sites, role):
    member = await desk.member("mina", role)
    for page in PAGES:
        if page.get is None or "{" in page.path:
            continue
        for query in ("", f"?search={FOREIGN}", f"?code={FOREIGN}", "?site=north", "?by=patient"):
            shown = words_of((await member.client.get(page.path + query)).text)
            assert FOREIGN not in shown, page.path + query


async def test_an_alert_and_a_slot_of_another_site_are_not_found(desk, two_sites):
    member = await desk.member("mina", "investigator")
    slot, alert = two_sites[FOREIGN]
    for act in ("seen", "done"):
        assert (await member.sends(f"/alerts/{alert}/{act}")).status_code == 404
        assert (await member.sends(f"/alerts/9999/{act}")).status_code == 404
    for path in (f"/patients/{OWN}/slots/{slot}/enter", f"/patients/{OWN}/slots/99999/correct"):
        await member.sees(path, status=404)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
async def test_nobody_who_is_not_signed_in_sees_or_does_anything(desk, two_sites, page):
    slot, alert = two_sites[OWN]
    browser = desk.browser()
    for method in page.acts:
        answer = await browser.request(method, path_of(page, OWN, slot, alert))
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_a_patient_page_is_the_same_whether_the_patient_is_elsewhere_or_nowhere(desk, two_sites):
    member = await desk.member("mina", "coordinator")
    texts = set()
    for code in (FOREIGN, "P-404"):
        answer = await member.client.get(f"/patients/{code}")
        texts.add(re.sub(r'name="csrf" value="[^"]+"', "", answer.text).replace(code, "CODE"))
    assert len(texts) == 1
