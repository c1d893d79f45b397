"""What has run its course, counted, and the triggers that take a count away when it is no longer true."""

import sqlalchemy as sa
from alembic import op

from storage.columns import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What a slot counts as, and what became of it.
_PLAN = "patient_id, phase, item, kind, local_date, opens_at, due_at, on_time_until, closes_at"
_FACTS = "answered_by, answered_as, excused_because, cancelled_because"


def upgrade() -> None:
    op.create_table(
        "tallied",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("live_from", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("tallied_patient_id_fk")),
        sa.PrimaryKeyConstraint("patient_id", name=op.f("tallied_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "tallies",
        sa.Column("grouped_by", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("first_due_at", Instant(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("on_time", "late", "missed", "excused", "doses", "taken", "not_taken")
        ),
        sa.CheckConstraint("grouped_by IN ('phase', 'item', 'week')", name=op.f("tallies_grouped_by_ck")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("tallies_patient_id_fk")),
        sa.PrimaryKeyConstraint("grouped_by", "key", "patient_id", name=op.f("tallies_pk")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("tallies_patient_id_ix"), "tallies", ["patient_id"], unique=False)
    # A first answer within its window changes nothing that was tallied, so a reply costs one look at `tallied`.
    settled = "WHEN OLD.closes_at <= (SELECT until FROM tallied WHERE patient_id = OLD.patient_id)"
    _untally("slots_past", f"UPDATE OF {_FACTS} ON slots {settled}")
    _untally("slots_moved", f"UPDATE OF {_PLAN} ON slots")
    _untally("slots_planned", "INSERT ON slots", of="NEW")
    _untally("slots_dropped", "DELETE ON slots")
    _untally("phase_set", "INSERT ON patient_phases", of="NEW")
    _untally("phase_moved", "UPDATE ON patient_phases")
    _untally("phase_dropped", "DELETE ON patient_phases")


def _untally(name: str, change: str, *, of: str = "OLD") -> None:
    op.execute(
        f"CREATE TRIGGER {name}_untallies AFTER {change} "  # noqa: S608 - names of ours
        f"BEGIN DELETE FROM tallied WHERE patient_id = {of}.patient_id; END"
    )
