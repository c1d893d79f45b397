"""Forms and addresses that no page makes: not found or not understood, and never a fault of ours."""

from datetime import date

import pytest

from storage import tables
from tests.cast import cairo
from tests.web.desk import rows, words_of
from web.app import web_app


async def test_forged_forms_are_not_found_or_not_understood(stage, desk, amina, nour):
    slot = await stage.first_slot(amina)
    desk.now = cairo("2026-11-25 10:00")
    nour = await desk.signed_in("nour")
    enter, correct = (f"/patients/P-001/slots/{slot}/{act}" for act in ("enter", "correct"))
    for path, form, status in (
        (enter, {"answer": "11", "source": "phone"}, 422),
        (enter, {"answer": "taken", "source": "phone"}, 422),
        (enter, {"answer": "-1", "source": "phone"}, 422),
        (enter, {"answer": "5", "source": "button"}, 422),
        (enter, {"answer": "5"}, 422),
        (enter, {"answer": "5", "source": "phone", "said_at": "then"}, 422),
        (correct, {"answer": "5", "entry": "9999", "reason": "r"}, 409),
        (correct, {"answer": "5", "entry": "x", "reason": "r"}, 404),
    ):
        answer = await nour.sends(path, **form)
        assert answer.status_code in (status, 404), (path, form, answer.status_code)
    assert await rows(stage, tables.entries, "id") == []


LONG, TOO_BIG = "9" * 5000, "9223372036854775808"


async def test_numbers_that_no_page_makes_are_not_found_or_not_understood(stage, desk, amina, nour):
    slot = await stage.first_slot(amina)
    desk.now = cairo("2026-11-25 10:00")
    nour = await desk.signed_in("nour")
    enter, correct = (f"/patients/P-001/slots/{slot}/{act}" for act in ("enter", "correct"))
    told = {"answer": "5", "source": "phone"}
    for path, form, status in (
        *((f"/alerts/{number}/{act}", {}, 404) for number in (TOO_BIG, LONG) for act in ("seen", "done")),
        *((f"/patients/P-001/slots/{number}/enter", told, 404) for number in (TOO_BIG, LONG)),
        *((correct, {"answer": "5", "reason": "r", "entry": entry}, 404) for entry in ("1" + 30 * "0", "²", LONG)),
        *((enter, {**told, "answer": number}, 422) for number in (LONG, "²", "٥٥٥٥")),
        *((enter, {**told, "said_at": at}, 422) for at in ("0001-01-01T00:00", "9999-12-31T23:59", LONG)),
    ):
        answer = await nour.sends(path, **form)
        assert answer.status_code == status, (path[:60], str(form)[:60], answer.status_code)
    held = {"held_on": "2026-11-24", "m-nrs": "7", "reason": "r"}
    for number in ("²", LONG, TOO_BIG):
        assert (await nour.sends("/patients/P-001/visits/baseline", **held, supersedes=number)).status_code == 404
    assert await rows(stage, tables.entries, "id") == []


async def test_an_answer_from_before_its_question_was_open_is_refused(stage, desk, amina, nour):
    slot = await stage.slot_on(amina, "pain", date(2026, 11, 28))
    desk.now = cairo("2026-11-29 10:00")
    nour = await desk.signed_in("nour")
    form = {"answer": "5", "source": "phone"}
    for at, status in (("1999-01-01T20:00", 422), ("2026-11-28T10:00", 422), ("2026-11-28T20:10", 303)):
        answer = await nour.sends(f"/patients/P-001/slots/{slot}/enter", **form, said_at=at)
        assert answer.status_code == status, (at, words_of(answer.text))


@pytest.mark.parametrize("zone", ["localtime", "Factory", "posixrules", "../etc/passwd"])
async def test_a_zone_that_is_no_places_is_refused(stage, nour, zone):
    refused = await nour.sends("/patients/P-001/times", zone=zone)
    assert (refused.status_code, "not a time zone" in words_of(refused.text)) == (422, True)


async def test_a_member_nobody_knows_is_not_found(desk):
    root = await desk.member("root", "administrator", ())
    for act in ("disable", "reset"):
        await root.sees(f"/team/nobody/{act}", 404)
        assert (await root.sends(f"/team/nobody/{act}", reason="r")).status_code == 404


async def test_who_hangs_up_while_sending_is_no_fault_of_ours(desk, caplog, capsys):
    nour = await desk.member("nour")
    cookie = "; ".join(f"{name}={value}" for name, value in nour.client.cookies.items())
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": "/patients/P-001",
        "raw_path": b"/patients/P-001", "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("pages.test", 80),
        "headers": [
            (b"host", b"pages.test"), (b"cookie", cookie.encode()), (b"content-length", b"9"),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ],
    }  # fmt: skip
    await web_app(desk.stage.db, lambda: desk.now)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert "page_failed" not in capsys.readouterr().out + caplog.text
