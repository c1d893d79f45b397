"""Only weeks of ratings that are over are counted, and who is tallied next is known; all are tallied anew."""

import sqlalchemy as sa
from alembic import op

from storage.columns import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was tallied knows weeks that were not over; figures are counted slot by slot until it is tallied again.
    op.execute("DELETE FROM tallied")
    op.execute("DELETE FROM tallies")
    op.execute("DELETE FROM rated_weeks")
    op.drop_column("tallied", "live_week")
    op.add_column("tallied", sa.Column("next_close_at", Instant(), nullable=True))
    op.add_column("tallied", sa.Column("week_over_at", Instant(), nullable=True))
    op.add_column("tallied", sa.Column("weeks_from", Instant(), nullable=True))
