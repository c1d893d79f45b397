"""The API held to its own document: by whatever schemathesis thinks of, on a database with a trial in it."""

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator
from schemathesis.config import SchemathesisConfig
from schemathesis.python.asgi import shutdown_lifespans
from starlette.types import ASGIApp, Receive, Scope, Send

from diary import SYSTEM, Database, Keys
from diary.team import add_site
from diary.tokens import make_token
from tests.cast import T0, Stage
from tests.conftest import KEY
from tests.web.machines import NOW, lived
from web.api_document import document_of
from web.api_rows import OPERATIONS
from web.app import web_app

DOCUMENT = "/api/v1/openapi.json"
# To the document a cursor is any text, and a code may be nobody's.
ACCEPTED = ["2xx", "400", "404"]
ANSWERED = 15
CODE, NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", r"[a-z][a-z0-9-]{0,31}"
KNOWN = {
    "site": (CODE, ("main", "MAIN")),
    "patient": (CODE, ("P-001", "p-002", "P-003")),
    "item": (NAME, ("pain", "infusion", "capsule")),
    "phase": (NAME, ("iv", "oral")),
}


@dataclass
class Running:
    """The pages on a diary that is opened in the event loop which schemathesis runs them in."""

    path: Path = Path()
    token: str = ""
    pages: ASGIApp | None = None
    moments: Iterator[int] = field(default_factory=count)
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            assert self.pages is not None
            await self.pages(scope, receive, send)
            return
        await receive()
        db = Database(f"sqlite:///{self.path}", Keys([KEY]))
        await db.open()
        # So many questions in no time would be too many; here each is asked a second after the other.
        self.pages = web_app(db, lambda: NOW, sessions=lambda: NOW + timedelta(seconds=next(self.moments)))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await db.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def fill(self) -> None:
        db = Database(f"sqlite:///{self.path}", Keys([KEY]))
        await db.open()
        stage = Stage(db)
        await stage.set_up()
        await add_site(db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
        await lived(stage)
        self.token = (
            await make_token(db, code="nour", name="statistics server", days=90, actor=SYSTEM, now=NOW)
        ).token
        await db.close()


RUNNING = Running()
DESCRIBED = schemathesis.openapi.from_dict(
    document_of(OPERATIONS),
    config=SchemathesisConfig.from_dict(
        {
            "generation": {"deterministic": True, "with-security-parameters": False},
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        }
    ),
)
DESCRIBED.app = RUNNING


@DESCRIBED.hook
def map_query(_context, query):
    """What is thought of and could be meant, mostly as this trial has it; what could not be stays as it is."""
    query = dict(query or {})
    for name, (pattern, there) in KNOWN.items():
        written = str(query.get(name, ""))
        if re.fullmatch(pattern, written) and len(written) % 8:
            query[name] = there[len(written) % len(there)]
    if re.fullmatch(r"[A-Za-z0-9_-]{1,400}", cursor := str(query.get("cursor", ""))) and len(cursor) % 8:
        del query["cursor"]
    if is_to_come(str(query.get("as_of", ""))):
        query["as_of"] = "2026-11-26T08:00:00Z"
    return query


def is_to_come(written):
    """Whether this is an instant after the present of the trial; the document cannot say that there is none."""
    try:
        return datetime.fromisoformat(written) > NOW
    except (TypeError, ValueError):
        return False


@pytest.fixture(scope="module", autouse=True)
def running(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    RUNNING.path = tmp_path_factory.mktemp("api") / "daybook.db"
    shutil.copy(template, RUNNING.path)
    asyncio.run(RUNNING.fill())
    yield
    shutdown_lifespans()
    # Each was answered too, and not only turned away at the door.
    for path in {path for path, _ in RUNNING.answered}:
        assert RUNNING.answered[path, 200] >= ANSWERED


@DESCRIBED.parametrize()
@settings(max_examples=70, suppress_health_check=list(HealthCheck))
def test_the_api_is_what_its_document_says(case):
    answer = case.call_and_validate(headers={"Authorization": f"Bearer {RUNNING.token}"})
    RUNNING.answered[case.operation.path, int(answer.status_code)] += 1


async def test_the_document_that_is_served_is_the_one_that_was_held_to(desk):
    served = (await desk.browser().get(DOCUMENT)).json()
    assert served == document_of(OPERATIONS)
    assert served["openapi"].startswith("3.1")
    for schema in served["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_a_field_that_is_never_empty_says_so():
    rows = {name: schema["properties"] for name, schema in document_of(OPERATIONS)["components"]["schemas"].items()}
    assert rows["EntriesRow"]["subject"]["type"] == "string"
    assert rows["EntriesRow"]["score"]["type"] == ["integer", "null"]
    assert rows["EntriesRow"]["holds"]["enum"] == ["yes", "no"]
    assert rows["SlotsRow"]["answer"]["enum"] == ["score", "taken", "not-taken", None]
    assert rows["PatientsRow"]["joined_local"]["type"] == ["string", "null"]
    assert "change_reason" not in rows["EntriesRow"]
