"""Statements written down once for SQLite, and from then on handed to it without asking SQLAlchemy again.

SQLAlchemy takes three times as long over most statements of a diary as SQLite does, and a simulation executes
half a million. The same SQL goes out with the same values, and rows come back as SQLAlchemy gives them; a
statement that is not that plain is left to SQLAlchemy.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from sqlalchemy import Delete, Dialect, Executable, Insert, Select, Update
from sqlalchemy.engine.result import IteratorResult, Result, SimpleResultMetaData

_Forms = dict[tuple[str, ...], "Prepared | None"]
# Where SQLAlchemy leaves room for as many values as a call brings.
_LIST = re.compile(r"__\[POSTCOMPILE_[^\]~]+\]")


@dataclass(frozen=True, slots=True)
class Changed:
    """What an insert, an update or a delete says of itself."""

    rowcount: int
    inserted_primary_key: tuple[int | None]


class _Place(NamedTuple):
    """A value's place in the SQL: what it is called, what stands there otherwise, and how it is written."""

    name: str
    otherwise: Any
    written: Callable[[Any], Any] | None
    is_list: bool


@dataclass(slots=True)
class Prepared:
    """One statement's SQL, cut where lists go, the places of its values, and how its rows are read."""

    parts: Sequence[str]
    places: Sequence[_Place]
    readers: Sequence[Any]  # one for each column, None where its value is as SQLite gives it
    rows: SimpleResultMetaData | None = None  # known when the first have come, with their names

    @classmethod
    def of(cls, statement: Executable, dialect: Dialect, names: Iterable[str]) -> Self | None:
        """Write a statement down for calls that bring these names; None where SQLAlchemy is needed for each."""
        if not isinstance(statement, Select | Insert | Update | Delete):
            return None
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
        if compiled.literal_execute_params:
            return None
        binds = [compiled.binds[name] for name in compiled.positiontup]
        return cls(
            _LIST.split(compiled.string),
            [
                _Place(b.key, b.value, b.type.dialect_impl(dialect).bind_processor(dialect), b.expanding)
                for b in binds
            ],
            [
                column.type.dialect_impl(dialect).result_processor(dialect, None)
                for column in statement.exported_columns
            ],
        )

    def execute(self, raw: sqlite3.Connection, given: Mapping[str, Any]) -> Result[Any] | Changed:
        """Execute it, and give its rows, or how many it changed."""
        values: list[Any] = []
        sql, *rest = self.parts
        parts = iter(rest)
        for name, otherwise, written, is_list in self.places:
            value = given.get(name, otherwise)
            if is_list:
                values += value if written is None else map(written, value)
                sql += ", ".join("?" * len(value)) + next(parts)
            else:
                values.append(value if written is None else written(value))
        cursor = raw.execute(sql, values)
        if not self.readers:
            return Changed(cursor.rowcount, (cursor.lastrowid,))
        if self.rows is None:
            self.rows = SimpleResultMetaData([column[0] for column in cursor.description], _processors=self.readers)
        return IteratorResult(self.rows, iter(cursor.fetchall()))


class Statements:
    """The statements that came more than once, each for as long as somebody holds it."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._forms: WeakKeyDictionary[Executable, _Forms] = WeakKeyDictionary()

    def prepared(self, statement: Executable, given: Mapping[str, Any]) -> Prepared | None:
        """The statement as it was written down for these names; None the first time, and where it is not plain."""
        forms = self._forms.get(statement)
        if forms is None:
            self._forms[statement] = {}
            return None
        names = tuple(given)
        if names not in forms:
            forms[names] = Prepared.of(statement, self._dialect, names)
        return forms[names]
