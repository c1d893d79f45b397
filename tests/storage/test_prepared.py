"""Prepared statements do what SQLAlchemy does, to the last value; half a year of them is held to it elsewhere."""

import sqlite3
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.sqlite import insert as insert_in_sqlite
from sqlalchemy.pool import StaticPool

from storage.columns import Instant, Json, LocalDate
from storage.prepared import Statements

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = date(2026, 11, 25)
_said = Table(
    "said",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("word", Text, unique=True),
    Column("at", Instant),
    Column("on", LocalDate),
    Column("details", Json),
)
_c = _said.c
_other = _said.alias("other")
WORDS = [
    {"word": "one", "at": NOON, "on": DAY, "details": {"score": 7}},
    {"word": "نعم", "at": None, "on": None, "details": []},
    {"word": "=three", "at": NOON.replace(microsecond=5), "on": DAY, "details": {}},
]
ASKED = {
    "typed columns": (select(_said).order_by(_c.id), {}),
    "a value of a type": (select(_c.word).where(_c.at == bindparam("when")), {"when": NOON}),
    "a value that always stands there": (select(_c.word).where(_c.at > NOON), {}),
    "a list": (select(_c.word).where(_c.at.in_(bindparam("times", expanding=True))), {"times": [NOON, NOON]}),
    "an empty list": (select(_c.word).where(_c.word.in_(bindparam("words", expanding=True))), {"words": []}),
    "not in an empty list": (
        select(_c.word).where(_c.word.not_in(bindparam("words", expanding=True))),
        {"words": []},
    ),
    "two lists and a value": (
        select(_c.word).where(_c.word.in_(["one", "two"]), _c.id == bindparam("id"), _c.id.in_([1, 2, 3])),
        {"id": 1},
    ),
    "columns of one name": (select(_c.id, _other.c.id).join(_other, _other.c.id == _c.id + 1), {}),
    "a label": (select(func.max(_c.at).label("newest"), func.count()), {}),
    "a limit": (select(_c.id).order_by(_c.id).limit(bindparam("most")), {"most": 2}),
}


@pytest.fixture
def raw():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def sqlalchemy(raw):
    with create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool).connect() as connection:
        _said.metadata.create_all(connection)
        connection.execute(insert(_said), WORDS)
        yield connection


def prepared(connection, statement, given) -> Any:
    """What comes of a statement the second time it is asked for."""
    statements = Statements(connection.dialect)
    assert statements.prepared(statement, given) is None
    return statements.prepared(statement, given)


@pytest.mark.parametrize("name", ASKED)
def test_rows_are_those_of_sqlalchemy(raw, sqlalchemy, name):
    statement, given = ASKED[name]
    rows = prepared(sqlalchemy, statement, given).execute(raw, given).all()
    told = sqlalchemy.execute(statement, given).all()
    assert rows == told
    assert [dict(row._mapping) for row in rows] == [dict(row._mapping) for row in told]
    assert [[type(value) for value in row] for row in rows] == [[type(value) for value in row] for row in told]


def test_an_insert_gives_its_key_and_writes_what_sqlalchemy_writes(raw, sqlalchemy):
    given = {"word": "four", "at": NOON, "on": DAY, "details": {"ü": [1, None]}}
    done = prepared(sqlalchemy, insert(_said), given).execute(raw, given)
    sqlalchemy.execute(insert(_said), {**given, "word": "five"})
    ours, theirs = raw.execute("SELECT * FROM said WHERE id > 3").fetchall()
    assert done.inserted_primary_key == (4,)
    assert ours[2:] == theirs[2:]


def test_other_names_are_another_insert(raw, sqlalchemy):
    statements, statement = Statements(sqlalchemy.dialect), insert(_said)
    statements.prepared(statement, {})
    for given in ({"word": "four", "at": NOON}, {"word": "five", "on": DAY}):
        statements.prepared(statement, given).execute(raw, given)
    rows = sqlalchemy.execute(select(_c.word, _c.at, _c.on).where(_c.id > 3).order_by(_c.id)).all()
    assert rows == [("four", NOON, None), ("five", None, DAY)]


def test_changes_are_counted(raw, sqlalchemy):
    change = update(_said).where(_c.at.is_not(None), _c.word.in_(bindparam("words", expanding=True)))
    given = {"words": ["one", "=three"], "on": None}
    assert prepared(sqlalchemy, change, given).execute(raw, given).rowcount == 2
    gone = delete(_said).where(_c.id == bindparam("which"))
    assert prepared(sqlalchemy, gone, {"which": 2}).execute(raw, {"which": 2}).rowcount == 1
    assert prepared(sqlalchemy, gone, {"which": 2}).execute(raw, {"which": 2}).rowcount == 0


def test_what_a_change_returns_comes_back_typed(raw, sqlalchemy):
    once = insert_in_sqlite(_said).on_conflict_do_nothing().returning(_c.id, _c.at)
    for word, came in (("four", [(4, NOON)]), ("four", [])):
        given = {"word": word, "at": NOON}
        assert prepared(sqlalchemy, once, given).execute(raw, given).all() == came


def test_a_naive_time_is_refused_as_ever(raw, sqlalchemy):
    statement, given = ASKED["a value of a type"]
    with pytest.raises(ValueError, match="time zone"):
        prepared(sqlalchemy, statement, given).execute(raw, {"when": datetime(2026, 11, 25)})  # noqa: DTZ001 - it is


def test_the_two_instants_of_an_hour_that_comes_twice_are_kept_apart(sqlalchemy):
    berlin = ZoneInfo("Europe/Berlin")
    twice = [datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1)]
    for number, at in enumerate(twice):
        sqlalchemy.execute(insert(_said), {"word": f"half past two, {number}", "at": at})
    kept = sqlalchemy.execute(select(_c.at).where(_c.word.startswith("half")).order_by(_c.id)).scalars().all()
    assert kept == [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]


def test_what_is_not_plain_is_left_to_sqlalchemy(sqlalchemy):
    assert prepared(sqlalchemy, sql("SELECT 1"), {}) is None
    literal = select(_c.id).where(_c.word == bindparam("word", literal_execute=True))
    assert prepared(sqlalchemy, literal, {"word": "one"}) is None


def test_a_statement_that_nobody_holds_is_forgotten(sqlalchemy):
    statements = Statements(sqlalchemy.dialect)
    for word in ("one", "two"):
        assert statements.prepared(select(_c.id).where(_c.word == word), {}) is None
