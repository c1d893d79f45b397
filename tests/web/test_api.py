"""The API for machines: who may read what, and what everybody else is told."""

import sqlite3

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from diary import SYSTEM
from diary.roles import MAY, Act, Role
from diary.team import change_staff, disable_staff, readmit_staff
from diary.tokens import list_tokens, revoke_token
from reports.adherence import By, adherence
from storage import tables
from tests.cast import Stage
from tests.web.desk import HOST, held
from tests.web.machines import NOW, TYPED, lived, machine
from web.api import OFTEN
from web.api_rows import OPERATIONS

EVERY = [f"/api/v1/{one.name}" for one in OPERATIONS]
BY = {"actor": SYSTEM, "reason": "r", "now": NOW}


@pytest.fixture
async def desk(stage: Stage, desk):
    await desk.site("north")
    await lived(stage)
    desk.now = NOW
    return desk


def refused(answer, status, *words):
    """A problem in JSON, in one sentence, with these words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail"}
    assert told["status"] == status
    assert "Traceback" not in answer.text
    for word in words:
        assert word in told["detail"], told
    return told


async def read(stage, *columns):
    async with stage.db.read() as conn:
        return [tuple(row) for row in await conn.execute(select(*columns))]


@pytest.mark.parametrize("address", EVERY)
async def test_without_a_token_that_leads_somewhere_nothing_is_read(desk, address):
    browser = desk.browser()
    without = await browser.get(address)
    refused(without, 401, "token")
    assert without.headers["www-authenticate"] == 'Bearer realm="daybook"'
    for wrong in (
        "Bearer daybook_x",
        "Bearer",
        "Basic bm91cjp4",
        "daybook_x",
        "Bearer \xff",
        f"Bearer {'x' * 9000}",
    ):
        answer = await browser.get(address, headers={"Authorization": wrong.encode("latin-1")})
        refused(answer, 401, "does not lead anywhere")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert "daybook_x" not in answer.text
    nour = await desk.signed_in("nour")
    refused(await nour.client.get(address), 401)  # a session of the pages is no way in


async def test_a_token_opens_no_page_and_is_taken_from_no_address_and_no_cookie(desk):
    stella = await machine(desk)
    for page in ("/adherence", "/exports", "/patients"):
        assert (await stella.asks(page)).headers["location"] == "/sign-in"
    refused(await stella.client.get(f"/api/v1/patients?access_token={stella.token}"), 401)
    refused(await stella.client.get("/api/v1/patients", headers={"Cookie": f"daybook={stella.token}"}), 401)
    twice = [("Authorization", f"Bearer {stella.token}")] * 2
    refused(await stella.client.get("/api/v1/patients", headers=twice), 401)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: one.name)
async def test_an_address_answers_a_role_as_the_table_says(desk, role, one, monkeypatch):
    mina = await machine(desk, "mina", role)
    allowed = bool(one.acts & MAY[role])
    answer = await mina.asks(f"/api/v1/{one.name}?by=phase" if one.name == "adherence" else f"/api/v1/{one.name}")
    assert answer.status_code == (200 if allowed else 403)
    monkeypatch.setattr("diary.roles.MAY", {**MAY, role: frozenset({Act.SEE_OUTAGES})})
    refused(await mina.asks(f"/api/v1/{one.name}"), 403, "role")


async def test_who_sees_figures_alone_gets_none_of_a_single_patient(desk, monkeypatch):
    mina = await machine(desk)
    monkeypatch.setattr("diary.roles.MAY", {**MAY, Role.STATISTICIAN: frozenset({Act.SEE_FIGURES})})
    assert len(await mina.walks("/api/v1/adherence?by=phase")) == 3
    refused(await mina.asks("/api/v1/adherence"), 403)
    refused(await mina.asks("/api/v1/adherence?by=phase&patient=P-001"), 403)


@pytest.mark.parametrize("role", Role)
async def test_whoever_is_of_another_site_does_not_exist_for_any_role(desk, role):
    mina = await machine(desk, "mina", role)
    for address in EVERY:
        told = await mina.asks(f"{address}?limit=1000" if "adherence" not in address else address)
        assert "P-001" in told.text
        assert "P-900" not in told.text
        assert "north" not in told.text
        answers = [await mina.asks(f"{address}?site={site}") for site in ("north", "moon")]
        if "patients" not in address:
            answers += [await mina.asks(f"{address}?patient={code}") for code in ("P-900", "P-404", "p-900")]
            answers.append(await mina.asks(f"{address}?site=main&patient=P-900"))
        assert len({answer.text for answer in answers}) == 1
        refused(answers[0], 404, "no such site or patient")


async def test_an_administrator_of_all_sites_reads_them_all_or_one(desk):
    root = await machine(desk, "root", "administrator", ())
    assert {row["subject"] for row in await root.walks("/api/v1/patients")} == {"P-001", "P-002", "P-003", "P-900"}
    assert {row["subject"] for row in await root.walks("/api/v1/slots?site=NORTH")} == {"P-900"}
    assert [row["patient"] for row in await root.walks("/api/v1/adherence?site=north")] == ["P-900"]


async def test_role_and_sites_are_those_of_the_moment(desk):
    stella = await machine(desk)
    assert {row["site"] for row in await stella.walks("/api/v1/patients")} == {"main"}
    await change_staff(desk.stage.db, code="stella", role="monitor", sites=["north"], **BY)
    assert {row["site"] for row in await stella.walks("/api/v1/patients")} == {"north"}


async def test_the_token_of_who_is_shut_out_stops_at_once_and_for_good(desk):
    stella = await machine(desk)
    await disable_staff(desk.stage.db, code="stella", **BY)
    refused(await stella.asks("/api/v1/patients"), 401)
    await readmit_staff(desk.stage.db, code="stella", **BY)
    refused(await stella.asks("/api/v1/patients"), 401)


async def test_a_token_ends_when_it_is_revoked_and_when_its_days_are_over(desk):
    stella, other = await machine(desk), await machine(desk, "other")
    [token] = await list_tokens(desk.stage.db, code="stella", actor=SYSTEM)
    await revoke_token(desk.stage.db, code="stella", token_id=token.id, **BY)
    refused(await stella.asks("/api/v1/patients"), 401)
    desk.later(days=90, seconds=-1)
    assert (await other.asks("/api/v1/patients")).status_code == 200
    desk.later(seconds=1)
    refused(await other.asks("/api/v1/patients"), 401)


async def test_the_figures_are_those_of_the_command(desk):
    stella, scope = await machine(desk), (await desk.actor("stella")).sites
    for by in By:
        for query, asked in (
            ("", {}),
            ("&site=main", {"site": "main"}),
            ("&patient=P-001", {"patient": "P-001"}),
            ("&as_of=2026-11-26T08:00:00Z", {"as_of": NOW.replace(day=26)}),
            ("&as_of=2026-11-26T10:00:00+02:00", {"as_of": NOW.replace(day=26)}),
        ):
            found = await adherence(desk.stage.db, now=NOW, by=by, scope=scope, **asked)
            assert await stella.walks(f"/api/v1/adherence?by={by}{query}") == [row.flat() for row in found]
    assert (await stella.reads("/api/v1/adherence"))["as_of"] == "2026-11-27T08:00:00.000Z"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("slots?limit=0", 422, ["limit", "1 to 1000"]),
        ("slots?limit=1001", 422, ["limit"]),
        ("slots?limit=-1", 422, ["limit"]),
        ("slots?limit=1e2", 422, ["limit"]),
        ("slots?limit=", 422, ["limit"]),
        ("slots?limit=١٠", 422, ["limit"]),
        ("slots?limit=5&limit=6", 422, ["twice"]),
        ("slots?offset=5", 422, ["not known", "cursor"]),
        ("slots?state=asleep", 422, ["state", "on time, late, missed"]),
        ("slots?from=yesterday", 422, ["from", "2026-11-24"]),
        ("slots?from=20261124", 422, ["from"]),
        ("slots?to=2026-02-30", 422, ["to"]),
        ("slots?item=pain%00", 422, ["item"]),
        ("slots?patient=P%20001", 422, ["patient"]),
        ("entries?recorded_from=2026-11-24", 422, ["recorded_from", "T00:00:00Z"]),
        ("entries?recorded_from=0001-01-01T00:00:00%2B10:00", 422, ["recorded_from"]),
        ("entries?holds=true", 422, ["holds", "yes"]),
        ("patients?status=dead", 422, ["status", "withdrawn"]),
        ("adherence?by=moon", 422, ["by", "patient, phase, item, week"]),
        ("adherence?as_of=2027-01-01T00:00:00Z", 422, ["as_of", "future"]),
        ("adherence?limit=5", 422, ["not known", "as_of"]),
        ("entries?cursor=nonsense", 400, ["cursor", "next"]),
        ("entries?cursor=a", 400, ["cursor"]),
        ("entries?cursor=", 422, ["cursor"]),
        ("entries?cursor=%C3%A9", 422, ["cursor"]),
    ],
)
async def test_a_question_that_cannot_be_answered_says_in_a_sentence_why(desk, query, status, words):
    stella = await machine(desk)
    refused(await stella.asks(f"/api/v1/{query}"), status, *words)


async def test_what_was_sent_wrongly_is_never_sent_back(desk):
    stella = await machine(desk)
    for query in (f"?{stella.token}=1", f"?patient={stella.token}%20", f"?cursor={stella.token}"):
        assert stella.token not in (await stella.asks(f"/api/v1/entries{query}")).text


async def test_nothing_but_reading_can_be_done(desk):
    stella = await machine(desk)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        headers = {"Authorization": f"Bearer {stella.token}", "Origin": "https://elsewhere.example"}
        answer = await stella.client.request(method, "/api/v1/entries", headers=headers)
        refused(answer, 405, "GET")
        assert answer.headers["allow"] == "GET, HEAD"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    head = await stella.client.head("/api/v1/entries", headers={"Authorization": f"Bearer {stella.token}"})
    assert head.status_code == 200


async def test_an_address_that_is_not_there_is_a_problem_and_no_page_and_no_way_elsewhere(desk):
    stella = await machine(desk)
    for address in (
        "/api/v1/",
        "/api/v1/entries/",
        "/api/v1/nothing",
        "/api/v2/entries",
        "/api/v1/entries/1",
        "/api/",
        "/api",
    ):
        told = refused(await stella.asks(address), 404, "/api/v1/openapi.json")
        assert "nothing here" in told["detail"]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("text/html, application/json;q=0.9", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("", 200),
        ("text/csv", 406),
        ("application/json;q=0", 406),
        ("application/json; q=0.0, text/csv", 406),
    ],
)
async def test_json_is_what_there_is(desk, accept, status):
    stella = await machine(desk)
    assert (await stella.asks("/api/v1/patients", Accept=accept)).status_code == status


async def test_no_answer_is_kept_anywhere_and_every_one_has_the_headers_of_the_pages(desk):
    stella = await machine(desk)
    for answer in (await stella.asks("/api/v1/patients"), await stella.client.get("/api/v1/patients")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in answer.headers


async def test_a_token_that_asks_too_often_is_told_when_to_go_on_and_no_other_is(desk):
    stella = await machine(desk)
    for _ in range(OFTEN):
        assert (await stella.asks("/api/v1/patients?limit=1")).status_code == 200
    answer = await stella.asks("/api/v1/patients?limit=1")
    refused(answer, 429, "wait")
    other = await machine(desk, "other")
    other.client = stella.client
    assert (await other.asks("/api/v1/patients?limit=1")).status_code == 200
    desk.later(seconds=int(answer.headers["retry-after"]))
    assert (await stella.asks("/api/v1/patients?limit=1")).status_code == 200


async def test_the_use_of_a_token_is_noted_and_the_first_of_a_day_is_a_line_of_the_trail(desk):
    stella = await machine(desk)
    a, t = tables.audit, tables.api_tokens
    lines = select(a.c.actor, a.c.details).where(a.c.verb == "use token")
    for days, seconds in ((0, 0), (0, 30), (0, 90), (1, 0)):
        desk.now = NOW
        desk.later(days=days, seconds=seconds)
        await stella.reads("/api/v1/patients")
    [(used,)] = await read(desk.stage, t.c.used_at)
    assert used == desk.now
    async with desk.stage.db.read() as conn:
        found = [tuple(row) for row in await conn.execute(lines)]
    assert found == [("staff", {"code": "stella", "name": "statistics server"})] * 2


async def test_who_reads_does_not_wait_for_who_writes(desk):
    stella = await machine(desk)
    async with held(desk.stage):
        assert (await stella.asks("/api/v1/entries")).status_code == 200
    assert await read(desk.stage, tables.api_tokens.c.used_at) == [(None,)]


async def test_a_busy_database_says_when_to_ask_again(desk, monkeypatch):
    async def busy(*_, **__):
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked"))

    stella = await machine(desk)
    monkeypatch.setattr("web.api.holder_of", busy)
    answer = await stella.asks("/api/v1/patients")
    refused(answer, 503, "busy")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_fault_of_ours_is_a_problem_without_its_inside(desk, monkeypatch):
    async def breaks(*_, **__):
        raise ZeroDivisionError(TYPED)

    stella = await machine(desk)
    monkeypatch.setattr("web.api_rows.page_of", breaks)
    answer = await stella.asks("/api/v1/patients")
    refused(answer, 500, "in its log")
    assert TYPED not in answer.text


async def test_no_log_line_has_a_token_or_what_was_asked(desk, capfd):
    stella = await machine(desk)
    for query in ("patients", "patients?limit=x", "slots?patient=P-900", f"slots?{stella.token}=1"):
        await stella.asks(f"/api/v1/{query}")
    await stella.client.get("/api/v1/patients", headers={"Authorization": "Bearer daybook_guess"})
    said = "".join(capfd.readouterr())
    assert said.count("api_refused") == 4
    for hidden in (stella.token, "daybook_guess", "P-900", "limit=x"):
        assert hidden not in said


async def test_the_token_itself_is_kept_nowhere(desk):
    stella = await machine(desk)
    await stella.reads("/api/v1/patients")
    with sqlite3.connect(desk.stage.db.url.database) as raw:
        dump = "\n".join(raw.iterdump())
    raw.close()
    assert stella.token not in dump
    assert stella.token.removeprefix("daybook_") not in dump


async def test_the_document_is_open_to_all_and_names_no_host(desk):
    answer = await desk.browser().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert HOST not in answer.text
