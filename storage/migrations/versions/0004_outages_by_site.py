"""How many open questions an outage touched at each site: one site is not told how large another is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outage_sites",
        sa.Column("outage_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("slots_touched", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["outage_id"], ["outages.id"], name=op.f("outage_sites_outage_id_fk")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("outage_sites_site_id_fk")),
        sa.PrimaryKeyConstraint("outage_id", "site_id", name=op.f("outage_sites_pk")),
        sqlite_strict=True,
    )
    # Of several sites nobody can say any more which questions were whose; a single one had them all.
    op.execute(
        "INSERT INTO outage_sites SELECT outages.id, sites.id, slots_touched FROM outages, sites "
        "WHERE (SELECT count(*) FROM sites) = 1 AND slots_touched > 0"
    )
