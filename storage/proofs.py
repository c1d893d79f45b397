"""What a database made out of a backup must show before the backup is called one."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from protocol.errors import NotProvenError
from storage.key_check import fit
from storage.sealing import ID_BYTES, Keys

# Pages of SQLite's work between two looks at whether to go on.
_OPERATIONS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Contents:
    """What was in the database at the moment of the copy: its form, and how many rows each table had."""

    copied_at: str
    revision: str
    rows: Mapping[str, int]

    @property
    def rows_total(self) -> int:
        """The rows of all tables."""
        return sum(self.rows.values())

    def written(self) -> bytes:
        """As it stands at the beginning of a backup."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, text: bytes) -> Self:
        """As it was written."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            raise NotProvenError("it does not say what is in it") from None


def contents_of(raw: sqlite3.Connection, copied_at: str) -> Contents:
    """Count a database."""
    return Contents(copied_at, _revision(raw), _rows(raw))


def prove(database: Path, said: Contents, keys: Keys, go_on: Callable[[], None]) -> None:
    """Hold a restored database to what was said of it; NotProvenError names what is wrong."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as raw:
        raw.set_progress_handler(lambda: _stops(go_on), _OPERATIONS)
        try:
            for holds in PROOFS:
                holds(raw, said, keys)
        except sqlite3.DatabaseError as error:
            go_on()  # where the work was broken off, that is what is to be said
            raise NotProvenError(f"SQLite cannot read what was restored ({error})") from None


def _stops(go_on: Callable[[], None]) -> int:
    try:
        go_on()
    except Exception:  # noqa: BLE001 - SQLite takes an answer here, and no exception
        return 1
    return 0


def _whole(raw: sqlite3.Connection, _said: Contents, _keys: Keys) -> None:
    if raw.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
        raise NotProvenError("SQLite's integrity check found damage")


def _points_at_what_is_there(raw: sqlite3.Connection, _said: Contents, _keys: Keys) -> None:
    if raw.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise NotProvenError("a row points at one that is not there")


def _of_that_form(raw: sqlite3.Connection, said: Contents, _keys: Keys) -> None:
    if _revision(raw) != said.revision:
        raise NotProvenError(f"its form is not the {said.revision} that was copied")


def _as_many_rows(raw: sqlite3.Connection, said: Contents, _keys: Keys) -> None:
    if (found := _rows(raw)) != said.rows:
        differ = sorted(name for name in found.keys() | said.rows.keys() if found.get(name) != said.rows.get(name))
        raise NotProvenError(f"the rows of {', '.join(differ)} are not as many as were copied")


def _opened_by_these_keys(raw: sqlite3.Connection, _said: Contents, keys: Keys) -> None:
    value = raw.execute("SELECT sealed FROM key_check").fetchone()
    ids = raw.execute("SELECT DISTINCT substr(sealed, 1, ?) FROM contacts", (ID_BYTES,)).fetchall()
    if not fit(keys, value[0] if value else None, [key_id for (key_id,) in ids]):
        raise NotProvenError("DAYBOOK_SECRET_KEY does not open the contacts in it")


# In this order. Whatever else a diary must show, such as an unbroken chain of its trail, is one more of these.
PROOFS: Final = (_whole, _points_at_what_is_there, _of_that_form, _as_many_rows, _opened_by_these_keys)


def _revision(raw: sqlite3.Connection) -> str:
    return str(raw.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def _rows(raw: sqlite3.Connection) -> dict[str, int]:
    named = raw.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    )
    names = sorted(name for (name,) in named)
    return {name: raw.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
