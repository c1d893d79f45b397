"""The weeks of each patient's ratings, counted with the tallies; all are tallied anew."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rated_weeks",
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("week", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("rated", sa.Integer(), nullable=False),
        sa.Column("total", sa.Double().with_variant(sa.REAL(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("rated_weeks_patient_id_fk")),
        sa.PrimaryKeyConstraint("item", "week", "patient_id", name=op.f("rated_weeks_pk")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("rated_weeks_patient_id_ix"), "rated_weeks", ["patient_id"], unique=False)
    with op.batch_alter_table("tallied") as batch_op:
        batch_op.add_column(sa.Column("live_week", sa.Integer(), nullable=True))
    # What was tallied knows no ratings; figures are counted slot by slot until the service has tallied again.
    op.execute("DELETE FROM tallied")
