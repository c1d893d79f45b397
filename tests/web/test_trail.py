"""The audit trail on the pages: in words of the reader's language, and nothing that only a program understands."""

import re

import pytest

from diary.answers import Arrival, not_taken, record_answer
from diary.service import record_outage
from tests.cast import START, Stage, cairo
from tests.web.desk import words_of


@pytest.fixture
async def amina(stage: Stage, desk):
    amina = await stage.lived()
    desk.now = cairo("2026-11-26 21:00")
    noon = cairo("2026-11-26 12:00")
    slot = await stage.slot_on(amina, "infusion", START.replace(day=26))
    tap = Arrival("button", noon)
    await record_answer(
        stage.db, patient_id=amina.id, slot_id=slot, answer=not_taken("unwell"), arrival=tap, now=noon
    )
    await stage.alert(amina, now=noon)
    await record_outage(stage.db, kind="intake", began_at=noon, ended_at=cairo("2026-11-26 13:00"), now=desk.now)
    return amina


async def lines(member, path="/trail"):
    """What each line of the trail says, without the table's own words."""
    page = re.sub("[\u2066\u2069]", "", (await member.client.get(path)).text)
    body = page[page.rindex("<tbody>") : page.rindex("</tbody>")]
    return [words_of(row) for row in body.split("<tr>")[1:]]


async def test_lines_say_what_was_asked_and_answered_and_never_none(desk, amina):
    root = await desk.member("root", "administrator", ())
    found = await lines(root)
    said = [line for line in found if line.startswith("2026") and "answer recorded" in line]
    assert said == [
        "2026-11-26 12:00 patient answer recorded P-001 infusion, 2026-11-26 09:00 , not taken , on time –",
        "2026-11-25 23:00 patient answer recorded P-001 pain rating, 2026-11-25 20:00 , 5 , late –",
        "2026-11-24 20:00 patient answer recorded P-001 pain rating, 2026-11-24 20:00 , 7 , on time –",
    ]
    [corrected] = [line for line in found if "answer corrected" in line]
    assert corrected.endswith("pain rating, 2026-11-25 20:00 , old 5 , new 4 the wrong button")
    [outage] = [line for line in found if "outage recorded" in line]
    assert "from 2026-11-26 12:00 , to 2026-11-26 13:00 , could not listen" in outage
    assert [line for line in found if re.search(r"\bNone\b|since:|slot \d|T\d\d:", line)] == []


async def test_an_arabic_page_has_no_english_verb(desk, amina):
    await desk.add("root", "administrator", (), language="ar")
    root = await desk.signed_in("root")
    for path in ("/trail", "/patients/P-001"):
        for line in await lines(root, path):
            left = re.sub(r"P-001|root|main|magnesium-clbp|\ben\b|Africa/Cairo", "", line)
            assert re.findall(r"[A-Za-z]+", left) == [], line


async def test_the_filter_offers_the_verbs_there_are(desk, amina):
    root = await desk.member("root", "administrator", ())
    page = (await root.client.get("/trail?verb=correct+answer")).text
    assert '<option value="correct answer" selected>answer corrected</option>' in page
    assert len(await lines(root, "/trail?verb=correct+answer")) == 1
