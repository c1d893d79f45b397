"""The first form of the database: ledger, inbox, send record, audit."""

import sqlalchemy as sa
from alembic import op

from storage import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Entries and the audit trail only grow: a correction is a new entry, and nobody edits the trail.
GROWING = ("entries", "audit", "consents")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", columns.Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=True),
        sa.Column("details", columns.Json(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("actor IN ('patient', 'staff', 'system')", name=op.f("audit_actor_ck")),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pk")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("audit_patient_id_ix"), ["patient_id"], unique=False)

    op.create_table(
        "bots",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("bots_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "heartbeats",
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("at", columns.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("heartbeats_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("update_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", columns.Instant(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("done_at", columns.Instant(), nullable=True),
        sa.Column("quarantined_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("inbox_pk")),
        sa.UniqueConstraint("bot_id", "update_id", "digest", name=op.f("inbox_bot_id_update_id_digest_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(
            "inbox_open",
            ["id"],
            unique=False,
            sqlite_where=sa.text("done_at IS NULL AND quarantined_because IS NULL"),
            postgresql_where=sa.text("done_at IS NULL AND quarantined_because IS NULL"),
        )

    op.create_table(
        "outages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("began_at", columns.Instant(), nullable=False),
        sa.Column("ended_at", columns.Instant(), nullable=False),
        sa.Column("slots_touched", sa.Integer(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('intake', 'service')", name=op.f("outages_kind_ck")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("outages_audit_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("outages_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "protocols",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("toml", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("protocols_audit_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("protocols_pk")),
        sa.UniqueConstraint("sha256", name=op.f("protocols_sha256_uq")),
        sqlite_strict=True,
    )
    op.create_table(
        "sites",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("sites_audit_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("sites_pk")),
        sa.UniqueConstraint("code", name=op.f("sites_code_uq")),
        sqlite_strict=True,
    )
    op.create_table(
        "staff",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("disabled_at", columns.Instant(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "role IN ('administrator', 'coordinator', 'investigator', 'monitor', 'statistician')",
            name=op.f("staff_role_ck"),
        ),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("staff_audit_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_pk")),
        sa.UniqueConstraint("code", name=op.f("staff_code_uq")),
        sqlite_strict=True,
    )
    op.create_table(
        "patients",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("protocol_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("added_at", columns.Instant(), nullable=False),
        sa.Column("joined_at", columns.Instant(), nullable=True),
        sa.Column("withdrawn_at", columns.Instant(), nullable=True),
        sa.Column("erased_at", columns.Instant(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('invited', 'active', 'paused', 'withdrawn')", name=op.f("patients_status_ck")
        ),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("patients_audit_id_fk")),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocols.id"], name=op.f("patients_protocol_id_fk")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("patients_site_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("patients_pk")),
        sa.UniqueConstraint("code", name=op.f("patients_code_uq")),
        sqlite_strict=True,
    )
    op.create_table(
        "staff_sites",
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("staff_sites_site_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("staff_sites_staff_id_fk")),
        sa.PrimaryKeyConstraint("staff_id", "site_id", name=op.f("staff_sites_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("details", columns.Json(), nullable=False),
        sa.Column("raised_at", columns.Instant(), nullable=False),
        sa.Column("seen_at", columns.Instant(), nullable=True),
        sa.Column("done_at", columns.Instant(), nullable=True),
        sa.Column("seen_by", sa.Integer(), nullable=True),
        sa.Column("done_by", sa.Integer(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("alerts_audit_id_fk")),
        sa.ForeignKeyConstraint(["done_by"], ["staff.id"], name=op.f("alerts_done_by_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("alerts_patient_id_fk")),
        sa.ForeignKeyConstraint(["seen_by"], ["staff.id"], name=op.f("alerts_seen_by_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("alerts_pk")),
        sa.UniqueConstraint("patient_id", "rule", "key", name=op.f("alerts_patient_id_rule_key_uq")),
        sqlite_strict=True,
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("protocol_id", sa.Integer(), nullable=False),
        sa.Column("decided_at", columns.Instant(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("decision IN ('agreed', 'not-now')", name=op.f("consents_decision_ck")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("consents_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("consents_patient_id_fk")),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocols.id"], name=op.f("consents_protocol_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("consents_pk")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("consents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("consents_patient_id_ix"), ["patient_id"], unique=False)

    op.create_table(
        "contacts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("bot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("chat_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("reachable", sa.Text(), nullable=False),
        sa.Column("awaiting", columns.Json(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("reachable IN ('yes', 'blocked', 'gone')", name=op.f("contacts_reachable_ck")),
        sa.CheckConstraint("(patient_id IS NULL) <> (staff_id IS NULL)", name=op.f("contacts_one_owner_ck")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("contacts_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("contacts_patient_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("contacts_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("contacts_pk")),
        sa.UniqueConstraint("bot_id", "chat_hash", name=op.f("contacts_bot_id_chat_hash_uq")),
        sa.UniqueConstraint("patient_id", name=op.f("contacts_patient_id_uq")),
        sa.UniqueConstraint("staff_id", name=op.f("contacts_staff_id_uq")),
        sqlite_strict=True,
    )
    op.create_table(
        "invites",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", columns.Instant(), nullable=False),
        sa.Column("used_at", columns.Instant(), nullable=True),
        sa.Column("revoked_at", columns.Instant(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("(patient_id IS NULL) <> (staff_id IS NULL)", name=op.f("invites_one_owner_ck")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("invites_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("invites_patient_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("invites_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("invites_pk")),
        sa.UniqueConstraint("code_hash", name=op.f("invites_code_hash_uq")),
        sa.UniqueConstraint("token_hash", name=op.f("invites_token_hash_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("invites", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("invites_patient_id_ix"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("invites_staff_id_ix"), ["staff_id"], unique=False)

    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("details", columns.Json(), nullable=False),
        sa.Column("next_try_at", columns.Instant(), nullable=True),
        sa.Column("expires_at", columns.Instant(), nullable=False),
        sa.Column("claimed_at", columns.Instant(), nullable=True),
        sa.Column("finished_at", columns.Instant(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('claimed', 'sent', 'refused', 'put back', 'unknown')", name=op.f("notices_outcome_ck")
        ),
        sa.CheckConstraint("(patient_id IS NULL) <> (staff_id IS NULL)", name=op.f("notices_one_receiver_ck")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("notices_patient_id_fk")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("notices_staff_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("notices_pk")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("notices", schema=None) as batch_op:
        batch_op.create_index("notices_once_patient", ["patient_id", "kind", "key"], unique=True)
        batch_op.create_index("notices_once_staff", ["staff_id", "kind", "key"], unique=True)
        batch_op.create_index(
            "notices_to_send",
            ["next_try_at"],
            unique=False,
            sqlite_where=sa.text("next_try_at IS NOT NULL"),
            postgresql_where=sa.text("next_try_at IS NOT NULL"),
        )

    op.create_table(
        "patient_phases",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("start", columns.LocalDate(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("patient_phases_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("patient_phases_patient_id_fk")),
        sa.PrimaryKeyConstraint("patient_id", "phase", name=op.f("patient_phases_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "patient_times",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("at", columns.WallTime(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("patient_times_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("patient_times_patient_id_fk")),
        sa.PrimaryKeyConstraint("patient_id", "item", name=op.f("patient_times_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "patient_zones",
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("since", columns.Instant(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("patient_zones_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("patient_zones_patient_id_fk")),
        sa.PrimaryKeyConstraint("patient_id", "since", name=op.f("patient_zones_pk")),
        sqlite_strict=True,
    )
    op.create_table(
        "slots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("protocol_id", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("local_date", columns.LocalDate(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("utc_offset_minutes", sa.Integer(), nullable=False),
        sa.Column("opens_at", columns.Instant(), nullable=False),
        sa.Column("due_at", columns.Instant(), nullable=False),
        sa.Column("on_time_until", columns.Instant(), nullable=False),
        sa.Column("closes_at", columns.Instant(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("next_nudge_at", columns.Instant(), nullable=True),
        sa.Column("nudges", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("prompted_at", columns.Instant(), nullable=True),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_as", sa.Text(), nullable=True),
        sa.Column("excused_because", sa.Text(), nullable=True),
        sa.Column("cancelled_because", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('dose', 'rating')", name=op.f("slots_kind_ck")),
        sa.CheckConstraint("(answered_by IS NULL) = (answered_as IS NULL)", name=op.f("slots_answered_ck")),
        sa.CheckConstraint(
            "next_nudge_at IS NULL OR (answered_by IS NULL AND excused_because IS NULL AND cancelled_because IS NULL)",
            name=op.f("slots_nudged_only_while_open_ck"),
        ),
        sa.CheckConstraint(
            "opens_at <= due_at AND due_at <= on_time_until AND on_time_until <= closes_at",
            name=op.f("slots_window_ck"),
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("slots_patient_id_fk")),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocols.id"], name=op.f("slots_protocol_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("slots_pk")),
        sa.UniqueConstraint(
            "patient_id", "item", "local_date", "n", name=op.f("slots_patient_id_item_local_date_n_uq")
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("slots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("slots_patient_id_due_at_ix"), ["patient_id", "due_at"], unique=False)
        batch_op.create_index(
            "slots_to_nudge",
            ["next_nudge_at"],
            unique=False,
            sqlite_where=sa.text("next_nudge_at IS NOT NULL"),
            postgresql_where=sa.text("next_nudge_at IS NOT NULL"),
        )

    op.create_table(
        "entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("arrival", sa.Text(), nullable=True),
        sa.Column("due_at", columns.Instant(), nullable=False),
        sa.Column("prompted_at", columns.Instant(), nullable=True),
        sa.Column("said_at", columns.Instant(), nullable=True),
        sa.Column("received_at", columns.Instant(), nullable=False),
        sa.Column("recorded_at", columns.Instant(), nullable=False),
        sa.Column("local_date", columns.LocalDate(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("utc_offset_minutes", sa.Integer(), nullable=False),
        sa.Column("supersedes", sa.Integer(), nullable=True),
        sa.Column("change_reason", sa.Text(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("(answer = 'score') = (score IS NOT NULL)", name=op.f("entries_score_given_ck")),
        sa.CheckConstraint("answer IN ('score', 'taken', 'not-taken')", name=op.f("entries_answer_ck")),
        sa.CheckConstraint(
            "kind IN ('on time', 'late', 'after outage', 'early', 'staff')", name=op.f("entries_kind_ck")
        ),
        sa.CheckConstraint(
            "(supersedes IS NULL) = (change_reason IS NULL)", name=op.f("entries_changed_with_reason_ck")
        ),
        sa.CheckConstraint("score IS NULL OR score BETWEEN 0 AND 10", name=op.f("entries_score_range_ck")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("entries_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("entries_patient_id_fk")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("entries_slot_id_fk")),
        sa.ForeignKeyConstraint(["supersedes"], ["entries.id"], name=op.f("entries_supersedes_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("entries_pk")),
        sa.UniqueConstraint("arrival", name=op.f("entries_arrival_uq")),
        sa.UniqueConstraint("supersedes", name=op.f("entries_supersedes_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("entries", schema=None) as batch_op:
        batch_op.create_index(
            "entries_first",
            ["slot_id"],
            unique=True,
            sqlite_where=sa.text("supersedes IS NULL"),
            postgresql_where=sa.text("supersedes IS NULL"),
        )
        batch_op.create_index(
            batch_op.f("entries_patient_id_recorded_at_ix"), ["patient_id", "recorded_at"], unique=False
        )
        batch_op.create_index(batch_op.f("entries_slot_id_ix"), ["slot_id"], unique=False)

    op.create_table(
        "notes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("said_at", columns.Instant(), nullable=True),
        sa.Column("received_at", columns.Instant(), nullable=False),
        sa.Column("recorded_at", columns.Instant(), nullable=False),
        sa.Column("local_date", columns.LocalDate(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("utc_offset_minutes", sa.Integer(), nullable=False),
        sa.Column("arrival", sa.Text(), nullable=True),
        sa.Column("passed_on_at", columns.Instant(), nullable=True),
        sa.Column("audit_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('note', 'side-effect', 'unread')", name=op.f("notes_kind_ck")),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.id"], name=op.f("notes_audit_id_fk")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("notes_patient_id_fk")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("notes_slot_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("notes_pk")),
        sa.UniqueConstraint("arrival", name=op.f("notes_arrival_uq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("notes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("notes_patient_id_recorded_at_ix"), ["patient_id", "recorded_at"], unique=False
        )

    op.create_table(
        "sends",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("nudge", sa.Integer(), nullable=False),
        sa.Column("planned_for", columns.Instant(), nullable=False),
        sa.Column("claimed_at", columns.Instant(), nullable=False),
        sa.Column("finished_at", columns.Instant(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("message_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('claimed', 'sent', 'refused', 'put back', 'unknown')", name=op.f("sends_outcome_ck")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("sends_patient_id_fk")),
        sa.ForeignKeyConstraint(["slot_id"], ["slots.id"], name=op.f("sends_slot_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("sends_pk")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("sends", schema=None) as batch_op:
        batch_op.create_index(
            "sends_in_hand",
            ["claimed_at"],
            unique=False,
            sqlite_where=sa.text("outcome = 'claimed'"),
            postgresql_where=sa.text("outcome = 'claimed'"),
        )
        batch_op.create_index(
            "sends_once",
            ["slot_id", "nudge"],
            unique=True,
            sqlite_where=sa.text("outcome IN ('claimed', 'sent', 'unknown')"),
            postgresql_where=sa.text("outcome IN ('claimed', 'sent', 'unknown')"),
        )
        batch_op.create_index(
            batch_op.f("sends_patient_id_claimed_at_ix"), ["patient_id", "claimed_at"], unique=False
        )
    for table in GROWING:
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
            )
    op.execute(
        "CREATE TRIGGER notes_text_stays BEFORE UPDATE OF text, kind, patient_id ON notes "
        "BEGIN SELECT RAISE(ABORT, 'a note stays as it was written'); END"
    )
