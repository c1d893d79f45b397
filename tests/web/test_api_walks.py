"""Walks through many rows: cell for cell the export, each row once, whatever happens meanwhile."""

import csv

import pytest

from diary import SYSTEM
from diary.answers import scored
from diary.joining import choose_time
from protocol.values import parse_wall
from reports import tables
from reports.columns import Kind, guarded
from reports.export import export_bundle
from tests.cast import Stage, cairo
from tests.reports.diary_of import say
from tests.web.machines import NOW, TYPED, lived, machine
from web.api_rows import OPERATIONS

FILES = {"patients": tables.SUBJECTS, "slots": tables.SLOTS, "entries": tables.ENTRIES}
NAMED = {"patients": "subject", "slots": "slot", "entries": "entry"}


@pytest.fixture
async def desk(stage: Stage, desk):
    await desk.site("north")
    await lived(stage)
    desk.now = NOW
    return desk


@pytest.fixture
async def root(desk):
    return await machine(desk, "root", "administrator", ())


def as_a_cell(column, value):
    """What the export writes for a value of JSON."""
    if value is None:
        return ""
    return guarded(value) if column.kind is Kind.TEXT else str(value)


async def of_export(stage, folder, name):
    await export_bundle(stage.db, folder / "out", formats=["csv"], now=NOW)
    with (folder / "out" / f"{FILES[name].name}.csv").open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.parametrize("name", FILES)
async def test_every_cell_of_every_page_is_that_of_the_export(desk, root, tmp_path, name):
    rows = await root.walks(f"/api/v1/{name}?limit=3" if name != "slots" else "/api/v1/slots?limit=100")
    exported = await of_export(desk.stage, tmp_path, name)
    by_name = {column.name: column for column in FILES[name].columns}
    assert len(rows) == len(exported) > 3
    order = (lambda row: row[NAMED[name]]) if name == "slots" else None
    if order:
        rows, exported = sorted(rows, key=order), sorted(exported, key=order)
    for row, line in zip(rows, exported, strict=True):
        assert {key: as_a_cell(by_name[key], value) for key, value in row.items()} == {
            key: line[key] for key in row
        }
        assert set(line) - set(row) == ({"change_reason"} if name == "entries" else set())


async def test_no_words_of_anybodys_own_are_in_any_answer(desk, root):
    for one in OPERATIONS:
        answer = await root.asks(f"/api/v1/{one.name}")
        assert TYPED not in answer.text
        assert "wrong-button" not in answer.text


async def test_of_whoever_is_out_of_use_there_is_the_patient_and_nothing_else(desk, root):
    [gone] = [row for row in await root.walks("/api/v1/patients") if row["subject"] == "P-003"]
    assert gone["use_stopped_utc"] == "2026-11-26T10:00:00.000Z"
    for name in ("slots", "entries"):
        assert "P-003" not in {row["subject"] for row in await root.walks(f"/api/v1/{name}?limit=1000")}
        assert await root.walks(f"/api/v1/{name}?patient=P-003") == []


async def test_a_superseded_value_stays_and_is_marked(root):
    rows = await root.walks("/api/v1/entries?patient=P-001&item=pain&from=2026-11-26&to=2026-11-26")
    assert [(row["score"], row["holds"], row["superseded_by"], row["supersedes"]) for row in rows] == [
        (5, "no", rows[1]["entry"], None),
        (3, "yes", None, rows[0]["entry"]),
    ]


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
@pytest.mark.parametrize("name", ["slots", "entries", "patients"])
async def test_pages_of_any_size_have_the_same_rows_once(root, name, limit):
    where = "&patient=P-001&item=pain&to=2026-12-20" if name == "slots" else ""
    rows = await root.walks(f"/api/v1/{name}?limit={limit}{where}")
    names = [row[NAMED[name]] for row in rows]
    assert len(names) == len(set(names)) > 3
    assert rows == await root.walks(f"/api/v1/{name}?limit=1000{where}")


@pytest.mark.parametrize(("name", "limit"), [("patients", 1), ("slots", 90), ("entries", 2)])
async def test_a_walk_meets_each_row_once_while_rows_are_added_and_times_move(desk, root, name, limit):
    there = {row[NAMED[name]] for row in await root.walks(f"/api/v1/{name}?limit=1000")}
    page = await root.reads(f"/api/v1/{name}?limit={limit}")
    seen = [row[NAMED[name]] for row in page["rows"]]
    for chat, code in enumerate(("A-1", "P-0011", "Z-1"), start=5000):
        late = await desk.stage.joined(code, chat=chat)
        await say(desk.stage, late.id, "pain 2026-11-24", scored(4), "2026-11-24 20:30")
    for patient_id in (1, 2):
        # Later than the capsules of the evening, which it stood before.
        own = {"patient_id": patient_id, "actor": SYSTEM, "now": NOW}
        await choose_time(desk.stage.db, item="pain", at=parse_wall("22:00"), **own)
    while page["next"]:
        page = await root.reads(page["next"])
        seen += [row[NAMED[name]] for row in page["rows"]]
    assert len(seen) == len(set(seen))
    assert there < set(seen)


async def test_the_next_page_is_on_the_same_host_and_said_in_the_header_too(root):
    page = await root.asks("/api/v1/entries?limit=2&holds=yes&patient=P-001")
    following = page.json()["next"]
    assert following.startswith("/api/v1/entries?")
    assert page.headers["link"] == f'<{following}>; rel="next"'
    assert "limit=2" in following
    assert "holds=yes" in following
    last = await root.asks("/api/v1/entries?limit=1000")
    assert last.json()["next"] is None
    assert "link" not in last.headers


async def test_a_cursor_is_good_for_its_own_question_alone(root):
    cursor = (await root.reads("/api/v1/entries?limit=1&patient=P-001"))["next"].rpartition("cursor=")[2]
    for same in ("limit=1", "limit=1000"):
        assert (await root.asks(f"/api/v1/entries?patient=P-001&{same}&cursor={cursor}")).status_code == 200
    changed = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for other in (
        f"entries?cursor={cursor}",
        f"entries?patient=P-002&cursor={cursor}",
        f"entries?patient=P-001&holds=yes&cursor={cursor}",
        f"slots?patient=P-001&cursor={cursor}",
        f"entries?patient=P-001&cursor={changed}",
        f"entries?patient=P-001&cursor={cursor[:20]}",
    ):
        answer = await root.asks(f"/api/v1/{other}")
        assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request"), other


async def test_a_cursor_of_one_member_opens_no_site_to_another(desk, root):
    following = (await root.reads("/api/v1/patients?limit=3"))["next"]
    stella = await machine(desk)
    assert (await stella.reads(following))["rows"] == []


async def test_only_what_is_asked_for_is_in_the_answer(root):
    async def names(query):
        return [row["slot"] for row in await root.walks(f"/api/v1/{query}")]

    assert await names("slots?patient=p-001&state=missed") == [
        "P-001:infusion:2026-11-26:0",
    ]
    assert await names("slots?item=pain&from=2026-11-24&to=2026-11-24&site=main") == [
        "P-001:pain:2026-11-24:0",
        "P-002:pain:2026-11-24:0",
    ]
    assert {row["phase"] for row in await root.walks("/api/v1/slots?phase=oral&limit=1000")} == {"oral"}
    assert await names("slots?item=moon") == []
    assert await names("entries?holds=no") == ["P-001:pain:2026-11-24:0", "P-001:pain:2026-11-26:0"]
    assert [row["status"] for row in await root.walks("/api/v1/patients?status=withdrawn")] == ["withdrawn"]
    since = cairo("2026-11-27 09:00").isoformat().replace("+00:00", "Z")
    assert await names(f"entries?recorded_from={since}") == ["P-001:pain:2026-11-25:0", "P-001:pain:2026-11-24:0"]
