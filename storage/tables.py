"""The tables. The clinical ones know a patient by subject code only; `contacts` alone knows a chat.

Slots, entries and audit are what an inspector reads; entries and audit can only grow (triggers in the
migration). There is no column for a treatment arm, and there must never be one.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from protocol.lifecycle import PatientStatus, SendOutcome
from storage.columns import Instant, Json, LocalDate, WallTime

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_ix",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
        "ck": "%(table_name)s_%(constraint_name)s_ck",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "pk": "%(table_name)s_pk",
    }
)


# Telegram's ids have up to 52 bits.
_BIG = BigInteger().with_variant(Integer(), "sqlite")
_FRACTION: Any = Double().with_variant(REAL(), "sqlite")


def _table(name: str, *parts: Any, **options: Any) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True, **options)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _to(table: str, *, null: bool = False, name: str | None = None, unique: bool = False) -> Column[int]:
    """A foreign key to another table's id."""
    column = name or {"entries": "entry", "patients": "patient"}.get(table, table.removesuffix("s")) + "_id"
    return Column(column, Integer, ForeignKey(f"{table}.id"), nullable=null, unique=unique)


def _index_of_some(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows for which a condition holds."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


def _unique_in_any_case(table: str) -> Index:
    """P-001 and p-001 are one code, on paper and in a chat."""
    return Index(f"{table}_code_in_any_case", text("lower(code)"), unique=True)


def _one_of(column: str, values: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=column)


ACTOR_KINDS = ("patient", "staff", "system")
ROLES = ("administrator", "coordinator", "investigator", "monitor", "statistician")
ENTRY_KINDS = ("on time", "late", "after outage", "early", "staff")
ANSWERS = ("score", "taken", "not-taken")
# How an answer comes: from the patient's own hand, told to staff, or, of a correction alone, from staff themselves.
OWN_SOURCES = ("button", "text")
TOLD_STAFF = ("phone", "paper", "visit")
SOURCES = (*OWN_SOURCES, *TOLD_STAFF, "staff")
PASSED_ON_AS = ("note", "side-effect")
NOTE_KINDS = (*PASSED_ON_AS, "unread")
REACHABLE = ("yes", "blocked", "gone")
TALLIED = ("on_time", "late", "missed", "excused", "doses", "taken", "not_taken")

audit = _table(
    "audit",
    _id(),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_id", Integer),
    Column("verb", Text, nullable=False),
    Column("patient_id", Integer),
    Column("details", Json, nullable=False),
    Column("reason", Text),
    # The chain, see storage/chain.py: the row that came with the line, and what binds the line to the one before.
    Column("row_of", Text),
    Column("row_id", Integer),
    Column("row_sha256", Text),
    Column("sha256", Text, nullable=False, server_default=text("''")),
    _one_of("actor", ACTOR_KINDS),
    Index(None, "patient_id"),
    Index(None, "verb", "id"),
    _index_of_some("audit_of_staff", "actor_id", "id", where="actor = 'staff'"),
)

sites = _table(
    "sites",
    _id(),
    Column("code", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    _to("audit"),
    _unique_in_any_case("sites"),
)

staff = _table(
    "staff",
    _id(),
    Column("code", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("disabled_at", Instant),
    _to("audit"),
    # The pages ask for a passphrase beside the link from the chat; kept as argon2 writes it.
    Column("passphrase", Text),
    Column("wrong_tries", Integer, nullable=False, server_default=text("0")),
    Column("locked_until", Instant),
    _one_of("role", ROLES),
    _unique_in_any_case("staff"),
)

# No row for an administrator means every site; anybody else sees the sites named here and no other.
staff_sites = _table(
    "staff_sites",
    Column("staff_id", Integer, ForeignKey("staff.id"), primary_key=True),
    Column("site_id", Integer, ForeignKey("sites.id"), primary_key=True),
)

protocols = _table(
    "protocols",
    _id(),
    Column("trial", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("toml", Text, nullable=False),
    _to("audit"),
)

patients = _table(
    "patients",
    _id(),
    Column("code", Text, nullable=False, unique=True),
    _to("sites"),
    _to("protocols"),
    Column("status", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("joined_at", Instant),
    Column("withdrawn_at", Instant),
    Column("erased_at", Instant),
    _to("audit"),
    Column("use_stopped_at", Instant),  # from then on the diary is kept and no longer used
    _one_of("status", PatientStatus),
    _unique_in_any_case("patients"),
)

consents = _table(
    "consents",
    _id(),
    _to("patients"),
    Column("decision", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("text_sha256", Text, nullable=False),
    Column("protocol_id", Integer, ForeignKey("protocols.id"), nullable=False),
    Column("decided_at", Instant, nullable=False),
    _to("audit"),
    _one_of("decision", ("agreed", "not-now")),
    Index(None, "patient_id"),
)

patient_phases = _table(
    "patient_phases",
    Column("patient_id", Integer, ForeignKey("patients.id"), primary_key=True),
    Column("phase", Text, primary_key=True),
    Column("start", LocalDate, nullable=False),
    _to("audit"),
)

patient_zones = _table(
    "patient_zones",
    Column("patient_id", Integer, ForeignKey("patients.id"), primary_key=True),
    Column("since", Instant, primary_key=True),
    Column("zone", Text, nullable=False),
    _to("audit"),
)

patient_times = _table(
    "patient_times",
    Column("patient_id", Integer, ForeignKey("patients.id"), primary_key=True),
    Column("item", Text, primary_key=True),
    Column("at", WallTime, nullable=False),
    _to("audit"),
)

# One chat for one patient or one staff member. `chat_hash` is keyed, `sealed` is authenticated encryption.
contacts = _table(
    "contacts",
    _id(),
    Column("patient_id", Integer, ForeignKey("patients.id"), unique=True),
    Column("staff_id", Integer, ForeignKey("staff.id"), unique=True),
    Column("bot_id", _BIG, nullable=False),
    Column("chat_hash", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("reachable", Text, nullable=False),
    Column("awaiting", Json),
    _to("audit"),
    UniqueConstraint("bot_id", "chat_hash"),
    CheckConstraint("(patient_id IS NULL) <> (staff_id IS NULL)", name="one_owner"),
    _one_of("reachable", REACHABLE),
)

invites = _table(
    "invites",
    _id(),
    Column("patient_id", Integer, ForeignKey("patients.id")),
    Column("staff_id", Integer, ForeignKey("staff.id")),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("code_hash", LargeBinary, nullable=False, unique=True),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("revoked_at", Instant),
    _to("audit"),
    CheckConstraint("(patient_id IS NULL) <> (staff_id IS NULL)", name="one_owner"),
    Index(None, "patient_id"),
    Index(None, "staff_id"),
)

slots = _table(
    "slots",
    _id(),
    _to("patients"),
    _to("protocols"),
    Column("phase", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("local_date", LocalDate, nullable=False),
    Column("n", Integer, nullable=False),
    Column("zone", Text, nullable=False),
    Column("utc_offset_minutes", Integer, nullable=False),
    Column("opens_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("on_time_until", Instant, nullable=False),
    Column("closes_at", Instant, nullable=False),
    Column("label", Text),
    # Facts. States such as "missed" are derived from these and the clock, in storage/states.py alone.
    Column("next_nudge_at", Instant),
    Column("nudges", Integer, nullable=False, server_default=text("0")),
    Column("prompted_at", Instant),
    Column("answered_by", Integer),  # the entry that holds now; entries point back here, hence no constraint
    Column("answered_as", Text),  # the kind of the first entry: a correction does not change punctuality
    Column("excused_because", Text),
    Column("cancelled_because", Text),
    UniqueConstraint("patient_id", "item", "local_date", "n"),
    CheckConstraint("opens_at <= due_at AND due_at <= on_time_until AND on_time_until <= closes_at", name="window"),
    CheckConstraint("kind IN ('dose', 'rating')", name="kind"),
    CheckConstraint("(answered_by IS NULL) = (answered_as IS NULL)", name="answered"),
    CheckConstraint(
        "next_nudge_at IS NULL OR (answered_by IS NULL AND excused_because IS NULL AND cancelled_because IS NULL)",
        name="nudged_only_while_open",
    ),
    # What is due is found among the slots still to be nudged, however many there are in all.
    _index_of_some("slots_to_nudge", "next_nudge_at", where="next_nudge_at IS NOT NULL"),
    Index(None, "patient_id", "due_at"),
)

entries = _table(
    "entries",
    _id(),
    _to("patients"),
    Column("slot_id", Integer, ForeignKey("slots.id"), nullable=False),
    Column("answer", Text, nullable=False),
    Column("score", Integer),
    Column("skip_reason", Text),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("arrival", Text, unique=True),  # the update it came in: handled again, it makes no second entry
    Column("due_at", Instant, nullable=False),
    Column("prompted_at", Instant),
    Column("said_at", Instant),
    Column("received_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("local_date", LocalDate, nullable=False),
    Column("zone", Text, nullable=False),
    Column("utc_offset_minutes", Integer, nullable=False),
    Column("supersedes", Integer, ForeignKey("entries.id"), unique=True),
    Column("change_reason", Text),
    _to("audit"),
    _one_of("answer", ANSWERS),
    _one_of("kind", ENTRY_KINDS),
    CheckConstraint("(answer = 'score') = (score IS NOT NULL)", name="score_given"),
    CheckConstraint("score IS NULL OR score BETWEEN 0 AND 10", name="score_range"),  # NRS 0-10
    CheckConstraint("(supersedes IS NULL) = (change_reason IS NULL)", name="changed_with_reason"),
    # One first answer for a slot, however often it is tapped; a correction supersedes exactly one entry.
    _index_of_some("entries_first", "slot_id", where="supersedes IS NULL", unique=True),
    Index(None, "slot_id"),
    Index(None, "patient_id", "recorded_at"),
    # When a patient last said something: what staff recorded is not the patient's answer.
    _index_of_some("entries_said", "patient_id", "received_at", where="source IN ('button', 'text')"),
)

notes = _table(
    "notes",
    _id(),
    _to("patients"),
    Column("slot_id", Integer, ForeignKey("slots.id")),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("said_at", Instant),
    Column("received_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("local_date", LocalDate, nullable=False),
    Column("zone", Text, nullable=False),
    Column("utc_offset_minutes", Integer, nullable=False),
    Column("arrival", Text, unique=True),
    Column("passed_on_at", Instant),
    _to("audit"),
    Column("passed_on_as", Text),  # note or side-effect, whatever it was kept as
    _one_of("kind", NOTE_KINDS),
    Index(None, "patient_id", "recorded_at"),
)

sends = _table(
    "sends",
    _id(),
    _to("slots"),
    _to("patients"),
    Column("nudge", Integer, nullable=False),
    Column("planned_for", Instant, nullable=False),
    Column("claimed_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", Text, nullable=False),
    Column("detail", Text),
    Column("message_id", _BIG),
    _one_of("outcome", SendOutcome),
    # The same nudge may be tried again only when it was certainly not sent: the double cannot be written.
    _index_of_some(
        "sends_once", "slot_id", "nudge", where="outcome IN ('claimed', 'sent', 'unknown')", unique=True
    ),
    _index_of_some("sends_in_hand", "claimed_at", where="outcome = 'claimed'"),
    Index(None, "patient_id", "claimed_at"),
)

alerts = _table(
    "alerts",
    _id(),
    _to("patients"),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("seen_at", Instant),
    Column("done_at", Instant),
    Column("seen_by", Integer, ForeignKey("staff.id")),  # whoever is first owns it
    Column("done_by", Integer, ForeignKey("staff.id")),
    _to("audit"),
    Column("reminded_at", Instant),  # nobody had taken it, and the next ones were told
    UniqueConstraint("patient_id", "rule", "key"),
    _index_of_some("alerts_open", "patient_id", where="done_at IS NULL"),
)

notices = _table(
    "notices",
    _id(),
    Column("patient_id", Integer, ForeignKey("patients.id")),
    Column("staff_id", Integer, ForeignKey("staff.id")),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("next_try_at", Instant),
    Column("expires_at", Instant, nullable=False),
    Column("claimed_at", Instant),
    Column("finished_at", Instant),
    Column("outcome", Text),
    Column("detail", Text),
    Column("message_id", _BIG),
    CheckConstraint("(patient_id IS NULL) <> (staff_id IS NULL)", name="one_receiver"),
    _one_of("outcome", SendOutcome),
    # One notice of a kind about one thing for one receiver, whoever asks for it again.
    Index("notices_once_patient", "patient_id", "kind", "key", unique=True),
    Index("notices_once_staff", "staff_id", "kind", "key", unique=True),
    _index_of_some("notices_to_send", "next_try_at", where="next_try_at IS NOT NULL"),
)

# Updates from Telegram before they are confirmed; `sealed` (the raw JSON) is emptied after handling.
inbox = _table(
    "inbox",
    _id(),
    Column("bot_id", _BIG, nullable=False),
    Column("update_id", _BIG, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("sealed", LargeBinary),
    Column("done_at", Instant),
    Column("quarantined_because", Text),
    # Update ids are not monotonic after a quiet week, so the content counts too.
    UniqueConstraint("bot_id", "update_id", "digest"),
    _index_of_some("inbox_open", "id", where="done_at IS NULL AND quarantined_because IS NULL"),
)

outages = _table(
    "outages",
    _id(),
    Column("kind", Text, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("ended_at", Instant, nullable=False),
    Column("slots_touched", Integer, nullable=False),
    _to("audit"),
    _one_of("kind", ("intake", "service")),
)

# The same by site: one is not told how large another is.
outage_sites = _table(
    "outage_sites",
    Column("outage_id", Integer, ForeignKey("outages.id"), primary_key=True),
    Column("site_id", Integer, ForeignKey("sites.id"), primary_key=True),
    Column("slots_touched", Integer, nullable=False),
)

# What staff typed in at a clinic day, whole; a correction is a new row that supersedes exactly one, with a reason.
visits = _table(
    "visits",
    _id(),
    _to("patients"),
    Column("protocol_id", Integer, ForeignKey("protocols.id"), nullable=False),
    Column("visit", Text, nullable=False),
    Column("held_on", LocalDate, nullable=False),
    Column("began_at", Instant),  # None where nobody wrote the time down
    Column("measured", Json, nullable=False),  # {measure: number}; one that was not taken is left out
    Column("recorded_at", Instant, nullable=False),
    Column("supersedes", Integer, ForeignKey("visits.id"), unique=True),
    Column("change_reason", Text),
    _to("audit"),
    CheckConstraint("(supersedes IS NULL) = (change_reason IS NULL)", name="changed_with_reason"),
    _index_of_some("visits_first", "patient_id", "visit", where="supersedes IS NULL", unique=True),
    Index(None, "patient_id", "visit"),
)

# What staff write to one another about a patient: a monitor's questions, a coordinator's answers.
comments = _table(
    "comments",
    _id(),
    _to("patients"),
    Column("staff_id", Integer, ForeignKey("staff.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("form", Text, nullable=False, unique=True),  # the form it was written in: sent twice, it is one
    _to("audit"),
    Index(None, "patient_id", "recorded_at"),
)

# A way into the pages for one staff member, once, for a few minutes, and only for the browser that opened it first.
sign_in_links = _table(
    "sign_in_links",
    _id(),
    Column("staff_id", Integer, ForeignKey("staff.id"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("browser_hash", LargeBinary, unique=True),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    _to("audit"),
    Index(None, "staff_id"),
)

sessions = _table(
    "sessions",
    _id(),
    Column("staff_id", Integer, ForeignKey("staff.id"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("began_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index(None, "staff_id"),
)

# How another program asks for what a member may read; it has no role and no sites of its own.
api_tokens = _table(
    "api_tokens",
    _id(),
    Column("staff_id", Integer, ForeignKey("staff.id"), nullable=False),
    Column("name", Text, nullable=False),  # who uses it
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("revoked_at", Instant),
    _to("audit"),
    Index(None, "staff_id"),
)

# What of a patient's slots had run its course by an instant, counted; true while the row of `tallied` stands.
# Triggers take that row away when a slot of the past, the plan or a phase's start changes.
tallied = _table(
    "tallied",
    Column("patient_id", Integer, ForeignKey("patients.id"), primary_key=True),
    Column("until", Instant, nullable=False),
    Column("live_from", Instant),  # when the first slot is due that had not run its course; None where all had
    Column("next_close_at", Instant),  # when the next of these slots closes
    Column("week_over_at", Instant),  # when the next week of ratings is over, see `rated_weeks`
    Column("weeks_from", Instant),  # and when the first slot of all such weeks is due
)

tallies = _table(
    "tallies",
    Column("grouped_by", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("patient_id", Integer, ForeignKey("patients.id"), primary_key=True),
    Column("first_due_at", Instant, nullable=False),
    *(Column(name, Integer, nullable=False) for name in TALLIED),
    _one_of("grouped_by", ("phase", "item", "week")),
    Index(None, "patient_id"),
    sqlite_with_rowid=False,
)

# The weeks of a patient's ratings that were over by then: days with a rating asked for, days rated, and the sum of
# the days' mean scores.
rated_weeks = _table(
    "rated_weeks",
    Column("item", Text, primary_key=True),
    Column("week", Integer, primary_key=True),
    Column("patient_id", Integer, ForeignKey("patients.id"), primary_key=True),
    Column("asked", Integer, nullable=False),
    Column("rated", Integer, nullable=False),
    Column("total", _FRACTION, nullable=False),
    Index(None, "patient_id"),
    sqlite_with_rowid=False,
)

# When each part of the service was last seen working; `daybook health` reads it from another process.
heartbeats = _table(
    "heartbeats",
    Column("part", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)

# One sealed value that says nothing: keys that cannot open it are not those of this database.
key_check = _table("key_check", _id(), Column("sealed", LargeBinary, nullable=False))

# The bots this deployment speaks through, so that invite links can be made while Telegram is away.
bots = _table(
    "bots",
    Column("id", _BIG, primary_key=True, autoincrement=False),
    Column("username", Text, nullable=False),
)

# Backups that a restore has proven, so that it can be told how old the newest is. Where they lie may change.
backups = _table(
    "backups",
    _id(),
    Column("proven_at", Instant, nullable=False),
    Column("name", Text, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("byte_count", _BIG, nullable=False),
    Column("sha256", Text, nullable=False),
    _to("audit"),
)
