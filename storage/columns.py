"""Column types that SQLite's STRICT tables and PostgreSQL both take, and that give back aware, typed values."""

import json
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any

from sqlalchemy import Date, DateTime, Dialect, Text, Time
from sqlalchemy.types import TypeDecorator, TypeEngine

_ZONE_AT = len("2026-11-25T08:00:00.000000")


@lru_cache(maxsize=64)
def _as_text(in_utc: datetime) -> str:
    """An instant as SQLite keeps it; the moment that it is now is written again and again.

    In UTC alone: in other zones the two instants of an hour that comes twice are equal to Python.
    """
    return f"{in_utc.isoformat(timespec='microseconds')[:_ZONE_AT]}Z"


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant; on SQLite a text of fixed width, so that it sorts as it reads."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use the database's own type where it keeps the zone."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive time: it would be taken for UTC and be wrong by hours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        at = value if value.tzinfo is UTC else value.astimezone(UTC)
        return _as_text(at) if dialect.name == "sqlite" else at

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the instant back with its zone."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if dialect.name == "sqlite" else value.astimezone(UTC)


class LocalDate(TypeDecorator[date]):
    """A calendar date where the patient is."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use the database's own type where there is one."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """Write it as ISO 8601."""
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        """Read it from ISO 8601."""
        return date.fromisoformat(value) if value is not None and dialect.name == "sqlite" else value


class WallTime(TypeDecorator[time]):
    """A time of day on the patient's wall."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use the database's own type where there is one."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Time())

    def process_bind_param(self, value: time | None, dialect: Dialect) -> Any:
        """Write it as HH:MM."""
        return value.strftime("%H:%M") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> time | None:
        """Read it from HH:MM."""
        return time.fromisoformat(value) if value is not None and dialect.name == "sqlite" else value


class Json(TypeDecorator[Any]):
    """A small JSON document kept as canonical text, so that equal documents are equal bytes."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write it with sorted keys."""
        return (
            None if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        )

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Read it back."""
        return None if value is None else json.loads(value)
