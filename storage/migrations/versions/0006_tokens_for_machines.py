"""Tokens with which other programs read what a member of the team may read."""

import sqlalchemy as sa
from alembic import op

from storage.columns import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("api_tokens_audit_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("api_tokens_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("api_tokens_pk")),
        sa.UniqueConstraint("token_hash", name=op.f("api_tokens_token_hash_uq")),
        sqlite_strict=True,
    )
    op.create_index(op.f("api_tokens_staff_id_ix"), "api_tokens", ["staff_id"], unique=False)
