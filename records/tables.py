"""The tables, as the program of today sees them. migrations/ builds them; a test holds the two against each other."""

import sqlalchemy as sa
from sqlalchemy import Column, Index, Integer, Table, Text

from records.columns import BytewiseText, Instant, Json, Words

metadata = sa.MetaData()

VERSION_TABLE = "countersign_schema"

# One row for every workflow instance that is known. `finished_at IS NULL` is the partial indexes' condition because
# SQLite uses a partial index only where the query repeats its condition without a parameter.
instances = Table(
    "instances",
    metadata,
    Column("instance_id", BytewiseText, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Words, nullable=False),
    Column("engine_status", Text, nullable=False),
    Column("custom_status", Words, nullable=False),
    Column("phase", Text, nullable=False),
    Column("amount", Text),
    Column("currency", Text),
    Column("description", Words, nullable=False),
    Column("requester", Words, nullable=False),
    Column("requester_person", Text),
    Column("rule", Words),
    Column("policy_version", Text),
    Column("route", Json),
    Column("request", Json),
    Column("content_digest", Text),
    Column("digest", Text),
    Column("run", Instant),
    Column("stage", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("binding", Json),
    Column("waiting_on", Json, nullable=False),
    Column("asked_at", Instant),
    Column("deadline", Instant),
    Column("cards", Json, nullable=False),
    Column("outcome", Json),
    Column("state", Json),
    Column("posting", Text, nullable=False, server_default=""),
    Column("posted", Text, nullable=False, server_default=""),
    Column("shown", Text, nullable=False, server_default=""),
    Column("wanted", Text, nullable=False, server_default=""),
    Column("input", Words),
    Column("output", Words),
    Column("correlation_id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("finished_at", Instant),
    Column("ended_as", Text),
    Index("instances_by_creation", "created_at", "instance_id"),
    Index("instances_by_status", "engine_status", "created_at", "instance_id"),
    Index("instances_by_phase", "phase", "created_at", "instance_id"),
    Index("instances_by_name", "name", "created_at", "instance_id"),
    Index("instances_by_requester", "requester", "created_at", "instance_id"),
    Index("instances_by_subject", "subject", "created_at"),
    Index("instances_by_decision", "decided_at", "ended_as"),
    Index("instances_by_end", "finished_at", "instance_id"),
)
OPEN = instances.c.finished_at.is_(None)
STALE = instances.c.shown != instances.c.wanted
Index("instances_stale", instances.c.updated_at, instances.c.instance_id, sqlite_where=STALE, postgresql_where=STALE)
Index("instances_open", instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("instances_by_deadline", instances.c.deadline, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index("instances_by_asking", instances.c.asked_at, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN)
Index(
    "instances_by_progress", instances.c.updated_at, instances.c.instance_id, sqlite_where=OPEN, postgresql_where=OPEN
)

# Whom an instance waits for, one row a principal ("group:managers"). Rows live only while it waits.
waiting = Table(
    "waiting",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("created_at", Instant, primary_key=True),
    Column("instance_id", BytewiseText, primary_key=True),
    Index("waiting_by_instance", "instance_id"),
)

# The words of an instance's id, subject, requester and description, for search by prefix on either database.
instance_words = Table(
    "instance_words",
    metadata,
    Column("word", BytewiseText, primary_key=True),
    Column("instance_id", BytewiseText, primary_key=True),
    Index("words_by_instance", "instance_id", "word"),
)

intake = Table(
    "intake",
    metadata,
    Column("id", Text, primary_key=True),
    Column("instance_id", BytewiseText, nullable=False),
    Column("payload", Json, nullable=False),
    Column("person", Text, nullable=False),
    Column("through", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("verdict", Json),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("told_at", Instant),
    Column("reply", Json),
    Index("intake_by_instance", "instance_id", "created_at"),
)
UNANSWERED = intake.c.answered_at.is_(None)
UNTOLD = intake.c.told_at.is_(None)
Index("intake_due", intake.c.next_attempt_at, intake.c.id, sqlite_where=UNANSWERED, postgresql_where=UNANSWERED)
Index("intake_oldest", intake.c.created_at, sqlite_where=UNANSWERED, postgresql_where=UNANSWERED)
Index("intake_untold", intake.c.answered_at, intake.c.id, sqlite_where=UNTOLD, postgresql_where=UNTOLD)

audit = Table(
    "audit",
    metadata,
    Column("seq", sa.BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("instance_id", Text, nullable=False),
    Column("request_digest", Text, nullable=False),
    Column("through", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("data", Json, nullable=False),
    Column("prev", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
    Index("audit_by_instance", "instance_id", "seq"),
    Index("audit_by_actor", "actor", "seq"),
    Index("audit_by_action", "action", "at"),
    Index("audit_by_time", "at"),
    Index("audit_by_correlation", "correlation_id"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("seq", sa.BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("key_id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("signature", Text, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("mac", Text, nullable=False),
    Column("name", Words, nullable=False),
    Column("person", Words, nullable=False),
    Column("roles", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Words, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
)

# What people were told, so that a repeated activity tells nobody twice.
sent = Table(
    "sent",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)

order_ledger = Table(
    "order_ledger",
    metadata,
    Column("idempotency_key", Text, primary_key=True),
    Column("order_id", Words, nullable=False),
    Column("amount", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("instance_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ledger_by_order", "order_id"),
    Index("ledger_by_time", "at"),
)

replays = Table(
    "replays",
    metadata,
    Column("signature_hash", Text, primary_key=True),
    Column("status", Integer),
    Column("headers", Json),
    Column("body", sa.LargeBinary),
    Column("created_at", Instant, nullable=False),
    Index("replays_by_age", "created_at"),
)

policies = Table(
    "policies",
    metadata,
    Column("version", Text, primary_key=True),
    Column("content", Words, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
)

bulk_operations = Table(
    "bulk_operations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("action", Text, nullable=False),
    Column("filter", Json, nullable=False),
    Column("reason", Words, nullable=False),
    Column("actor", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("bulk_by_creation", "created_at"),
    Index("bulk_by_token", "token_hash"),
)

bulk_items = Table(
    "bulk_items",
    metadata,
    Column("operation_id", Text, primary_key=True),
    Column("instance_id", BytewiseText, primary_key=True),
    Column("state", Text, nullable=False),
    Column("result", Words, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index("bulk_items_by_state", "operation_id", "state", "instance_id"),
)
