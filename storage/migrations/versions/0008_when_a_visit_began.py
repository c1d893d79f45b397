"""When a visit began, so that answers given just before it can be told from the others."""

import sqlalchemy as sa
from alembic import op

from storage.columns import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("visits", sa.Column("began_at", Instant(), nullable=True))
