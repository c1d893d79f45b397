r"""The audit trail as a chain of SHA-256: what exactly is hashed, so that it can be checked in any language.

A row's content is a JSON object of its columns as SQLite keeps them: whole numbers and texts, an instant as in
`2026-11-25T08:00:00.000000Z`, a date as in `2026-11-25`, a JSON document as the text it is kept as. Columns that
are NULL are left out, the others stand in the order of their names, without any blanks. Of characters only `"`,
`\` and those below U+0020 are escaped, these as `\b \t \n \f \r` or else as `\u` and four small hexadecimal
digits; all of it is UTF-8.

A line's number is its id: 1, 2, 3 and so on without a gap. Its content is that of its row in `audit` but for `id`
and `sha256`. Its `sha256`, in small hexadecimal digits as every digest here, is SHA-256 of the ASCII text

    {sha256 of the line before; of line 1, sixty-four zeros}\n{number}\n{SHA-256 of the line's content}

A line that came with a row of `entries`, `notes` or `visits` names it in `row_of` and `row_id`, and `row_sha256`
is SHA-256 of that row's content as the line left it, but without `arrival`, which names the message it came in.
Such rows stay as they are, except that an unread note may be passed on, once, by a later line. The line that kept
it still tells of the note as it was: `audit_id` is that line's own number, and there is neither `passed_on_at` nor
`passed_on_as`.

The content of no line and no row may ever be written in another way; a new column is NULL in rows that are there.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, Table, Text, and_, bindparam, func, select, type_coerce
from sqlalchemy.types import TypeDecorator

from storage import tables
from storage.database import Connection

BEFORE_ALL: Final = "0" * 64
COVERED: Final[Mapping[str, Table]] = {table.name: table for table in (tables.entries, tables.notes, tables.visits)}
"""The tables whose rows the chain covers beside its own lines."""
LINES_AT_ONCE: Final = 2_000
_BEFORE_ALL_IDS: Final = -(2**63)
_NOT_COVERED: Final = "arrival"
_written: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_PASSED_ON: Final = {"passed_on_at": None, "passed_on_as": None}


def content_of(kept: Mapping[str, Any]) -> str:
    """A row's content, from its columns as SQLite keeps them."""
    return _written({name: value for name, value in kept.items() if value is not None})


def digest_of(content: str) -> str:
    """SHA-256 of a content."""
    return hashlib.sha256(content.encode()).hexdigest()


def link(before: str, number: int, content_sha256: str) -> str:
    """A line's `sha256`."""
    return hashlib.sha256(f"{before}\n{number}\n{content_sha256}".encode()).hexdigest()


def line_content(kept: Mapping[str, Any]) -> str:
    """A line's content, from its columns as SQLite keeps them."""
    return content_of({name: value for name, value in kept.items() if name not in ("id", "sha256")})


def row_content(table: str, kept: Mapping[str, Any], *, line: int) -> str:
    """A row's content as this line left it."""
    left = {name: value for name, value in kept.items() if name != _NOT_COVERED}
    if table == tables.notes.name and kept["audit_id"] != line:
        left |= {**_PASSED_ON, "audit_id": line}
    return content_of(left)


def as_kept(table: Table, values: Mapping[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Values of a table's columns as SQLite keeps them."""
    kept = {**values}
    for name, write in _to_write(table):
        if kept.get(name) is not None:
            kept[name] = write(kept[name], dialect)
    return kept


@cache
def _to_write(table: Table) -> list[tuple[str, Any]]:
    """The columns whose values are kept in another form, each with what writes it."""
    return [(c.name, c.type.process_bind_param) for c in table.c if isinstance(c.type, TypeDecorator)]


def columns_as_kept(table: Table) -> list[ColumnElement[Any]]:
    """All columns of a table, read as SQLite keeps them."""
    return [
        type_coerce(column, Text).label(column.name) if isinstance(column.type, TypeDecorator) else column
        for column in table.c
    ]


@dataclass(frozen=True, slots=True)
class ChainLine:
    """A line as it is now, and the content of the row it names as that is now: None where there is none."""

    number: int
    sha256: str
    content_sha256: str
    content: str = ""
    patient_id: int | None = None
    row_of: str | None = None
    row_id: int | None = None
    row_sha256: str | None = None
    row: str | None = None


_a = tables.audit
_LINES = (
    select(*columns_as_kept(_a)).where(_a.c.id > bindparam("after")).order_by(_a.c.id).limit(bindparam("limit"))
)
_ROWS = {
    name: select(*columns_as_kept(table)).where(table.c.id.in_(bindparam("ids", expanding=True)))
    for name, table in COVERED.items()
}


async def chain_lines(conn: Connection, *, after: int | None) -> list[ChainLine]:
    """The lines after one (None: from the first on), by number, as many as are worked on at once."""
    asked = {"after": _BEFORE_ALL_IDS if after is None else after, "limit": LINES_AT_ONCE}
    lines = [dict(row) for row in (await conn.execute(_LINES, asked)).mappings()]
    wanted = defaultdict(list)
    for line in lines:
        wanted[line["row_of"]].append(line["row_id"])
    rows = {
        (table, row["id"]): dict(row)
        for table, ids in wanted.items()
        if table in _ROWS
        for row in (await conn.execute(_ROWS[table], {"ids": ids})).mappings()
    }
    return [_line(line, rows.get((line["row_of"], line["row_id"]))) for line in lines]


def _line(kept: Mapping[str, Any], row: Mapping[str, Any] | None) -> ChainLine:
    number, content = kept["id"], line_content(kept)
    return ChainLine(
        number,
        kept["sha256"],
        digest_of(content),
        content,
        kept["patient_id"],
        kept["row_of"],
        kept["row_id"],
        kept["row_sha256"],
        None if row is None else row_content(kept["row_of"], row, line=number),
    )


async def chain(conn: Connection) -> AsyncIterator[Sequence[ChainLine]]:
    """Every line in one view, some at a time."""
    after = None
    while lines := await chain_lines(conn, after=after):
        yield lines
        after = lines[-1].number


@dataclass(frozen=True, slots=True)
class Untold:
    """A row of which the line that it names does not tell."""

    table: str
    id: int


_TOLD = {
    name: select(table.c.id, _a.c.id.label("line"))
    .outerjoin(_a, and_(_a.c.id == table.c.audit_id, _a.c.row_of == name, _a.c.row_id == table.c.id))
    .where(table.c.id > bindparam("after"))
    .order_by(table.c.id)
    .limit(bindparam("limit"))
    for name, table in COVERED.items()
}


async def untold_after(conn: Connection, table: str, *, after: int | None) -> tuple[int | None, Untold | None]:
    """The last of some rows after one (None: there are no more), and the first of them that is untold."""
    asked = {"after": _BEFORE_ALL_IDS if after is None else after, "limit": LINES_AT_ONCE}
    rows = (await conn.execute(_TOLD[table], asked)).all()
    untold = next((Untold(table, row.id) for row in rows if row.line is None), None)
    return (rows[-1].id if rows else None), untold


_ends = _a.alias("ends")
HEAD: Final = select(_a.c.id, _a.c.sha256).where(_a.c.id == select(func.max(_ends.c.id)).scalar_subquery())


async def head(conn: Connection) -> tuple[int, str]:
    """The number of lines and the `sha256` of the last."""
    last = (await conn.execute(HEAD)).one_or_none()
    return (last.id, last.sha256) if last else (0, BEFORE_ALL)
