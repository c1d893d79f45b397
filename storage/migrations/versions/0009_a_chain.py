"""The audit trail as a chain: each line bound to the one before and to the row it came with."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.chain import BEFORE_ALL, digest_of, line_content, link, row_content

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_AT_ONCE = 2_000
# The tables whose rows came with a line each, and never lose it to a later one.
_OWN_LINE = ("entries", "visits")
_STAYS = "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit only grows'); END"
_LINES = sa.text("SELECT * FROM audit WHERE id > :after ORDER BY id LIMIT :limit")
_BIND = sa.text(
    "UPDATE audit SET row_of = :row_of, row_id = :row_id, row_sha256 = :row_sha256, sha256 = :sha256 WHERE id = :id"
)
_KEPT_BY = sa.text(
    "SELECT * FROM notes WHERE recorded_at = :at AND patient_id = :patient_id AND audit_id >= :id ORDER BY id"
)


def upgrade() -> None:
    op.execute("DROP TRIGGER audit_no_update")
    op.add_column("audit", sa.Column("row_of", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("row_id", sa.Integer(), nullable=True))
    op.add_column("audit", sa.Column("row_sha256", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("sha256", sa.Text(), server_default=sa.text("''"), nullable=False))
    for table in (*_OWN_LINE, "notes"):
        op.execute(f"CREATE INDEX {table}_while_chained ON {table} (audit_id)")
    op.execute("CREATE INDEX notes_kept_while_chained ON notes (recorded_at, patient_id)")
    _chain(op.get_bind())
    for name in (*(f"{table}_while_chained" for table in (*_OWN_LINE, "notes")), "notes_kept_while_chained"):
        op.execute(f"DROP INDEX {name}")
    op.execute(_STAYS)


def _chain(connection: sa.Connection) -> None:
    before, after, kept_notes = BEFORE_ALL, -(2**63), set[int]()
    while lines := connection.execute(_LINES, {"after": after, "limit": _AT_ONCE}).mappings().all():
        bound = []
        for line in lines:
            told = _told(connection, line, kept_notes)
            before = link(before, line["id"], digest_of(line_content({**line, **told})))
            bound.append(
                {"row_of": None, "row_id": None, "row_sha256": None, **told, "id": line["id"], "sha256": before}
            )
        connection.execute(_BIND, bound)
        after = lines[-1]["id"]


def _told(connection: sa.Connection, line: Any, kept_notes: set[int]) -> dict[str, Any]:
    """What the line says of the row that came with it."""
    for table in _OWN_LINE:
        for row in _rows(connection, f"SELECT * FROM {table} WHERE audit_id = :id", line):  # noqa: S608 - ours
            return _of(table, row, line["id"])
    if line["verb"] == "pass note on":
        for row in _rows(connection, "SELECT * FROM notes WHERE audit_id = :id", line):
            return _of("notes", row, line["id"])
    if line["verb"] == "keep note":
        # Of a note that was passed on later only the time and the patient say which line kept it.
        for row in connection.execute(_KEPT_BY, dict(line)).mappings():
            if row["id"] not in kept_notes:
                kept_notes.add(row["id"])
                return _of("notes", row, line["id"])
    return {}


def _rows(connection: sa.Connection, query: str, line: Any) -> Any:
    return connection.execute(sa.text(query), {"id": line["id"]}).mappings()


def _of(table: str, row: Any, line: int) -> dict[str, Any]:
    return {"row_of": table, "row_id": row["id"], "row_sha256": digest_of(row_content(table, row, line=line))}
