"""What staff do on their pages."""

import sqlalchemy as sa
from alembic import op

from protocol.errors import SchemaError
from storage.columns import Instant, Json, LocalDate

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _refuse_codes_that_differ_by_case()
    op.create_table(
        "key_check",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("key_check_pk")),
        sqlite_strict=True,
    )

    op.add_column("notes", sa.Column("passed_on_as", sa.Text(), nullable=True))
    # What the alert said that took it to the team.
    op.execute(
        "UPDATE notes SET passed_on_as = (SELECT rule FROM alerts WHERE alerts.patient_id = notes.patient_id "
        "AND rule IN ('note', 'side-effect') AND alerts.key = 'note:' || notes.id) WHERE passed_on_at IS NOT NULL"
    )

    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("sessions_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("sessions_pk")),
        sa.UniqueConstraint("token_hash", name=op.f("sessions_token_hash_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("sessions_staff_id_ix"), ["staff_id"], unique=False)

    op.create_table(
        "sign_in_links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("sign_in_links_audit_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("sign_in_links_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("sign_in_links_pk")),
        sa.UniqueConstraint("browser_hash", name=op.f("sign_in_links_browser_hash_uq")),
        sa.UniqueConstraint("token_hash", name=op.f("sign_in_links_token_hash_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("sign_in_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("sign_in_links_staff_id_ix"), ["staff_id"], unique=False)

    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("comments_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("comments_patient_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("comments_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("comments_pk")),
        sa.UniqueConstraint("form", name=op.f("comments_form_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("comments_patient_id_recorded_at_ix"), ["patient_id", "recorded_at"], unique=False
        )

    op.create_table(
        "visits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("protocol_id", sa.Integer(), nullable=False),
        sa.Column("visit", sa.Text(), nullable=False),
        sa.Column("held_on", LocalDate(), nullable=False),
        sa.Column("measured", Json(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("supersedes", sa.Integer(), nullable=True),
        sa.Column("change_reason", sa.Text(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(supersedes IS NULL) = (change_reason IS NULL)", name=op.f("visits_changed_with_reason_ck")
        ),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("visits_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("visits_patient_id_fk")),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocols.id"], name=op.f("visits_protocol_id_fk")),
        sa.ForeignKeyConstraint(["supersedes"], ["visits.id"], name=op.f("visits_supersedes_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("visits_pk")),
        sa.UniqueConstraint("supersedes", name=op.f("visits_supersedes_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.create_index(
            "visits_first",
            ["patient_id", "visit"],
            unique=True,
            sqlite_where=sa.text("supersedes IS NULL"),
            postgresql_where=sa.text("supersedes IS NULL"),
        )
        batch_op.create_index(batch_op.f("visits_patient_id_visit_ix"), ["patient_id", "visit"], unique=False)

    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reminded_at", Instant(), nullable=True))
        batch_op.create_index(
            "alerts_open",
            ["patient_id"],
            unique=False,
            sqlite_where=sa.text("done_at IS NULL"),
            postgresql_where=sa.text("done_at IS NULL"),
        )

    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("audit_verb_id_ix"), ["verb", "id"], unique=False)
        batch_op.create_index(
            "audit_of_staff",
            ["actor_id", "id"],
            unique=False,
            sqlite_where=sa.text("actor = 'staff'"),
            postgresql_where=sa.text("actor = 'staff'"),
        )

    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.create_index(
            "entries_said",
            ["patient_id", "received_at"],
            unique=False,
            sqlite_where=sa.text("source IN ('button', 'text')"),
            postgresql_where=sa.text("source IN ('button', 'text')"),
        )

    with op.batch_alter_table("patients", schema=None) as batch_op:
        batch_op.add_column(sa.Column("use_stopped_at", Instant(), nullable=True))

    with op.batch_alter_table("staff", schema=None) as batch_op:
        batch_op.add_column(sa.Column("passphrase", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("wrong_tries", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("locked_until", Instant(), nullable=True))

    for table in ("visits", "comments"):
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
            )

    # Last, because a batch cannot see an index of an expression and warns of it.
    for table in ("patients", "sites", "staff"):
        op.create_index(f"{table}_code_in_any_case", table, [sa.text("lower(code)")], unique=True)


def _refuse_codes_that_differ_by_case() -> None:
    """Which of two is meant nobody but the site can say, so neither is renamed here."""
    for table in ("patients", "sites", "staff"):
        found = op.get_bind().execute(
            sa.text(f"SELECT min(code), max(code) FROM {table} GROUP BY lower(code) HAVING count(*) > 1")  # noqa: S608
        )
        if (twins := found.first()) is not None:
            raise SchemaError(
                f"{twins[0]} and {twins[1]} of the table {table} differ only by case, which is no longer allowed; "
                "rename one of them there, then run `daybook migrate` again."
            )
