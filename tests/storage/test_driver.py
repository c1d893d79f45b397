import asyncio
import sqlite3

import pytest

from storage.driver import connect


@pytest.fixture
async def numbers(tmp_path):
    """A connection to a table of the numbers from 1 to 2,000."""
    connection = await connect(str(tmp_path / "numbers.db"), isolation_level=None)
    await connection.executescript(
        "CREATE TABLE numbers (n INTEGER PRIMARY KEY);"
        "WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 2000)"
        " INSERT INTO numbers SELECT n FROM up;"
    )
    yield connection
    await connection.close()


@pytest.fixture
def trips(numbers, monkeypatch):
    """What the connection's thread was asked to do."""
    made = []
    thread = numbers._execute

    async def counted(work, *arguments):
        made.append(work)
        return await thread(work, *arguments)

    monkeypatch.setattr(numbers, "_execute", counted)
    return made


async def asked(connection, statement, parameters=()):
    cursor = connection.cursor()
    await cursor.execute(statement, parameters)
    rows = await cursor.fetchall()
    await cursor.close()
    return [n for (n,) in rows]


async def test_a_question_with_its_transaction_is_one_trip_and_its_end_another(numbers, trips):
    numbers.begin("BEGIN")
    assert await asked(numbers, "SELECT n FROM numbers WHERE n <= ?", (3,)) == [1, 2, 3]
    assert len(trips) == 1
    assert numbers.in_transaction
    await numbers.rollback()
    assert len(trips) == 2
    assert not numbers.in_transaction


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_transaction_without_a_statement_never_begins(numbers, trips, end):
    numbers.begin("BEGIN IMMEDIATE")
    await getattr(numbers, end)()
    assert trips == []
    assert await asked(numbers, "SELECT max(n) FROM numbers") == [2000]
    assert not numbers.in_transaction


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 2000])
async def test_a_long_answer_is_as_whole_as_a_short_one(numbers, count):
    assert await asked(numbers, "SELECT n FROM numbers WHERE n <= ? ORDER BY n", (count,)) == list(
        range(1, count + 1)
    )


@pytest.mark.parametrize("size", [1, 7, 499, 500, 501, 5000])
async def test_an_answer_taken_piece_by_piece_is_whole_and_in_order(numbers, size):
    cursor, found = numbers.cursor(), []
    await cursor.execute("SELECT n FROM numbers ORDER BY n")
    while piece := await cursor.fetchmany(size):
        assert len(piece) <= size
        found += [n for (n,) in piece]
    await cursor.close()
    assert found == list(range(1, 2001))


async def test_an_answer_that_nobody_reads_to_its_end_is_let_go(numbers):
    cursor = numbers.cursor()
    numbers.begin("BEGIN")
    await cursor.execute("SELECT n FROM numbers")
    assert len(await cursor.fetchmany(10)) == 10
    await cursor.close()
    assert await cursor.fetchall() == []
    await numbers.rollback()
    assert not numbers.in_transaction


async def test_what_a_statement_changed_is_counted_also_where_it_gives_rows_back(numbers):
    cursor = numbers.cursor()
    await cursor.execute("UPDATE numbers SET n = -n WHERE n > 1990 RETURNING n")
    assert (cursor.rowcount, len(await cursor.fetchall())) == (10, 10)
    await cursor.execute("DELETE FROM numbers WHERE n < 0")
    assert (cursor.rowcount, cursor.description) == (10, None)
    await cursor.executemany("INSERT INTO numbers VALUES (?)", [(3000,), (3001,)])
    assert cursor.rowcount == 2


async def test_a_statement_that_fails_leaves_a_transaction_that_can_be_undone(numbers):
    numbers.begin("BEGIN IMMEDIATE")
    await asked(numbers, "DELETE FROM numbers WHERE n = 1")
    with pytest.raises(sqlite3.IntegrityError):
        await asked(numbers, "INSERT INTO numbers VALUES (2)")
    await numbers.rollback()
    assert await asked(numbers, "SELECT count(*) FROM numbers") == [2000]


async def test_a_caller_who_leaves_in_the_middle_leaves_no_transaction_behind(numbers):
    numbers.begin("BEGIN IMMEDIATE")
    leaving = asyncio.create_task(asked(numbers, "DELETE FROM numbers"))
    await asyncio.sleep(0)  # handed to the thread, and not answered
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await numbers.rollback()
    assert not numbers.in_transaction
    assert await asked(numbers, "SELECT count(*) FROM numbers") == [2000]


async def test_a_lock_held_elsewhere_is_waited_for_by_the_first_statement_and_not_by_the_loop(numbers, tmp_path):
    other = sqlite3.connect(tmp_path / "numbers.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    numbers.begin("BEGIN IMMEDIATE")
    writing = asyncio.create_task(asked(numbers, "DELETE FROM numbers WHERE n = 1"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not writing.done()
    other.execute("ROLLBACK")
    other.close()
    await writing
    await numbers.commit()
    assert await asked(numbers, "SELECT count(*) FROM numbers") == [1999]
